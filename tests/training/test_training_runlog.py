"""``log.jsonl`` and what stands beside it: resumed runs, Weights & Biases, a full disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from knowclip.training.runlog import RunLog


class Recorded:
    """What was asked of Weights & Biases."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def init(self, **settings: Any) -> Recorded:
        self.calls.append(("init", settings))
        return self

    def log(self, numbers: dict[str, float], *, step: int) -> None:
        self.calls.append(("log", (numbers, step)))

    def finish(self) -> None:
        self.calls.append(("finish", None))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorded, module = Recorded(), ModuleType("wandb")
    module.init = recorded.init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return recorded


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_weights_and_biases_gets_the_recipe_every_number_with_its_step_and_the_end(
    tmp_path: Path, wandb: Recorded
) -> None:
    log = RunLog(tmp_path, wandb_project="mine", config={"seed": 3})
    log.write(1, "train", {"loss": 0.5})
    log.write(1, "validation", {"selection": 0.25})
    log.close()
    settings = {"project": "mine", "name": tmp_path.name, "dir": str(tmp_path), "config": {"seed": 3}}
    assert wandb.calls == [
        ("init", settings),
        ("log", ({"train/loss": 0.5}, 1)),
        ("log", ({"validation/selection": 0.25}, 1)),
        ("finish", None),
    ]


def test_weights_and_biases_that_is_not_installed_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match=r"pip install 'knowclip\[wandb\]'"):
        RunLog(tmp_path, wandb_project="mine")


def test_a_run_that_is_taken_up_forgets_later_lines_and_half_a_one(tmp_path: Path) -> None:
    with_three = RunLog(tmp_path)
    for step in (1, 2, 3):
        with_three.write(step, "train", {"loss": float(step)})
    with_three.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "ki')
    again = RunLog(tmp_path, step=2)
    again.write(3, "train", {"loss": 30.0})
    again.close()
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    RunLog(tmp_path).close()  # from the start: nothing of the old run is left
    assert lines(tmp_path) == []


@pytest.mark.parametrize(
    "damage", ["{no json}", "[]", '{"step": "2"}', "\xff{\x00}", "7", '{"kind": "train"}']
)
def test_a_damaged_line_is_left_out_and_told_and_the_run_goes_on(tmp_path: Path, damage: str) -> None:
    written = ['{"step": 1, "loss": 1.0}', damage, '{"step": 3, "loss": 3.0}', '{"step": 4, "loss": 4.0}']
    (tmp_path / "log.jsonl").write_bytes("\n".join([*written, ""]).encode("latin-1"))
    with pytest.warns(UserWarning, match=r"log\.jsonl: 1 line that cannot be read left out, .* is line 2"):
        RunLog(tmp_path, step=3).close()
    assert [line["step"] for line in lines(tmp_path)] == [1, 3]


def test_a_skipped_step_is_a_line_that_is_json(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.skipped(7, {"loss": float("nan"), "grad_norm": 2.0}, {"images": ["a", "b"], "triplets": []})
    log.close()
    told = {"step": 7, "kind": "skipped", "loss": "nan", "grad_norm": 2.0, "images": ["a", "b"]}
    assert lines(tmp_path) == [told]


@pytest.mark.parametrize("kind", ["write", "skipped"])
def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path, kind: str) -> None:
    def full(text: str) -> None:
        raise OSError(28, "No space left on device")

    log = RunLog(tmp_path)
    log._file = SimpleNamespace(write=full)  # type: ignore[assignment]
    with pytest.raises(OSError, match=rf"log of {tmp_path} failed: No space left.*resume=True"):
        log.write(1, "train", {"loss": 1.0}) if kind == "write" else log.skipped(1, {}, {})
