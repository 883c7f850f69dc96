"""Metrics on matrices worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from knowclip.evaluation.metrics import (
    NoDataError,
    choice_correct,
    feature_ranks,
    macro_average,
    ranks,
    recall_at_k,
    relevance,
    tie_rate,
    topk_accuracy,
)


def test_choice_is_strict() -> None:
    true, false = [0.5, 0.5, 0.4, 0.5], [0.4, 0.5, 0.5, 0.5 - 1e-8]
    assert choice_correct(true, false).tolist() == [True, False, False, False]
    assert tie_rate(true, false) == 0.5


def test_choice_against_several_false_texts_takes_the_best_of_them() -> None:
    false = [[0.1, 0.2], [0.1, 0.6], [0.5, 0.1]]
    assert choice_correct([0.5, 0.5, 0.5], false).tolist() == [True, False, False]
    assert tie_rate([0.5, 0.5, 0.5], false) == pytest.approx(1 / 3)


def test_nan_is_never_right() -> None:
    assert not choice_correct([np.nan, 0.5], [0.1, np.nan]).any()
    assert ranks(np.array([[np.nan, 0.1, 0.2], [0.5, np.nan, 0.2]]), [[0], [0]]).tolist() == [2, 1]


@pytest.mark.parametrize(("true", "false"), [([], []), ([0.1], [[]])])
def test_no_choices_is_an_error_not_a_nan(true: list[float], false: list[float]) -> None:
    with pytest.raises(NoDataError, match="no choices"):
        choice_correct(true, false)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2,\) and \(1, 1\)"):
        choice_correct([0.1, 0.2], [0.1])


def test_recall_by_hand() -> None:
    scores = np.array([[0.9, 0.8, 0.1, 0.0],   # right ones 0, 1: rank 0
                       [0.5, 0.9, 0.7, 0.6],   # right one 2: beaten by 1, rank 1
                       [0.5, 0.5, 0.5, 0.4]])  # right one 0: tied with two wrong ones, rank 2  # fmt: skip
    relevant = [[0, 1], [2], [0]]
    assert ranks(scores, relevant).tolist() == [0, 1, 2]
    assert [recall_at_k(scores, relevant, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


def test_relevant_items_do_not_push_each_other_down() -> None:
    assert ranks(np.array([[0.5, 0.5, 0.5, 0.4]]), [[0, 1, 2]]).tolist() == [0]


def test_a_query_without_a_relevant_item_is_refused() -> None:
    with pytest.raises(ValueError, match="query 1 has no relevant item"):
        ranks(np.zeros((2, 3)), [[0], []])


def test_topk_by_hand() -> None:
    scores = np.array([[0.2, 0.9, 0.1], [0.3, 0.3, 0.1], [0.1, 0.2, 0.3]])
    assert topk_accuracy(scores, [1, 0, 0]) == pytest.approx(1 / 3)
    assert topk_accuracy(scores, [1, 0, 0], k=2) == pytest.approx(2 / 3)


def test_macro_average_by_hand() -> None:
    correct = [1, 0, 1, 1, 1, 0]
    groups = ["on", "on", "near", "near", "under", "rare"]
    average = macro_average(correct, groups, drop={"near"})
    assert average.value == pytest.approx((0.5 + 1 + 0) / 3)
    assert average.counts == {"on": 2, "rare": 1, "under": 1}
    assert average.dropped == {"near": 2}
    average = macro_average(correct, groups, minimum=2)
    assert average.value == 0.75
    assert average.accuracies == {"near": 1.0, "on": 0.5}
    assert average.dropped == {"rare": 1, "under": 1}


def test_macro_average_over_nothing_is_an_error() -> None:
    with pytest.raises(NoDataError, match="none of 1 classes"):
        macro_average([1, 1], ["near", "near"], drop={"near"})


def test_relevance_joins_captions_of_an_image_and_equal_texts() -> None:
    to_text, to_image = relevance(["x", "x", "y", "z"], ["a dog", "a cat", "a dog", "a cow"])
    assert [row.tolist() for row in to_text] == [[0, 1, 2], [0, 2], [3]]
    assert [row.tolist() for row in to_image] == [[0, 1], [0], [0, 1], [2]]


@given(
    features=arrays.arrays(np.float64, (7, 3), elements=st.integers(-3, 3).map(float)),
    labels=st.lists(st.integers(0, 6), min_size=7, max_size=7),
)
def test_chunked_ranks_equal_sorting(features: np.ndarray, labels: list[int]) -> None:
    found = feature_ranks(features, features, [[label] for label in labels], chunk=3)
    scores = features @ features.T
    for row, label, rank in zip(scores, labels, found, strict=True):
        pessimistic = sorted(range(7), key=lambda j: (-row[j], j == label))
        assert pessimistic.index(label) == rank


def test_a_constant_encoder_ties_in_spite_of_float32() -> None:
    rng = np.random.default_rng(0)
    row = rng.normal(size=(1, 512)).astype(np.float32)
    row /= np.linalg.norm(row)
    gallery = np.repeat(row, 1037, axis=0)
    assert feature_ranks(gallery[:100], gallery, [[i] for i in range(100)]).min() == 1036


@pytest.mark.slow
def test_coco_sized_retrieval_is_fast_and_lean() -> None:
    import resource
    import time

    rng = np.random.default_rng(0)
    images = rng.normal(size=(5000, 512)).astype(np.float32)
    texts = np.repeat(images, 5, axis=0) + rng.normal(size=(25000, 512)).astype(np.float32)
    to_text, to_image = relevance([str(i // 5) for i in range(25000)], [str(i) for i in range(25000)])
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    assert np.mean(feature_ranks(images, texts, to_text) < 1) > 0.99
    assert np.mean(feature_ranks(texts, images, to_image) < 1) > 0.99
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB
    assert time.perf_counter() - start < 60  # about 5 s on a quiet core
