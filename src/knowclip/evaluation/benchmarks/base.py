"""Every benchmark is a card of metadata and ``run(scorer) -> Result``; and the commonest kind, choices.

The other kinds (which image, two by two, true or false, text only) stand in ``protocols.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from knowclip.evaluation.metrics import TIE_TOLERANCE, MacroAverage, NoDataError, macro_average, tie_rate
from knowclip.evaluation.scoring import Scorer
from knowclip.types import ImageRef, Result

NOT_IN_FILE = "record not in the file"
"""What ``skipped`` calls the records of the published set that no file holds: they were never read."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that may be fetched: its address, its place in the benchmark's folder, a checksum if known."""

    url: str
    path: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What a reader must know of a benchmark before trusting its number.

    Args:
        name: its key in the registry.
        title: as the paper writes it.
        paper: authors, title, venue.
        address: where it is published.
        licence: of annotations and images.
        main: name of the metric to quote.
        protocol: when an item counts as right, and what else decides the number.
        layout: files read, under ``DATA/<name>/`` or ``DATA/``.
        flaws: what is known to be wrong with it.
        crop: what of the image is shown.
        average: how outcomes become the main metric.
        drop: what is left out by the official rules.
        differs: where other harnesses give other numbers.
        n: records of the published test set; 0 where the folder decides, or no number is published.
        n_confirmed: whether ``n`` was found again in a second source.
        fixed: whether fewer records than ``n`` mean an incomplete copy (ARO's format also serves scenes).
        no_information: main metric of an encoder that cannot tell anything apart.
        chance: main metric expected of random scores, where there is one number.
        revision: commit of the published files that ``layout`` and ``downloads`` were taken from.
        downloads: files that ``knowclip data`` fetches.
        obtain: what to do by hand: images, gated files.
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
    crop: str = ""
    average: str = ""
    drop: str = ""
    differs: str = ""
    n: int = 0
    n_confirmed: bool = True
    fixed: bool = True
    no_information: float = 0.0
    chance: float | None = None
    revision: str = ""
    downloads: tuple[Download, ...] = ()
    obtain: str = ""

    @property
    def size(self) -> str:
        """``n`` in words; empty where there is none."""
        return f"{self.n:,}{'' if self.n_confirmed else ' (unconfirmed)'}" if self.n else ""

    @property
    def rules(self) -> str:
        """The whole protocol in one sentence."""
        drop = f"left out: {self.drop}" if self.drop else ""
        parts = (self.crop, self.protocol, self.average, drop)
        return "; ".join(part.rstrip(".") for part in parts if part)


class Benchmark(Protocol):
    """Cases read from files, ready to be run on any model."""

    @property
    def card(self) -> Card:
        """The metadata."""

    def run(self, scorer: Scorer) -> Result:
        """Score every case and average by the protocol."""


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
    """

    card: Card
    cases: tuple[Choice, ...]
    macro: bool = True
    minimum: int = 1
    drop: frozenset[str] = frozenset()
    skipped: Mapping[str, int] = field(default_factory=dict)

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
        return compared(
            self.card,
            true,
            false,
            self._grades(true - false > TIE_TOLERANCE),
            keys=[case.key for case in self.cases],
            image_ids=[case.image_id for case in self.cases],
            skipped=self.skipped,
            missing=missing,
        )

    def _grades(self, correct: NDArray[np.bool_]) -> Grades:
        groups = [case.group for case in self.cases]
        return grades(self.card, correct, groups, macro=self.macro, minimum=self.minimum, drop=self.drop)


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
