"""A run that is resumed: whether anything is left to do is told by its files alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from knowclip.api.runs import finished, seed_of
from knowclip.recipe.load import load_recipe


@pytest.mark.parametrize(
    ("length", "saved", "ends"),
    [
        (["train.steps=4", "train.epochs=null"], {"step": 4, "epoch": 1, "to_validate": False}, True),
        (["train.steps=8", "train.epochs=null"], {"step": 4, "epoch": 1, "to_validate": False}, False),
        (["train.epochs=1"], {"step": 4, "epoch": 1, "to_validate": False}, True),
        (["train.epochs=2"], {"step": 4, "epoch": 1, "to_validate": False}, False),
        (["train.epochs=1"], {"step": 4, "epoch": 1, "to_validate": True}, False),
        (["train.epochs=1"], {"step": 4}, False),  # of a version that did not tell
    ],
)
def test_a_run_is_finished_if_all_is_trained_and_validated(
    tmp_path: Path, length: list[str], saved: dict[str, int], ends: bool
) -> None:
    recipe = load_recipe("clip", [*length, "schedule.warmup=0", f"output.folder={tmp_path}"])
    assert finished(recipe) is None
    (tmp_path / "last").mkdir()
    (tmp_path / "last/training.json").write_text(json.dumps(saved))
    told = finished(recipe)
    assert (told is not None) == ends
    if told:
        assert told.startswith(f"{tmp_path} is finished: all 4 steps are done; raise train.steps")


def test_the_seed_of_a_run_is_found_from_its_folder_and_its_best(tmp_path) -> None:
    (tmp_path / "recipe.yaml").write_text("seed: 3\n")
    assert seed_of(tmp_path) == seed_of(str(tmp_path / "best")) == 3
    assert seed_of("ViT-B-32/openai") == seed_of(tmp_path / "other" / "best") == 0
