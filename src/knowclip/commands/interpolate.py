"""``knowclip interpolate BASE TUNED``: WiSE-FT, with alpha chosen on validation data by a stated rule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knowclip.commands.columns import CaptionColumn, ImageColumn, ImagesFolder, SplitColumn, columns_of
from knowclip.console.counts import counted

if TYPE_CHECKING:
    from knowclip.evaluation.benchmarks.card import Benchmark
    from knowclip.types import Result

CURVE = "curve.json"
VAL = "val"
ALPHAS = 6
"""Columns of a table, beside the metrics' names."""


def command(
    base: Annotated[str, typer.Argument(help="The model before fine-tuning.")],
    tuned: Annotated[str, typer.Argument(help="The model after it.")],
    data: Annotated[Path, typer.Option(help="Validation data, as `knowclip evaluate` reads it.")],
    out: Annotated[
        Path, typer.Option(help=f"Folder for the chosen checkpoint (best/), curve.png and {CURVE}.")
    ],
    alphas: Annotated[
        str, typer.Option(help="Comma separated; 0 is the base, 1 the tuned model.")
    ] = "0,0.25,0.5,0.75,1",
    benchmark: Annotated[
        list[str] | None, typer.Option(help="Benchmark by name, repeatable; default: all.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Of the data: never the one to be reported. [default: val; all of a table without splits]"
        ),
    ] = None,
    maximise: Annotated[
        str | None,
        typer.Option(
            help="Metric; compositional and general are means of the main metrics of either kind. "
            "[default: compositional; general where the data has none of it]"
        ),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help='Condition on the choice, repeatable; default: "general >= -1.0pt vs BASE".'),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
    images: ImagesFolder = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    split_column: SplitColumn = None,
) -> None:
    """Sweep weight interpolation, choose alpha on validation data, save that checkpoint, plot the curve."""
    from knowclip.console.progress import waiting
    from knowclip.console.screen import Screen
    from knowclip.evaluation.statistics.gate import parse_condition
    from knowclip.evaluation.statistics.wise_ft import (
        REQUIREMENT,
        RULE,
        choose,
        objective_of,
        refuse_unmeasured,
    )
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model

    steps = _alphas(alphas)
    conditions = [parse_condition(text) for text in require or [REQUIREMENT]]
    preflight.existing(data, "--data")
    for model in (base, tuned):
        check_model(model, device=device)
    preflight.own_folder(out, mark=CURVE)
    columns = columns_of(images, image_column, caption_column, split_column)
    benchmarks, read = _read(data, benchmark or [], split, columns)
    objective, mains = objective_of(benchmarks, maximise, conditions)
    if mains and maximise is None:
        Screen(stderr=True).print(f"maximised: {objective}, the mean of {', '.join(mains)} (--maximise)")
    with waiting(f"loading {base} and {tuned}") as following:
        from knowclip.api.runs import seed_of
        from knowclip.export.open_clip import save_pretrained
        from knowclip.models.interpolation import interpolate, refuse_strangers
        from knowclip.models.loading.load import load

        ends = load(base, device=device, seed=seed_of(tuned)), load(tuned, device=device)
        refuse_strangers(*ends)
        by_alpha = {}
        for alpha in steps:
            following(f"measuring alpha {alpha:g} on {counted(len(benchmarks), 'benchmark')}")
            by_alpha[alpha] = _measure(interpolate(*ends, alpha), benchmarks)
            if alpha == 0:  # the first: no hours pass before a name that is wrong is told
                refuse_unmeasured(by_alpha[alpha], conditions=conditions, objective=objective)
        chosen, rows = choose(by_alpha, conditions=conditions, objective=objective)
        following(f"writing {out}")
        save_pretrained(interpolate(*ends, chosen), out / "best")
    rule = RULE.format(
        objective=objective, conditions=" and ".join(condition.text for condition in conditions)
    )
    about = {"base": base, "tuned": tuned, "data": str(data), "split": read, "rule": rule, "chosen": chosen}
    _write_curve(out, {**about, "alphas": rows})
    _tell_records(by_alpha[0.0])
    for table in _tables(rows, chosen):
        Screen().print(table)
    Screen().print(f"chosen: alpha {chosen:g}, {rule}")
    Screen(stderr=True).print(f"written: {out / 'best'}, {out / 'curve.png'}, {out / CURVE}")


def _read(
    data: Path, names: list[str], split: str | None, columns: dict[str, Any]
) -> tuple[list[Benchmark], str]:
    """The benchmarks of a folder, or those of own photos in a file of captions, and the split that was read.

    What cannot be measured is told.
    """
    from knowclip.api.benchmark_data import find
    from knowclip.console.progress import waiting
    from knowclip.console.screen import Screen
    from knowclip.data.formats.rows import NoSplitsError

    read = split or VAL
    if data.is_dir() and not any(columns.values()):
        with waiting("reading the data"):
            from knowclip.evaluation.suites.folder import read_suite

            return read_suite(data, names=names, split=read)[0], read
    reading = {"allow_missing": False, "columns": columns}
    try:
        benchmarks, absent = find(data, names, read, **reading)
    except NoSplitsError:
        if split is not None:
            raise
        read = "all"
        benchmarks, absent = find(data, names, None, **reading)
        Screen(stderr=True).print(f"{data} tells no splits: all of it is taken for validation (--split)")
    for name, reason in absent.items():
        Screen(stderr=True).print(f"not measured: {name}: {reason}")
    return benchmarks, read


def _alphas(text: str) -> list[float]:
    try:
        alphas = sorted(
            {float(part) for part in text.split(",")} | {0.0}
        )  # the base is what all is measured by
    except ValueError as error:
        raise ValueError(f"--alphas are numbers between commas, as in 0,0.5,1; got {text!r}") from error
    if not 0 <= alphas[0] <= alphas[-1] <= 1:
        raise ValueError(f"--alphas lie between 0 (the base) and 1 (the tuned model); got {text!r}")
    return alphas


def _measure(model: Any, benchmarks: list[Benchmark]) -> list[Result]:
    from knowclip.evaluation.scoring import Scorer
    from knowclip.evaluation.statistics.wise_ft import with_abilities
    from knowclip.evaluation.suites.folder import run_suite

    return with_abilities(run_suite(benchmarks, Scorer(model)))


def _tell_records(results: list[Result]) -> None:
    """What was read of each benchmark, and what became of it: the same for every alpha."""
    from knowclip.console.screen import Screen
    from knowclip.evaluation.report.records import records

    for result in results:
        if told := records(result.details):
            Screen(stderr=True).print(f"{result.benchmark}: {told}")


def _write_curve(out: Path, told: dict[str, Any]) -> None:
    from knowclip.evaluation.report.plots import LIGHT, alpha_curve
    from knowclip.evaluation.report.write import to_json
    from knowclip.storage.atomic import atomic_file
    from knowclip.storage.own_folder import files_of

    with atomic_file(out / "curve.png") as path:
        path.write_bytes(alpha_curve(told["alphas"], chosen=told["chosen"], theme=LIGHT))
    files = [*dict.fromkeys([*files_of(out), CURVE])]
    with atomic_file(out / CURVE) as path:
        path.write_text(to_json({**told, "files": files}) + "\n", encoding="utf-8")


def _tables(rows: list[dict[str, Any]], chosen: float) -> Iterator[Any]:
    """A row a metric, a column an alpha; as many columns to a table as 80 of a terminal hold."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    for start in range(0, len(rows), ALPHAS):
        some = rows[start : start + ALPHAS]
        names = [f"{row['alpha']:g}{' *' if row['alpha'] == chosen else ''}" for row in some]
        columns = [Column(name, justify="right", no_wrap=True) for name in names]
        table = Table(Column("%, by alpha", overflow="fold"), *columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for metric in some[0]["metrics"]:
            table.add_row(metric, *(f"{100 * row['metrics'][metric]:.1f}" for row in some))
        table.add_row("allowed", *("yes" if row["allowed"] else "no" for row in some))
        yield table
