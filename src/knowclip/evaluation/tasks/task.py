"""A task: items to train a head on, items to measure it on, what the head is trained for and graded by.

Shape legend: n items, C outputs of the head.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowclip.console.counts import TOLERATED_SHARE
from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.tasks.objectives import Objective
from knowclip.types import ImageRef

Logits = NDArray[np.float32]


Rows = NDArray[np.intp]


@dataclass(frozen=True)
class TaskItems:
    """n items: a text each, with an image or a second text beside it where the task has one.

    Args:
        keys: unique name of each item.
        texts: question, hypothesis or sentence.
        images: image of each item.
        pairs: second sentence of each item.
        groups: items of one group (an image) are held out together and resampled together; default: keys.
        kinds: kind of each item, for the breakdown.
    """

    keys: Sequence[str]
    texts: Sequence[str]
    images: Sequence[ImageRef] | None = None
    pairs: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    kinds: Sequence[str] | None = None

    def __post_init__(self) -> None:
        columns = {"texts": self.texts, "images": self.images, "pairs": self.pairs}
        columns |= {"groups": self.groups, "kinds": self.kinds}
        for name, column in columns.items():
            if column is not None and len(column) != len(self.keys):
                raise ValueError(f"{len(column)} {name} for {len(self.keys)} items; expected one each")
        if not self.keys:
            raise NoDataError("no items")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def clusters(self) -> Sequence[str]:
        """Group of each item."""
        return self.keys if self.groups is None else self.groups


@dataclass(frozen=True)
class Task:
    """A downstream task read from files.

    Args:
        card: metadata; ``card.main`` is among the metrics of ``grade``.
        train: items the head is trained on, and selected on a held-out part of.
        test: items it is measured on, once.
        objective: over ``train``.
        grade: logits ``[len(rows), C]`` of the test items ``rows`` to metrics.
        outcomes: logits ``[n, C]`` of all test items to scores ``[n]`` whose mean is the main metric; None
            where the main metric is no mean (correlations, F1). Equal ``kinds`` then share a macro class if
            ``macro``.
        macro: the main metric averages over ``kinds``.
        skipped: records that were left out, by reason.
    """

    card: Card
    train: TaskItems
    test: TaskItems
    objective: Objective
    grade: Callable[[Logits, Rows], Mapping[str, float]]
    outcomes: Callable[[Logits], NDArray[Any]] | None = None
    macro: bool = False
    skipped: Mapping[str, int] = field(default_factory=dict)


class Unusable(Counter[str]):
    """Records that cannot be used, by reason, and the first of a reason that a person can look for."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, str] = {}

    def add(self, reason: str, looked_for: str = "") -> None:
        """Count one more."""
        self[reason] += 1
        if looked_for:
            self.first.setdefault(reason, looked_for)

    def told(self) -> str:
        """``561 x image not there (no file 3692.jpg)``, each reason; ``no records`` where there is none."""
        return (
            ", ".join(
                f"{count:,} x {reason}{f' ({self.first[reason]})' if reason in self.first else ''}"
                for reason, count in self.items()
            )
            or "no records"
        )


def refuse_gaps(card: Card, skipped: Unusable, *, total: int, allow_missing: bool) -> None:
    """Refuse a task of whose ``total`` records more than 1% cannot be used.

    Raises:
        ValueError: with all counts, unless ``allow_missing``.
    """
    lost = sum(skipped.values())
    if lost > TOLERATED_SHARE * total and not allow_missing:
        raise ValueError(
            f"{card.name}: {lost:,} of {total:,} records cannot be used ({skipped.told()}), more than "
            f"{TOLERATED_SHARE:.0%}: complete the files, or pass --allow-missing (allow_missing=True) to "
            "measure what is there"
        )
