"""The commonest kind of benchmark: which caption is true of the image.

The other kinds (which image, two by two, true or false, text only) stand in ``protocols.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.grading import Grades, check_cases, compared, grades, missing_images
from knowclip.evaluation.metrics import TIE_TOLERANCE
from knowclip.evaluation.scoring import Scorer
from knowclip.types import ImageRef, Result


@dataclass(frozen=True, slots=True)
class Choice:
    """One image, a true and a false caption; ``group`` is the class of macro averages.

    ``also`` holds further (true, false) pairs of the same question, where there are more captions than two:
    the case is right if all pairs are.
    """

    key: str
    image: ImageRef
    true: str
    false: str
    group: str
    image_id: str
    also: tuple[tuple[str, str], ...] = ()

    @property
    def refs(self) -> tuple[ImageRef, ...]:
        """The images it needs."""
        return (self.image,)


@dataclass(frozen=True)
class ChoiceBenchmark:
    """Which caption is true of the image? Right if its cosine is strictly higher than every false one's.

    Args:
        card: metadata; metrics are ``card.main``, ``<name>_macro`` over groups, ``<name>_micro`` over cases.
        cases: the choices.
        macro: whether the main metric is the macro average (ARO).
        minimum: groups with fewer cases do not count in the macro average.
        drop: groups that do not count in the macro average.
        skipped: records the reader left out, by reason; told in the details.
        split: what the records are of, in words, where that is to be told ("all splits").
    """

    card: Card
    cases: tuple[Choice, ...]
    macro: bool = True
    minimum: int = 1
    drop: frozenset[str] = frozenset()
    skipped: Mapping[str, int] = field(default_factory=dict)
    split: str = ""

    def __post_init__(self) -> None:
        check_cases(self.card, [case.key for case in self.cases])
        self._grades(np.zeros(len(self.cases), dtype=bool))  # a test too small is found out before models run

    @cached_property
    def _pairs(self) -> list[tuple[int, str, str]]:
        """Every pair to be won: number of its case, true caption, false caption."""
        return [
            (number, true, false)
            for number, case in enumerate(self.cases)
            for true, false in ((case.true, case.false), *case.also)
        ]

    @cached_property
    def images(self) -> list[ImageRef]:
        """Image of each pair, ``[m]``; m is the number of cases where every case has two captions."""
        return [self.cases[number].image for number, _, _ in self._pairs]

    @cached_property
    def true(self) -> list[str]:
        """True caption of each pair, ``[m]``."""
        return [true for _, true, _ in self._pairs]

    @cached_property
    def false(self) -> list[str]:
        """False caption of each pair, ``[m]``."""
        return [false for _, _, false in self._pairs]

    def run(self, scorer: Scorer) -> Result:
        """Score both captions of every pair against its image."""
        true_scores = scorer.pair_scores(self.images, self.true)
        false_scores = scorer.pair_scores(self.images, self.false)
        return self.grade(true_scores, false_scores, missing=missing_images(scorer, self.images))

    def grade(self, true_scores: ArrayLike, false_scores: ArrayLike, *, missing: int = 0) -> Result:
        """Scores of the captions ``[m]`` to a Result, whatever gave the scores (a model, a blind control)."""
        true, false = hardest_pairs(true_scores, false_scores, [number for number, _, _ in self._pairs])
        result = compared(
            self.card,
            true,
            false,
            self._grades(true - false > TIE_TOLERANCE),
            keys=[case.key for case in self.cases],
            image_ids=[case.image_id for case in self.cases],
            skipped=self.skipped,
            missing=missing,
        )
        return replace(result, details={**result.details, "split": self.split}) if self.split else result

    def _grades(self, correct: NDArray[np.bool_]) -> Grades:
        groups = [case.group for case in self.cases]
        return grades(self.card, correct, groups, macro=self.macro, minimum=self.minimum, drop=self.drop)


def hardest_pairs(
    true_scores: ArrayLike, false_scores: ArrayLike, owners: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each owner's (true, false) pairs ``[m]`` the one with the smallest margin, ``[n]`` each.

    Args:
        true_scores: ``[m]``.
        false_scores: ``[m]``.
        owners: number of the case of each pair, ``[m]``, ascending from 0 without gaps.
    """
    true, false = np.asarray(true_scores, dtype=float), np.asarray(false_scores, dtype=float)
    if true.shape != (len(owners),) or false.shape != true.shape:
        raise ValueError(f"scores of shape {true.shape} and {false.shape}; expected {len(owners)} of each")
    # lexsort sorts by its last key first: the smallest margin of each owner comes first
    order = np.lexsort((true - false, owners))
    first = order[np.unique(np.asarray(owners)[order], return_index=True)[1]]
    return true[first], false[first]
