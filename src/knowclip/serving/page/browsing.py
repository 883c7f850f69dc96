"""Stored results of two runs, case by case: where A is right and B is wrong, with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.evaluation.report.html_page import sort_cases
from knowclip.evaluation.runs import Run
from knowclip.evaluation.statistics.bootstrap import same_items
from knowclip.types import Result

PAGE = 12
"""Cases a page."""

OUTCOMES = {
    "lost": "A right, B wrong",
    "mended": "B right, A wrong",
    "wrong": "both wrong",
    "right": "both right",
}
"""What became of a case, as ``report.html_page.sort_cases`` names it where A is the baseline."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of cases; ``margins`` of each case by run, true minus false; None without scores."""

    cases: tuple[Choice, ...]
    margins: tuple[Mapping[str, float | None], ...]
    counts: Mapping[str, int]
    """Cases of every outcome, whatever the kind."""
    kinds: tuple[str, ...]
    """Kinds of case, whatever the outcome."""
    page: int
    pages: int
    found: int


def shared_benchmarks(a: Run, b: Run) -> list[str]:
    """Benchmarks whose cases can be shown of both runs: the same items, with their pictures."""
    found = []
    for result in a.results:
        other = _result(b, result.benchmark)
        cases = a.cases.get(result.benchmark, ())
        usable = other is not None and "correct" in result.items and "correct" in other.items
        if usable and len(cases) == len(result.items["key"]) and same_items(result, other):
            found.append(result.benchmark)
    return found


def sheet(
    runs: Mapping[str, Run],
    a: str,
    b: str,
    benchmark: str,
    *,
    outcome: str = "lost",
    kind: str = "",
    page: int = 1,
) -> Sheet:
    """A page of the cases of one outcome, those with the widest margin of A over B first, then A's worst.

    Args:
        runs: By the names that are shown.
        a: One of them.
        b: Another, or the same.
        benchmark: One of ``shared_benchmarks``.
        outcome: Of :data:`OUTCOMES`.
        kind: Of the cases; all, if empty.
        page: From 1; beyond the last one the last is shown.

    Raises:
        ValueError: There is no such run, benchmark or outcome.
    """
    one, two = _known(runs, a, "run"), _known(runs, b, "run")
    if benchmark not in shared_benchmarks(one, two):
        raise ValueError(f"{a} and {b} have no cases of {benchmark!r} in common that can be shown")
    _known(OUTCOMES, outcome, "outcome")
    first, second = _result(one, benchmark), _result(two, benchmark)
    assert first is not None and second is not None
    cases = one.cases[benchmark]
    sorted_ = sort_cases(first, second)
    margins = {name: _margins(result) for name, result in ((a, first), (b, second))}
    chosen = [i for i in sorted_[outcome] if kind in ("", cases[i].group)]
    chosen.sort(key=lambda i: (-_apart(margins[a], margins[b], i, outcome), _least(margins[a], i), i))
    pages = max(1, -(-len(chosen) // PAGE))
    page = min(max(1, page), pages)
    shown = chosen[(page - 1) * PAGE : page * PAGE]
    return Sheet(
        cases=tuple(cases[i] for i in shown),
        margins=tuple(
            {name: None if m is None else float(m[i]) for name, m in margins.items()} for i in shown
        ),
        counts={name: len(indices) for name, indices in sorted_.items()},
        kinds=tuple(sorted({case.group for case in cases} - {""})),
        page=page,
        pages=pages,
        found=len(chosen),
    )


def _apart(first: Any, second: Any, index: int, outcome: str) -> float:
    """How far A and B are apart on a case, for what one of them gets right."""
    if first is None or second is None:
        return 0.0
    apart = float(first[index] - second[index])
    return -apart if outcome == "mended" else apart


def _least(margins: Any, index: int) -> float:
    """Of cases that A and B are as far apart on, as a run is from itself, the worst stands first."""
    return 0.0 if margins is None else float(margins[index])


def _margins(result: Result) -> Any:
    if not {"true_score", "false_score"} <= set(result.items):
        return None
    return result.items["true_score"] - result.items["false_score"]


def _result(run: Run, benchmark: str) -> Result | None:
    return next((result for result in run.results if result.benchmark == benchmark), None)


def _known(among: Mapping[str, Any] | Sequence[str], name: str, what: str) -> Any:
    if name not in among:
        raise ValueError(f"no {what} {name!r}; there are: {', '.join(among)}")
    return among[name] if isinstance(among, Mapping) else name
