"""What is said of a run whose best checkpoint is what it started from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from knowclip.cli import build_app
from knowclip.preflight.untrained import best_step, tell_untrained


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
    told = " ".join(capsys.readouterr().err.split())
    assert "best is step 0 (untrained)" in told and told.endswith("; nothing else was saved")
    (tmp_path / "run/last").mkdir()
    tell_untrained(tmp_path / "run" / place)
    assert "; last: step 30, in " in " ".join(capsys.readouterr().err.split())
    tell_untrained(tmp_path / "run" / place)
    assert not capsys.readouterr().err  # the same once


def test_a_trained_best_and_other_folders_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "run", (0, 0.5), (20, 0.6))
    tell_untrained(tmp_path / "run")
    tell_untrained(tmp_path / "ViT-B-32")
    assert best_step(tmp_path) == (None, 0)
    assert not capsys.readouterr().err


def test_the_last_step_is_that_of_last_not_of_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log has a line every ten steps; a run that was stopped may have none of later validations."""
    write_log(tmp_path, (0, 0.5))
    (tmp_path / "last").mkdir()
    (tmp_path / "last/training.json").write_text('{"step": 33}')
    assert best_step(tmp_path) == (0, 33)
    tell_untrained(tmp_path)
    told = " ".join(capsys.readouterr().err.split())
    assert "(untrained): no validation was made after it; last: step 33" in told


@pytest.mark.parametrize(
    "line",
    [
        "convert run pairs.csv",
        "interpolate scenes-base run --data pairs.csv --out pairs.csv",
        "push run no-name",
        "evaluate run --data pairs.csv --suite none",
        "align run --data nowhere --out new",
        "diagnose run --data nowhere",
        "task snli_ve run --data nowhere",
        "index pairs.csv --model run --out new",
        "mine pairs.csv --model run --out nowhere/pairs.csv/x",
        "predict run run h r",
        "link-prediction run run",
        "serve run --index run",
    ],
)
def test_every_command_tells_it_of_a_model_by_name(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that carry the weights on: before anything else is refused, and before torch."""
    monkeypatch.chdir(tmp_path)
    write_log(tmp_path / "run", (0, 0.5))
    (tmp_path / "pairs.csv").write_text("image,caption\n")
    with pytest.raises(ValueError):
        build_app()(line.split(), standalone_mode=False)
    assert "best is step 0 (untrained)" in capsys.readouterr().err
