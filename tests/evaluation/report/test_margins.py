"""Histograms of margins: what they count, and the axes of the plots."""

from __future__ import annotations

import numpy as np
import pytest

from knowclip.evaluation.report.margins import BINS, margins
from knowclip.evaluation.report.plots import _limits
from knowclip.evaluation.report.summary import metric_group
from knowclip.types import Result


def _result(margin: list[float], **more: np.ndarray) -> Result:
    true = np.full(len(margin), 0.5)
    items = {"key": np.arange(len(margin)), "true_score": true, "false_score": true - margin, **more}
    return Result("swaps", "swaps", len(margin), {"swaps": 0.5}, items)


def test_every_margin_is_counted_on_the_side_where_it_lies() -> None:
    found = margins({"a": _result([-0.3, -0.1, 0.0, 0.1, 0.2]), "b": _result([0.4, 0.4])})
    assert found is not None
    edges, a = np.array(found["edges"]), found["runs"]["a"]
    assert len(edges) == BINS + 1 and edges[BINS // 2] == 0 and edges[0] == -edges[-1]
    assert sum(a["counts"][: BINS // 2]) == sum(a["counts"][BINS // 2 :]) == 2 and a["ties"] == 1
    assert sum(a["counts"]) + a["ties"] == a["n"] == 5
    assert (a["median"], a["above"], a["missing"]) == (0.0, pytest.approx(0.4), 0)
    assert found["runs"]["b"]["counts"][-1] == 2  # beyond the end: counted in the last bar


def test_a_constant_encoder_has_all_its_margins_at_zero_and_none_above() -> None:
    found = margins({"a": _result([0.0] * 4)})
    assert found is not None and found["runs"]["a"]["above"] == 0.0
    assert found["runs"]["a"]["ties"] == 4 and not any(found["runs"]["a"]["counts"])


def test_items_without_a_score_are_told_and_not_counted() -> None:
    found = margins({"a": _result([float("nan"), 0.1, -0.1]), "b": _result([float("nan")])})
    assert found is not None and list(found["runs"]) == ["a"]
    assert (found["runs"]["a"]["n"], found["runs"]["a"]["missing"]) == (2, 1)


def test_retrieval_and_results_without_scores_have_no_margins() -> None:
    bare = Result("stsb", "stsb", 2, {"stsb": 0.5}, {"key": np.arange(2)})
    assert margins({"a": bare, "b": _result([0.1], found=np.array(["x"]))}) is None


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([10.2, 20.0], (5, 25)),
        ([52.0, 98.5], (50, 100)),
        ([99.0], (80, 100)),
        ([0.0], (0, 20)),
        ([-1e-14, 100 + 1e-13], (-1, 101)),
    ],
)
def test_an_axis_ends_where_its_values_do(values: list[float], ends: tuple[float, float]) -> None:
    low, high = _limits(values)
    assert low <= min(values) and max(values) <= high
    assert (round(low), round(high)) == ends


@pytest.mark.parametrize(
    ("name", "main", "group"),
    [
        ("flickr30k_text_to_image", "flickr30k_text_to_image_R@1", "retrieval"),
        ("winoground", "winoground_group", "two by two"),
        ("sugarcrepe", "sugarcrepe", "choices"),
        ("zero_shot_objects", "zero_shot_objects_acc1", "zero-shot"),
        ("vqa", "vqa_accuracy", "tasks and links"),
    ],
)
def test_metrics_share_an_axis_with_their_like(name: str, main: str, group: str) -> None:
    assert metric_group(name, main) == group
