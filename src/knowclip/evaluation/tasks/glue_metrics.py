"""GLUE's metrics as pure functions of predictions and labels ``[n]``, worked by hand in the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def f1(predicted: ArrayLike, labels: ArrayLike) -> float:
    """F1 of class 1; 0 where neither predicted nor labelled (scikit-learn's convention)."""
    p, y = np.asarray(predicted) == 1, np.asarray(labels) == 1
    said = np.count_nonzero(p) + np.count_nonzero(y)
    return float(2 * np.count_nonzero(p & y) / said) if said else 0.0


def matthews(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Matthews correlation of two binary arrays; 0 where either is constant."""
    return pearson(np.asarray(predicted) == 1, np.asarray(labels) == 1)


def pearson(predicted: ArrayLike, values: ArrayLike) -> float:
    """Linear correlation; 0 where either is constant, so that a constant prediction is worth nothing."""
    p, y = (_centred(np.asarray(a, dtype=float)) for a in (predicted, values))
    scale = np.sqrt(np.sum(p * p) * np.sum(y * y))
    return float(np.sum(p * y) / scale) if scale > 0 else 0.0


def spearman(predicted: ArrayLike, values: ArrayLike) -> float:
    """Linear correlation of the ranks, ties at their mean rank."""
    return pearson(_mean_ranks(predicted), _mean_ranks(values))


def _centred(values: NDArray[Any]) -> NDArray[Any]:
    # ptp, for the mean of equal numbers may differ from them in the last bit
    return values - values.mean() if np.ptp(values) > 0 else np.zeros_like(values)


def _mean_ranks(values: ArrayLike) -> NDArray[Any]:
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
