"""Who stands where: the best run, compositional against general ability, classes, and published numbers.

All of it is made from the benchmarks of a summary (see ``summary.summarise``). Numbers over fewer than
``MIN_RANKED`` items are shown and not ranked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from knowclip.evaluation.benchmarks.registry import ability
from knowclip.evaluation.report.published import PUBLISHED

MIN_RANKED = 100
"""Of fewer items, the 95% interval of a share near a half is more than 19 points wide."""


def best(measured: Mapping[str, Any]) -> list[str]:
    """Runs with the highest value; none where there is one run only, or fewer than ``MIN_RANKED`` items."""
    if len(measured) < 2 or any(found["n"] < MIN_RANKED for found in measured.values()):
        return []
    top = max(found["interval"]["value"] for found in measured.values())
    return [run for run, found in measured.items() if found["interval"]["value"] == top]


def abilities(benchmarks: Mapping[str, Any], runs: Sequence[str]) -> dict[str, Any]:
    """Mean main metric over compositional and over general benchmarks that all runs were measured on.

    Tasks and link prediction stand beside them: their scores come from what was trained on top.

    Returns:
        ``{"compositional": [names], "general": [names], "runs": {run: {"compositional", "general",
        "front"}}}`` or ``{"absent": reason}``. On the ``front`` stand the runs that no other beats in one
        ability without losing in the other.
    """
    usable = [
        name
        for name, entry in benchmarks.items()
        if set(runs) <= set(entry["methods"]) and all(m["n"] >= MIN_RANKED for m in entry["methods"].values())
    ]
    sides = {
        "compositional": [name for name in usable if ability(name) == "compositional"],
        "general": [name for name in usable if ability(name) == "general"],
    }
    for side, names in sides.items():
        if not names:
            return {
                "absent": f"no {side} benchmark with {MIN_RANKED} items or more was measured on every run"
            }

    def mean(run: str, names: Sequence[str]) -> float:
        scores = [benchmarks[name]["methods"][run]["metrics"][benchmarks[name]["main"]] for name in names]
        return sum(scores) / len(scores)

    points = {run: {side: mean(run, names) for side, names in sides.items()} for run in runs}
    told = {run: {**point, "front": not _dominated(point, points.values())} for run, point in points.items()}
    return {**sides, "runs": told}


def _dominated(point: Mapping[str, float], others: Iterable[Mapping[str, float]]) -> bool:
    return any(
        all(other[side] >= point[side] for side in point) and any(other[side] > point[side] for side in point)
        for other in others
    )


def published(benchmarks: Mapping[str, Any]) -> dict[str, Any]:
    """Papers' numbers on the benchmarks; for those that were run on other cases, why there are none.

    Returns:
        ``{"rows": [{"model", "values", "source"}], "absent": {benchmark: reason}}``
    """
    absent, shown = {}, set()
    told = dict.fromkeys(name for row in PUBLISHED for name in row.values)
    for name in filter(benchmarks.__contains__, told):
        details = next(iter(benchmarks[name]["methods"].values()))["details"]
        cases, expected = details.get("cases"), details.get("expected")
        if expected and cases == expected:
            shown.add(name)
        else:
            absent[name] = f"{cases or 0:,} cases were run, the published test set has {expected or 0:,}"
    rows = [
        {
            "model": row.model,
            "values": {name: value for name, value in row.values.items() if name in shown},
            "source": row.source,
        }
        for row in PUBLISHED
        if shown & set(row.values)
    ]
    return {"rows": rows, "absent": dict(sorted(absent.items()))}


def ranked_classes(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Classes of a benchmark from the last run's best to its worst, those below ``MIN_RANKED`` items last.

    Returns:
        ``[{"name", "n", "ranked", "runs": {run: {"accuracy", "low", "high", "n"} or None}}]``
    """
    tables = {run: numbers["details"].get("classes", {}) for run, numbers in entry["methods"].items()}
    last = list(tables.values())[-1]
    names = dict.fromkeys(name for table in tables.values() for name in table)
    rows = [
        {
            "name": name,
            "n": max(table[name]["n"] for table in tables.values() if name in table),
            "runs": {run: table.get(name) for run, table in tables.items()},
        }
        for name in names
    ]
    for row in rows:
        row["ranked"] = row["n"] >= MIN_RANKED
    return sorted(
        rows, key=lambda r: (not r["ranked"], -last.get(r["name"], {"accuracy": 0})["accuracy"], r["name"])
    )
