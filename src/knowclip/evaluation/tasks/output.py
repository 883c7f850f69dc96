"""Task Results for people (a table) and for programs (JSON)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from knowclip.evaluation.report.records import records
from knowclip.evaluation.report.summary import bounds
from knowclip.evaluation.statistics.bootstrap import interval
from knowclip.evaluation.tasks.glue import glue_score
from knowclip.evaluation.tasks.glue_tasks import GLUE
from knowclip.types import Result

if TYPE_CHECKING:
    from rich.table import Table


def summary(result: Result) -> dict[str, Any]:
    """Everything but the items, in JSON types, the interval of the main metric included."""
    found = result.details.get("interval") or asdict(interval(result))
    return {
        "task": result.benchmark,
        "main": result.main,
        "n": result.n,
        "metrics": {name: float(value) for name, value in result.metrics.items()},
        **result.details,
        "interval": found,
    }


def summaries(results: Sequence[Result], *, model: str) -> dict[str, Any]:
    """``{"model", "tasks": [...]}``, with ``glue`` where all of its tasks were measured."""
    content: dict[str, Any] = {"model": model, "tasks": [summary(result) for result in results]}
    if {result.benchmark for result in results} == GLUE.keys():
        content["glue"] = glue_score(results)
    return content


def to_json(content: Any) -> str:
    """Indented JSON, NumPy numbers included."""
    return json.dumps(content, indent=2, default=_plain)


def console_table(results: Sequence[Result]) -> Table:
    """One row a metric: value, interval of the main one, the text-only control, n; below, what was read.

    A metric is named without its task, which stands beside it: 80 columns hold ``link_relation``,
    ``mrr_per_relation``.
    """
    from rich.table import Column, Table

    controlled = any("text_only" in result.details for result in results)
    numbers = ("value", "95% interval", *(["text only"] if controlled else []), "n")
    columns = [Column(name, justify="right", no_wrap=True) for name in numbers]
    table = Table("task", Column("metric", overflow="fold"), *columns)
    told = ["values in %, but ranks, their ratios to chance and counts as they are"]
    for result in results:
        facts = summary(result)
        blind = facts.get("text_only", {}).get("accuracy")
        for name, value in result.metrics.items():
            main = name == result.main
            table.add_row(
                result.benchmark,
                name.removeprefix(f"{result.benchmark}_"),
                _shown(name, value),
                bounds(facts["interval"]) if main else "",
                *([f"{100 * blind:.1f}" if main and blind is not None else ""] if controlled else []),
                f"{result.n:,}",
            )
        told += [f"{result.benchmark}: {line}"] if (line := records(facts)) else []
    table.caption = "\n".join(told)
    return table


def _shown(name: str, value: float) -> str:
    """A share in percent; ranks, their ratio to chance and counts as they are."""
    if name.endswith(("_amr", "_amri")):
        return f"{value:.3f}"
    return f"{value:.1f}" if name.endswith(("_mean_rank", "_n")) else f"{100 * value:.1f}"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON")
