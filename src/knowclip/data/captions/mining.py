"""Hard negatives mined by embedding: captions of other images that are most like one, and not true of it.

As sentence-transformers' ``mine_hard_negatives`` does with texts, whose options these are. Beside its
margins, what the captions of an image say masks false negatives.

Shape legend: n pairs, T distinct captions, D embedding width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from knowclip.data.captions.by_image import by_image, said_by
from knowclip.data.captions.read import GIVEN
from knowclip.knowledge.negatives.falsity import Said, lemmatised
from knowclip.types import Example, Negative, SceneGraph

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

CHUNK = 1024
"""Pairs whose similarities to all captions are held at a time."""
SAME = "reads like a caption of the image"
ENTAILED = "claims nothing that the captions of the image do not say"
LIKE = "too like, by margin or score"


@dataclass(frozen=True, slots=True)
class Mining:
    """Which captions of other images, the most similar first, are a pair's negatives.

    Args:
        num_negatives: At most so many a pair.
        range_min: So many of the most similar are passed over.
        range_max: How many are looked at, with those passed over.
        max_score: Highest cosine of a negative; None: any.
        relative_margin: Share of the pair's own cosine by which a negative's is lower at least; below 0 it
            may be higher by so much.

    Raises:
        ValueError: The range is empty.
    """

    num_negatives: int = 3
    range_min: int = 0
    range_max: int = 100
    max_score: float | None = None
    relative_margin: float = 0.05

    def __post_init__(self) -> None:
        if self.range_max <= self.range_min:
            raise ValueError(
                f"range_max={self.range_max} leaves nothing to look at after range_min={self.range_min}: "
                "raise it"
            )

    def most(self, own: float) -> float:
        """The highest cosine of a negative of a pair whose own is ``own``."""
        most = own - self.relative_margin * abs(own)
        return most if self.max_score is None else min(most, self.max_score)


@dataclass(frozen=True, slots=True)
class Mined:
    """The pairs, mined negatives behind those that they brought, and what became of the candidates.

    ``kept`` counts mined negatives, ``left_out`` candidates that were more similar, by reason; ``without``
    pairs for which none was found.
    """

    examples: list[Example] = field(repr=False)
    kept: int
    without: int
    left_out: Counter[str]


def mine(
    examples: Sequence[Example],
    *,
    queries: Float[Tensor, "n D"],
    texts: Sequence[str],
    text_features: Float[Tensor, "T D"],
    options: Mining,
    progress: Callable[[int], None] = lambda done: None,
) -> Mined:
    """Find the negatives of every pair.

    Args:
        examples: Pairs with the graphs of their captions.
        queries: What negatives are to be like: normalised embeddings of the images, or of the captions.
        texts: The distinct captions, which are the candidates.
        text_features: Their normalised embeddings.
        options: Which of them.
        progress: Told how many pairs are done.

    Raises:
        ValueError: A pair has no graph: what it says is not known then.
    """
    if bare := [example.key for example in examples if example.graph is None]:
        raise ValueError(f"{len(bare):,} pairs have no graph, the first {bare[0]}: parse the captions first")
    graphs = {example.caption: example.graph for example in examples}
    said = {image: said_by(examples[i] for i in several) for image, several in by_image(examples).items()}
    left_out: Counter[str] = Counter()
    mined: list[Example] = []
    kept = without = 0
    for example, candidates in _candidates(examples, queries, texts, text_features, options):
        known = {negative.caption for negative in example.negatives}
        found: list[Negative] = []
        for text, score, most in candidates:
            if len(found) == options.num_negatives:
                break
            reason = LIKE if score > most else _why_true(text, graphs[text], said[example.image_id])
            if reason is not None:
                left_out[reason] += 1
            elif text not in known:
                found.append(Negative(text, GIVEN, graph=graphs[text]))
        kept, without = kept + len(found), without + (not found)
        mined.append(replace(example, negatives=(*example.negatives, *found)))
        progress(len(mined))
    return Mined(mined, kept, without, left_out)


def _candidates(
    examples: Sequence[Example],
    queries: Float[Tensor, "n D"],
    texts: Sequence[str],
    text_features: Float[Tensor, "T D"],
    options: Mining,
) -> Iterator[tuple[Example, Iterator[tuple[str, float, float]]]]:
    """Each pair with captions of other images by falling cosine: text, cosine, the highest of a negative."""
    rows = {text: row for row, text in enumerate(texts)}
    of_image = {
        image: [rows[examples[i].caption] for i in several] for image, several in by_image(examples).items()
    }
    for start in range(0, len(examples), CHUNK):
        part = examples[start : start + CHUNK]
        scores = queries[start : start + CHUNK] @ text_features.T
        own = [scores[place, rows[example.caption]].item() for place, example in enumerate(part)]
        for place, example in enumerate(part):
            scores[place, of_image[example.image_id]] = -torch.inf
        values, order = (found.tolist() for found in scores.topk(min(options.range_max, len(texts))))
        for place, example in enumerate(part):
            ranked = zip(order[place], values[place], strict=True)
            others = [(texts[row], score) for row, score in ranked if score > -torch.inf]
            most = options.most(own[place])
            yield example, ((text, score, most) for text, score in others[options.range_min :])


def _why_true(text: str, graph: SceneGraph | None, said: Said) -> str | None:
    """Why a caption may be true of an image; None: it claims something that its captions do not say."""
    if lemmatised(text) in said.texts:
        return SAME
    assert graph is not None  # every candidate is the caption of a pair
    shown = all(said.may_show(item.name.lower()) for item in graph.objects)
    return ENTAILED if shown and said.statements(graph) <= said.stated else None
