"""``knowclip report RUN...``: one page and a Markdown table of models that were evaluated before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LOADING = 'Loads with `knowclip.load("PATH OF THIS FOLDER")`.'
STOCK = (
    ' Stock open_clip loads it too: `open_clip.create_model_and_transforms("local-dir:PATH OF THIS FOLDER")`.'
)


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="What `knowclip evaluate` and `task` wrote to --out; the page tells of the last."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write report.html, report.md and plots to.")],
    title: Annotated[str, typer.Option(help="Of the page.")] = "knowclip report",
    baseline: Annotated[
        str | None, typer.Option(help="Run for paired differences; the first by default.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="Checkpoint folder whose README.md is written from the last run.")
    ] = None,
) -> None:
    """Set evaluated models beside each other: scores, abilities, classes, worst errors, published numbers."""
    from rich.console import Console

    from knowclip.evaluation.report.records import record_lines
    from knowclip.evaluation.report.summary import Report
    from knowclip.evaluation.report.write import console_table, model_card, write_report
    from knowclip.evaluation.store import find_runs
    from knowclip.preflight import machine as preflight
    from knowclip.storage.atomic import atomic_file

    preflight.writable_folder(out)
    for run in runs:
        preflight.existing(run, "RUN")
    if card is not None:
        preflight.existing(card, "--card", folder=True)
    found = find_runs(runs)
    told = Report(
        title=title,
        runs={name: run.results for name, run in found.items()},
        baseline=baseline or next(iter(found)),
        choices={name: cases for run in found.values() for name, cases in run.cases.items()},
        provenance={"models": {name: run.model_hash for name, run in found.items()}},
    )
    summary = write_report(told, out)
    Console().print(console_table(summary))
    told = Console(stderr=True, soft_wrap=True, highlight=False)
    for line in record_lines(summary):
        told.print(line, markup=False)
    if card is not None:
        _refuse_foreign(card, list(found.values())[-1].model_hash)
        loading = LOADING + (STOCK if (card / "open_clip_config.json").is_file() else "")
        text = model_card(summary, list(found)[-1], loading=loading)
        with atomic_file(card / "README.md") as path:
            path.write_text(text, encoding="utf-8")


def _refuse_foreign(card: Path, measured: str) -> None:
    """A model card may only tell the numbers of the very weights it lies beside."""
    from knowclip.evaluation.scoring import model_hash
    from knowclip.models.loading.load import load

    own = model_hash(load(card))
    if own != measured:
        raise ValueError(
            f"{card} holds the model {own}, the results are of {measured}: evaluate this checkpoint first"
        )
