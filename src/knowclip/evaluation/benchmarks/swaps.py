"""Captions of any image set against their own hard negatives (Structure-CLIP S2), by kind of negative."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.collect import MALFORMED, text
from knowclip.evaluation.benchmarks.locating import captioned
from knowclip.evaluation.controls.text_only import Blind, strongest
from knowclip.evaluation.metrics import NoDataError, NotHereError, small_left_out
from knowclip.storage.text_files import read_text
from knowclip.types import Example, ImageRef, Negative, Result

WITHOUT_NEGATIVE = "caption without a negative"
"""Why a caption has no item."""
SWAPS = Card(
    name="swaps",
    title="Swapped captions",
    paper="Huang et al., Structure-CLIP (AAAI 2024), semantic negatives",
    address="knowclip negatives",
    licence="that of the captions",
    main="swaps",
    protocol="right if the caption scores strictly above its negative; every negative of every caption is "
    "a case",
    layout="swaps.jsonl as `knowclip swaps` writes it; or captioned images, and negatives.jsonl as "
    "`knowclip negatives` writes it",
    flaws="On natural captions a language model alone solves most swaps: read it with its text-only control. "
    "The refined items of `knowclip swaps` stand at chance for an n-gram model and a blind classifier.",
    crop="whole image",
    average="mean over kinds of negative with 10 cases or more (over all kinds where none has); "
    "_micro over all cases",
)


def swaps(examples: Iterable[Example], *, skipped: Mapping[str, int] | None = None) -> BlindScored:
    """One case for each negative of each example; those without negatives have no case, and are counted.

    Args:
        examples: with their negatives.
        skipped: what the reader of the captions left out, by reason.

    Raises:
        NoDataError: no example has a negative.
    """
    examples = list(examples)
    left_out = Counter(skipped or {})
    left_out[WITHOUT_NEGATIVE] += sum(not example.negatives for example in examples)
    cases = tuple(
        Choice(
            key=f"{example.key}/{index}",
            image=example.image,
            true=example.caption.strip(),
            false=negative.caption.strip(),
            group=negative.kind,
            image_id=example.image_id,
        )
        for example in examples
        for index, negative in enumerate(example.negatives)
    )
    minimum = small_left_out([case.group for case in cases])
    captions = sum(bool(example.negatives) for example in examples)
    return BlindScored(SWAPS, cases, minimum=minimum, skipped=+left_out, captions=captions)


def read_swaps(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ChoiceBenchmark:
    """The items of ``swaps.jsonl``, whatever the split; else captions with their ``negatives.jsonl``."""
    if (folder / "swaps.jsonl").is_file():
        return read_items(folder / "swaps.jsonl", allow_missing=allow_missing)
    path = folder / "negatives.jsonl"
    if not path.is_file():
        raise NotHereError(
            f"no swaps.jsonl and no negatives.jsonl in {folder}; write one with `knowclip swaps` or "
            "`knowclip negatives`"
        )
    captions = captioned(folder, split, allow_missing=allow_missing)
    negatives = read_negatives(path)
    if not negatives:
        raise NoDataError(f"{path} holds no negatives: write it anew with `knowclip negatives`")
    return swaps(attach(captions.examples, negatives), skipped=captions.skipped)


@dataclass(frozen=True)
class BlindScored(ChoiceBenchmark):
    """Choices that carry the scores of readers without an image, told beside every result.

    Args:
        blind: by reader the scores of true and false captions, ``[2, n]``.
        notes: sentences for the details.
        captions: that the cases were made of, where ``skipped`` counts captions; None: it counts cases.
    """

    blind: Mapping[str, ArrayLike] = field(default_factory=dict)
    notes: Sequence[str] = ()
    captions: int | None = None

    def grade(self, true_scores: ArrayLike, false_scores: ArrayLike, *, missing: int = 0) -> Result:
        """As ever, with the kinds in the details, and the blind readers' ``text_only``."""
        result = super().grade(true_scores, false_scores, missing=missing)
        more: dict[str, Any] = {"notes": [self.kinds()[0], *self.notes]}
        if self.blind:
            more["text_only"] = self.text_only()
        if self.captions is not None:
            more |= {"read": self.captions + sum(self.skipped.values()), "used": self.captions}
            more["what"] = "captions"
        return replace(result, details={**result.details, **more})

    def kinds(self) -> list[str]:
        """What the mean is over, kind by kind; then which kinds have too few items for it, if any."""
        counts = sorted(Counter(case.group for case in self.cases).items())
        shown = [(f"{kind} ({n:,})", n) for kind, n in counts]
        told = [f"mean over {', '.join(kind for kind, n in shown if n >= self.minimum)}"]
        small = ", ".join(kind for kind, n in shown if n < self.minimum)
        return told + ([f"not in it, for fewer than {self.minimum} items: {small}"] if small else [])

    def text_only(self) -> dict[str, Any]:
        """What the blind readers solve, as ``TextOnly.measure`` tells it; empty without any."""
        every = {}
        for name, scores in self.blind.items():
            blind = super().grade(*np.asarray(scores))
            every[name] = asdict(Blind(blind.metrics[blind.main], blind.details["tie_rate"]))
        return strongest(every) if every else {}


def read_items(path: Path, *, allow_missing: bool = False) -> BlindScored:
    """The test that ``knowclip swaps`` wrote.

    Args:
        path: of ``swaps.jsonl``.
        allow_missing: leave out the items whose images are not there, and count them, however many they are.

    Raises:
        ValueError: naming file and line, for a line that is not of this format.
    """
    items: list[tuple[Choice, Mapping[str, tuple[float, float]]]] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            record: dict[str, Any] = json.loads(line)
            choice = Choice(
                # the line's number too: a caption has several negatives under one key
                key=f"{record['key']}/{number}",
                image=ImageRef((path.parent / record["image"]).resolve()),
                true=text(record["caption"]),
                false=text(record["negative"]),
                group=text(record["kind"]),
                image_id=text(record["image_id"]),
            )
            blind = {name: (float(true), float(false)) for name, (true, false) in record["blind"].items()}
            items.append((choice, blind))
        except MALFORMED as error:
            raise ValueError(f"{path}, line {number}: {error!r}; write it with `knowclip swaps`") from error
    readers = sorted({name for _, blind in items for name in blind})
    if any(blind.keys() != set(readers) for _, blind in items):
        raise ValueError(f"{path}: not every line has the scores of {', '.join(readers)}")
    cases = [choice for choice, _ in items]
    if allow_missing:
        cases = [choice for choice in cases if choice.image.path.is_file()]
    skipped = +Counter({"image not found": len(items) - len(cases)})
    return blind_scored(cases, {choice.key: blind for choice, blind in items}, skipped=skipped)


def blind_scored(
    cases: Sequence[Choice],
    blind: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    skipped: Mapping[str, int],
    notes: Sequence[str] = (),
    captions: int | None = None,
) -> BlindScored:
    """Choices with their blind readers' scores, ``{key: {reader: (true, false)}}``."""
    readers = blind[cases[0].key] if cases else {}
    scores = {name: np.array([blind[case.key][name] for case in cases]).T for name in readers}
    minimum = small_left_out([case.group for case in cases])
    return BlindScored(
        SWAPS,
        tuple(cases),
        minimum=minimum,
        skipped=skipped,
        blind=scores,
        notes=notes,
        captions=captions,
    )


def attach(examples: Iterable[Example], negatives: Mapping[str, Sequence[Negative]]) -> list[Example]:
    """Give each example the negatives of its caption."""
    return [replace(example, negatives=tuple(negatives.get(example.caption, ()))) for example in examples]


def read_negatives(path: Path) -> dict[str, list[Negative]]:
    """Caption to its negatives, from the JSON lines that ``knowclip negatives`` writes."""
    found: dict[str, list[Negative]] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            record = json.loads(line)
            changed = tuple((int(start), int(end)) for start, end in record["changed"])
            negative = Negative(text(record["negative"]), text(record["kind"]), changed)
            found.setdefault(text(record["caption"]), []).append(negative)
        except MALFORMED as error:
            raise ValueError(
                f"{path}, line {number}: {error!r}; expected caption, negative, kind and changed"
            ) from error
    return {caption: list(dict.fromkeys(several)) for caption, several in found.items()}
