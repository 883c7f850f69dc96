"""``compare``: what cannot be compared is told, a line a benchmark, with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from knowclip.commands.compare import NO_MEAN, _pairs, _seeds
from knowclip.evaluation.runs import Run
from knowclip.types import Result


def measured(name: str, outcomes: Sequence[float], *, first: int = 0) -> Result:
    keys = np.array([str(first + number) for number in range(len(outcomes))])
    correct = np.array(outcomes, dtype=float)
    return Result(name, name, len(keys), {name: float(correct.mean())}, {"key": keys, "correct": correct})


def run(name: str, *results: Result) -> Run:
    return Run(name, "hash", Path(name), results=list(results))


SWAPS = measured("swaps", [1, 0, 1, 1])
MEAN = Result("aro", "aro", 4, {"aro": 0.5}, {})


def test_what_cannot_be_compared_is_told_a_line_each_with_what_to_do() -> None:
    ours = run("a", measured("swaps", [1] * 2667), MEAN, measured("only", [1]))
    theirs = run("b", measured("swaps", [1] * 300), MEAN)
    with pytest.raises(ValueError, match="nothing to compare:") as told:
        _pairs(ours, theirs)
    assert str(told.value).splitlines()[1:] == [
        "- swaps: other items: n = 2,667 of A and 300 of B",
        f"- aro: {NO_MEAN}",
        "- only: B was not measured on it",
        "measure both by `knowclip evaluate` with the same --data, --benchmark, --split and --swap-items",
    ]
    with pytest.raises(ValueError, match=r"compare:\n- aro: its main metric is no mean over items$"):
        _pairs(run("a", MEAN), run("b", MEAN))


def test_the_rest_is_compared() -> None:
    told = _pairs(run("a", SWAPS), run("b", measured("swaps", [0, 0, 1, 1]), MEAN))
    assert told["absent"] == {"aro": "A was not measured on it"}
    assert told["benchmarks"]["swaps"]["effect"] == pytest.approx(0.25)


def test_of_seeds_those_are_compared_that_all_were_measured_on() -> None:
    other = measured("more", [1, 0], first=5)
    ours = [run("a0", SWAPS, MEAN, other, measured("one", [1])), run("a1", SWAPS, MEAN, other)]
    theirs = [run("b0", SWAPS, MEAN, measured("more", [1, 0])), run("b1", SWAPS, MEAN, other)]
    told = _seeds(ours, theirs)
    assert set(told["metrics"]) == {"swaps", "aro"}
    assert told["absent"] == {
        "more": "other items: n = 2, 2 of A and 2, 2 of B",
        "one": "A was not measured on it",
    }
