"""Scores of photos for a query, from vectors alone: no model, no files.

A query has parts: a text, an image, texts to avoid. A cosine with an image spreads wider over photos than one
with a text, so each part's cosines are divided by how far they spread over the collection, in the unit of the
first part; otherwise the image would decide alone. Their sum is the query's *similarity*.

The *margin* ``score(text) - max(score(negative))`` says whether a photo agrees with the structure of a text:
the negatives are the text's own swaps and replacements, so what all of them share (an astronaut and a horse
are there) falls out, and what is left is who rides whom. It cannot rank beside the similarity: photos
of which neither the text nor a negative is true have margins too, and some, by chance, high ones. So a photo
loses by its *doubt* alone, ``-log p(text) / s``, ``p`` being the softmax over text and negatives at the
model's own temperature ``1 / s``: nothing where the text wins clearly, the margin it lacks where it does not
(``benchmarks/search.py rerank`` and ``photos`` show what that is worth).

No score says by itself whether a photo fits: cosines of one model lie around 0.3, of another around 0.05, and
the best of a collection may be far from the query. So scores are told relative to the collection: 1 is the
best photo, 0 the collection's average.

Shape legend: n photos, s photos that stand for the collection, p parts, k negatives, D embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

CUT = 0.5
"""Photos less than half as far above the collection's average as the best one are shown as below the cut."""


@dataclass(frozen=True)
class Scores:
    """Of n photos; ``margin`` and ``rival`` where the text has negatives.

    ``similarity`` is in cosines of the query's first part; ``margin`` is what the text's cosine exceeds that
    of its best negative by, ``rival`` the negative's number; ``final``, similarity less doubt, is what ranks.
    """

    similarity: Vectors
    final: Vectors
    margin: Vectors | None = None
    rival: NDArray[np.intp] | None = None


class Ranking:
    """How a query scores photos.

    Args:
        parts: ``[p, D]``, normalised: of text, image, texts to avoid, as far as there are any, in this order.
        signs: ``[p]``: 1, or -1 to avoid.
        collection: ``[s, D]``: vectors that stand for all.
        text: ``[D]``, normalised: of the text again, as it is compared with its negatives (with the KEE).
        negatives: ``[k, D]``, normalised: of the text's own negatives.
        logit_scale: The model's ``1 / tau``, at which the text is weighed against them.
    """

    def __init__(
        self,
        parts: Vectors,
        signs: Vectors,
        collection: Vectors,
        *,
        text: Vectors | None = None,
        negatives: Vectors | None = None,
        logit_scale: float = 100.0,
    ) -> None:
        self._collection = collection
        self._parts, self._text, self._negatives = parts, text, negatives
        self._logit_scale = logit_scale
        spread = _spread(collection @ parts.T)
        self._weights = signs * (spread[0] / spread)

    @property
    def vector(self) -> Vectors:
        """``[D]``: the photos nearest to it are the most similar ones."""
        return (self._weights @ self._parts).astype(np.float32)

    def scores(self, photos: Vectors) -> Scores:
        """Score photos ``[n, D]``."""
        similarity = (photos @ self._parts.T @ self._weights).astype(np.float32)
        if self._text is None or self._negatives is None or len(self._negatives) == 0:
            return Scores(similarity, similarity)
        own, against = photos @ self._text, photos @ self._negatives.T
        rival = against.argmax(axis=1)
        exceeded = self._logit_scale * np.c_[np.zeros_like(own), against - own[:, None]]
        final = similarity - np.logaddexp.reduce(exceeded, axis=1) / self._logit_scale
        return Scores(similarity, final.astype(np.float32), own - against.max(axis=1), rival)

    @cached_property
    def background(self) -> Vectors:
        """``[s]``: final scores of the collection."""
        return self.scores(self._collection).final


def _spread(scores: Vectors) -> NDArray[np.floating]:
    """Standard deviation of scores over photos, the first axis; 1 where they do not differ."""
    spread = scores.std(axis=0) if len(scores) > 1 else np.zeros(scores.shape[1:])
    return np.where(spread > 0, spread, 1.0)


def relative(scores: Vectors, background: Vectors) -> Vectors:
    """Where scores ``[n]`` stand between the collection's average (0) and the best of them (1)."""
    if len(scores) == 0:
        return scores
    average, best = float(background.mean()), float(scores.max())
    if best <= average:
        return (scores >= best).astype(np.float32)
    return ((scores - average) / (best - average)).astype(np.float32)
