"""Scores of photos for a query, from vectors alone: no model, no files.

A query has parts: a text, an image, texts to avoid. A cosine with an image spreads wider over photos than one
with a text, so each part's cosines are divided by how far they spread over the collection, in the unit of the
first part; otherwise the image would decide alone.

What ranks first photos that agree with the *structure* of a text, after
``score(query) - max(score(negative))``: the negatives are the query's own swaps and replacements, so what
all of them share (an astronaut and a horse are there) falls out, and what is left is who rides whom.

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

    ``similarity`` is that of the whole query, in cosines of its first part; ``margin`` what the text's cosine
    exceeds that of its best negative by, ``rival`` the negative's number; ``final`` is what ranks.
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
    """

    def __init__(
        self,
        parts: Vectors,
        signs: Vectors,
        collection: Vectors,
        *,
        text: Vectors | None = None,
        negatives: Vectors | None = None,
    ) -> None:
        self._collection = collection
        spread = (collection @ parts.T).std(axis=0) if len(collection) > 1 else np.ones(len(parts))
        usable = np.where(spread > 0, spread, 1.0)
        self._weights = signs * (usable[0] / usable)
        self._parts = parts
        self._text, self._negatives = text, negatives

    @property
    def vector(self) -> Vectors:
        """``[D]``: the photos nearest to it are the most similar ones."""
        return (self._weights @ self._parts).astype(np.float32)

    def scores(self, photos: Vectors) -> Scores:
        """Score photos ``[n, D]``."""
        parts = photos @ self._parts.T * self._weights
        similarity = parts.sum(axis=1).astype(np.float32)
        if self._text is None or self._negatives is None or len(self._negatives) == 0:
            return Scores(similarity, similarity)
        against = photos @ self._negatives.T
        margin = photos @ self._text - against.max(axis=1)
        rest = parts[:, 1:].sum(axis=1).astype(np.float32)
        return Scores(similarity, margin + rest, margin, against.argmax(axis=1))

    @cached_property
    def background(self) -> Vectors:
        """``[s]``: final scores of the collection."""
        return self.scores(self._collection).final


def relative(scores: Vectors, background: Vectors) -> Vectors:
    """Where scores ``[n]`` stand between the collection's average (0) and the best of them (1)."""
    if len(scores) == 0:
        return scores
    average, best = float(background.mean()), float(scores.max())
    if best <= average:
        return (scores >= best).astype(np.float32)
    return ((scores - average) / (best - average)).astype(np.float32)
