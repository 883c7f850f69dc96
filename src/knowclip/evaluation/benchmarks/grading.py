"""Outcomes and scores of items -> the Result of a benchmark, with what tells how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowclip.evaluation.benchmarks.card import NOT_IN_FILE, Card
from knowclip.evaluation.metrics import MacroAverage, NoDataError, macro_average, tie_rate
from knowclip.evaluation.scoring import Scorer
from knowclip.types import ImageRef, Result


@dataclass(frozen=True)
class Grades:
    """Outcomes with both their averages."""

    correct: NDArray[np.bool_]
    groups: Sequence[str]
    by_group: MacroAverage
    macro: bool

    @property
    def micro_value(self) -> float:
        """Mean over items."""
        return float(self.correct.mean())

    @property
    def main_value(self) -> float:
        """The average that the protocol asks for."""
        return self.by_group.value if self.macro else self.micro_value

    @property
    def counted(self) -> list[str]:
        """Group of each item, empty where the macro average leaves it out."""
        return [group if group in self.by_group.counts else "" for group in self.groups]

    @property
    def n(self) -> int:
        """Items the main metric is an average over."""
        return sum(group != "" for group in self.counted) if self.macro else len(self.correct)

    def columns(self) -> dict[str, Any]:
        """Item columns that intervals are drawn from."""
        columns: dict[str, Any] = {"correct": self.correct}
        return columns | {"group": np.array(self.counted)} if self.macro else columns

    def details(self) -> dict[str, Any]:
        """What a reader needs to trust the average."""
        return {
            "average": "macro over groups" if self.macro else "micro",
            "cases": len(self.correct),
            "classes": class_table(self.by_group.accuracies, self.by_group.counts),
            "dropped": dict(self.by_group.dropped),
        }


def grades(
    card: Card,
    correct: NDArray[np.bool_],
    groups: Sequence[str],
    *,
    macro: bool,
    minimum: int = 1,
    drop: frozenset[str] = frozenset(),
) -> Grades:
    """Average outcomes ``[n]`` over items and over groups; ``NoDataError`` names the benchmark."""
    try:
        return Grades(correct, groups, macro_average(correct, groups, minimum=minimum, drop=drop), macro)
    except NoDataError as error:
        raise NoDataError(f"{card.name}: {error}") from error


def compared(
    card: Card,
    true_scores: NDArray[np.floating[Any]],
    false_scores: NDArray[np.floating[Any]],
    graded: Grades,
    *,
    keys: Sequence[str],
    image_ids: Sequence[str],
    skipped: Mapping[str, int],
    missing: int,
) -> Result:
    """Make the Result of items that are won by a true score above a false one, both ``[n]``."""
    metrics = {
        f"{card.name}_micro": graded.micro_value,
        f"{card.name}_macro": graded.by_group.value,
        card.main: graded.main_value,
    }
    items: dict[str, Any] = {
        "key": np.array(keys),
        "image_id": np.array(image_ids),
        "true_score": np.asarray(true_scores, dtype=np.float32),
        "false_score": np.asarray(false_scores, dtype=np.float32),
    }
    ties = {"tie_rate": tie_rate(true_scores, false_scores)}
    details = describe(card, used=len(keys), skipped=skipped, missing=missing) | graded.details() | ties
    return Result(card.name, card.main, graded.n, metrics, items | graded.columns(), details)


def check_cases(card: Card, keys: Sequence[str]) -> None:
    """Refuse a benchmark without cases, or whose results could not be paired."""
    if not keys:
        raise NoDataError(f"{card.name}: no cases")
    if len(set(keys)) != len(keys):
        raise ValueError(f"{card.name}: case keys repeat; paired comparisons need unique keys")


def describe(card: Card, *, used: int, skipped: Mapping[str, int], missing: int) -> dict[str, Any]:
    """Start the details of a Result with what every one carries.

    Args:
        card: of the benchmark.
        used: records that were measured; with ``skipped`` they make up all that were read.
        skipped: records that were left out, by reason.
        missing: images that could not be read, whose items count as wrong.
    """
    details = {
        "title": card.title,
        "protocol": card.rules,
        "flaws": card.flaws,
        "missing_images": missing,
        "read": used + sum(count for reason, count in skipped.items() if reason != NOT_IN_FILE),
        "used": used,
        "skipped": dict(skipped),
    }
    known = {"revision": card.revision, "expected": card.n, "chance": card.chance}
    return details | {name: value for name, value in known.items() if value}


def image_name(ref: ImageRef) -> str:
    """Identity of an image file that does not depend on the machine: the end of its path."""
    return "/".join(ref.path.parts[-3:])


def missing_images(scorer: Scorer, refs: Sequence[ImageRef]) -> int:
    """How many distinct images of ``refs`` could not be read (their items count as wrong)."""
    return len(scorer.missing.keys() & set(refs))


def class_table(
    accuracies: Mapping[str, float], counts: Mapping[str, int]
) -> dict[str, dict[str, float | int]]:
    """``{class: {"accuracy", "n"}}``, as reports and plots read it."""
    return {name: {"accuracy": accuracies[name], "n": counts[name]} for name in accuracies}
