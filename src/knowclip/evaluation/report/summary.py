"""Results of several runs to one summary in JSON types, which tables, plots and pages are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from knowclip.console.counts import listed
from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.evaluation.benchmarks.registry import ability
from knowclip.evaluation.report.margins import margins
from knowclip.evaluation.report.standings import abilities, best, published
from knowclip.evaluation.statistics.bootstrap import compare, interval, same_items, wilson
from knowclip.types import Result

SCHEMA = 2
_TWO_BY_TWO = re.compile(r"(.+)_(text|image|group)(?:_macro)?")
RESERVED = ("schema", "methods", "baseline", "benchmarks", "absent", "abilities", "published")


NO_FILES = "no files"
"""How the reasons of benchmarks begin that nobody expected to be measured: many, of little interest."""


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
            raise ValueError(f"baseline {self.baseline!r} is none of the runs: {listed(self.runs)}")
        taken = sorted(set(self.provenance) & set(RESERVED))
        if taken:
            raise ValueError(f"provenance may not use names of results.json: {listed(taken)}")

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
    ``benchmarks.<name>.best`` names the best run where it may be ranked, ``.margins`` are histograms (see
    ``margins.margins``; null where there are none); ``abilities`` sets compositional
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
    comparable = all(_comparable(result, first) for result in results.values())
    return {
        "title": first.details.get("title", name),
        "protocol": first.details.get("protocol", ""),
        "flaws": first.details.get("flaws", ""),
        "main": first.main,
        "best": best(measured) if comparable else [],
        "same_items": comparable,
        "margins": margins(results),
        "methods": measured,
    }


def _run(result: Result, baseline: Result | None) -> dict[str, Any]:
    """One cell of the table: n, metrics, interval, paired difference, and the details."""
    paired = baseline is not None and baseline is not result and "correct" in result.items
    paired = paired and baseline is not None and same_items(result, baseline)
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


def _comparable(result: Result, other: Result) -> bool:
    """Whether both are over the same items, as far as they tell."""
    if "correct" not in result.items or "correct" not in other.items:
        return result.n == other.n
    return result is other or same_items(result, other)


def _class(row: Mapping[str, Any]) -> dict[str, Any]:
    low, high = wilson(row["accuracy"], row["n"])
    return {**row, "low": low, "high": high}


def headline(summary: Mapping[str, Any]) -> str:
    """One sentence on the last run's first benchmark: its score, the baseline's, the paired difference."""
    last = list(summary["methods"])[-1]
    entries = list(summary["benchmarks"].values())
    entry = next((entry for entry in entries if last in entry["methods"]), entries[0])
    run, numbers = list(entry["methods"].items())[-1]
    sentence = f"On {numbers['n']:,} items of {entry['title']}, {run} scores {percent(numbers['interval'])}"
    if numbers["difference"] is None:
        return f"{sentence}."
    baseline = entry["methods"][summary["baseline"]]["interval"]
    return (
        f"{sentence}, {summary['baseline']} {percent(baseline)}: a paired difference of "
        f"{points(numbers['difference'])} points."
    )


def verdict(summary: Mapping[str, Any]) -> str:
    """What the last run's differences to the baseline come to, and whether it sees more than blind readers.

    Beside differences only where it does not: a run may be far better than another, and see nothing.
    """
    run, baseline = list(summary["methods"])[-1], summary["baseline"]
    cells = {
        entry["title"]: (entry, entry["methods"][run])
        for entry in summary["benchmarks"].values()
        if run in entry["methods"]
    }
    paired = {title: found["difference"] for title, (_, found) in cells.items() if found["difference"]}
    sides = {
        "better": [title for title, d in paired.items() if d["low"] > 0],
        "worse": [title for title, d in paired.items() if d["high"] < 0],
    }
    sides["not to be told apart"] = [
        title for title in paired if title not in sides["better"] + sides["worse"]
    ]
    blind = {title: control_of(entry, run) for title, (entry, _) in cells.items()}
    low = {title: found["interval"]["low"] for title, (_, found) in cells.items()}
    above = [title for title, control in blind.items() if control and low[title] > control["accuracy"]]
    seen = {
        "sees more": [] if paired else above,
        "is not shown to see more": [
            title for title, control in blind.items() if control and title not in above
        ],
    }
    told = [
        (f"{run} against {baseline}: ", [f"{word} on {_listed(of)}" for word, of in sides.items() if of]),
        (
            "It " if paired else f"{run} ",
            [f"{word} than a reader without the image on {_listed(of)}" for word, of in seen.items() if of],
        ),
    ]
    return " ".join(f"{begin}{'; '.join(parts)}." for begin, parts in told if parts)


def _listed(titles: Sequence[str]) -> str:
    return f"{len(titles)} benchmarks ({', '.join(titles)})" if len(titles) > 1 else titles[0]


def percent(found: Mapping[str, float]) -> str:
    """``93.1% [91.8, 94.3]``; of a single item (or image) no interval can be drawn."""
    value = f"{100 * found['value']:.1f}%"
    return f"{value} {bounds(found)}" if bounds(found) else value


def bounds(found: Mapping[str, float]) -> str:
    """``[91.8, 94.3]``, or nothing where there is one item or one image only."""
    if found.get("clusters", found["n"]) < 2:
        return ""
    return f"[{100 * found['low']:.1f}, {100 * found['high']:.1f}]"


def points(difference: Mapping[str, float]) -> str:
    """``+41.2 [39.0, 43.5]``, in percentage points."""
    effect, low, high = (100 * difference[key] for key in ("effect", "low", "high"))
    return f"{effect:+.1f} [{low:+.1f}, {high:+.1f}]" if difference["n"] > 1 else f"{effect:+.1f}"


def beside(metrics: Mapping[str, float], main: str) -> list[str]:
    """Lines to stand under a score: ``R@5 71.2 · R@10 80.4`` of retrieval; of two by two its other scores.

    A two-by-two benchmark whose kinds are told apart gets a line for each; all others get none.
    """
    recalls = {name.rpartition("_")[2]: value for name, value in metrics.items() if "_R@" in name}
    lines = [{name: value for name, value in recalls.items() if name != "R@1"}]
    if found := _TWO_BY_TWO.fullmatch(main):
        of, part = found.groups()
        others = (other for other in ("text", "image", "group") if other != part)
        lines.append({other: metrics[f"{of}_{other}"] for other in others if f"{of}_{other}" in metrics})
        kinds = {re.fullmatch(f"{re.escape(of)}_(.+)_{part}", name): value for name, value in metrics.items()}
        lines += [{kind[1]: value} for kind, value in kinds.items() if kind]
    told = [[f"{name} {100 * value:.1f}" for name, value in line.items()] for line in lines]
    return [" · ".join(line) for line in told if line]


def metric_group(name: str, main: str) -> str:
    """Which metrics a main metric may share an axis with: chance and reach of other groups are others."""
    if "_R@" in main:
        return "retrieval"
    if _TWO_BY_TWO.fullmatch(main):
        return "two by two"
    return {"compositional": "choices", "general": "zero-shot"}.get(ability(name) or "", "tasks and links")


def protocol(entry: Mapping[str, Any]) -> str:
    """How a benchmark is measured, as a sentence."""
    told = str(entry["protocol"]).strip(".")
    return f"{told[:1].upper()}{told[1:]}."


def items_note(entry: Mapping[str, Any], run: str, baseline: str) -> str:
    """What is to be said of a cell where the runs of a row were not measured on the same items."""
    if entry["same_items"]:
        return ""
    found = entry["methods"][run]
    apart = run != baseline and baseline in entry["methods"] and not found["difference"]
    return f"n = {found['n']:,}" + (f": other items than {baseline}, not compared" if apart else "")


def controls(entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The text-only controls of a benchmark by run, of those that have one.

    Runs on the same items share the strongest (the text tower differs between runs), under "".
    """
    own = {run: numbers["details"].get("text_only") for run, numbers in entry["methods"].items()}
    if entry["same_items"]:
        own = {"": strongest(own.values())}
    return {run: dict(control) for run, control in own.items() if control}


def control_of(entry: Mapping[str, Any], run: str) -> dict[str, Any] | None:
    """What a run is to be held against: the control on the items that it was measured on."""
    found = controls(entry)
    return found.get("", found.get(run))


def strongest(controls: Iterable[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """The text-only control of the highest accuracy; None where there is none."""
    found = [dict(control) for control in controls if control]
    return max(found, key=lambda control: float(control["accuracy"]), default=None)
