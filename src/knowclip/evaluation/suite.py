"""A folder of data to benchmarks, and benchmarks times a model to Results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.base import Benchmark, ChoiceBenchmark
from knowclip.evaluation.controls import TextOnly, hard_positives, shuffled_images
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.scoring import Scorer
from knowclip.types import Result


def read_suite(
    folder: Path,
    *,
    names: Sequence[str] = (),
    suite: str = "",
    split: str = "test",
    allow_missing: bool = False,
) -> tuple[list[Benchmark], dict[str, str]]:
    """Read the benchmarks that ``folder`` has data for, and for the others why not.

    Args:
        folder: scenes folder, data folder with a subfolder for each benchmark, one of these, or captioned
            images.
        names: benchmarks that must be there, besides those of ``suite``.
        suite: name of a suite (``registry.SUITES``); without ``names`` and ``suite``, all registered
            benchmarks that are not read on request only.
        split: "test", or "val" for selection.
        allow_missing: accept incomplete copies; see ``registry.read``.

    Raises:
        ValueError: a named benchmark has no data, none has, or a copy is incomplete.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; give the folder that holds the benchmark files")
    wanted = [*names, *(registry.members(suite) if suite else ())]
    if not wanted:
        wanted = [name for name, entry in registry.BENCHMARKS.items() if not entry.on_request]
    found: list[Benchmark] = []
    absent: dict[str, str] = {}
    for name in dict.fromkeys(wanted):
        try:
            found.append(registry.read(name, folder, split=split, allow_missing=allow_missing))
        except NoDataError as error:
            if name in names:
                raise
            absent[name] = str(error)
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in absent.items())
        raise NoDataError(f"no benchmark has data for split {split!r} in {folder} ({reasons})")
    return found, absent


def run_suite(
    benchmarks: Iterable[Benchmark],
    scorer: Scorer,
    *,
    text_only: TextOnly | None = None,
    paraphrases: Mapping[str, str] | None = None,
) -> list[Result]:
    """Run every benchmark on one model; each choice Result gets its controls in its details.

    Args:
        benchmarks: to be run.
        scorer: of the model.
        text_only: the blind control.
        paraphrases: caption to paraphrase, for the hard positives of benchmarks that bring none.
    """
    results = []
    for benchmark in benchmarks:
        result = benchmark.run(scorer)
        if isinstance(benchmark, ChoiceBenchmark):
            controls = _controls(benchmark, scorer, text_only, paraphrases)
            result = replace(result, details={**result.details, **controls})
        results.append(result)
    return results


def _controls(
    benchmark: ChoiceBenchmark,
    scorer: Scorer,
    text_only: TextOnly | None,
    paraphrases: Mapping[str, str] | None,
) -> dict[str, Any]:
    controls: dict[str, Any] = {}
    if text_only is not None:
        controls["text_only"] = text_only.measure(benchmark, scorer)
    if len({ref.path for ref in benchmark.images}) > 1:
        controls["shuffled_images"] = asdict(shuffled_images(benchmark, scorer))
    with suppress(NoDataError):  # no case has a paraphrase
        controls["hard_positives"] = asdict(hard_positives(benchmark, scorer, paraphrases))
    return controls
