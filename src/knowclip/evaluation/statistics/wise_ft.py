"""Choosing alpha of WiSE-FT on validation data, by a stated rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knowclip.evaluation.benchmarks.registry import ability
from knowclip.evaluation.statistics.gate import Condition, check
from knowclip.types import Result

OBJECTIVE = "compositional"
REQUIREMENT = "general >= -1.0pt vs BASE"
BASE = "BASE"

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
    n = sum(result.n for result in results)
    return [*results, Result("abilities", next(iter(means)), n, means)]


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
        raise ValueError(f"alpha 0, the base, must be among the alphas; got {sorted(by_alpha)}")
    rows: list[dict[str, Any]] = []
    for alpha, results in sorted(by_alpha.items()):
        runs = {BASE: by_alpha[0.0], "tuned": results}
        verdicts = [check(condition, runs, "tuned") for condition in conditions]
        values = {metric: float(value) for result in results for metric, value in result.metrics.items()}
        if objective not in values:
            raise ValueError(
                f"{objective!r} was not measured; measured were {', '.join(values)}. Say which to maximise"
            )
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
