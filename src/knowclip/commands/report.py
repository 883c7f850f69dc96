"""``knowclip report RUN...``: one page and a Markdown table of models that were evaluated before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from knowclip.evaluation.runs import Run


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
        str | None,
        typer.Option(help="Run for paired differences. [default: evaluate's, or the first]"),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="Checkpoint folder whose README.md is written from the last run.")
    ] = None,
) -> None:
    """Set evaluated models beside each other: scores, abilities, classes, worst errors, published numbers."""
    from knowclip.commands.summary import tell_replaced
    from knowclip.console.progress import waiting
    from knowclip.console.screen import Screen
    from knowclip.preflight import machine as preflight

    preflight.results_folder(out)
    for run in runs:
        preflight.results(run, "RUN")
    if card is not None:
        preflight.existing(card, "--card", folder=True)
    with waiting("reading the results") as following:
        from knowclip.evaluation.report.records import absent_lines, record_lines
        from knowclip.evaluation.report.summary import Report
        from knowclip.evaluation.report.write import console_table, files_line, write_report
        from knowclip.evaluation.runs import absent_of, find_runs

        found = find_runs(runs)
        baseline = baseline or _evaluated_with(runs, found) or next(iter(found))
        # the page tells of the last one, beside the others
        found = dict(sorted(found.items(), key=lambda run: run[0] != baseline))
        report = Report(
            title=title,
            runs={name: run.results for name, run in found.items()},
            baseline=baseline,
            absent=absent_of(found),
            choices={name: cases for run in found.values() for name, cases in run.cases.items()},
            provenance={"models": {name: _told(run) for name, run in found.items()}},
        )
        tell_replaced(out / "report.html")
        following("writing the report")
        summary = write_report(report, out)
    Screen().print(console_table(summary))
    console = Screen(stderr=True)
    for line in (*record_lines(summary), *absent_lines(summary), files_line(out)):
        console.print(line)
    if card is not None:
        _write_card(card, found, summary)
        console.print(f"written: {card / 'README.md'}")


def _told(run: Run) -> str:
    return f"{run.model_hash}, {run.checkpoint}" if run.checkpoint else run.model_hash


def _evaluated_with(runs: Sequence[Path], found: Mapping[str, Run]) -> str | None:
    """The baseline beside which a folder's results were told when they were measured."""
    from knowclip.storage.text_files import read_json

    for folder in runs:
        try:
            told = read_json(folder / "results.json")
            told = told["baseline"] if len(told["methods"]) > 1 else None
        except (OSError, ValueError, LookupError, TypeError):
            continue  # somebody else's
        if isinstance(told, str) and told in found:
            return told
    return None


def _write_card(card: Path, found: Mapping[str, Run], summary: Mapping[str, Any]) -> None:
    """A model card may only tell the numbers of the very weights it lies beside."""
    from knowclip.api.card import told_card
    from knowclip.export.formats import loading_of
    from knowclip.models.loading.load import load
    from knowclip.storage.atomic import atomic_file

    text = told_card(found, load(card), loading=loading_of(card), summary=summary)
    with atomic_file(card / "README.md") as path:
        path.write_text(text, encoding="utf-8")
