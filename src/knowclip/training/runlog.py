"""What a run writes down: ``log.jsonl``, TensorBoard, and Weights & Biases on request."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from knowclip.console.counts import counted
from knowclip.console.spelling import resuming
from knowclip.storage.atomic import atomic_file


class RunLog:
    """Numbers by optimiser step, to every sink at once.

    Args:
        run: The run's folder.
        step: Where the run takes up. Later lines, which an interrupted run left, are removed; at 0, all are.
        wandb_project: Weights & Biases project to log to, or None.
        config: The recipe, for Weights & Biases.

    Raises:
        ImportError: If Weights & Biases is asked for and not installed.
    """

    def __init__(
        self,
        run: Path,
        *,
        step: int = 0,
        wandb_project: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = run / "log.jsonl"
        _forget_after(self.path, step)
        # a line at a time: whoever follows the file, or kills the run, has whole steps
        self._file = self.path.open("a", encoding="utf-8", buffering=1)
        # purge_step hides what an interrupted run had written from there on
        self._tensorboard = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1 if step else None)
        self._wandb = _start_wandb(wandb_project, run, config) if wandb_project else None

    def write(self, step: int, kind: str, numbers: Mapping[str, float]) -> None:
        """Log ``numbers`` as ``kind`` ("train" or "validation") at an optimiser step.

        Raises:
            OSError: The disk is full; checkpoints are not touched by it.
        """
        with self._told():
            self._line(step, kind, numbers)
            for name, value in numbers.items():
                self._tensorboard.add_scalar(f"{kind}/{name}", value, step)
        if self._wandb is not None:
            self._wandb.log({f"{kind}/{name}": value for name, value in numbers.items()}, step=step)

    def skipped(self, step: int, numbers: Mapping[str, float], examples: Mapping[str, list[str]]) -> None:
        """Log a step that was not taken: a line of kind "skipped" with the keys of its examples.

        Raises:
            OSError: As :meth:`write`.
        """
        # JSON has no NaN
        values = {name: value if math.isfinite(value) else str(value) for name, value in numbers.items()}
        with self._told():
            self._line(step, "skipped", {**values, **{name: keys for name, keys in examples.items() if keys}})

    def _line(self, step: int, kind: str, values: Mapping[str, Any]) -> None:
        self._file.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(
                f"writing the log of {self.path.parent} failed: {error.strerror or error}. Free space on its "
                f"disk, then go on with {resuming()} if there is a folder 'last' in it, else start again"
            ) from error

    def close(self) -> None:
        """Write out everything."""
        self._file.close()
        self._tensorboard.close()
        if self._wandb is not None:
            self._wandb.finish()


def _forget_after(path: Path, step: int) -> None:
    """Keep the lines up to ``step``: a resumed run writes the later ones again."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if step else []
    steps = [step_of(line) for line in lines]
    # a killed run may have left half a line, as its last
    if lost := [number for number, found in enumerate(steps[:-1], 1) if found is None]:
        warnings.warn(
            f"{path}: {counted(len(lost), 'line')} that cannot be read left out, the first is line "
            f"{lost[0]}; the weights do not come from it",
            stacklevel=2,
        )
    kept = [line for line, found in zip(lines, steps, strict=True) if found is not None and found <= step]
    with atomic_file(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def step_of(line: str) -> int | None:
    """At which step a line of the log was written; None where it is damaged, or was cut short."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return step if type(step) is int else None


def _start_wandb(project: str, run: Path, config: Mapping[str, Any] | None) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise ImportError("output.wandb needs Weights & Biases: pip install 'knowclip[wandb]'") from error
    return wandb.init(project=project, name=run.name, dir=str(run), config=dict(config or {}))
