from __future__ import annotations

import numpy as np
import pytest

from knowclip.evaluation.statistics.seeds import across_seeds, seeds_table
from knowclip.types import Result


def results(value: float) -> list[Result]:
    return [
        Result(
            benchmark="vg_relation", main="vg_relation", n=10, metrics={"vg_relation": value, "other": 0.0}
        )
    ]


def test_a_difference_is_clear_when_all_seeds_agree_and_it_beats_its_spread() -> None:
    by_seed = {
        0: {"clip": results(0.5), "good": results(0.7), "mixed": results(0.6), "noisy": results(0.51)},
        1: {"clip": results(0.6), "good": results(0.8), "mixed": results(0.5), "noisy": results(0.90)},
    }
    metrics = across_seeds(by_seed, baseline="clip")["metrics"]["vg_relation"]
    assert metrics["clip"]["difference"] is None
    assert metrics["clip"]["mean"] == pytest.approx(0.55)
    assert metrics["clip"]["sd"] == pytest.approx(0.1 / 2**0.5)
    assert metrics["good"]["difference"]["values"] == pytest.approx([0.2, 0.2])
    assert metrics["good"]["difference"]["clear"]
    assert not metrics["mixed"]["difference"]["clear"]  # +0.1 and -0.1
    assert not metrics["noisy"]["difference"]["clear"]  # +0.01 and +0.30: mean 0.155, sd 0.205


def test_one_seed_has_no_spread() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        across_seeds({0: {"clip": results(0.5)}}, baseline="clip")


def test_the_table_marks_clear_differences() -> None:
    by_seed = {s: {"clip": results(0.5 + s / 10), "good": results(0.7 + s / 10)} for s in (0, 1)}
    table = seeds_table(across_seeds(by_seed, baseline="clip"))
    cells = [list(column.cells) for column in table.columns]
    assert cells == [["vg_relation"], ["55.0 ± 7.1"], ["75.0 ± 7.1 (+20.0*)"]]


def test_items_are_compared_by_their_mean_over_seeds() -> None:
    def measured(*outcomes: float) -> list[Result]:
        items = {"key": np.array(["a", "b", "c", "d"]), "correct": np.array(outcomes)}
        return [Result("swaps", "swaps", 4, {"swaps": float(np.mean(outcomes))}, items)]

    by_seed = {
        0: {"clip": measured(0, 0, 1, 0), "good": measured(1, 1, 1, 0)},
        1: {"clip": measured(0, 0, 1, 0), "good": measured(1, 0, 1, 0)},
    }
    difference = across_seeds(by_seed, baseline="clip")["metrics"]["swaps"]["good"]["difference"]
    assert difference["items"]["effect"] == pytest.approx((1 + 0.5) / 4)
    assert difference["items"]["low"] == 0.0  # four draws may all be of "c" and "d"
    assert difference["items"]["high"] > 0.5
    assert difference["items"]["n"] == 4


def test_seeds_of_other_items_are_refused() -> None:
    def measured(*keys: str) -> list[Result]:
        items = {"key": np.array(keys), "correct": np.ones(len(keys))}
        return [Result("swaps", "swaps", len(keys), {"swaps": 1.0}, items)]

    by_seed = {
        0: {"clip": measured("a"), "good": measured("a")},
        1: {"clip": measured("b"), "good": measured("b")},
    }
    with pytest.raises(ValueError, match="not measured on the same items"):
        across_seeds(by_seed, baseline="clip")
