"""Captions of a picture, read once and scored by every model: ranks among negatives, worth of triples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from knowclip.knowledge.negatives.generate import SEMANTIC, generate
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.parsing.triple_phrases import triplets_of
from knowclip.serving.limits import Limits, RefusedError
from knowclip.serving.page.counterfactuals import Counterfactual, counterfactuals
from knowclip.types import Negative, SceneGraph, Triplet

if TYPE_CHECKING:
    from PIL import Image

    from knowclip.models.clip import DualEncoder

CAPTIONS = 8
"""Captions of a picture, at most: each is scored with all of its negatives."""

Scores = Mapping[str, float]
"""Text -> its cosine with the picture."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a caption claims, and the texts that it is held against."""

    caption: str
    graph: SceneGraph
    negatives: tuple[Negative, ...]
    twins: tuple[Counterfactual, ...]

    @property
    def triples(self) -> tuple[Triplet, ...]:
        """Its relations and attributes."""
        return triplets_of(self.graph)

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is scored for it, the caption first, each once."""
        others = (negative.caption for negative in self.negatives)
        twins = (twin.caption for twin in self.twins if twin.caption)
        return tuple(dict.fromkeys((self.caption, *others, *twins)))


@dataclass(frozen=True, slots=True)
class Row:
    """A caption or one of its negatives; ``scores`` and ``ranks`` (1 is the best) by model."""

    text: str
    kind: str
    changed: tuple[tuple[int, int], ...]
    scores: Mapping[str, float]
    ranks: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a triple adds to a caption's score: that without it is subtracted; None where there is none."""

    twin: Counterfactual
    gains: Mapping[str, float | None]


def captions_of(text: str, limits: Limits) -> list[str]:
    """The captions typed, a line each; lines without a word are no captions, and each counts once.

    Raises:
        RefusedError: There is none, one too long, or too many.
    """
    found = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not found:
        raise RefusedError(422, "type a caption: one a line")
    if len(found) > CAPTIONS:
        raise RefusedError(413, f"{len(found):,} captions: at most {CAPTIONS} at a time")
    for number, caption in enumerate(found, start=1):
        limits.check_text(caption, f"caption {number}")
    return found


def read_captions(captions: Sequence[str], *, parser: str = "spacy") -> list[Reading]:
    """Parse captions and make their negatives: swaps and replacements. Equal captions give equal ones.

    Raises:
        ImportError: What the parser runs on is not installed.
    """
    readings = []
    for caption, graph in zip(captions, parse(captions, parser=parser), strict=True):
        negatives = tuple(generate(caption, graph, kinds=SEMANTIC))
        readings.append(Reading(caption, graph, negatives, counterfactuals(caption, graph, negatives)))
    return readings


def score_all(
    models: Mapping[str, DualEncoder], image: Image.Image, readings: Sequence[Reading]
) -> dict[str, dict[str, float]]:
    """Cosine of the picture with every text of the readings, by model; with a model's KEE, if it has one."""
    texts = list(dict.fromkeys(text for reading in readings for text in reading.texts))
    return {
        name: dict(zip(texts, map(float, model.score(image, texts)[0]), strict=True))
        for name, model in models.items()
    }


def ranking(reading: Reading, scores: Mapping[str, Scores]) -> list[Row]:
    """The caption and its negatives, the best of the last model first.

    Ranks count the texts that score at least as much, ties against the caption: a model that tells nothing
    apart ranks it last.
    """
    told = [(reading.caption, "caption", ())]
    told += [(negative.caption, negative.kind, negative.changed) for negative in reading.negatives]
    rows = []
    for text, kind, changed in told:
        own = {name: of[text] for name, of in scores.items()}
        ranks = {
            name: 1 + sum(other != text and _beats(of[other], of[text], kind) for other, *_ in told)
            for name, of in scores.items()
        }
        rows.append(Row(text, kind, changed, own, ranks))
    last = list(scores)[-1]
    return sorted(rows, key=lambda row: row.ranks[last])


def _beats(other: float, own: float, kind: str) -> bool:
    return other >= own if kind == "caption" else other > own


def contributions(reading: Reading, scores: Mapping[str, Scores]) -> list[Contribution]:
    """Of each triple, the caption's score minus that of the caption without it."""
    return [
        Contribution(
            twin,
            {
                name: of[reading.caption] - of[twin.caption] if twin.caption else None
                for name, of in scores.items()
            },
        )
        for twin in reading.twins
    ]
