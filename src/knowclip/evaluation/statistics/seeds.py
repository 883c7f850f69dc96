"""Several seeds of several methods: means, paired differences, and when a difference may be called one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from knowclip.evaluation.statistics.bootstrap import compare
from knowclip.types import Result

if TYPE_CHECKING:
    from rich.table import Table


def across_seeds(by_seed: Mapping[int, Mapping[str, Sequence[Result]]], *, baseline: str) -> dict[str, Any]:
    """Collect the main metrics of several seeds.

    A difference counts as ``clear`` when it has the same sign for all seeds and its mean is above two
    standard deviations of the paired differences.

    Args:
        by_seed: Results by seed and method; every seed has the same methods and benchmarks.
        baseline: The method that the others are compared with, seed by seed.

    Returns:
        ``{"seeds", "baseline", "metrics": {metric: {method: {"values", "mean", "sd", "difference"}}}}`` in
        JSON types; ``difference`` is ``{"values", "mean", "sd", "clear", "items"}``, None for the baseline.
        ``items`` is the paired bootstrap over items of the seeds' mean outcomes (``statistics.Difference``),
        None where the main metric is no mean over items.
    """
    seeds = sorted(by_seed)
    if len(seeds) < 2:
        raise ValueError(f"a spread needs at least two seeds, got {len(seeds)}")
    found: dict[str, dict[str, list[Result]]] = {}
    for seed in seeds:
        for method, results in by_seed[seed].items():
            for result in results:
                found.setdefault(result.main, {}).setdefault(method, []).append(result)
    metrics = {
        metric: {method: _row(results, None if method == baseline else of[baseline])
                 for method, results in of.items()}
        for metric, of in found.items()
    }  # fmt: skip
    return {"seeds": seeds, "baseline": baseline, "metrics": metrics}


def _row(results: Sequence[Result], against: Sequence[Result] | None) -> dict[str, Any]:
    numbers = _numbers(results)
    row: dict[str, Any] = {
        "values": numbers,
        "mean": float(np.mean(numbers)),
        "sd": float(np.std(numbers, ddof=1)),
    }
    if against is None:
        return row | {"difference": None}
    # seed by seed: what a seed does to both (data order, negatives) cancels
    differences = np.subtract(numbers, _numbers(against))
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    same_sign = bool((differences > 0).all() or (differences < 0).all())
    difference = {
        "values": differences.tolist(),
        "mean": mean,
        "sd": spread,
        "clear": same_sign and abs(mean) > 2 * spread,
        "items": _over_items(results, against),
    }
    return row | {"difference": difference}


def _numbers(results: Sequence[Result]) -> list[float]:
    return [float(result.metrics[result.main]) for result in results]


def _over_items(results: Sequence[Result], against: Sequence[Result]) -> dict[str, Any] | None:
    if not all("correct" in result.items for result in (*results, *against)):
        return None
    return asdict(compare(_mean_outcomes(results), _mean_outcomes(against)))


def _mean_outcomes(results: Sequence[Result]) -> Result:
    """One Result whose outcome of each item is the mean over seeds."""
    first = results[0]
    keys = [list(result.items["key"]) for result in results]
    if any(other != keys[0] for other in keys):
        raise ValueError(f"{first.benchmark}: the seeds were not measured on the same items")
    outcomes = np.mean([np.asarray(result.items["correct"], dtype=float) for result in results], axis=0)
    return replace(first, items={**first.items, "correct": outcomes})


def seeds_table(table: Mapping[str, Any]) -> Table:
    """Mean and standard deviation over seeds; an asterisk marks a clear difference."""
    from rich.table import Table

    seeds = ", ".join(map(str, table["seeds"]))
    shown = Table(
        caption=f"mean ± standard deviation over seeds {seeds}, in %; (difference to "
        f"{table['baseline']} in points; * same sign for all seeds and mean above 2 sd of the differences)"
    )
    shown.add_column("metric")
    methods = list(dict.fromkeys(method for of in table["metrics"].values() for method in of))
    for method in methods:
        shown.add_column(method, justify="right")
    for metric, of in table["metrics"].items():
        shown.add_row(metric, *(_cell(of[method]) if method in of else "" for method in methods))
    return shown


def _cell(row: Mapping[str, Any]) -> str:
    text = f"{100 * row['mean']:.1f} ± {100 * row['sd']:.1f}"
    difference = row["difference"]
    if difference is None:
        return text
    return f"{text} ({100 * difference['mean']:+.1f}{'*' if difference['clear'] else ''})"
