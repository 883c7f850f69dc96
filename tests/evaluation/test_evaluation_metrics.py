"""Metrics on matrices worked by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from knowclip.evaluation.metrics import (
    SMALL,
    TIE_TOLERANCE,
    NoDataError,
    binary_correct,
    choice_correct,
    feature_ranks,
    group_correct,
    macro_average,
    nearest_wrong,
    ranks,
    recall_at_k,
    relevance,
    roc_auc,
    small_left_out,
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
    with pytest.raises(NoDataError, match=r"^no choices to score$"):
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


def test_ties_are_those_within_float32_s_noise() -> None:
    """What is nearer than the tolerance is a tie, everywhere and at any scale of the other numbers."""
    near, far = TIE_TOLERANCE / 4, TIE_TOLERANCE * 4
    assert choice_correct([0.5, 0.5], [0.5 - near, 0.5 - far]).tolist() == [False, True]
    assert tie_rate([0.5, 0.5], [0.5 - near, 0.5 - far]) == 0.5
    assert ranks(np.array([[0.5, 0.5 - near, 0.5 - far]]), [[0]]).tolist() == [1]
    cells = [[[0.5, 0.5 - gap], [0.1, 0.5]] for gap in (near, far)]
    assert group_correct(cells)["text"].tolist() == [False, True]
    assert group_correct(np.transpose(cells, (0, 2, 1)))["image"].tolist() == [False, True]
    assert binary_correct([0.5, 0.5 - near], [True, False]).tolist() == [False, False]
    assert binary_correct([0.5, 0.5 - far], [True, False]).tolist() == [True, True]
    aucs = [roc_auc([0.5, 0.5 + gap], [True, False]) for gap in (-far, -near, near, far)]
    assert aucs == [1.0, 0.5, 0.5, 0.0]


def test_the_tolerance_itself_is_a_tie() -> None:
    """From 0, so that the differences are exact; three times the tolerance is none."""
    gap = TIE_TOLERANCE
    assert choice_correct([gap], [0]).tolist() == [False] and tie_rate([gap], [0]) == 1
    assert ranks(np.array([[gap, 0]]), [[0]]).tolist() == [1]
    assert ranks(np.array([[gap, 0]]), [[0, 1]]).tolist() == [0]
    tied = group_correct([[[gap, 0], [-1, 1]], [[gap, -1], [0, 1]]])
    assert tied["text"].tolist() == [False, True] and tied["image"].tolist() == [True, False]
    assert binary_correct([gap, 0], [True, False]).tolist() == [False, False]
    assert binary_correct([3 * gap, 0], [True, False]).tolist() == [True, True]
    assert roc_auc([gap, 0], [True, False]) == roc_auc([-gap, 0], [True, False]) == 0.5


def test_as_many_are_called_true_as_are_true() -> None:
    scores = [0.9, 0.8, 0.7, 0.1]
    assert binary_correct(scores, [True, False, False, False]).tolist() == [True] * 4
    assert binary_correct(scores, [False, True, True, True]).tolist() == [False, True, True, False]


def test_yes_and_no_are_scores_and_numbers_are_labels() -> None:
    assert choice_correct([True, True], [False, True]).tolist() == [True, False]
    assert group_correct(np.eye(2, dtype=bool)[None])["group"].tolist() == [True]
    assert binary_correct([True, True, False], [True, False, False]).tolist() == [False, False, True]
    assert roc_auc([0.9, 0.1], [1, 0]) == 1.0
    assert ranks(np.eye(2), [[0], [1]]).dtype == np.int64


def test_the_nearest_wrong_item_by_hand() -> None:
    queries, gallery = np.eye(3), np.array([[0.9, 0.1, 0.3], [0.8, 0.2, 0.3], [-0.5, 0.7, 0.3]])
    right, wrong, index = nearest_wrong(queries, gallery, [[1, 2], [0], [0, 1, 2]], chunk=2)
    assert right.tolist() == [0.8, 0.1, 0.3]
    assert wrong.tolist() == [0.9, 0.7, -1] and index.tolist() == [0, 2, -1]


def test_chunks_do_not_show() -> None:
    random = np.random.default_rng(0)
    # whole numbers: products of others round by the number of rows
    queries, gallery = (random.integers(-9, 9, (rows, 4)).astype(float) for rows in (7, 5))
    relevant = [[number % 5] for number in range(7)]
    whole = ranks(queries @ gallery.T, relevant)
    assert all((feature_ranks(queries, gallery, relevant, chunk=n) == whole).all() for n in (1, 3, 7, 9))
    nearest = [nearest_wrong(queries, gallery, relevant, chunk=n) for n in (1, 3, 512)]
    assert all(np.array_equal(nearest[0], other) for other in nearest[1:])
    with pytest.raises(NoDataError, match=r"^no queries to rank$"):
        feature_ranks(queries[:0], gallery, [])


def test_small_groups_are_left_out_only_beside_a_large_one() -> None:
    assert small_left_out(["a", "a", "b"], minimum=2) == 2
    assert small_left_out(["a", "b"], minimum=2) == 1
    assert small_left_out([]) == 1 and small_left_out(["a"] * SMALL) == SMALL


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choice_correct([[0.1]], [0.1]), r"^scores of shape \(1, 1\) and \(1, 1\); expected true"),
        (lambda: choice_correct([0.1], [[[0.1]]]), r"expected true \[n\] and false \[n\] or \[n, m\]$"),
        (lambda: macro_average([1, 0], ["a"]), r"^\(2,\) outcomes for 1 class names; expected one each$"),
        (lambda: macro_average([1], ["a"], minimum=2), "^none of 1 classes has 2 items or more and a name"),
        (lambda: ranks(np.zeros((1, 2)), [[]]), "^query 0 has no relevant item; leave it out and count it$"),
        (lambda: group_correct(np.zeros((1, 2, 3))), r"^scores of shape \(1, 2, 3\); expected \[n, 2, 2\]"),
        (lambda: group_correct(np.zeros((2, 2))), r"shape \(2, 2\)"),
        (lambda: binary_correct([0.1], [True, False]), r"^scores of shape \(1,\) and labels \(2,\);"),
        (lambda: roc_auc(np.eye(2), np.eye(2)), r"^scores of shape \(2, 2\)"),
        (lambda: roc_auc([0.1, 0.2], [False, False]), "^2 items are all of one label; there is nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_told(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_unequal_numbers_of_queries_and_relevant_items_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        ranks(np.zeros((2, 3)), [[0]])
    with pytest.raises(ValueError, match="zip"):
        relevance(["x"], ["a dog", "a cat"])


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
