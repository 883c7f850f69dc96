"""Bootstraps against what theory says, and pairing by key."""

from __future__ import annotations

import numpy as np
import pytest

from knowclip.evaluation.metrics import NoDataError, macro_average
from knowclip.evaluation.statistics.bootstrap import bootstrap, compare, interval, paired_bootstrap, wilson
from knowclip.types import Result


def _result(keys: list[str], correct: list[float], **columns: list[str]) -> Result:
    items = {"key": np.array(keys), "correct": np.array(correct)}
    items |= {name: np.array(values) for name, values in columns.items()}
    return Result("swaps", "swaps", len(keys), {"swaps": float(np.mean(correct))}, items)


def test_interval_of_a_proportion_is_the_normal_one() -> None:
    values = np.array([1] * 300 + [0] * 100)
    found = bootstrap(values, resamples=5000)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert found.value == 0.75
    assert (found.low, found.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.004)
    assert (found.n, found.clusters) == (400, 400)


@pytest.mark.parametrize("all_right", [False, True])
def test_outcomes_that_are_all_alike_have_an_interval_too(all_right: bool) -> None:
    """None of 200: up to 1.9% may be; of 400 items on 200 images no less."""
    images = np.repeat(np.arange(200), 2).astype(str).tolist()
    for found in (bootstrap([all_right] * 200), bootstrap([all_right] * 400, clusters=images)):
        low, high = (1 - found.high, 1 - found.low) if all_right else (found.low, found.high)
        assert (found.value, low) == pytest.approx((float(all_right), 0.0), abs=1e-12)
        assert high == pytest.approx(0.0188, abs=1e-4)
    scores = bootstrap([0.5] * 9)
    assert (scores.low, scores.high) == (0.5, 0.5)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(1).normal(size=50)
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3) != bootstrap(values, seed=4)


def test_clusters_that_repeat_an_item_widen_the_interval() -> None:
    values = np.repeat(np.random.default_rng(0).integers(0, 2, size=60), 5)
    images = np.repeat(np.arange(60), 5).astype(str).tolist()
    alone, grouped = bootstrap(values), bootstrap(values, clusters=images)
    assert grouped.clusters == 60
    ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(5), rel=0.1)


def test_macro_interval_is_around_the_macro_average() -> None:
    values = np.array([1] * 90 + [0] * 10 + [1] * 2 + [0] * 8, dtype=float)
    classes = ["common"] * 100 + ["rare"] * 10
    found = bootstrap(values, classes=classes)
    assert found.value == pytest.approx(macro_average(values, classes).value) == pytest.approx(0.55)
    expected = 0.5 * np.sqrt(0.9 * 0.1 / 100 + 0.2 * 0.8 / 10)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(expected, rel=0.15)


def test_a_class_missing_from_a_draw_gives_no_nan() -> None:
    found = bootstrap([1.0, 0.0, 1.0], classes=["a", "a", "b"])
    assert np.isfinite([found.low, found.high]).all()


def test_no_items_is_an_error() -> None:
    with pytest.raises(NoDataError, match="no items"):
        bootstrap([])


def test_what_does_not_belong_together_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"\(2,\) values against \(3,\); a paired test needs the same items"):
        paired_bootstrap([1.0, 0.0], [1.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="1 labels for 2 items; expected one each"):
        bootstrap([1.0, 0.0], clusters=["a"])


def test_wilsons_interval_of_a_share() -> None:
    # by hand: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0.0, 200) == pytest.approx((0.0, 0.0188), abs=1e-4)
    with pytest.raises(NoDataError, match="no items for an interval"):
        wilson(0.5, 0)


def test_paired_difference_is_sharper_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    baseline = rng.integers(0, 2, size=500).astype(float)
    better = baseline.copy()
    better[np.flatnonzero(baseline == 0)[:25]] = 1
    found = paired_bootstrap(better, baseline)
    assert found.effect == pytest.approx(0.05)
    assert 0.03 < found.low < 0.05 < found.high < 0.075
    assert found.p_value == pytest.approx(2 / 2001)
    assert paired_bootstrap(baseline, baseline).p_value == 1


def test_paired_p_values_are_uniform_under_no_difference() -> None:
    rng = np.random.default_rng(0)
    p_values = [
        paired_bootstrap(rng.normal(size=80), rng.normal(size=80), resamples=400).p_value for _ in range(200)
    ]
    assert np.mean(np.array(p_values) < 0.05) < 0.1
    assert 0.4 < np.mean(p_values) < 0.6


def test_compare_aligns_by_key() -> None:
    ours = _result(["a", "b", "c"], [1, 1, 0])
    theirs = _result(["c", "a", "b"], [0, 0, 1])
    found = compare(ours, theirs)
    assert found.effect == pytest.approx(1 / 3)
    assert found.low == 0  # only "a" differs, and only upwards


def test_compare_refuses_other_items_and_other_benchmarks() -> None:
    with pytest.raises(ValueError, match="1 shared"):
        compare(_result(["a", "b"], [1, 0]), _result(["a", "x"], [1, 0]))
    other = Result("vg_relation", "vg_relation", 1, {}, {"key": np.array(["a"]), "correct": np.array([1])})
    with pytest.raises(ValueError, match="cannot pair swaps"):
        compare(_result(["a"], [1]), other)


def test_items_outside_the_main_metric_do_not_count() -> None:
    result = _result(["a", "b", "c"], [1, 1, 0], group=["on", "on", ""])
    assert interval(result).value == 1
    assert interval(result).n == 2


def test_a_result_without_items_says_so() -> None:
    with pytest.raises(ValueError, match="no per-item outcomes"):
        interval(Result("swaps", "swaps", 3, {"swaps": 1.0}))
