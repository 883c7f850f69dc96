"""``knowclip evaluate MODEL``: measure a CLIP, alone or against a baseline, on the files of a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowclip.evaluation.benchmarks.base import Benchmark
    from knowclip.evaluation.controls import TextOnly
    from knowclip.evaluation.summary import Report
    from knowclip.types import Result

CONTROL_IMAGES = 1000
"""Training images whose mean stands for "some image" in the text-only control."""
CONTROL_CAPTIONS = 5000
"""Training captions parsed for negatives, where no file of negatives is given."""


def command(
    model: Annotated[str, typer.Argument(help="Checkpoint folder or file, open_clip name, hf-hub:name.")],
    data: Annotated[Path, typer.Option(help="Folder with scenes, ARO files or captioned images.")],
    benchmark: Annotated[
        list[str] | None, typer.Option(help="Benchmark by name, repeatable; all that have data if not given.")
    ] = None,
    split: Annotated[str, typer.Option(help="test, or val for selection.")] = "test",
    baseline: Annotated[str | None, typer.Option(help="Second model, for paired differences.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write results.json, report.html and plots to.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print results as JSON instead of a table.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep features in.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
    max_missing: Annotated[
        float, typer.Option(min=0, max=1, help="Share of images that may be unreadable (counted as wrong).")
    ] = 0.01,
) -> None:
    """Measure MODEL with intervals, the text-only control beside every choice, and paired differences."""
    from rich.console import Console

    from knowclip.evaluation.report import console_table, to_json, write_report
    from knowclip.evaluation.suite import read_suite
    from knowclip.evaluation.summary import summarise

    if baseline == model:
        raise ValueError(f"the baseline is the model itself ({model}); leave --baseline out")
    console = Console(stderr=True)
    benchmarks, absent = read_suite(data, names=benchmark or (), split=split)
    with console.status("training the text-only control"):
        control = _text_only(data, benchmarks)
    runs: dict[str, list[Result]] = {}
    for name in [baseline, model] if baseline else [model]:
        with console.status(f"measuring {name} on {len(benchmarks)} benchmarks"):
            runs[name] = _measure(name, benchmarks, control, device, cache, max_missing)
    report = _report(runs, benchmarks, absent, data, split)
    summary = write_report(report, out) if out else summarise(report)
    if json:
        print(to_json(summary))
    else:
        Console().print(console_table(summary))
    if out:
        console.print(f"written: {out / 'results.json'}, {out / 'report.html'}")


def _measure(
    name: str,
    benchmarks: list[Benchmark],
    control: TextOnly | None,
    device: str | None,
    cache: Path | None,
    max_missing: float,
) -> list[Result]:
    from knowclip.evaluation.scoring import Scorer
    from knowclip.evaluation.suite import run_suite
    from knowclip.models.loading import load

    scorer = Scorer(load(name, device=device), cache=cache, max_missing=max_missing)
    return run_suite(benchmarks, scorer, text_only=control)


def _text_only(data: Path, benchmarks: list[Benchmark]) -> TextOnly | None:
    """Train the control on the training captions beside the benchmark, where there are any."""
    from knowclip.data.captions import read_captions
    from knowclip.evaluation.benchmarks.base import ChoiceBenchmark
    from knowclip.evaluation.controls import TextOnly

    if not any(isinstance(benchmark, ChoiceBenchmark) for benchmark in benchmarks):
        return None
    try:
        examples = read_captions(data, split="train").examples
    except ValueError as error:
        print(f"no text-only control: no training captions ({error})", file=sys.stderr)
        return None
    captions = [example.caption for example in examples]
    images = list(dict.fromkeys(example.image for example in examples))[:CONTROL_IMAGES]
    return TextOnly(captions, negatives=_negative_pairs(data, captions), images=images)


def _negative_pairs(data: Path, captions: list[str]) -> list[tuple[str, str]]:
    """Captions with their negatives: those of ``negatives.jsonl``, else made here from a sample."""
    from knowclip.evaluation.benchmarks.swaps import read_negatives
    from knowclip.knowledge.negatives import generate
    from knowclip.knowledge.parsing import parse

    path = data / "negatives.jsonl"
    if path.is_file():
        negatives = read_negatives(path)
        return [(text, negative.caption) for text in captions for negative in negatives.get(text, ())]
    sample = list(dict.fromkeys(captions))[:CONTROL_CAPTIONS]
    try:
        graphs = list(parse(sample))
    except ImportError as error:
        print(f"text-only control without its classifier: {error}", file=sys.stderr)
        return []
    pairs = zip(sample, graphs, strict=True)
    return [(text, negative.caption) for text, graph in pairs for negative in generate(text, graph)]


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
        choices={b.card.name: b for b in benchmarks if isinstance(b, ChoiceBenchmark)},
        absent=absent,
        provenance={
            "command": " ".join(["knowclip", *sys.argv[1:]]),
            "data": str(data),
            "split": split,
            "versions": {name: version(name) for name in ("knowclip", "torch", "open_clip_torch", "numpy")},
            "licences": {b.card.title: b.card.licence for b in benchmarks},
        },
    )
