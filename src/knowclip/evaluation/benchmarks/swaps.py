"""Captions of any image set against their own hard negatives (Structure-CLIP S2), by kind of negative."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from knowclip.data.captions import read_captions
from knowclip.evaluation.benchmarks.base import Card, Choice, ChoiceBenchmark
from knowclip.evaluation.controls import Blind
from knowclip.evaluation.metrics import NoDataError
from knowclip.types import Example, ImageRef, Negative, Result

SWAPS = Card(
    name="swaps",
    title="Swapped captions",
    paper="Huang et al., Structure-CLIP (AAAI 2024), semantic negatives",
    address="knowclip negatives",
    licence="that of the captions",
    main="swaps",
    protocol="Whole image; true > false strictly; every negative of every caption is a case; macro average "
    "over kinds of negative. The micro average is over all cases.",
    layout="swaps.jsonl as `knowclip swaps` writes it; or captioned images, and negatives.jsonl as "
    "`knowclip negatives` writes it",
    flaws="On natural captions a language model alone solves most swaps: read it with its text-only control. "
    "The refined items of `knowclip swaps` stand at chance for an n-gram model and a blind classifier.",
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


def read_swaps(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ChoiceBenchmark:
    """The items of ``swaps.jsonl``, whatever the split; else captions with their ``negatives.jsonl``."""
    if (folder / "swaps.jsonl").is_file():
        return read_items(folder / "swaps.jsonl")
    path = folder / "negatives.jsonl"
    if not path.is_file():
        raise NoDataError(
            f"no swaps.jsonl and no negatives.jsonl in {folder}; write one with `knowclip swaps` or "
            "`knowclip negatives`"
        )
    try:
        examples = read_captions(folder, split=split, allow_missing=allow_missing).examples
    except ValueError as error:
        raise NoDataError(str(error)) from error
    negatives = read_negatives(path)
    return swaps(attach(examples, negatives))


@dataclass(frozen=True)
class BlindScored(ChoiceBenchmark):
    """Choices that carry the scores of readers without an image, told beside every result.

    Args:
        blind: by reader the scores of true and false captions, ``[2, n]``.
    """

    blind: Mapping[str, ArrayLike] = field(default_factory=dict)

    def grade(self, true_scores: ArrayLike, false_scores: ArrayLike, *, missing: int = 0) -> Result:
        """As ever, with the blind readers' ``text_only`` in the details."""
        result = super().grade(true_scores, false_scores, missing=missing)
        every = {}
        for name, scores in self.blind.items():
            blind = super().grade(*np.asarray(scores))
            every[name] = asdict(Blind(blind.metrics[blind.main], blind.details["tie_rate"]))
        if not every:
            return result
        strongest = max(every, key=lambda name: every[name]["accuracy"])
        text_only = {"strongest": strongest, **every[strongest], "all": every}
        return replace(result, details={**result.details, "text_only": text_only})


def read_items(path: Path) -> BlindScored:
    """The test that ``knowclip swaps`` wrote.

    Raises:
        ValueError: naming file and line, for a line that is not of this format.
    """
    cases: list[Choice] = []
    blind: dict[str, list[tuple[float, float]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record: dict[str, Any] = json.loads(line)
            cases.append(
                Choice(
                    key=f"{record['key']}/{number}",
                    image=ImageRef((path.parent / record["image"]).resolve()),
                    true=record["caption"],
                    false=record["negative"],
                    group=record["kind"],
                    image_id=record["image_id"],
                )
            )
            for name, (true, false) in record["blind"].items():
                blind.setdefault(name, []).append((float(true), float(false)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}, line {number}: {error!r}; write it with `knowclip swaps`") from error
    if any(len(scores) != len(cases) for scores in blind.values()):
        raise ValueError(f"{path}: not every line has the scores of {', '.join(blind)}")
    return BlindScored(SWAPS, tuple(cases), blind={name: np.array(s).T for name, s in blind.items()})


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
