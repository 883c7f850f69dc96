"""Score arrays to numbers: pure NumPy functions, worked by hand in the tests.

Shape legend: Q queries, G gallery items, C classes, n items, D embedding width.

Tie rule, one for all: an answer is right only if it scores *strictly* higher than every wrong one, so a
constant encoder scores 0. Scores nearer than ``TIE_TOLERANCE`` are tied: float32 cosines of equal features
differ by about 1e-7 according to where they fall in a batch or a BLAS tile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]

TIE_TOLERANCE = 1e-6
KS = (1, 5, 10)
"""The k of retrieval's ``R@k``."""
SMALL = 10
"""Groups of a user's own data with fewer items are left out of macro averages."""


class NoDataError(ValueError):
    """There is nothing to measure; the message says why. Never a NaN, never a number over an empty set."""


class NotHereError(NoDataError):
    """None of the files of a benchmark or task is there: nothing that a user would expect to be measured."""


def choice_correct(true_scores: ArrayLike, false_scores: ArrayLike) -> BoolArray:
    """Whether the true text wins: ``true > false`` strictly, for every false text of the item. Shape ``[n]``.

    Args:
        true_scores: ``[n]``.
        false_scores: ``[n]``, or ``[n, m]`` for m false texts an item.
    """
    true, false = _choice(true_scores, false_scores)
    return np.all(true[:, None] - false > TIE_TOLERANCE, axis=1)


def tie_rate(true_scores: ArrayLike, false_scores: ArrayLike) -> float:
    """Share of items whose true text is tied with its best false one."""
    true, false = _choice(true_scores, false_scores)
    return float(np.mean(np.abs(true - false.max(axis=1)) <= TIE_TOLERANCE))


def _choice(true_scores: ArrayLike, false_scores: ArrayLike) -> tuple[FloatArray, FloatArray]:
    true, false = np.asarray(true_scores, dtype=float), np.asarray(false_scores, dtype=float)
    false = false[:, None] if false.ndim == 1 else false
    if true.ndim != 1 or false.ndim != 2 or len(true) != len(false):
        raise ValueError(
            f"scores of shape {true.shape} and {false.shape}; expected true [n] and false [n] or [n, m]"
        )
    if false.size == 0:
        raise NoDataError("no choices to score")
    return true, false


@dataclass(frozen=True, slots=True)
class MacroAverage:
    """Mean of class accuracies, with what it was taken over."""

    value: float
    accuracies: Mapping[str, float]
    counts: Mapping[str, int]
    dropped: Mapping[str, int]


def macro_average(
    correct: ArrayLike, groups: Sequence[str], *, minimum: int = 1, drop: Collection[str] = frozenset()
) -> MacroAverage:
    """Unweighted mean of the accuracies of the classes that survive.

    Args:
        correct: outcomes ``[n]``.
        groups: class of each item, ``[n]``.
        minimum: classes with fewer items are left out.
        drop: names of classes that are left out.

    Raises:
        NoDataError: no class survives.
    """
    outcomes = np.asarray(correct, dtype=float)
    if outcomes.shape != (len(groups),):
        raise ValueError(f"{outcomes.shape} outcomes for {len(groups)} class names; expected one each")
    names, inverse, sizes = np.unique(np.asarray(groups, dtype=str), return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=outcomes) / sizes
    keep = [size >= minimum and name not in drop for name, size in zip(names, sizes, strict=True)]
    if not any(keep):
        raise NoDataError(
            f"none of {len(names)} classes has {minimum} items or more and a name that is not dropped"
        )
    rows = [(str(name), int(size), float(mean)) for name, size, mean in zip(names, sizes, means, strict=True)]
    survivors = [row for row, kept in zip(rows, keep, strict=True) if kept]
    return MacroAverage(
        value=float(np.mean([mean for _, _, mean in survivors])),
        accuracies={name: mean for name, _, mean in survivors},
        counts={name: size for name, size, _ in survivors},
        dropped={name: size for (name, size, _), kept in zip(rows, keep, strict=True) if not kept},
    )


def small_left_out(groups: Sequence[str], *, minimum: int = SMALL) -> int:
    """The ``minimum`` of ``macro_average`` for groups that no protocol has fixed the sizes of.

    A group with fewer than ``minimum`` items does not count: 3 items must not weigh as much as 172. Where no
    group has as many, all count.
    """
    return minimum if max(Counter(groups).values(), default=0) >= minimum else 1


def ranks(scores: FloatArray, relevant: Sequence[ArrayLike]) -> IntArray:
    """Rank of each query's best relevant item, 0 the best: how many wrong items score as high or higher.

    Args:
        scores: ``[Q, G]``.
        relevant: for each query the gallery indices that are right.

    Returns:
        ``[Q]``. Relevant items never push each other down; ties count against the query, and so does NaN.
    """
    found = np.empty(len(scores), dtype=np.int64)
    for query, (row, right) in enumerate(zip(scores, relevant, strict=True)):
        own = row[np.asarray(right, dtype=np.int64)]
        if own.size == 0:
            raise ValueError(f"query {query} has no relevant item; leave it out and count it")
        bar = own.max() - TIE_TOLERANCE
        # not (row >= bar): NaN is below nothing, so it counts against the query
        found[query] = np.count_nonzero(~(row < bar)) - np.count_nonzero(~(own < bar))
    return found


def feature_ranks(
    queries: FloatArray, gallery: FloatArray, relevant: Sequence[ArrayLike], *, chunk: int = 512
) -> IntArray:
    """``ranks(queries @ gallery.T, relevant)``, ``[Q, D]`` by ``[G, D]``, never holding the full matrix."""
    if len(queries) == 0:
        raise NoDataError("no queries to rank")
    parts = range(0, len(queries), chunk)
    return np.concatenate([ranks(queries[i : i + chunk] @ gallery.T, relevant[i : i + chunk]) for i in parts])


def nearest_wrong(
    queries: FloatArray, gallery: FloatArray, relevant: Sequence[ArrayLike], *, chunk: int = 512
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Of each query ``[Q, D]`` the score of its best right item, and score and index of its best wrong one.

    Args:
        queries: ``[Q, D]``.
        gallery: ``[G, D]``.
        relevant: for each query the gallery indices that are right.
        chunk: queries whose scores are held at once.

    Returns:
        ``[Q]`` each; index -1 and score -1 where every item of the gallery is right.
    """
    right = np.empty(len(queries))
    # -1: the least that a cosine can be, and no index
    wrong, index = np.full(len(queries), -1.0), np.full(len(queries), -1)
    for start in range(0, len(queries), chunk):
        scores = queries[start : start + chunk] @ gallery.T
        for row, found in enumerate(scores, start=start):
            own = np.asarray(relevant[row], dtype=np.int64)
            right[row] = found[own].max()
            found[own] = -np.inf
            best = int(found.argmax())
            if np.isfinite(found[best]):
                wrong[row], index[row] = found[best], best
    return right, wrong, index


def recall_at_k(scores: FloatArray, relevant: Sequence[ArrayLike], k: int) -> float:
    """Share of queries with a relevant item among the best ``k`` of ``scores`` ``[Q, G]``, ties lost.

    The field's retrieval R@k (any one of an image's captions is a hit), as in CLIP_benchmark.
    """
    return float(np.mean(ranks(scores, relevant) < k))


def topk_accuracy(scores: FloatArray, labels: ArrayLike, k: int = 1) -> float:
    """Share of items whose class ``labels [n]`` is among the best ``k`` of ``scores [n, C]``, ties lost."""
    return recall_at_k(scores, [[label] for label in np.asarray(labels)], k)


def relevance(image_ids: Sequence[str], texts: Sequence[str]) -> tuple[list[IntArray], list[IntArray]]:
    """Who is right for whom, where equal texts and all captions of an image count as hits.

    Args:
        image_ids: image of each caption, ``[n]``.
        texts: the captions, ``[n]``.

    Returns:
        ``(image_to_text, text_to_image)``: for each distinct image (in order of first appearance) the indices
        of its captions and of equal texts; for each caption the indices of the distinct images it is true of.
    """
    images = {image: index for index, image in enumerate(dict.fromkeys(image_ids))}
    captions_of: dict[str, list[int]] = {}
    images_of: dict[str, set[int]] = {}
    texts_of: list[set[str]] = [set() for _ in images]
    for index, (image, text) in enumerate(zip(image_ids, texts, strict=True)):
        captions_of.setdefault(text, []).append(index)
        images_of.setdefault(text, set()).add(images[image])
        texts_of[images[image]].add(text)
    image_to_text = [np.array(sorted(i for text in own for i in captions_of[text])) for own in texts_of]
    shared = {text: np.array(sorted(own)) for text, own in images_of.items()}
    return image_to_text, [shared[text] for text in texts]


def group_correct(scores: ArrayLike) -> dict[str, BoolArray]:
    """Winoground's text, image and group outcome of two images against two texts.

    Args:
        scores: ``[n, 2, 2]``, image by text; text i is true of image i.

    Returns:
        ``{"text", "image", "group"}``, ``[n]`` each: text, both images prefer their own text; image, both
        texts prefer their own image; group, both. Strict, so a tie loses.
    """
    cells = np.asarray(scores, dtype=float)
    if cells.ndim != 3 or cells.shape[1:] != (2, 2):
        raise ValueError(f"scores of shape {cells.shape}; expected [n, 2, 2], image by text")
    own = np.stack([cells[:, 0, 0], cells[:, 1, 1]], axis=1)
    text = np.all(own - np.stack([cells[:, 0, 1], cells[:, 1, 0]], axis=1) > TIE_TOLERANCE, axis=1)
    image = np.all(own - np.stack([cells[:, 1, 0], cells[:, 0, 1]], axis=1) > TIE_TOLERANCE, axis=1)
    return {"text": text, "image": image, "group": text & image}


def binary_correct(scores: ArrayLike, labels: ArrayLike) -> BoolArray:
    """Outcomes ``[n]`` of calling true as many items as are true: those with the highest scores.

    The threshold lies halfway between the lowest score called true and the highest called false; an item
    tied with it is wrong whatever its label.

    Raises:
        NoDataError: all labels are the same.
    """
    values, truth = _labelled(scores, labels)
    ordered = np.sort(values)[::-1]
    count = int(truth.sum())
    threshold = (ordered[count - 1] + ordered[count]) / 2
    # half: a pair tied with each other lies half a tolerance on either side of the threshold
    return np.where(truth, values - threshold, threshold - values) > TIE_TOLERANCE / 2


def roc_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Share of (true, false) pairs of items in which the true one scores higher; ties count half."""
    values, truth = _labelled(scores, labels)
    negatives = np.sort(values[~truth])
    below = np.searchsorted(negatives, values[truth] - TIE_TOLERANCE, side="left")
    not_above = np.searchsorted(negatives, values[truth] + TIE_TOLERANCE, side="right")
    return float(np.mean(below + not_above) / (2 * len(negatives)))


def _labelled(scores: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, BoolArray]:
    values, truth = np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(f"scores of shape {values.shape} and labels {truth.shape}; expected [n] each")
    if not 0 < truth.sum() < len(truth):
        raise NoDataError(f"{len(truth)} items are all of one label; there is nothing to tell apart")
    return values, truth
