"""GLUE: does the text tower still understand sentences, now that it has learned about pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knowclip.evaluation.benchmarks.collect import MALFORMED
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.tasks.glue_files import HUB, read_records
from knowclip.evaluation.tasks.glue_tasks import GLUE, GlueTask
from knowclip.evaluation.tasks.objectives import Classification, Objective, Regression
from knowclip.evaluation.tasks.task import Logits, Rows, Task, TaskItems, Unusable, refuse_gaps
from knowclip.types import Result

STS_B_SCALE = 5.0
"""STS-B's similarities go from 0 to 5."""


@dataclass(frozen=True)
class _Row:
    sentences: tuple[str, ...]
    label: float


def read_glue(
    name: str, folder: Path | None, *, split: str | None = None, allow_missing: bool = False
) -> Task:
    """Read one of GLUE's tasks; train on train, measure on dev.

    Args:
        name: in ``GLUE``.
        folder: holds a local copy (see the card's layout); None: fetched by the library ``datasets``.
        split: dev, or None.
        allow_missing: go on where more than 1% of the records has no label.

    Raises:
        NoDataError: its files are not there.
        ImportError: no folder, and no library ``datasets``.
        ValueError: a file is broken, more than 1% of the records has no label, or ``split`` is not dev.
    """
    if split not in (None, "dev"):
        raise ValueError(f"{name}: split {split!r}; GLUE's labels are public for dev only")
    spec, skipped = GLUE[name], Unusable()
    train = _rows(spec, folder, "train", "train", skipped)
    parts = {stem: _rows(spec, folder, stem, split, skipped) for stem, split in spec.tests.items()}
    test = [row for part in parts.values() for row in part]
    kinds = [stem for stem, part in parts.items() for _ in part]
    total = len(train) + len(test) + sum(skipped.values())
    refuse_gaps(spec.card, skipped, total=total, allow_missing=allow_missing)
    labels = np.array([row.label for row in test])
    averaged = spec.metrics.keys() == {"acc"}
    return Task(
        card=spec.card,
        train=_items("train", train, ["train"] * len(train)),
        test=_items("dev", test, kinds),
        objective=_objective(spec, train),
        grade=_Grader(spec, labels, np.array(kinds)),
        outcomes=(lambda logits: (logits.argmax(1) == labels).astype(float)) if averaged else None,
        macro=len(parts) > 1,
        skipped=skipped,
    )


def glue_score(results: Sequence[Result]) -> float:
    """GLUE's macro average of the tasks that were measured (each already the mean of its metrics)."""
    return float(np.mean([result.metrics[result.main] for result in results]))


@dataclass(frozen=True)
class _Grader:
    spec: GlueTask
    labels: Any
    kinds: Any

    def __call__(self, logits: Logits, rows: Rows) -> Mapping[str, float]:
        predicted = logits.argmax(1) if self.spec.labels else logits[:, 0]
        labels, kinds, name = self.labels[rows], self.kinds[rows], self.spec.card.name
        found: dict[str, float] = {}
        for stem in self.spec.tests:
            here = kinds == stem
            suffix = stem.removeprefix("dev")
            for metric, function in self.spec.metrics.items():
                found[f"{name}_{metric}{suffix}"] = function(predicted[here], labels[here])
        return {name: float(np.mean(list(found.values()))), **found}


def _objective(spec: GlueTask, train: Sequence[_Row]) -> Objective:
    metrics = list(spec.metrics.values())

    def mean(predicted: Any, labels: Any) -> float:
        return float(np.mean([metric(predicted.numpy(), labels.numpy()) for metric in metrics]))

    import torch

    labels = torch.tensor([row.label for row in train])
    if not spec.labels:
        return Regression(labels / STS_B_SCALE, metric=mean)
    return Classification(labels.long(), len(spec.labels), metric=mean)


def _items(prefix: str, rows: Sequence[_Row], kinds: Sequence[str]) -> TaskItems:
    pairs = [row.sentences[1] for row in rows] if len(rows[0].sentences) == 2 else None
    return TaskItems(
        keys=[f"{prefix}/{number}" for number in range(len(rows))],
        texts=[row.sentences[0] for row in rows],
        pairs=pairs,
        kinds=kinds,
    )


def _rows(spec: GlueTask, folder: Path | None, stem: str, split: str, skipped: Unusable) -> list[_Row]:
    found: list[_Row] = []
    for record, columns, label in read_records(spec, folder, stem, split):
        try:
            sentences = tuple(str(record[column] or "").strip() for column in columns)
            value = _label(spec, record[label])
        except MALFORMED:
            skipped.add("malformed record")
            continue
        if value is None:
            skipped.add("no label")
        elif not all(sentences):
            skipped.add("empty sentence")
        else:
            found.append(_Row(sentences, value))
    if not found:
        raise NoDataError(
            f"{spec.card.name}: no labelled records of {stem!r} in {folder or HUB}: {skipped.told()}"
        )
    return found


def _label(spec: GlueTask, given: Any) -> float | None:
    """The class number or the value; None where there is none (-1, ``-``, empty)."""
    if not spec.labels:
        return None if given in (None, "") or float(given) < 0 else float(given)
    if str(given) in spec.labels:
        return float(spec.labels.index(str(given)))
    number = str(given)
    return float(number) if number.isdecimal() and int(number) < len(spec.labels) else None
