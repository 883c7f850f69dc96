"""``knowclip mine``: a table that trains, from captions and a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from knowclip.commands.mine import command
from knowclip.data.captions.read import read_captions

CAPTIONS = {
    "0.png": ["A red dog chases a blue cat.", "A red dog runs after a blue cat."],
    "1.png": ["A blue cat chases a red dog."],
    "2.png": ["A green horse carries a yellow pumpkin."],
    "3.png": ["A yellow pumpkin carries a green horse."],
}


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    for number, name in enumerate(CAPTIONS):
        Image.new("RGB", (64, 64), (60 * number, 90, 200)).save(tmp_path / name)
    rows = [f"{name},{caption}" for name, several in CAPTIONS.items() for caption in several]
    path = tmp_path / "captions.csv"
    path.write_text("\n".join(["image,caption", *rows]) + "\n")
    return path


@pytest.mark.parametrize("by", ["text", "image"])
def test_a_table_with_negatives_that_training_reads(captions, by, monkeypatch, capsys) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(captions.parent / "cache"))
    out = captions.parent / "mined.csv"
    command(captions, model="scenes-base", out=out, by=by, num_negatives=2, relative_margin=-1e9)
    before, after = read_captions(captions).examples, read_captions(out, images=captions.parent).examples
    assert [(e.image, e.caption) for e in after] == [(e.image, e.caption) for e in before]
    for example in after:
        negatives = [negative.caption for negative in example.negatives]
        assert len(negatives) == 2 and not set(negatives) & set(CAPTIONS[example.image_id])
    told = capsys.readouterr().out
    assert "negatives mined" in told and "10" in told
    if by == "text":
        assert after[2].negatives[0].caption in CAPTIONS["0.png"]


def test_a_wrong_query_is_refused_before_anything_is_loaded(captions) -> None:
    with pytest.raises(ValueError, match="--by"):
        command(captions, model="scenes-base", out=captions.parent / "mined.csv", by="pixels")
