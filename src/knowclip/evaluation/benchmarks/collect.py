"""Records -> the cases of a benchmark, with one summary of all that is wrong with them.

Nothing is left out silently.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from knowclip.console.counts import TOLERATED_SHARE
from knowclip.evaluation.benchmarks.card import NOT_IN_FILE, Card
from knowclip.evaluation.benchmarks.records import Record
from knowclip.evaluation.metrics import NoDataError
from knowclip.types import ImageRef


class Case(Protocol):
    """What ``collect`` must know of a case."""

    @property
    def refs(self) -> tuple[ImageRef, ...]:
        """The images it needs."""


C = TypeVar("C", bound=Case)

MALFORMED = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, SyntaxError, RecursionError,
    MemoryError,
)  # fmt: skip
"""What making a case of a record raises where a field is missing or of another kind: an infinite number, a
list that Python cannot read."""


def text(value: Any) -> str:
    """A caption without blanks at its ends; anything but text with words is a bad record.

    SugarCrepe has such blanks in a seventh of its true captions and in no false one: a language model takes
    them for a token.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is no caption")
    return value.strip()


def collect(
    card: Card,
    records: Iterable[Record],
    make: Callable[[Record], C | None],
    *,
    allow_missing: bool = False,
) -> tuple[tuple[C, ...], dict[str, int]]:
    """Make a case of every record, and say what became of those that give none.

    Args:
        card: of the benchmark; ``card.n`` tells an incomplete file.
        records: as the official files hold them.
        make: a record to a case, None where the protocol leaves it out.
        allow_missing: go on with what is there. Cases without their image are then left out and counted;
            otherwise up to 1% of them stay and count as wrong answers.

    Returns:
        The cases, and how many records were left out, by reason.

    Raises:
        ValueError: more than 1% of the records is malformed, lacks its image or is not there at all, with
            all counts and the first of each.
    """
    total, skipped = 0, Counter[str]()
    example = ""
    cases: list[C] = []
    for record in records:
        total += 1
        try:
            case = _told(make(record))
        except MALFORMED as error:
            skipped["malformed record"] += 1
            example = example or f"first {record.key}: {_reason(error, record)}"
            continue
        if case is None:
            skipped["left out by the protocol"] += 1
        else:
            cases.append(case)
    absent = {ref.path for case in cases for ref in case.refs if not os.path.isfile(ref.path)}
    lacking = [case for case in cases if any(ref.path in absent for ref in case.refs)]
    short = max(card.n - total, 0) if card.fixed else 0
    # what the protocol leaves out is not bad: it was never to be measured
    bad = skipped["malformed record"] + len(lacking) + short
    if bad > TOLERATED_SHARE * max(total, card.n if card.fixed else 0):
        if not allow_missing:
            raise ValueError(
                _refusal(card, total, short, bad - short - len(lacking), example, len(lacking), absent)
            )
        cases = [case for case in cases if not any(ref.path in absent for ref in case.refs)]
        skipped |= {"image not found": len(lacking), NOT_IN_FILE: short}
    if card.fixed and card.n and total > card.n:
        warnings.warn(
            f"{card.name}: the files hold {total:,} records, the published set {card.size}: are they of "
            "several editions?",
            stacklevel=3,
        )
    if not cases:
        raise NoDataError(_empty(card, total, +skipped, example, absent))
    return tuple(cases), dict(+skipped)


def _told(case: C | None) -> C | None:
    """The case, whose names are texts: results are grouped and paired by them."""
    for name in ("key", "group", "image_id"):
        if not isinstance(value := getattr(case, name, ""), str):
            raise TypeError(f"{value!r} stands where the {name.replace('_', ' ')} of a case is expected")
    return case


def _empty(card: Card, total: int, skipped: Counter[str], example: str, absent: set[Path]) -> str:
    """Why none of the records gives a case."""
    told = ", ".join(f"{reason}: {count:,}" for reason, count in skipped.items())
    reasons = told or f"the files are empty: {card.layout}"
    first = f"; the first image is {min(absent)}" if absent else ""
    reasons = f"{reasons}; {example}" if example else reasons
    return (
        f"{card.name}: none of {total:,} records can be measured ({reasons}){first}; see `knowclip data "
        f"{card.name}`"
    )


def _reason(error: Exception, record: Record) -> str:
    if isinstance(error, KeyError) and isinstance(record.content, dict):
        return f"no field {error}; it has {', '.join(map(str, record.content))}"
    return "not valid JSON" if record.content is None else f"{type(error).__name__}: {error}"


def _refusal(
    card: Card, total: int, short: int, malformed: int, example: str, lacking: int, absent: set[Path]
) -> str:
    """One summary of all that is missing."""
    found = [f"{total:,} of the published {card.size} records are there"] if short else []
    if malformed:
        found.append(f"malformed records: {malformed:,} of {total:,} ({example})")
    if lacking:
        files = f"{len(absent):,} files, first {min(absent)}"
        found.append(f"records whose image is not there: {lacking:,} of {total:,} ({files})")
    return (
        f"{card.name}: {'; '.join(found)}. No more than {TOLERATED_SHARE:.0%} may be missing: see `knowclip "
        f"data {card.name}` for the files, or pass --allow-missing (allow_missing=True) to measure the "
        "rest"
    )
