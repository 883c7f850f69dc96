"""The second step of ``ablate``: benchmarks, tasks and link prediction on every saved checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from knowclip.api.benchmark_data import find, unmeasured
from knowclip.api.loaded import load_model, scorers
from knowclip.api.measuring import keep, keep_found, paraphrases, text_only
from knowclip.console.counts import counted
from knowclip.evaluation.derived import of_groups, with_main
from knowclip.evaluation.links.prediction import answered_sides, read_links, run_link_prediction
from knowclip.evaluation.suites.folder import read_suite, run_suite
from knowclip.evaluation.tasks import registry
from knowclip.evaluation.tasks.settings import parse_settings
from knowclip.preflight.untrained import tell_untrained
from knowclip.storage.caches import cache_folder

if TYPE_CHECKING:
    from rich.console import Console

    from knowclip.api.loaded import Loaded
    from knowclip.evaluation.benchmarks.card import Benchmark
    from knowclip.evaluation.links.prediction import LinkSet
    from knowclip.evaluation.links.scorers import LinkScorer
    from knowclip.evaluation.scoring import Scorer
    from knowclip.recipe.study import LinkMeasurement, Measured, Measurement, Study, TaskMeasurement
    from knowclip.types import Result

RESULTS = "results"
"""In a study's folder: per-item scores."""
BySeed = dict[int, dict[str, list["Result"]]]
"""Results by seed and arm; ``<arm> with KEE`` where a KEE was saved beside the towers, ``<arm> with fusion
encoder`` where that was (link prediction only)."""

Ask = Callable[[str, "Scorer"], list["Result"]]
"""Name of a model and its scorer -> what was measured, and kept under that name."""


class Asked(NamedTuple):
    """All that a study measures, read: what is asked of towers, and triplets to be completed."""

    towers: list[tuple[Measured, Ask]]
    links: list[tuple[LinkMeasurement, LinkSet]]


def read(study: Study, console: Console) -> Asked:
    """Read what a study is measured on: before its trainings, which take hours.

    Raises:
        ValueError: Data are missing or broken, or not all is there that is named.
    """
    out = study.output / RESULTS
    towers: list[tuple[Measured, Ask]] = [(part, _benchmarks(part, out, console)) for part in study.measure]
    towers += [(part, _task(part, out)) for part in study.tasks]
    return Asked(towers, [(part, _links(part)) for part in study.links])


def measure(study: Study, asked: Asked, console: Console) -> BySeed:
    """Measure every saved checkpoint; per-item scores are kept in ``output/results``.

    Args:
        study: Whose trainings are done.
        asked: By :func:`read`.
        console: To say on what is being done.

    Raises:
        ValueError: Results lack the groups or metrics that are to be shown.
    """
    out = study.output / RESULTS
    by_seed: BySeed = {seed: {} for seed in study.seeds}
    for seed, arm, name in _models(study):
        if seed is None:
            console.print(f"measuring {arm}: {name}")
        else:
            console.print(f"measuring {arm}, seed {seed}")
            tell_untrained(Path(name))
        asks = [ask for part, ask in asked.towers if _is_of(part, arm)]
        completing = [(part, triplets) for part, triplets in asked.links if _is_of(part, arm)]
        told = _measured(arm, seed, load_model(name), asks, completing, out)
        for of in study.seeds if seed is None else [seed]:
            by_seed[of] |= told
    return by_seed


def _measured(
    arm: str,
    seed: int | None,
    loaded: Loaded,
    asked: Sequence[Ask],
    links: Sequence[tuple[LinkMeasurement, LinkSet]],
    out: Path,
) -> dict[str, list[Result]]:
    """What one model was measured to be: the towers, and with its KEE or fusion encoder."""
    told: dict[str, list[Result]] = {}
    kept = "" if seed is None else f" {seed}"
    cache = cache_folder() / "features"
    for suffix, scorer in scorers(loaded.with_kee(), cache=cache) if asked else ():
        name = arm + suffix
        told[name] = [result for ask in asked for result in ask(f"{name}{kept}", scorer)]
    for label, linker in loaded.link_scorers(cache=cache).items() if links else ():
        name = arm if label == "plain" else f"{arm} with {label} encoder"
        for part, triplets in links:
            told.setdefault(name, []).extend(_completed(part, triplets, linker, out, f"{name}{kept}"))
    return told


def _is_of(part: Measured, arm: str) -> bool:
    return not part.arms or arm in part.arms


def _models(study: Study) -> Iterator[tuple[int | None, str, str]]:
    """Seed, arm and checkpoint; models that are measured as they are come first, and have no seed."""
    for arm, chosen in study.arms.items():
        if chosen.model is not None:
            yield None, arm, chosen.model
    for seed, arm in product(study.seeds, study.trained):
        run = study.recipe(arm, seed).output.folder
        best = study.checkpoint == "best" and (run / "best").exists()
        yield seed, arm, str(run / ("best" if best else "last"))


def _found(part: Measurement) -> list[Benchmark]:
    if part.split is not None and part.data.is_dir():
        return read_suite(part.data, names=part.benchmarks, suite=part.suite, split=part.split)[0]
    chosen = [*part.benchmarks, *filter(None, [part.suite])]
    found, absent = find(part.data, chosen, part.split, allow_missing=False)
    if names := unmeasured(chosen, absent):
        raise ValueError("; ".join(f"{name}: {absent.get(name, 'none of it is there')}" for name in names))
    return found


def _benchmarks(part: Measurement, out: Path, console: Console) -> Ask:
    found = _found(part)
    what = "all rows" if part.split is None else f"split {part.split}"
    console.print(f"to be measured: {counted(len(found), 'benchmark')} of {part.data}, {what}")
    control, said = text_only(part.data, found), paraphrases(part.data)

    def ask(name: str, scorer: Scorer) -> list[Result]:
        results = _renamed(run_suite(found, scorer, text_only=control, paraphrases=said), part.name)
        keep(results, found, scorer, out, name, part.split or "test")
        return _shown(results, part)

    return ask


def _task(part: TaskMeasurement, out: Path) -> Ask:
    settings = parse_settings(part.settings)
    tasks = [registry.read(name, part.data, split=part.split) for name in registry.names_of(part.task)]

    def ask(name: str, scorer: Scorer) -> list[Result]:
        seeds = range(part.head_seeds)
        results = [registry.run(task, scorer, settings=settings, seeds=seeds) for task in tasks]
        results = _renamed(results, part.name)
        keep_found(results, scorer.model_hash, out, name, part.split or "test")
        return _shown(results, part)

    return ask


def _links(part: LinkMeasurement) -> LinkSet:
    return read_links(part.path, **part.model_dump(include={"split", "modality", "among", "limit"}))


def _completed(
    part: LinkMeasurement, triplets: LinkSet, scorer: LinkScorer, out: Path, name: str
) -> list[Result]:
    """What is asked for and the scorer has learned to answer: an arm may lack a term, or a source."""
    answered = answered_sides(triplets, scorer)
    if left_out := set(part.sides).difference(answered):
        starts = tuple(f"link_{side}_" for side in left_out)
        also = [metric for metric in part.also if not metric.startswith(starts)]
        part = part.model_copy(update={"sides": [s for s in part.sides if s in answered], "also": also})
    results = _renamed(run_link_prediction(triplets, scorer, sides=part.sides), part.name)
    keep_found(results, scorer.model_hash, out, name, triplets.split)
    return _shown(results, part)


def _shown(results: Sequence[Result], part: Measured) -> list[Result]:
    """What the table has of them: main metrics, some groups of items, other metrics.

    Raises:
        ValueError: no result has such groups or such a metric.
    """
    shown = list(results)
    for name, groups in part.groups.items():
        if len(results) != 1:
            raise ValueError(
                f"groups {name!r} are asked of {len(results)} benchmarks: give them one of its own"
            )
        shown.append(of_groups(results[0], name, groups))
    for metric in part.also:
        wanted = f"{part.name} {metric}" if part.name else metric
        having = [result for result in results if wanted in result.metrics]
        if not having:
            known = ", ".join(name for result in results for name in result.metrics)
            raise ValueError(f"no metric {wanted!r} was measured; there are {known}")
        shown += [with_main(result, wanted) for result in having]
    return shown


def _renamed(results: Sequence[Result], name: str) -> list[Result]:
    """``swaps`` of the measurement ``blind-balanced`` is ``blind-balanced swaps``."""
    if not name:
        return list(results)
    return [
        replace(
            result,
            benchmark=f"{name} {result.benchmark}",
            main=f"{name} {result.main}",
            metrics={f"{name} {metric}": value for metric, value in result.metrics.items()},
        )
        for result in results
    ]
