"""``knowclip evaluate MODEL``: measure a CLIP, alone or against a baseline, on benchmarks or own photos."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowclip.commands.columns import CaptionColumn, ImageColumn, ImagesFolder, SplitColumn, columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from knowclip.evaluation.benchmarks.card import Benchmark
    from knowclip.evaluation.report.summary import Report
    from knowclip.evaluation.statistics.gate import Condition
    from knowclip.types import Result

FAILED = 3
"""Exit code where a condition of ``--require`` does not hold; errors have 1."""
INCOMPLETE = 4
"""Exit code where a benchmark that was asked for could not be measured, and others were."""


def command(
    model: Annotated[str, typer.Argument(help="Checkpoint folder or file, open_clip name, hf-hub:name.")],
    data: Annotated[
        Path,
        typer.Option(help="Folder with benchmark files or scenes; or own photos: a captions file or folder."),
    ],
    suite: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            "--benchmark",
            help="A suite or a benchmark (knowclip benchmarks), repeatable; default: all. Exit code 4 if one "
            "named here cannot be measured and others are.",
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="test, or val for selection; default: test, of own photos all rows.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Second model, for paired differences.")] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            help='As "text_to_image_R@1 >= -1.0pt vs BASE"; repeatable. Exit code 3 if it does not hold.'
        ),
    ] = None,
    language_model: Annotated[
        str | None, typer.Option(help="Causal language model (folder or name) for the text-only control.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of results (a folder a model), report.html, report.md and plots.")
    ] = Path("runs/evaluation"),
    json: Annotated[bool, typer.Option("--json", help="Print results as JSON instead of a table.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Accept that over 1% of records or images are missing.")
    ] = False,
    swap_items: Annotated[
        int | None, typer.Option(min=0, help="Swaps of own photos, at most; 0: all. [default: 3000]")
    ] = None,
    images: ImagesFolder = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    split_column: SplitColumn = None,
) -> None:
    """Measure MODEL with intervals, the text-only control beside every choice, and paired differences.

    --data photos.csv (or any other captions that 'train' reads) measures retrieval and swaps on own photos.
    What can be measured is, and what cannot is said (exit code 4 if it was asked for). Features are kept in
    $KNOWCLIP_CACHE/features (~/.cache/knowclip/features) by content.
    """
    from knowclip.api.benchmark_data import asked, find
    from knowclip.api.measuring import blank_results, measure, text_only
    from knowclip.console.progress import waiting
    from knowclip.console.screen import Screen
    from knowclip.evaluation.report.write import console_table, to_json, write_report
    from knowclip.evaluation.statistics.gate import against_baseline, parse_condition, refuse_unknown
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model

    preflight.captions(data, "--data", way=preflight.way_to_benchmarks(suite or (), data))
    preflight.results_folder(out)
    conditions = against_baseline([parse_condition(text) for text in require or ()], baseline)
    names = list(dict.fromkeys([*filter(None, [baseline, *(c.against for c in conditions)]), model]))
    if len(names) == 1 and (baseline or any(condition.against for condition in conditions)):
        raise ValueError(f"the baseline is the model itself ({model}): name another one, or leave it out")
    for name in names:
        check_model(name, device=device)
    console = Screen(stderr=True)
    columns = columns_of(images, image_column, caption_column, split_column)
    reading = {"allow_missing": allow_missing, "columns": columns, "swap_items": swap_items}
    benchmarks, absent = find(data, suite or [], split, **reading)
    if conditions:  # not after hours of measuring
        refuse_unknown(conditions, blank_results(benchmarks))
    wanted = suite or asked(benchmarks, absent)
    with waiting("training the text-only control"):
        control = text_only(data, benchmarks, language_model=language_model, device=device)
    where = {"split": split or "test", "out": out, "device": device, "allow_missing": allow_missing}
    runs, failed = measure(dict.fromkeys(names), benchmarks, control, data=data, absent=absent, **where)
    absent |= failed
    report = _report(runs, benchmarks, absent, data, split)
    with waiting("writing the report"):
        summary = write_report(report, out)
    if json:
        print(to_json(summary))
    else:
        Screen().print(console_table(summary))
    _tell(console, summary, out)
    _enforce(console, conditions, runs, model)
    _tell_incomplete(console, wanted, absent, "named" if suite else "expected")


def _tell_incomplete(console: Console, chosen: Sequence[str], absent: dict[str, str], word: str) -> None:
    """Leave with ``INCOMPLETE`` if what was asked for could not be measured; the others' results are kept."""
    from knowclip.api.benchmark_data import unmeasured

    if names := unmeasured(chosen, absent):
        console.print(f"{word} and not measured (see above): {', '.join(names)}")
        raise typer.Exit(INCOMPLETE)


def _tell(console: Console, summary: dict[str, object], out: Path) -> None:
    """What was read, what could not be measured, and where the results are."""
    from knowclip.evaluation.report.records import absent_lines, record_lines
    from knowclip.evaluation.report.write import files_line

    for line in (*record_lines(summary), *absent_lines(summary)):
        console.print(line)
    console.print(files_line(out))


def _enforce(
    console: Console, conditions: Sequence[Condition], runs: dict[str, list[Result]], model: str
) -> None:
    """Print what became of every condition; leave with ``FAILED`` if one does not hold."""
    from knowclip.evaluation.statistics.gate import check

    verdicts = [check(condition, runs, model) for condition in conditions]
    for verdict in verdicts:
        console.print(str(verdict))
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(FAILED)


def _split_read(runs: dict[str, list[Result]]) -> str:
    """Of what was read where no split was asked for: own photos tell it, published benchmarks have "test"."""
    told = {str(result.details["split"]) for result in next(iter(runs.values())) if "split" in result.details}
    return told.pop() if len(told) == 1 else "test"


def _report(
    runs: dict[str, list[Result]],
    benchmarks: list[Benchmark],
    absent: dict[str, str],
    data: Path,
    split: str | None,
) -> Report:
    from importlib.metadata import version

    from knowclip.api.measuring import shown_cases
    from knowclip.evaluation.report.summary import Report

    return Report(
        title=f"knowclip: {list(runs)[-1]}",
        runs=runs,
        baseline=next(iter(runs)),
        choices={b.card.name: cases for b in benchmarks if (cases := shown_cases(b))},
        absent=absent,
        provenance={
            "command": " ".join(["knowclip", *sys.argv[1:]]),
            "data": str(data),
            "split": split or _split_read(runs),
            "versions": {name: version(name) for name in ("knowclip", "torch", "open_clip_torch", "numpy")},
            "licences": {b.card.title: b.card.licence for b in benchmarks},
        },
    )
