"""Captions of any image set against their own hard negatives (Structure-CLIP S2), by kind of negative."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from knowclip.data.captions import read_captions
from knowclip.evaluation.benchmarks.base import Card, Choice, ChoiceBenchmark
from knowclip.evaluation.metrics import NoDataError
from knowclip.types import Example, Negative

SWAPS = Card(
    name="swaps",
    title="Swapped captions",
    paper="Huang et al., Structure-CLIP (AAAI 2024), semantic negatives",
    address="knowclip negatives",
    licence="that of the captions",
    main="swaps",
    protocol="Whole image; true > false strictly; every negative of every caption is a case; macro average "
    "over kinds of negative. The micro average is over all cases.",
    layout="captioned images, and negatives.jsonl as `knowclip negatives` writes it",
    flaws="On natural captions a language model alone solves most swaps: read it with its text-only control.",
)


def swaps(examples: Iterable[Example]) -> ChoiceBenchmark:
    """One case for each negative of each example; those without negatives have no case.

    Raises:
        NoDataError: no example has a negative.
    """
    cases = tuple(
        Choice(
            key=f"{example.key}/{index}",
            image=example.image,
            true=example.caption,
            false=negative.caption,
            group=negative.kind,
            image_id=example.image_id,
        )
        for example in examples
        for index, negative in enumerate(example.negatives)
    )
    return ChoiceBenchmark(SWAPS, cases)


def read_swaps(folder: Path, *, split: str = "test") -> ChoiceBenchmark:
    """Captions of ``folder`` with the negatives of its ``negatives.jsonl``, joined by caption."""
    path = folder / "negatives.jsonl"
    if not path.is_file():
        raise NoDataError(f"no negatives.jsonl in {folder}; write it with `knowclip negatives`")
    try:
        examples = read_captions(folder, split=split).examples
    except ValueError as error:
        raise NoDataError(str(error)) from error
    negatives = read_negatives(path)
    return swaps(attach(examples, negatives))


def attach(examples: Iterable[Example], negatives: Mapping[str, Sequence[Negative]]) -> list[Example]:
    """Give each example the negatives of its caption."""
    return [replace(example, negatives=tuple(negatives.get(example.caption, ()))) for example in examples]


def read_negatives(path: Path) -> dict[str, list[Negative]]:
    """Caption to its negatives, from the JSON lines that ``knowclip negatives`` writes."""
    found: dict[str, list[Negative]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            changed = tuple((int(start), int(end)) for start, end in record["changed"])
            negative = Negative(record["negative"], record["kind"], changed)
            found.setdefault(record["caption"], []).append(negative)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}, line {number}: {error!r}; expected caption, negative, kind and changed"
            ) from error
    return {caption: list(dict.fromkeys(several)) for caption, several in found.items()}
