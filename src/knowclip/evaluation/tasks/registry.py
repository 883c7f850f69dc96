"""Every downstream task by name: its card, and how it is read and run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.tasks.glue import read_glue
from knowclip.evaluation.tasks.glue_tasks import GLUE
from knowclip.evaluation.tasks.linear_probe import (
    LINEAR_PROBE,
    LinearProbe,
    read_linear_probe,
    run_linear_probe,
)
from knowclip.evaluation.tasks.settings import HeadSettings
from knowclip.evaluation.tasks.snli_ve import SNLI_VE, read_snli_ve
from knowclip.evaluation.tasks.task import Task
from knowclip.evaluation.tasks.vqa import VQA, read_vqa
from knowclip.plugins import find, known
from knowclip.types import Result

Reader = Callable[..., Task | LinearProbe]
READERS: dict[str, tuple[Card, Reader]] = {
    VQA.name: (VQA, read_vqa),
    SNLI_VE.name: (SNLI_VE, read_snli_ve),
    LINEAR_PROBE.name: (LINEAR_PROBE, read_linear_probe),
    **{name: (spec.card, partial(read_glue, name)) for name, spec in GLUE.items()},
}
SUITES = {"glue": tuple(GLUE)}


Entry = tuple[Card, Reader]


def entry(name: str) -> Entry:
    """Card and reader of a task, our own or a plug-in's, which is imported.

    Raises:
        ValueError: There is none, several, or it cannot be imported.
    """
    return find("task", name, READERS, tuple)


def names_of(name: str) -> tuple[str, ...]:
    """The tasks that a name stands for: itself, or all of GLUE.

    Raises:
        ValueError: no such task.
    """
    if name in SUITES:
        return SUITES[name]
    known("task", name, READERS, f", or all of {', '.join(SUITES)}")
    return (name,)


def read(
    name: str, folder: Path | None, *, split: str | None = None, allow_missing: bool = False
) -> Task | LinearProbe:
    """Read the task ``name``; ``split`` to measure on, None for the task's own (see its card).

    Args:
        name: of one task.
        folder: holds its files; None: fetched (GLUE), or looked for in the working directory.
        split: as above.
        allow_missing: go on where more than 1% of the records cannot be used.

    Raises:
        ValueError: no such task, a file of it is broken, or more than 1% of its records cannot be used.
        NoDataError: its files are not there.
    """
    if folder is not None and not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; give the folder that holds the task's files")
    (name,) = names_of(name)
    if folder is None and name not in GLUE:
        folder = Path()
    return entry(name)[1](folder, split=split, allow_missing=allow_missing)


def run(
    task: Task | LinearProbe,
    scorer: Scorer,
    *,
    settings: HeadSettings,
    seeds: Sequence[int],
    progress: Callable[[str], None] = lambda stage: None,
) -> Result:
    """Train and measure with every seed.

    Raises:
        ValueError: settings of a head for the linear probe, which has none.
    """
    if isinstance(task, LinearProbe):
        if settings != HeadSettings():
            raise ValueError("linear_probe takes no key=value settings: its L2 strength is chosen on val")
        progress("fitting a linear probe")
        return run_linear_probe(task, scorer, seeds=seeds)
    from knowclip.evaluation.tasks.run import run_task  # torch

    return run_task(task, scorer, settings=settings, seeds=seeds, progress=progress)
