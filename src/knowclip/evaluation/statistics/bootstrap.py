"""How sure a number is: seeded, vectorised bootstraps over items or over clusters of items.

Resampling whole clusters (all captions of an image) keeps the dependence between items of one image, which
resampling single items would ignore, and with it intervals would be too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from knowclip.evaluation.metrics import NoDataError
from knowclip.types import Result

RESAMPLES = 2000
"""So that 50 draws lie beyond either end of a 95% interval."""
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its interval (:func:`bootstrap`); ``n`` items in ``clusters`` independent groups."""

    value: float
    low: float
    high: float
    n: int
    clusters: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference (ours minus baseline) on the same items, its interval and two-sided p-value."""

    effect: float
    low: float
    high: float
    p_value: float
    n: int


def bootstrap(
    values: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the mean of ``values``, or of the mean of their class means.

    Of outcomes that are all right or all wrong every draw is the same, though what they were drawn from need
    not be: theirs is Wilson's interval of as many items as there are clusters.

    Args:
        values: outcomes or scores, ``[n]``.
        classes: class of each item; given, the statistic is the macro average.
        clusters: group of each item; whole groups are drawn. Default: every item on its own.
        resamples: draws.
        seed: of the draws.
    """
    array = np.asarray(values, dtype=float)
    draws, groups = _draw(array, classes, clusters, resamples, seed)
    all_alike = array[0] in (0, 1) and (array == array[0]).all()
    low, high = wilson(float(array[0]), groups) if all_alike else _percentiles(draws)
    return Interval(_statistic(array, classes), low, high, len(array), groups)


def paired_bootstrap(
    values: ArrayLike,
    baseline: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Bootstrap of the difference of two (macro) means over the same items ``[n]``.

    Both means are linear, so resampling the item differences is resampling both runs on the same draws. The
    p-value is twice the smaller tail of the draws beyond 0, with one added so that it is never 0.
    """
    ours, theirs = np.asarray(values, dtype=float), np.asarray(baseline, dtype=float)
    if ours.shape != theirs.shape:
        raise ValueError(f"{ours.shape} values against {theirs.shape}; a paired test needs the same items")
    delta = ours - theirs
    draws, _ = _draw(delta, classes, clusters, resamples, seed)
    low, high = _percentiles(draws)
    tail = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    p_value = min(1.0, 2.0 * (int(tail) + 1) / (resamples + 1))
    return Difference(_statistic(delta, classes), low, high, p_value, len(delta))


def wilson(accuracy: float, n: int) -> tuple[float, float]:
    """Wilson's score interval of a share of ``n`` independent items (Wilson 1927), for single classes."""
    if n < 1:
        raise NoDataError("no items for an interval")
    # the 97.5th percentile of the normal distribution: as LEVEL
    z = 1.959964
    centre = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(accuracy * (1 - accuracy) / n + z**2 / (4 * n**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for testing several benchmarks at once (Holm 1979): valid however they depend."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def interval(result: Result, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Interval of ``result.metrics[result.main]`` from its items (columns as in ``_outcomes``)."""
    _, values, classes, clusters = _outcomes(result)
    return bootstrap(values, classes=classes, clusters=clusters, resamples=resamples, seed=seed)


def compare(result: Result, baseline: Result, *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """Paired difference of two Results of one benchmark, aligned by key.

    Raises:
        ValueError: they are of different benchmarks, or their items differ.
    """
    if (result.benchmark, result.main) != (baseline.benchmark, baseline.main):
        raise ValueError(
            f"cannot pair {result.benchmark}/{result.main} with {baseline.benchmark}/{baseline.main}"
        )
    keys, values, classes, clusters = _outcomes(result)
    other_keys, other_values, _, _ = _outcomes(baseline)
    position = {key: index for index, key in enumerate(other_keys)}
    if not same_items(result, baseline):
        raise ValueError(
            f"{result.benchmark}: the two results do not hold the same items ({len(keys)} and "
            f"{len(other_keys)}, {len(set(position) & set(keys))} shared); evaluate both on the same files"
        )
    aligned = other_values[[position[key] for key in keys]]
    return paired_bootstrap(
        values, aligned, classes=classes, clusters=clusters, resamples=resamples, seed=seed
    )


def same_items(result: Result, baseline: Result) -> bool:
    """Whether two Results of one benchmark are over the same items, each once, so that they can be paired."""
    keys, others = (_outcomes(each)[0] for each in (result, baseline))
    return len(set(others)) == len(others) and set(others) == set(keys)


def _outcomes(
    result: Result,
) -> tuple[list[str], NDArray[np.float64], list[str] | None, list[str] | None]:
    """Keys, outcomes, macro classes and clusters behind the main metric.

    Columns of ``Result.items``: ``key``; ``correct``, whose mean is the main metric; ``group`` where that
    mean is a macro average over classes, empty for items that do not count; ``image_id``: images are drawn
    whole.
    """
    items = result.items
    if "correct" not in items:
        columns = ", ".join(sorted(items))
        raise ValueError(f"{result.benchmark}: no per-item outcomes ('correct'); got the columns {columns}")
    counted = np.ones(len(items["key"]), dtype=bool)
    if "group" in items:
        counted = np.asarray(items["group"]) != ""

    def column(name: str) -> list[str] | None:
        return [str(value) for value in np.asarray(items[name])[counted]] if name in items else None

    correct = np.asarray(items["correct"], dtype=float)[counted]
    return column("key") or [], correct, column("group"), column("image_id")


def _codes(labels: Sequence[str] | None, n: int, default: NDArray[np.intp]) -> tuple[NDArray[np.intp], int]:
    if labels is None:
        return default, int(default.max()) + 1
    if len(labels) != n:
        raise ValueError(f"{len(labels)} labels for {n} items; expected one each")
    names, codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    return codes, len(names)


def _statistic(values: NDArray[np.float64], classes: Sequence[str] | None) -> float:
    codes, count = _codes(classes, len(values), np.zeros(len(values), dtype=np.intp))
    return float(np.mean(np.bincount(codes, values, count) / np.bincount(codes, minlength=count)))


def _draw(
    values: NDArray[np.float64],
    classes: Sequence[str] | None,
    clusters: Sequence[str] | None,
    resamples: int,
    seed: int,
) -> tuple[NDArray[np.float64], int]:
    """Draw the statistic ``[resamples]`` times; also the number of clusters.

    Sums and counts are first added up per (cluster, class); then a resample is one product with its counts.
    """
    n = len(values)
    if n == 0:
        raise NoDataError("no items to resample")
    class_of, width = _codes(classes, n, np.zeros(n, dtype=np.intp))
    cluster_of, height = _codes(clusters, n, np.arange(n))
    cell = cluster_of * width + class_of
    sums = np.bincount(cell, values, height * width).reshape(height, width)
    counts = np.bincount(cell, minlength=height * width).reshape(height, width).astype(float)
    rng = np.random.default_rng(seed)
    draws = np.empty(resamples)
    # so many picks at once as fill 32 MB
    block = max(1, min(resamples, 4_000_000 // height))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        picks = rng.integers(height, size=(rows, height)) + height * np.arange(rows)[:, None]
        weights = np.bincount(picks.ravel(), minlength=rows * height).reshape(rows, height).astype(float)
        drawn_sums, drawn_counts = weights @ sums, weights @ counts
        present = drawn_counts > 0  # a rare class may be missing from a draw
        means = np.divide(drawn_sums, drawn_counts, out=np.zeros_like(drawn_sums), where=present)
        draws[start : start + rows] = means.sum(axis=1) / present.sum(axis=1)
    return draws, height


def _percentiles(draws: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
