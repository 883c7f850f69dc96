"""A folder of data to benchmarks, and benchmarks times a model to Results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.base import Benchmark, ChoiceBenchmark
from knowclip.evaluation.controls import TextOnly, shuffled_images
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.scoring import Scorer
from knowclip.types import Result


def read_suite(
    folder: Path, *, names: Sequence[str] = (), split: str = "test"
) -> tuple[list[Benchmark], dict[str, str]]:
    """Read the benchmarks that ``folder`` has data for, and for the others why not.

    Args:
        folder: scenes folder, ARO folder, or captioned images.
        names: benchmarks that must be there; without, all registered ones that are.
        split: "test", or "val" for selection.

    Raises:
        ValueError: a named benchmark has no data, or none has.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; give the folder that holds the benchmark files")
    found: list[Benchmark] = []
    absent: dict[str, str] = {}
    for name in names or registry.BENCHMARKS:
        try:
            found.append(registry.read(name, folder, split=split))
        except NoDataError as error:
            if names:
                raise
            absent[name] = str(error)
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in absent.items())
        raise NoDataError(f"no benchmark has data for split {split!r} in {folder} ({reasons})")
    return found, absent


def run_suite(
    benchmarks: Iterable[Benchmark], scorer: Scorer, *, text_only: TextOnly | None = None
) -> list[Result]:
    """Run every benchmark on one model; each choice Result gets its controls in its details."""
    results = []
    for benchmark in benchmarks:
        result = benchmark.run(scorer)
        if isinstance(benchmark, ChoiceBenchmark):
            controls = _controls(benchmark, scorer, text_only)
            result = replace(result, details={**result.details, **controls})
        results.append(result)
    return results


def _controls(benchmark: ChoiceBenchmark, scorer: Scorer, text_only: TextOnly | None) -> dict[str, Any]:
    controls: dict[str, Any] = {}
    if text_only is not None:
        controls["text_only"] = text_only.measure(benchmark, scorer)
    if len({ref.path for ref in benchmark.images}) > 1:
        controls["shuffled_images"] = asdict(shuffled_images(benchmark, scorer))
    return controls
