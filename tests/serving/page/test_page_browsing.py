"""Stored results of two runs side by side: which cases are shown, in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.evaluation.runs import Run
from knowclip.serving.page import views
from knowclip.serving.page.browsing import PAGE, shared_benchmarks, sheet
from knowclip.types import ImageRef, Result

N = 40
CASES = tuple(
    Choice(str(n), ImageRef(Path(f"{n}.jpg")), f"true {n}", f"false {n}", "swap" if n % 2 else "add", str(n))
    for n in range(N)
)


def run(name: str, margins: np.ndarray) -> Run:
    items = {
        "key": np.array([case.key for case in CASES]),
        "image_id": np.array([case.image_id for case in CASES]),
        "true_score": margins,
        "false_score": np.zeros(N),
        "correct": margins > 0,
    }
    result = Result("swaps", "swaps", N, {"swaps": 0.5}, items)
    return Run(name, name, Path(name), "test", results=[result], cases={"swaps": CASES})


@pytest.fixture
def runs() -> dict[str, Run]:
    a = np.where(np.arange(N) < 30, 0.1 + np.arange(N) / 100, -0.1)
    b = np.where(np.arange(N) % 4 == 0, 0.1, -0.2)
    return {"a": run("a", a), "b": run("b", b)}


def test_where_a_is_right_and_b_is_wrong_the_widest_apart_come_first(runs: dict[str, Run]) -> None:
    first = sheet(runs, "a", "b", "swaps")
    expected = [n for n in range(30) if n % 4][::-1]
    assert [int(case.key) for case in first.cases] == expected[:PAGE]
    assert (first.found, first.pages, first.page) == (len(expected), 2, 1)
    second = sheet(runs, "a", "b", "swaps", page=99)
    assert [int(case.key) for case in second.cases] == expected[PAGE:] and second.page == 2
    assert sum(first.counts.values()) == N
    assert all(margins["a"] > 0 > margins["b"] for margins in first.margins)


def test_the_other_way_round_shows_what_b_has_over_a(runs: dict[str, Run]) -> None:
    found = sheet(runs, "a", "b", "swaps", outcome="mended")
    assert {int(case.key) for case in found.cases} == {32, 36}
    assert {c.key for c in sheet(runs, "b", "a", "swaps").cases} == {c.key for c in found.cases}


def test_of_a_run_against_itself_the_worst_come_first(runs: dict[str, Run]) -> None:
    for outcome in ("wrong", "right"):
        margins = [margins["b"] for margins in sheet(runs, "b", "b", "swaps", outcome=outcome).margins]
        assert len(margins) > 1 and margins == sorted(margins)
    assert not sheet(runs, "b", "b", "swaps").cases


def test_kinds_narrow_what_is_shown(runs: dict[str, Run]) -> None:
    found = sheet(runs, "a", "b", "swaps", kind="add")
    assert {case.group for case in found.cases} == {"add"} and found.kinds == ("add", "swap")


def test_only_cases_that_both_runs_were_measured_on_can_be_shown(runs: dict[str, Run]) -> None:
    assert shared_benchmarks(runs["a"], runs["b"]) == ["swaps"]
    (result,) = runs["b"].results
    items = {**result.items, "key": np.array([f"other {n}" for n in range(N)])}
    other = replace(runs["b"], results=[replace(result, items=items)])
    assert shared_benchmarks(runs["a"], other) == []
    assert shared_benchmarks(replace(runs["a"], cases={}), runs["b"]) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "c", "swaps"), "no run 'c'; there are: a, b"),
        (("a", "b", "/etc/passwd"), "no cases of '/etc/passwd' in common"),
    ],
)
def test_what_a_client_makes_up_is_refused(runs: dict[str, Run], arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sheet(runs, *arguments)
    with pytest.raises(ValueError, match="no outcome 'all'"):
        sheet(runs, "a", "b", "swaps", outcome="all")


def test_a_page_of_cases_tells_counts_and_missing_pictures(runs: dict[str, Run]) -> None:
    page = views.cases(sheet(runs, "a", "b", "swaps"), "lost")
    assert page.count("image missing") == PAGE and "page 1 of 2, 22 cases" in page
    empty = replace(sheet(runs, "a", "b", "swaps"), cases=(), margins=(), found=0)
    assert "No case: A right, B wrong holds of none." in views.cases(empty, "lost")
