"""Ranks and their metrics, worked by hand after PyKEEN's definitions."""

from __future__ import annotations

import numpy as np
import pytest

from knowclip.evaluation.links.ranks import (
    Ranks,
    adjusted_mean_rank,
    adjusted_mean_rank_index,
    filtered_ranks,
    hits_at_k,
    mean_reciprocal_rank,
    rank_metrics,
    select,
)
from knowclip.evaluation.metrics import NoDataError

NONE: list[list[int]] = [[]]


def test_rank_is_the_mean_of_optimistic_and_pessimistic() -> None:
    scores = np.array([[0.9, 0.5, 0.5, 0.5, 0.1]])
    ranks = filtered_ranks(scores, [2], NONE)
    assert ranks.rank.tolist() == [3.0]  # optimistic 2, pessimistic 4
    assert ranks.candidates.tolist() == [5]


def test_other_right_answers_are_filtered_and_the_true_one_stays() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6]])
    assert filtered_ranks(scores, [2], [[0, 2]]).rank.tolist() == [2.0]
    assert filtered_ranks(scores, [2], [[0, 1, 2]]).rank.tolist() == [1.0]
    assert filtered_ranks(scores, [2], [[0, 1, 2]]).candidates.tolist() == [2]


def test_only_allowed_candidates_count() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6]])
    ranks = filtered_ranks(scores, [3], NONE, allowed=[[1, 3]])
    assert (ranks.rank.tolist(), ranks.candidates.tolist()) == ([2.0], [2])


def test_metrics_of_three_ranks() -> None:
    ranks = Ranks(np.array([1.0, 2.0, 10.5]), np.array([11, 11, 21]))
    assert mean_reciprocal_rank(ranks) == pytest.approx((1 + 1 / 2 + 1 / 10.5) / 3)
    assert hits_at_k(ranks, 1) == pytest.approx(1 / 3)
    assert hits_at_k(ranks, 10) == pytest.approx(2 / 3)  # a realistic rank of 10.5 is no hit at 10
    # expected ranks (n + 1) / 2: 6, 6, 11, mean 23 / 3; mean rank 4.5
    assert adjusted_mean_rank(ranks) == pytest.approx(4.5 / (23 / 3))
    assert adjusted_mean_rank_index(ranks) == pytest.approx(1 - 3.5 / (23 / 3 - 1))


def test_perfect_constant_and_worst() -> None:
    n, size = 40, 9
    true = np.arange(n) % size
    onehot = np.eye(size)[true]
    metrics = {
        name: rank_metrics(filtered_ranks(scores, true, [[]] * n))
        for name, scores in {"best": onehot, "constant": np.zeros((n, size)), "worst": -onehot}.items()
    }
    assert metrics["best"]["mrr"] == metrics["best"]["amri"] == metrics["best"]["hits@1"] == 1
    assert metrics["constant"]["amri"] == pytest.approx(0)
    assert metrics["constant"]["amr"] == pytest.approx(1)
    assert metrics["constant"]["hits@1"] == 0
    assert metrics["worst"]["amri"] == pytest.approx(-1)


def test_select_takes_rows_by_index_or_mask() -> None:
    ranks = Ranks(np.array([1.0, 2.0, 3.0]), np.array([3, 4, 5]))
    assert select(ranks, [2, 0]).candidates.tolist() == [5, 3]
    assert select(ranks, np.array([False, True, False])).rank.tolist() == [2.0]


def test_nothing_to_choose_and_nothing_to_rank() -> None:
    assert adjusted_mean_rank_index(filtered_ranks(np.zeros((1, 1)), [0], NONE)) == 0
    with pytest.raises(NoDataError):
        filtered_ranks(np.zeros((0, 3)), [], [])
    with pytest.raises(ValueError, match="NaN"):
        filtered_ranks(np.array([[np.nan, 1.0]]), [1], NONE)
