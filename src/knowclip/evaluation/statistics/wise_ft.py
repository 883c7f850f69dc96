"""Choosing alpha of WiSE-FT on validation data, by a stated rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.benchmarks.registry import ability
from knowclip.evaluation.statistics.gate import BASE, Condition, check
from knowclip.types import Result

ABILITIES = ("compositional", "general")
OBJECTIVE = "compositional"
REQUIREMENT = "general >= -1.0pt vs BASE"

RULE = (
    "the alpha with the highest {objective} among those that meet {conditions}; of equals the smallest alpha"
)


def with_abilities(results: Sequence[Result]) -> list[Result]:
    """Add the metrics ``compositional`` and ``general``: means of the main metrics of either kind."""
    kinds: dict[str, list[Result]] = {"compositional": [], "general": []}
    for result in results:
        kinds[ability(result.benchmark) or "general"].append(result)
    means = {
        kind: sum(float(result.metrics[result.main]) for result in found) / len(found)
        for kind, found in kinds.items()
        if found
    }
    items = {kind: sum(result.n for result in found) for kind, found in kinds.items()}
    return [*results, *(Result(kind, kind, items[kind], {kind: mean}) for kind, mean in means.items())]


def objective_of(
    benchmarks: Sequence[Benchmark], asked: str | None, conditions: Sequence[Condition]
) -> tuple[str, list[str]]:
    """What is to be maximised, before anything is measured, and the main metrics that it is the mean of.

    Args:
        benchmarks: That are going to be measured.
        asked: By the user; None: ``OBJECTIVE``, or the other ability where the data measures none of it.
        conditions: On the choice.

    Raises:
        ValueError: the objective or a condition is of an ability that none of the benchmarks measures.
    """
    mains: dict[str, list[str]] = {}
    for benchmark in benchmarks:
        mains.setdefault(ability(benchmark.card.name) or "general", []).append(benchmark.card.main)
    objective = asked or (OBJECTIVE if OBJECTIVE in mains else next(iter(mains)))
    for metric in (objective, *(condition.metric for condition in conditions)):
        if metric in ABILITIES and metric not in mains:
            there = [*mains, *(main for several in mains.values() for main in several)]
            raise ValueError(
                f"{metric!r} cannot be measured on this data: none of its benchmarks is {metric}. "
                f"--maximise and --require may name: {', '.join(there)}"
            )
    return objective, mains.get(objective, [])


def refuse_unmeasured(results: Sequence[Result], *, conditions: Sequence[Condition], objective: str) -> None:
    """Refuse, when the base is measured, an objective or a condition of what was not.

    Raises:
        ValueError: naming what was measured.
    """
    _values(results, objective)
    for condition in conditions:
        check(condition, {BASE: results, "tuned": results}, "tuned")


def _values(results: Sequence[Result], objective: str) -> dict[str, float]:
    values = {metric: float(value) for result in results for metric, value in result.metrics.items()}
    if objective not in values:
        raise ValueError(
            f"{objective!r} was not measured; measured were {', '.join(values)}. Say which to maximise"
        )
    return values


def choose(
    by_alpha: Mapping[float, Sequence[Result]],
    *,
    conditions: Sequence[Condition],
    objective: str = OBJECTIVE,
) -> tuple[float, list[dict[str, Any]]]:
    """Pick alpha by ``RULE``.

    Args:
        by_alpha: Results on validation data, ``with_abilities``; alpha 0 is the ``BASE`` of the conditions.
        conditions: that the chosen alpha must meet.
        objective: metric to be maximised.

    Returns:
        The chosen alpha, and a row for each: ``{"alpha", "metrics": {main metric: value}, "allowed",
        "verdicts"}``.

    Raises:
        ValueError: alpha 0 was not measured, the objective was not, or no alpha meets the conditions.
    """
    if 0.0 not in by_alpha:
        got = ", ".join(f"{alpha:g}" for alpha in sorted(by_alpha))
        raise ValueError(f"alpha 0, the base, must be among the alphas; got {got}")
    rows: list[dict[str, Any]] = []
    for alpha, results in sorted(by_alpha.items()):
        runs = {BASE: by_alpha[0.0], "tuned": results}
        verdicts = [check(condition, runs, "tuned") for condition in conditions]
        values = _values(results, objective)
        mains = [*dict.fromkeys([objective, "general", *(result.main for result in results)])]
        rows.append(
            {
                "alpha": alpha,
                "metrics": {main: values[main] for main in mains if main in values},
                "allowed": all(verdict.holds for verdict in verdicts),
                "verdicts": [str(verdict) for verdict in verdicts],
            }
        )
    allowed = [row for row in rows if row["allowed"]]
    if not allowed:
        raise ValueError(f"no alpha meets the conditions; at the base: {'; '.join(rows[0]['verdicts'])}")
    # rounded: the last bits of a mean must not decide between equals
    best = max(allowed, key=lambda row: (round(row["metrics"][objective], 12), -row["alpha"]))
    return float(best["alpha"]), rows
