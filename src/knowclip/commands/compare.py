"""``knowclip compare A B``: paired differences of evaluated models, over one or several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from knowclip.evaluation.runs import Run
    from knowclip.types import Result

NO_MEAN = "its main metric is no mean over items"


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
    from knowclip.preflight import machine as preflight

    for side, text in (("A", a), ("B", b)):
        for part in text.split(",") if text else ():
            preflight.results(Path(part), side)
    with waiting("reading the results") as following:
        from knowclip.evaluation.report.write import to_json
        from knowclip.evaluation.runs import named_run, two_runs

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
    screen = Screen()
    if single:
        screen.print(_table(told, ours[0], theirs[0]))
    else:
        from knowclip.evaluation.statistics.seeds import seeds_table

        screen.print(seeds_table(told))
    for name, reason in told["absent"].items():
        screen.print(f"{name}: not compared: {reason}")
    if way := _way(told["absent"]):
        screen.print(way.strip())


def _pairs(ours: Run, theirs: Run) -> dict[str, Any]:
    """``{"benchmarks": {name: difference and values}, "absent": {name: reason}}``."""
    from dataclasses import asdict

    from knowclip.evaluation.statistics.bootstrap import compare, holm

    absent = _absent([ours], [theirs])
    other = {result.benchmark: result for result in theirs.results}
    rows: dict[str, dict[str, Any]] = {}
    for result in ours.results:
        if (name := result.benchmark) not in absent:
            values = {"a": float(result.metrics[result.main]), "b": float(other[name].metrics[result.main])}
            rows[name] = {"metric": result.main, **values, **asdict(compare(result, other[name]))}
    adjusted = holm([row["p_value"] for row in rows.values()])
    for row, p_value in zip(rows.values(), adjusted, strict=True):
        row["p_holm"] = p_value
    return {"a": ours.name, "b": theirs.name, "benchmarks": rows, "absent": absent}


def _seeds(ours: Sequence[Run], theirs: Sequence[Run]) -> dict[str, Any]:
    """What ``across_seeds`` gives of the benchmarks that can be compared, and ``absent`` as ``_pairs``."""
    from knowclip.evaluation.statistics.seeds import across_seeds

    absent = _absent(ours, theirs)
    by_seed = {
        seed: {
            side: [result for result in run.results if result.benchmark not in absent]
            for side, run in zip("AB", pair, strict=True)
        }
        for seed, pair in enumerate(zip(ours, theirs, strict=True))
    }
    return across_seeds(by_seed, baseline="B") | {"absent": absent}


def _absent(ours: Sequence[Run], theirs: Sequence[Run]) -> dict[str, str]:
    """Why benchmarks that any of the models was measured on cannot be compared.

    Raises:
        ValueError: None can be.
    """
    sides = [[{each.benchmark: each for each in run.results} for run in runs] for runs in (ours, theirs)]
    names = dict.fromkeys(name for runs in sides for run in runs for name in run)
    found = {name: _why_apart(*([run.get(name) for run in runs] for runs in sides)) for name in names}
    absent = {name: reason for name, reason in found.items() if reason}
    if len(absent) == len(found):
        lines = "".join(f"\n- {name}: {reason}" for name, reason in absent.items())
        raise ValueError(f"nothing to compare:{lines}{_way(absent)}")
    return absent


def _why_apart(ours: Sequence[Result | None], theirs: Sequence[Result | None]) -> str | None:
    """Why the results of one benchmark, of A and of B seed by seed, cannot be compared."""
    from knowclip.evaluation.statistics.bootstrap import same_items

    results = [result for result in (*ours, *theirs) if result is not None]
    for side, of in (("A", ours), ("B", theirs)):
        if None in of:
            return f"{side} was not measured on it"
    if not all("correct" in result.items for result in results):
        return NO_MEAN if len(ours) == 1 else None  # the means over seeds are compared
    if all(same_items(results[0], result) for result in results[1:]):
        return None
    counts = (", ".join(f"{result.n:,}" for result in of if result) for of in (ours, theirs))
    return "other items: n = {} of A and {} of B".format(*counts)


def _way(absent: Mapping[str, str]) -> str:
    """What makes benchmarks comparable, on a line of its own."""
    told = "\nmeasure both by `knowclip evaluate` with the same --data, --benchmark, --split and --swap-items"
    return told if any(reason != NO_MEAN for reason in absent.values()) else ""


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
    return table
