"""A name by which no model is known: what a person may have meant, the likest first."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowclip.models.loading.names import unknown

KNOWN = ("scenes", "scenes-base", "convnext_base", "ViT-B-32")
SCENES = "scenes-base, scenes, convnext_base"


@pytest.mark.parametrize(
    ("there", "name", "meant"),
    [
        ("scenes.index/photos.db", "scene-base", SCENES),  # an index is no model
        ("scenes-bare/best/config.json", "scene-base", SCENES.replace(",", ", scenes-bare,", 1)),
        ("runs/mine/best/config.json", "runs/mni", "runs/mine"),
        ("runs/mine/best/config.json", "ViT-B-23", "ViT-B-32"),
    ],
)
def test_the_likest_comes_first(
    there: str, name: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / there).parent.mkdir(parents=True)
    (tmp_path / there).touch()
    told = str(unknown(repr(name), name, KNOWN))
    assert told == f"{name!r} is no file, no folder and no architecture; did you mean {meant}?"
