"""What is said of a run whose best checkpoint is what it started from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from knowclip.api.loaded import best_step, tell_untrained


def write_log(run: Path, *selections: tuple[int, float]) -> None:
    (run / "best").mkdir(parents=True)
    lines = [
        json.dumps({"step": step, "kind": "validation", "selection": value}) for step, value in selections
    ]
    lines.insert(1, json.dumps({"step": 30, "kind": "train", "loss": 1.0}))
    (run / "log.jsonl").write_text("\n".join(lines) + '\n{"step": 99, "ki')


@pytest.mark.parametrize("place", ["", "best"])
def test_best_of_step_0_is_said(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "run", (0, 0.5), (20, 0.4), (30, 0.5))
    assert best_step(tmp_path / "run") == (0, 30)
    tell_untrained(tmp_path / "run" / place)
    told = capsys.readouterr().err
    assert "best is step 0 (untrained)" in told and "last: step 30" in told


def test_a_trained_best_and_other_folders_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "run", (0, 0.5), (20, 0.6))
    tell_untrained(tmp_path / "run")
    tell_untrained(tmp_path / "ViT-B-32")
    assert best_step(tmp_path) == (None, 0)
    assert not capsys.readouterr().err
