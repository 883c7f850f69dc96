"""Results of some groups of items, and of other metrics, made from those of a benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from knowclip.evaluation.derived import of_groups, with_main
from knowclip.types import Result

SWAPS = Result(
    "blind swaps",
    "blind swaps",
    5,
    {"blind swaps": 0.5, "blind swaps_micro": 0.6},
    {
        "key": np.array(list("abcde")),
        "image_id": np.array(list("11223")),
        "correct": np.array([True, False, True, True, False]),
        "group": np.array(["relation", "relation", "attribute", "object", "object"]),
    },
    {"title": "Swaps"},
)


def test_items_of_some_groups_count_once_each() -> None:
    both = of_groups(SWAPS, "both", ("relation", "attribute"))
    assert both.benchmark == both.main == "blind swaps: both"
    assert both.n == 3 and both.metrics == {both.main: pytest.approx(2 / 3)}
    assert list(both.items["key"]) == ["a", "b", "c"] and "group" not in both.items


def test_kinds_are_groups_where_there_are_no_others() -> None:
    items = {key: value for key, value in SWAPS.items.items() if key != "group"}
    asked = Result("vqa", "vqa", 5, {"vqa": 0.6}, {**items, "kind": SWAPS.items["group"]})
    assert of_groups(asked, "object", ("object",)).metrics == {"vqa: object": 0.5}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (SWAPS, "has no items of colour; it has attribute, object, relation"),
        (with_main(SWAPS, "blind swaps_micro"), "has no groups of items"),
    ],
)
def test_groups_that_are_not_there_are_refused(result: Result, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of_groups(result, "both", ("relation", "colour"))


def test_another_metric_to_quote() -> None:
    micro = with_main(SWAPS, "blind swaps_micro")
    assert micro.metrics[micro.main] == 0.6 and not micro.items
    with pytest.raises(ValueError, match="no metric 'micro'; it has blind swaps, blind swaps_micro"):
        with_main(SWAPS, "micro")
