"""``knowclip compare A B``: paired differences of evaluated models, over one or several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knowclip.evaluation.store import Run


def command(
    a: Annotated[
        str, typer.Argument(metavar="A", help="Results of a model (OUT/clip), or of its seeds: A1,A2,A3.")
    ],
    b: Annotated[
        str | None,
        typer.Argument(
            metavar="B", help="The same of the model to compare with, seed by seed; none: A holds two models."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Tell for every benchmark that both were measured on whether A differs from B, on the same items.

    `knowclip evaluate MODEL --baseline BASE --out OUT` writes a folder for each model to OUT:
    `knowclip compare OUT` compares the two, `knowclip compare OUT/MODEL OUT/BASE` names them by the end of
    what they were loaded by: OUT/mine for runs/mine, OUT/mine-val where it was measured on val as well.
    """
    from knowclip.console.progress import waiting
    from knowclip.console.screen import Screen

    with waiting("reading the results") as following:
        from knowclip.evaluation.report.write import to_json
        from knowclip.evaluation.store import named_run, two_runs

        if b is None:
            one, other = two_runs(Path(a))
            ours, theirs = [one], [other]
        else:
            ours, theirs = ([named_run(Path(part)) for part in text.split(",")] for text in (a, b))
        if len(ours) != len(theirs):
            raise ValueError(
                f"{len(ours)} seeds of A against {len(theirs)} of B; they are compared seed by seed"
            )
        single = len(ours) == 1
        following("drawing bootstrap samples")
        told = _pairs(ours[0], theirs[0]) if single else _seeds(ours, theirs)
    if json:
        print(to_json(told))
        return
    if single:
        Screen().print(_table(told, ours[0], theirs[0]))
    else:
        from knowclip.evaluation.statistics.seeds import seeds_table

        Screen().print(seeds_table(told))


def _pairs(ours: Run, theirs: Run) -> dict[str, Any]:
    """``{"benchmarks": {name: difference and values}, "absent": {name: reason}}``."""
    from dataclasses import asdict

    from knowclip.evaluation.statistics.bootstrap import compare, holm, same_items

    other = {result.benchmark: result for result in theirs.results}
    rows: dict[str, dict[str, Any]] = {}
    absent: dict[str, str] = {}
    for result in ours.results:
        name = result.benchmark
        if name not in other:
            absent[name] = "B was not measured on it"
        elif "correct" not in result.items:
            absent[name] = "its main metric is no mean over items"
        elif not same_items(result, other[name]):
            absent[name] = f"other items: n = {result.n:,} of A and {other[name].n:,} of B"
        else:
            values = {"a": float(result.metrics[result.main]), "b": float(other[name].metrics[result.main])}
            rows[name] = {"metric": result.main, **values, **asdict(compare(result, other[name]))}
    absent |= {name: "A was not measured on it" for name in other if name not in {*rows, *absent}}
    if not rows:
        raise ValueError(f"nothing to compare: {absent}")
    adjusted = holm([row["p_value"] for row in rows.values()])
    for row, p_value in zip(rows.values(), adjusted, strict=True):
        row["p_holm"] = p_value
    return {"a": ours.name, "b": theirs.name, "benchmarks": rows, "absent": absent}


def _seeds(ours: Sequence[Run], theirs: Sequence[Run]) -> dict[str, Any]:
    from knowclip.evaluation.statistics.seeds import across_seeds

    pairs = enumerate(zip(ours, theirs, strict=True))
    by_seed = {seed: {"A": own.results, "B": other.results} for seed, (own, other) in pairs}
    return across_seeds(by_seed, baseline="B")


def _table(told: dict[str, Any], ours: Run, theirs: Run) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from knowclip.evaluation.report.summary import points

    table = Table(
        caption=f"A = {ours.name}, B = {theirs.name}; 95% bootstrap intervals over whole images; "
        f"p (Holm) is adjusted for {len(told['benchmarks'])} benchmarks",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("metric", overflow="fold")
    for column in ("n", "A, %", "B, %", "A - B, points", "p", "p (Holm)"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in told["benchmarks"].values():
        values = [f"{100 * row[side]:.1f}" for side in ("a", "b")]
        chances = [f"{row[name]:.3g}" for name in ("p_value", "p_holm")]
        table.add_row(row["metric"], f"{row['n']:,}", *values, points(row), *chances)
    for name, reason in told["absent"].items():
        table.add_row(f"{name}: not compared: {reason}")
    return table
