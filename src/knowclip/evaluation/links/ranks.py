"""Ranks of link prediction and what is made of them: pure NumPy, worked by hand in the tests.

Definitions as in PyKEEN and in Berrendorf et al. 2020 ("On the ambiguity of rank-based evaluation"); ranks
start at 1. Shape legend: Q queries, E candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from knowclip.evaluation.metrics import TIE_TOLERANCE, NoDataError

FloatArray = NDArray[np.floating[Any]]
HITS = (1, 3, 10)


@dataclass(frozen=True, slots=True)
class Ranks:
    """Rank of the true answer of each query ``[Q]``, and among how many candidates, itself included ``[Q]``.

    ``rank`` is *realistic*: the mean of the optimistic one (ties won) and the pessimistic one (ties lost).
    """

    rank: NDArray[np.float64]
    candidates: NDArray[np.int64]


def filtered_ranks(
    scores: FloatArray,
    true: ArrayLike,
    known: Sequence[ArrayLike],
    *,
    allowed: Sequence[ArrayLike] | None = None,
) -> Ranks:
    """Rank each query's true answer among the candidates that are not known to be right as well.

    Args:
        scores: ``[Q, E]``, higher is better.
        true: index of the true answer, ``[Q]``.
        known: for each query the candidates known to be right, by any split; left out but for the true one
            (the *filtered* setting of Bordes et al. 2013).
        allowed: for each query the candidates that count; default: all.

    Raises:
        ValueError: a score is NaN.
        NoDataError: no queries.
    """
    answers = np.asarray(true, dtype=np.int64)
    if len(answers) == 0:
        raise NoDataError("no queries to rank")
    if np.isnan(scores.min()):  # the least of numbers among which one is NaN is NaN
        raise ValueError("scores hold NaN; the weights have diverged: evaluate an earlier checkpoint")
    rank, candidates = np.empty(len(answers)), np.empty(len(answers), dtype=np.int64)
    for query, (row, answer) in enumerate(zip(scores, answers, strict=True)):
        # known answers include the true one; it is no rival of itself either way
        out = np.unique(np.append(np.asarray(known[query], dtype=np.int64), answer))
        if allowed is None:
            among, without = row, row[out]
        else:
            rivals = np.setdiff1d(np.asarray(allowed[query], dtype=np.int64), out)
            among, without = row[rivals], row[:0]
        # all are counted, then those left out are taken back: a copy without them costs more than both
        above, below = row[answer] + TIE_TOLERANCE, row[answer] - TIE_TOLERANCE
        better = np.count_nonzero(among > above) - np.count_nonzero(without > above)
        not_worse = np.count_nonzero(among >= below) - np.count_nonzero(without >= below)
        rank[query] = 1 + (better + not_worse) / 2
        candidates[query] = 1 + len(among) - len(without)
    return Ranks(rank, candidates)


def mean_reciprocal_rank(ranks: Ranks) -> float:
    """Mean of ``1 / rank``."""
    return float(np.mean(1 / ranks.rank))


def hits_at_k(ranks: Ranks, k: int) -> float:
    """Share of queries whose rank is at most ``k``."""
    return float(np.mean(ranks.rank <= k))


def adjusted_mean_rank(ranks: Ranks) -> float:
    """Mean rank over the mean rank expected of random scores: 1 is chance, lower is better."""
    return float(np.mean(ranks.rank) / np.mean((ranks.candidates + 1) / 2))


def adjusted_mean_rank_index(ranks: Ranks) -> float:
    """``1 - (MR - 1) / (E[MR] - 1)``: 1 is perfect, 0 is chance, -1 the worst; 0 without a choice."""
    expected = float(np.mean((ranks.candidates + 1) / 2)) - 1
    return 1 - (float(np.mean(ranks.rank)) - 1) / expected if expected > 0 else 0.0


def rank_metrics(ranks: Ranks, *, prefix: str = "") -> dict[str, float]:
    """All of the above by name."""
    return {
        f"{prefix}mrr": mean_reciprocal_rank(ranks),
        **{f"{prefix}hits@{k}": hits_at_k(ranks, k) for k in HITS},
        f"{prefix}mean_rank": float(np.mean(ranks.rank)),
        f"{prefix}amr": adjusted_mean_rank(ranks),
        f"{prefix}amri": adjusted_mean_rank_index(ranks),
    }


def select(ranks: Ranks, rows: ArrayLike) -> Ranks:
    """The queries ``rows`` (indices or a mask)."""
    chosen = np.asarray(rows)
    return Ranks(ranks.rank[chosen], ranks.candidates[chosen])
