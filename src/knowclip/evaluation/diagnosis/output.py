"""Ladders as a table of 80 columns, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from knowclip.evaluation.diagnosis.ladder import TITLES, Ladder, Rung
from knowclip.evaluation.diagnosis.verdict import fallen, sentence
from knowclip.evaluation.statistics.bootstrap import Interval

if TYPE_CHECKING:
    from rich.table import Table

BLIND = "text alone"


def summary(ladder: Ladder) -> dict[str, Any]:
    """Every rung's accuracy with interval and n, on all questions, seen and new combinations; the verdict."""
    chosen = {"all": np.ones(len(ladder.new), dtype=bool), "seen": ~ladder.new, "new": ladder.new}

    def measured(rung: Rung) -> dict[str, Any]:
        found = {part: rung.interval(rows, ladder.image_ids) for part, rows in chosen.items()}
        return {part: asdict(interval) if interval else None for part, interval in found.items()}

    readers = {name: measured(Rung(name, correct)) for name, correct in ladder.blind.items()}
    strongest = max(readers, key=lambda name: readers[name]["all"]["value"])
    rungs = {name: measured(ladder.rungs[name]) for name in TITLES}
    intervals = {name: Interval(**found["all"]) for name, found in rungs.items()}
    blind = Interval(**readers[strongest]["all"])
    return {
        "kind": ladder.kind,
        "n": {part: int(rows.sum()) for part, rows in chosen.items()},
        "fitted_on": ladder.fitted,
        "rungs": rungs,
        "text_only": {"strongest": strongest, **readers[strongest], "readers": readers},
        "falls": fallen({name: found.value for name, found in intervals.items()}),
        "verdict": sentence(ladder.kind, intervals, blind=blind, fitted=ladder.fitted),
        "skipped": dict(ladder.skipped),
    }


def console_table(summaries: Sequence[dict[str, Any]]) -> Table:
    """A row a rung, from tokens to cosine, then text alone; all questions and new combinations apart."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table
    from rich.text import Text

    right: dict[str, Any] = {"justify": "right", "no_wrap": True}
    columns = [Column("% right [95% interval]", no_wrap=True), Column("all", **right), Column("new", **right)]
    table = Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, found in enumerate(summaries):
        if number:
            table.add_section()
        n = found["n"]
        table.add_row(Text(found["kind"], style="bold"), f"n {n['all']:,}", f"n {n['new']:,}")
        for name, title in TITLES.items():
            mark = " <- falls" if name == found["falls"] else ""
            table.add_row(f"  {title}{mark}", *_cells(found["rungs"][name]))
        blind = found["text_only"]
        table.add_row(f"  {BLIND} ({blind['strongest']})", *_cells(blind))
    table.caption = "chance 50; new: a combination that no question the probes learned from names"
    return table


def _cells(measured: dict[str, Any]) -> list[str]:
    return [_percent(measured[part]) for part in ("all", "new")]


def _percent(found: dict[str, Any] | None) -> str:
    if found is None:
        return "none"
    value, low, high = (100 * found[name] for name in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def to_json(content: Any) -> str:
    """Indented JSON; NaN is refused."""
    return json.dumps(content, indent=1, allow_nan=False)
