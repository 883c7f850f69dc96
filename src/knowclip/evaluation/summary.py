"""Results of several runs to one summary in JSON types, which tables, plots and pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from knowclip.evaluation.benchmarks.base import Choice
from knowclip.evaluation.standings import abilities, best, published
from knowclip.evaluation.statistics import compare, interval, wilson
from knowclip.types import Result

SCHEMA = 2
RESERVED = ("schema", "methods", "baseline", "benchmarks", "absent", "abilities", "published")


@dataclass(frozen=True)
class Report:
    """What is to be told.

    Args:
        title: of the page.
        runs: Results by name of the run, weakest first: the last one is the run that the page is about.
        baseline: the run that paired differences are taken against.
        headline: one sentence on what was measured; made from the first benchmark when empty.
        choices: cases of choice benchmarks by name, to be shown with pictures.
        absent: benchmarks without data, and why.
        provenance: how the numbers came about (commands, seeds, versions, licences, ``wall_seconds``), in
            JSON types; stands at the top level of ``results.json``.
    """

    title: str
    runs: Mapping[str, Sequence[Result]]
    baseline: str
    headline: str = ""
    choices: Mapping[str, Sequence[Choice]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.baseline not in self.runs:
            raise ValueError(f"baseline {self.baseline!r} is none of the runs {list(self.runs)}")
        taken = sorted(set(self.provenance) & set(RESERVED))
        if taken:
            raise ValueError(f"provenance may not use the names {taken} of results.json")

    def result(self, run: str, benchmark: str) -> Result | None:
        """Look up what a run scored on a benchmark."""
        return next((result for result in self.runs[run] if result.benchmark == benchmark), None)

    @property
    def benchmarks(self) -> list[str]:
        """Names of the benchmarks that any run was measured on, in order."""
        return list(dict.fromkeys(result.benchmark for results in self.runs.values() for result in results))


def summarise(report: Report) -> dict[str, Any]:
    """Everything but per-item scores, in JSON types: the content of ``results.json``.

    ``methods.<run>.<metric>`` are plain floats; ``benchmarks.<name>.methods.<run>`` has the interval, the
    paired difference against the baseline, n, and the details: tie rate, text-only control, classes.
    ``benchmarks.<name>.best`` names the best run where it may be ranked; ``abilities`` sets compositional
    against general ability; ``published`` holds papers' numbers on the same test sets.
    """
    methods = {
        run: {metric: float(value) for result in results for metric, value in result.metrics.items()}
        for run, results in report.runs.items()
    }
    benchmarks = {name: _benchmark(report, name) for name in report.benchmarks}
    return {
        "schema": SCHEMA,
        "methods": methods,
        "baseline": report.baseline,
        "benchmarks": benchmarks,
        "abilities": abilities(benchmarks, list(report.runs)),
        "published": published(benchmarks),
        "absent": dict(report.absent),
        **report.provenance,
    }


def _benchmark(report: Report, name: str) -> dict[str, Any]:
    results = {run: result for run in report.runs if (result := report.result(run, name)) is not None}
    first = next(iter(results.values()))
    baseline = results.get(report.baseline)
    measured = {run: _run(result, baseline) for run, result in results.items()}
    return {
        "title": first.details.get("title", name),
        "protocol": first.details.get("protocol", ""),
        "flaws": first.details.get("flaws", ""),
        "main": first.main,
        "best": best(measured),
        "methods": measured,
    }


def _run(result: Result, baseline: Result | None) -> dict[str, Any]:
    """One cell of the table: n, metrics, interval, paired difference, and the details."""
    paired = baseline is not None and baseline is not result and "correct" in result.items
    details = {
        key: v for key, v in result.details.items() if key not in ("title", "protocol", "flaws", "interval")
    }
    if "classes" in details:
        details["classes"] = {name: _class(row) for name, row in details["classes"].items()}
    return {
        "n": result.n,
        "metrics": {metric: float(value) for metric, value in result.metrics.items()},
        "interval": asdict(interval(result)) if "correct" in result.items else result.details["interval"],
        "difference": asdict(compare(result, baseline)) if paired and baseline else None,
        "details": details,
    }


def _class(row: Mapping[str, Any]) -> dict[str, Any]:
    low, high = wilson(row["accuracy"], row["n"])
    return {**row, "low": low, "high": high}


def headline(summary: Mapping[str, Any]) -> str:
    """One sentence on the first benchmark: last run, baseline, paired difference, n."""
    entry = next(iter(summary["benchmarks"].values()))
    run, numbers = list(entry["methods"].items())[-1]
    sentence = f"On {numbers['n']:,} items of {entry['title']}, {run} scores {percent(numbers['interval'])}"
    if numbers["difference"] is None:
        return f"{sentence}."
    baseline = entry["methods"][summary["baseline"]]["interval"]
    return (
        f"{sentence}, {summary['baseline']} {percent(baseline)}: a paired difference of "
        f"{points(numbers['difference'])} points."
    )


def percent(found: Mapping[str, float]) -> str:
    """``93.1% [91.8, 94.3]``."""
    return f"{100 * found['value']:.1f}% [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"


def points(difference: Mapping[str, float]) -> str:
    """``+41.2 [39.0, 43.5]``, in percentage points."""
    effect, low, high = (100 * difference[key] for key in ("effect", "low", "high"))
    return f"{effect:+.1f} [{low:+.1f}, {high:+.1f}]"


def strongest_control(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """The strongest text-only control of a benchmark over all runs (the text tower differs between runs)."""
    return strongest(numbers["details"].get("text_only") for numbers in entry["methods"].values())


def strongest(controls: Iterable[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """The text-only control of the highest accuracy; None where there is none."""
    found = [dict(control) for control in controls if control]
    return max(found, key=lambda control: float(control["accuracy"]), default=None)
