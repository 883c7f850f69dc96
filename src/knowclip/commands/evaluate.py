"""``knowclip evaluate MODEL``: measure a CLIP, alone or against a baseline, on the files of a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knowclip.evaluation.benchmarks.base import Benchmark
    from knowclip.evaluation.controls import TextOnly
    from knowclip.evaluation.gate import Condition
    from knowclip.evaluation.scoring import Scorer
    from knowclip.evaluation.summary import Report
    from knowclip.types import Result

FAILED = 3
"""Exit code where a condition of ``--require`` does not hold; errors have 1."""


def command(
    model: Annotated[str, typer.Argument(help="Checkpoint folder or file, open_clip name, hf-hub:name.")],
    data: Annotated[Path, typer.Option(help="Folder with benchmark files, scenes or captioned images.")],
    suite: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            "--benchmark",
            help="A suite or a benchmark (knowclip benchmarks), repeatable; default: all.",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="test, or val for selection.")] = "test",
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
) -> None:
    """Measure MODEL with intervals, the text-only control beside every choice, and paired differences.

    Features are kept in $KNOWCLIP_CACHE/features (~/.cache/knowclip/features) by content.
    """
    from rich.console import Console

    from knowclip.commands.folders import cache_folder
    from knowclip.commands.loaded import load_model
    from knowclip.commands.measuring import keep, text_only
    from knowclip.evaluation.gate import parse_condition
    from knowclip.evaluation.report import console_table, to_json, write_report

    conditions = [parse_condition(text) for text in require or ()]
    names = list(dict.fromkeys([*filter(None, [baseline, *(c.against for c in conditions)]), model]))
    if len(names) == 1 and (baseline or any(condition.against for condition in conditions)):
        raise ValueError(f"the baseline is the model itself ({model}): name another one, or leave it out")
    console = Console(stderr=True)
    benchmarks, absent = _read(data, suite or [], split, allow_missing)
    with console.status("training the text-only control"):
        control = text_only(data, benchmarks, language_model=language_model, device=device)
    runs: dict[str, list[Result]] = {}
    for name in names:
        with console.status(f"measuring {name} on {len(benchmarks)} benchmarks"):
            loaded = load_model(name, device=device)
            cache = cache_folder() / "features"
            for suffix, scorer in loaded.scorers(cache=cache, allow_missing=allow_missing):
                label = name + suffix
                runs[label] = _measure(benchmarks, scorer, control, data)
                keep(runs[label], benchmarks, scorer, out, label, split)
    summary = write_report(_report(runs, benchmarks, absent, data, split), out)
    if json:
        print(to_json(summary))
    else:
        Console().print(console_table(summary))
    console.print(f"written: {out / 'results.json'}, {out / 'report.html'}, {out / 'report.md'}")
    _enforce(conditions, runs, model)


def _read(
    data: Path, chosen: Sequence[str], split: str, allow_missing: bool
) -> tuple[list[Benchmark], dict[str, str]]:
    from knowclip.evaluation.benchmarks.registry import SUITES
    from knowclip.evaluation.suite import read_suite

    suites = [name for name in chosen if name in SUITES]
    if len(suites) > 1:
        raise ValueError(f"one suite at a time, got {', '.join(suites)}; benchmarks may be added by name")
    names = [name for name in chosen if name not in SUITES]
    suite = suites[0] if suites else ""
    return read_suite(data, names=names, suite=suite, split=split, allow_missing=allow_missing)


def _measure(
    benchmarks: list[Benchmark], scorer: Scorer, control: TextOnly | None, data: Path
) -> list[Result]:
    from knowclip.commands.measuring import paraphrases
    from knowclip.evaluation.suite import run_suite

    return run_suite(benchmarks, scorer, text_only=control, paraphrases=paraphrases(data))


def _enforce(conditions: Sequence[Condition], runs: dict[str, list[Result]], model: str) -> None:
    """Print what became of every condition; leave with ``FAILED`` if one does not hold."""
    from knowclip.evaluation.gate import check

    verdicts = [check(condition, runs, model) for condition in conditions]
    for verdict in verdicts:
        print(verdict, file=sys.stderr)
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(FAILED)


def _report(
    runs: dict[str, list[Result]], benchmarks: list[Benchmark], absent: dict[str, str], data: Path, split: str
) -> Report:
    from importlib.metadata import version

    from knowclip.evaluation.benchmarks.base import ChoiceBenchmark
    from knowclip.evaluation.summary import Report

    return Report(
        title=f"knowclip: {list(runs)[-1]}",
        runs=runs,
        baseline=next(iter(runs)),
        choices={b.card.name: b.cases for b in benchmarks if isinstance(b, ChoiceBenchmark)},
        absent=absent,
        provenance={
            "command": " ".join(["knowclip", *sys.argv[1:]]),
            "data": str(data),
            "split": split,
            "versions": {name: version(name) for name in ("knowclip", "torch", "open_clip_torch", "numpy")},
            "licences": {b.card.title: b.card.licence for b in benchmarks},
        },
    )
