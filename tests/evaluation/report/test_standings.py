"""Ranks, abilities, classes and published numbers of hand-made summaries."""

from __future__ import annotations

from typing import Any

import pytest

from knowclip.evaluation.report.published import PUBLISHED
from knowclip.evaluation.report.standings import abilities, best, published, ranked_classes
from knowclip.evaluation.statistics.bootstrap import holm, wilson


def entry(
    main: str, *, n: int = 500, details: dict[str, Any] | None = None, **values: float
) -> dict[str, Any]:
    return {
        "main": main,
        "methods": {
            run: {"n": n, "metrics": {main: v}, "interval": {"value": v}, "details": details or {}}
            for run, v in values.items()
        },
    }


def test_best_is_named_only_where_ranking_makes_sense() -> None:
    assert best(entry("m", a=0.5, b=0.7, c=0.7)["methods"]) == ["b", "c"]
    assert best(entry("m", n=99, a=0.5, b=0.7)["methods"]) == []
    assert best(entry("m", a=0.5)["methods"]) == []


def test_abilities_average_shared_benchmarks_and_find_the_front() -> None:
    benchmarks = {
        "vg_relation": entry("vg_relation", a=0.5, b=0.9, c=0.8),
        "vg_attribution": entry("vg_attribution", a=0.7, b=0.7, c=0.6),
        "text_to_image": entry("text_to_image_R@1", a=0.6, b=0.4, c=0.4),
        "swaps": entry("swaps", a=0.1, b=0.2),  # not measured on c
        "winoground": entry("winoground_group", n=99, a=0.1, b=0.2, c=0.3),
    }
    found = abilities(benchmarks, ["a", "b", "c"])
    assert found["compositional"] == ["vg_relation", "vg_attribution"]
    assert found["general"] == ["text_to_image"]
    assert found["runs"]["b"]["compositional"] == pytest.approx(0.8)
    assert {run: point["front"] for run, point in found["runs"].items()} == {"a": True, "b": True, "c": False}
    only = abilities({"text_to_image": benchmarks["text_to_image"]}, ["a"])
    assert only == {"absent": "no compositional benchmark with 100 items or more was measured on every run"}


def test_published_numbers_stand_only_beside_the_published_test_set() -> None:
    full = {"cases": 23937, "expected": 23937}
    told = published(
        {
            "vg_relation": entry("vg_relation", a=0.8, details=full),
            "vg_attribution": entry("vg_attribution", a=0.8, details={"cases": 2680, "expected": 28748}),
        }
    )
    assert [row["model"] for row in told["rows"]] == [row.model for row in PUBLISHED]
    structure = next(row for row in told["rows"] if row["model"] == "Structure-CLIP base")
    assert structure["values"] == {"vg_relation": 0.847}
    assert "arXiv 2305.06152" in structure["source"]
    assert told["absent"] == {"vg_attribution": "2,680 cases were run, the published test set has 28,748"}
    assert published({"swaps": entry("swaps", a=1.0)}) == {"rows": [], "absent": {}}


def test_classes_with_few_items_come_last_and_are_not_ranked() -> None:
    classes = {
        name: {"accuracy": a, "n": n} for name, a, n in [("on", 0.4, 200), ("in", 0.9, 100), ("by", 1.0, 9)]
    }
    rows = ranked_classes(entry("m", a=0.5, details={"classes": classes}))
    assert [(row["name"], row["ranked"]) for row in rows] == [("in", True), ("on", True), ("by", False)]


def test_wilson_and_holm_by_hand() -> None:
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
