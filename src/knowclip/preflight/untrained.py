"""Whether a run's ``best`` is what it started from: told wherever a model is named, before it is loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from knowclip.console.screen import Screen

_told: set[tuple[Path, str]] = set()


def tell_untrained(folder: Path) -> None:
    """Say so where a run's ``best`` is what it started from: what is not pre-trained is random there.

    Once: commands ask for a model's name, and ask again where they load it.
    """
    run = folder.parent if folder.name == "best" else folder
    if not (run / "best").is_dir():
        return
    step, last = best_step(run)
    if step != 0:
        return
    later = any(at > 0 for at, _ in _validations(run))
    why = "no later validation was better" if later else "no validation was made after it"
    kept = f"last: step {last}, in {run / 'last'}" if (run / "last").is_dir() else "nothing else was saved"
    line = f"{run / 'best'}: best is step 0 (untrained): {why}; {kept}"
    if (told := (run.resolve(), line)) not in _told:
        _told.add(told)
        Screen(stderr=True, quiet=os.environ.get("RANK", "0") != "0").print(line)


def checkpoint_of(folder: Path) -> str:
    """Which checkpoint of a run a folder is, as its log tells: ``best, step 50``; "" of what is no run's."""
    run = folder.parent if folder.name in ("best", "last") else folder
    if not (run / "log.jsonl").is_file():
        return ""
    best, last = best_step(run)
    if folder.name == "last":
        return f"last, step {last}"
    untrained = " (untrained)" if best == 0 else ""
    return "best" if best is None else f"best, step {best}{untrained}"


def best_step(run: Path) -> tuple[int | None, int]:
    """At which step a run's ``best`` was kept, as its log tells (None: it does not), and its last step.

    ``last`` tells its own step: the log has a line every ``train.log_every`` steps.
    """
    best: tuple[float, int] | None = None
    for step, value in _validations(run):
        if best is None or value > best[0]:
            best = (value, step)
    last = max((int(record["step"]) for record in _records(run)), default=0)
    with suppress(OSError, ValueError, KeyError, TypeError):  # gone or damaged: the log tells
        last = int(json.loads((run / "last" / "training.json").read_text(encoding="utf-8"))["step"])
    return (best[1] if best else None), last


def _validations(run: Path) -> Iterator[tuple[int, float]]:
    """Step and number of each validation of a run, in the log's order."""
    for record in _records(run):
        if record.get("kind") == "validation" and isinstance(record.get("selection"), int | float):
            yield int(record["step"]), record["selection"]


def _records(run: Path) -> Iterator[dict[str, object]]:
    path = run / "log.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with suppress(ValueError):  # a line that was cut short when the run was stopped
            record = json.loads(line)
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                yield record
