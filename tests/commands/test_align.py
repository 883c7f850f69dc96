"""``knowclip align`` from end to end: small drawings of whose colour is which, and what is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from knowclip.commands import align
from knowclip.export.open_clip import save_pretrained
from knowclip.models.loading.load import load
from tiny_models import make

app = typer.Typer()
app.command()(align.command)
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
NUMBERS = {"train": 8, "val": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The horse's colour is on the left, the astronaut's on the right."""
    folder = tmp_path_factory.mktemp("data")
    noise = np.random.default_rng(0)
    lines = ["image,caption,split"]
    for (left, right), split in itertools.product(itertools.permutations(COLOURS, 2), NUMBERS):
        for number in range(NUMBERS[split]):
            picture = np.zeros((32, 32, 3))
            picture[:, :16], picture[:, 16:] = COLOURS[left], COLOURS[right]
            name = f"{left}-{right}-{split}{number}.png"
            pixels = (picture + noise.normal(0, 10, picture.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name)
            lines.append(f"{name},a {left} horse is riding a {right} astronaut,{split}")
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
    return folder / "captions.csv"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_pretrained(make("custom_text_eos", folder), folder / "clip")
    return folder / "clip"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))


def refused(*arguments: object) -> str:
    run = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(run.exception, ValueError), run.output
    return str(run.exception)


def test_a_map_is_fitted_folded_and_measured(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [str(model), "--data", str(data), "--out", str(out), "--lr", "0.05", "--batch-size", "48"]
    for steps in ("1", "300"):  # a folder of its own is replaced
        run = CliRunner().invoke(app, [*arguments, "--steps", steps])
        assert run.exit_code == 0, run.output
    (out / "notes.txt").write_text("mine")
    told = refused(*arguments)
    assert "holds other files, which would be replaced (notes.txt): choose another folder" in told
    (out / "notes.txt").unlink()
    told = json.loads((out / "align.json").read_text())
    assert told["pairs"] == {"train": 48, "val": 24, "negatives": told["pairs"]["negatives"]}
    assert told["pairs"]["negatives"] >= 48
    assert told["step"] > 0 and told["folding_error"] < 1e-5
    for name in ("swaps", "image_to_text_R@1", "text_to_image_R@1"):
        assert told["after"][name] > told["before"][name] + 0.1
    assert {name for name in told["after"] if name.startswith("swaps/")}
    assert run.stdout.endswith("72 captions read = 72 kept\n")
    assert "chosen: step" in run.stdout and "stock open_clip loads it" in run.stdout
    texts = ["a red horse is riding a blue astronaut", "a blue horse is riding a red astronaut"]
    stock, _, _ = open_clip.create_model_and_transforms(f"local-dir:{out}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{out}")
    with torch.no_grad():
        embedded = stock.eval().encode_text(tokenizer(texts))
        torch.testing.assert_close(embedded, load(out).encode_text(texts), atol=1e-5, rtol=1e-5)
        assert not torch.allclose(embedded, load(model).encode_text(texts), atol=1e-2)
    assert torch.equal(stock.visual.conv1.weight, load(model).model.visual.conv1.weight)


def test_what_is_refused(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    common = (model, "--data", data, "--out", out)
    assert "nothing is fitted" in refused(*common, "--split", "test")
    assert "72 of 48" in refused(*common, "--val-images", 72)
    assert "is the model itself" in refused(model, "--data", data, "--out", model)
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    assert "holds other files" in refused(model, "--data", data, "--out", full)
    assert (full / "thesis.txt").read_text() == "mine"
    other = tmp_path / "captions.csv"
    other.write_text(data.read_text().replace(",train", ",dev").replace(",val", ",held"))
    told = refused(model, "--data", other, "--images", data.parent, "--out", out)
    assert "no split 'train'" in told and "--split NAME" in told
    plain = tmp_path / "plain.csv"
    rows = [line.split(",")[0] for line in data.read_text().splitlines()[1:]]
    plain.write_text("image,caption\n" + "".join(f"{name},a horse\n" for name in rows))
    told = refused(model, "--data", plain, "--images", data.parent, "--out", out)
    assert "none of 65 captions to fit on has a negative" in told
    assert not out.exists()
