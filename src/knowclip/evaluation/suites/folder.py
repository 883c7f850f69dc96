"""A folder of data to benchmarks, and benchmarks times a model to Results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from knowclip.data.formats.registry import CAPTIONLESS
from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.benchmarks.choices import ChoiceBenchmark
from knowclip.evaluation.benchmarks.swaps import BlindScored
from knowclip.evaluation.controls.text_only import TextOnly, hard_positives, shuffled_images, strongest
from knowclip.evaluation.metrics import NoDataError, NotHereError
from knowclip.evaluation.report.records import count_or_names
from knowclip.evaluation.report.summary import NO_FILES
from knowclip.evaluation.scoring import Scorer
from knowclip.plugins import PluginError
from knowclip.types import Result

NEAREST = 3
"""Reasons that are told where nothing can be measured."""


def read_suite(
    folder: Path,
    *,
    names: Sequence[str] = (),
    suite: str = "",
    split: str = "test",
    allow_missing: bool = False,
    strict: bool = True,
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
        strict: stop at the first named benchmark without data and at the first incomplete copy; else both are
            among the absent, as long as anything can be measured.

    Raises:
        ValueError: nothing can be measured, or ``strict`` says so.
    """
    if not folder.is_dir():
        gone = "" if folder.exists() else " (it does not exist)"
        raise ValueError(f"{folder} is not a folder{gone}; give the folder that holds the benchmark files")
    wanted = [*names, *(registry.members(suite) if suite else ())]
    if not wanted:
        wanted = [*registry.every()]
    asked = {*names, *(registry.members(suite) if suite else ())}
    found: list[Benchmark] = []
    absent: dict[str, ValueError] = {}
    for name in dict.fromkeys(wanted):
        try:
            if name not in asked and registry.entry(name).on_request:
                continue
            found.append(registry.read(name, folder, split=split, allow_missing=allow_missing))
        except ValueError as error:
            if strict and (name in names or not isinstance(error, (NoDataError, PluginError))):
                raise
            absent[name] = error
    if not found:
        raise _nothing(folder, split, absent, asked=bool(asked))
    return found, {name: _reason(error) for name, error in absent.items()}


def _reason(error: ValueError) -> str:
    return f"{NO_FILES}: {error}" if isinstance(error, NotHereError) else str(error)


def _nothing(folder: Path, split: str, absent: Mapping[str, ValueError], *, asked: bool) -> ValueError:
    """Tell the benchmarks that came nearest to being measured, not all those that nobody expected."""
    near = {name: error for name, error in absent.items() if not isinstance(error, NotHereError)}
    if len(absent) == 1:
        return next(iter(absent.values()))
    pictures = next((str(error) for error in absent.values() if CAPTIONLESS in str(error)), None)
    if pictures and not near:
        return NoDataError(pictures)
    shown = dict.fromkeys(str(error) for error in near.values())
    told = "".join(f"\n- {reason}" for reason in list(shown)[:NEAREST])
    others = f" ({len(shown) - NEAREST} more came as near)" if len(shown) > NEAREST else ""
    nearest = f"; nearest{others}:{told}" if near else ""
    elsewhere = [name for name in absent if name not in near]
    own = "" if asked else "; your own photos need a table, an image and a caption a line"
    gone = f": of {count_or_names(elsewhere)} none of the files are there (`knowclip data NAME` says which)"
    return NoDataError(
        f"no benchmark has data for split {split!r} in {folder}{gone if elsewhere else ''}{own}{nearest}"
    )


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
        own = benchmark.text_only() if isinstance(benchmark, BlindScored) else {}
        every = {**own.get("all", {}), **text_only.measure(benchmark, scorer)["all"]}
        controls["text_only"] = strongest(every)
    if len({ref.path for ref in benchmark.images}) > 1:
        controls["shuffled_images"] = asdict(shuffled_images(benchmark, scorer))
    with suppress(NoDataError):  # no case has a paraphrase
        controls["hard_positives"] = asdict(hard_positives(benchmark, scorer, paraphrases))
    return controls
