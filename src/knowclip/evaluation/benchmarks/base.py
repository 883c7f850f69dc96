"""Every benchmark is a card of metadata and ``run(scorer) -> Result``; and the commonest kind, choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from knowclip.evaluation.metrics import MacroAverage, NoDataError, choice_correct, macro_average, tie_rate
from knowclip.evaluation.scoring import Scorer
from knowclip.types import ImageRef, Result


@dataclass(frozen=True, slots=True)
class Card:
    """What a reader must know of a benchmark before trusting its number.

    ``name`` is its key in the registry; ``protocol`` says crop, average, drop and tie rules; ``layout`` says
    which files it reads.
    """

    name: str
    title: str
    paper: str
    address: str
    licence: str
    main: str
    protocol: str
    layout: str
    flaws: str = ""


class Benchmark(Protocol):
    """Cases read from files, ready to be run on any model."""

    @property
    def card(self) -> Card:
        """The metadata."""

    def run(self, scorer: Scorer) -> Result:
        """Score every case and average by the protocol."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One image, a true and a false caption; ``group`` is the class of macro averages."""

    key: str
    image: ImageRef
    true: str
    false: str
    group: str
    image_id: str


@dataclass(frozen=True)
class ChoiceBenchmark:
    """Which caption is true of the image? Right if its cosine is strictly higher.

    Args:
        card: metadata; the main metric is named ``card.main``, the micro average ``<name>_micro``.
        cases: the choices.
        macro: average over groups (ARO), else over cases.
        minimum: groups with fewer cases do not count in the macro average.
        drop: groups that do not count in the macro average.
    """

    card: Card
    cases: tuple[Choice, ...]
    macro: bool = True
    minimum: int = 1
    drop: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.cases:
            raise NoDataError(f"{self.card.name}: no cases")
        if len({case.key for case in self.cases}) != len(self.cases):
            raise ValueError(f"{self.card.name}: case keys repeat; paired comparisons need unique keys")
        try:
            self._average(np.zeros(len(self.cases)))  # a test too small is found out before any model runs
        except NoDataError as error:
            raise NoDataError(f"{self.card.name}: {error}") from error

    @cached_property
    def images(self) -> list[ImageRef]:
        """Image of each case."""
        return [case.image for case in self.cases]

    @cached_property
    def true(self) -> list[str]:
        """True caption of each case."""
        return [case.true for case in self.cases]

    @cached_property
    def false(self) -> list[str]:
        """False caption of each case."""
        return [case.false for case in self.cases]

    def run(self, scorer: Scorer) -> Result:
        """Score both captions of every case against its image."""
        true_scores = scorer.pair_scores(self.images, self.true)
        false_scores = scorer.pair_scores(self.images, self.false)
        return self.grade(true_scores, false_scores, missing=missing_images(scorer, self.images))

    def grade(self, true_scores: ArrayLike, false_scores: ArrayLike, *, missing: int = 0) -> Result:
        """Scores of the captions ``[n]`` to a Result, whatever gave the scores (a model, a blind control)."""
        correct = choice_correct(true_scores, false_scores)
        average = self._average(correct)
        metrics = {f"{self.card.name}_micro": float(correct.mean())}
        metrics |= {self.card.main: average.value if self.macro else float(correct.mean())}
        counted = [case.group if case.group in average.counts else "" for case in self.cases]
        items: dict[str, Any] = {
            "key": np.array([case.key for case in self.cases]),
            "image_id": np.array([case.image_id for case in self.cases]),
            "true_score": np.asarray(true_scores, dtype=np.float32),
            "false_score": np.asarray(false_scores, dtype=np.float32),
            "correct": correct,
        }
        if self.macro:
            items["group"] = np.array(counted)
        details = describe(self.card, missing) | {
            "average": "macro over groups" if self.macro else "micro",
            "cases": len(self.cases),
            "tie_rate": tie_rate(true_scores, false_scores),
            "classes": class_table(average.accuracies, average.counts),
            "dropped": dict(average.dropped),
        }
        n = sum(group != "" for group in counted) if self.macro else len(self.cases)
        return Result(self.card.name, self.card.main, n, metrics, items, details)

    def _average(self, correct: ArrayLike) -> MacroAverage:
        groups = [case.group for case in self.cases]
        return macro_average(correct, groups, minimum=self.minimum, drop=self.drop)


def describe(card: Card, missing: int) -> dict[str, Any]:
    """Start the details of a Result with what every one carries."""
    return {"title": card.title, "protocol": card.protocol, "flaws": card.flaws, "missing_images": missing}


def missing_images(scorer: Scorer, refs: Sequence[ImageRef]) -> int:
    """How many distinct images of ``refs`` could not be read (their items count as wrong)."""
    return len(scorer.missing.keys() & set(refs))


def class_table(
    accuracies: Mapping[str, float], counts: Mapping[str, int]
) -> dict[str, dict[str, float | int]]:
    """``{class: {"accuracy", "n"}}``, as reports and plots read it."""
    return {name: {"accuracy": accuracies[name], "n": counts[name]} for name in accuracies}
