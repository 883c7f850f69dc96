"""A run that is resumed: whether anything is left to do is told by its files alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import knowclip
from knowclip.api import train as api
from knowclip.api.runs import finished, held, seed_of
from knowclip.commands.train import command
from knowclip.recipe.load import load_recipe
from knowclip.storage.locks import locked


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


@pytest.mark.parametrize("by_command", [True, False])
def test_a_run_is_held_before_its_model_is_loaded(
    by_command: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second training there is refused at once, not after its own loading; a folder made for that goes."""
    run = tmp_path / "runs/mine"

    def prepare(*_: object, **__: object) -> None:
        with (
            pytest.raises(ValueError, match=r"mine is in use: process \d+ on .* is training there"),
            held(recipe),
        ):
            pass
        raise KeyboardInterrupt

    recipe = load_recipe("clip", [f"output.folder={run}"])
    monkeypatch.setattr(api, "check", lambda *_, **__: None)
    monkeypatch.setattr(api, "prepare", prepare)
    with pytest.raises(KeyboardInterrupt):
        if by_command:
            command("clip", [f"output.folder={run}"])
        else:
            knowclip.train("clip", output={"folder": str(run)})
    assert not [*tmp_path.iterdir()]


def test_parts_of_a_training_take_its_lock_again_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("clip", [f"output.folder={tmp_path}"])
    with held(recipe):
        with locked(tmp_path, doing="training"):
            pass
        assert (tmp_path / ".lock").exists()
    with locked(tmp_path, doing="training"), pytest.raises(ValueError, match="is in use"):
        with locked(tmp_path, doing="training"):
            pass
    monkeypatch.setenv("RANK", "1")
    with held(recipe):
        assert not (tmp_path / ".lock").exists()
