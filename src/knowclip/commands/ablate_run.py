"""The steps of ``ablate``: trainings that are made once, their measurement, the tables."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from knowclip.atomic import atomic_file
from knowclip.build import build_trainer
from knowclip.commands.links import keep_links, link_scorers
from knowclip.commands.measuring import keep, paraphrases, scorers, text_only
from knowclip.commands.train import MAY_CHANGE, building, open_run
from knowclip.config import Recipe, differences, load_recipe
from knowclip.evaluation import ablation
from knowclip.evaluation.derived import of_groups, with_main
from knowclip.evaluation.link_prediction import read_links, run_link_prediction
from knowclip.evaluation.plots import LIGHT
from knowclip.evaluation.report import to_json
from knowclip.evaluation.seeds import across_seeds
from knowclip.evaluation.suite import read_suite, run_suite
from knowclip.models.text_length import word_embedding

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn

    from knowclip.evaluation.link_prediction import LinkSet
    from knowclip.methods.base import Method
    from knowclip.study import LinkMeasurement, Measured, Study
    from knowclip.types import Result

COST = "cost.json"
"""Written when a training is complete: what it took."""

BySeed = dict[int, dict[str, list["Result"]]]
"""Results by seed and arm; ``<arm> with KEE`` where a KEE was saved beside the towers, ``<arm> with fusion
encoder`` where that was (link prediction only)."""


def train(study: Study, console: Console) -> dict[str, dict[str, float]]:
    """Train every arm with every seed, unless that is done; mean cost of each arm's training.

    Raises:
        ValueError: a recipe is wrong (told before anything is trained), or a folder holds another training.
    """
    recipes = {(seed, arm): study.recipe(arm, seed) for seed, arm in product(study.seeds, study.arms)}
    precisions = {recipe.train.precision for recipe in recipes.values()}
    if len(precisions) > 1:
        raise ValueError(
            f"the arms have train.precision {' and '.join(sorted(precisions))}: set one in the study's "
            "overrides"
        )
    costs: dict[str, list[dict[str, float]]] = {arm: [] for arm in study.arms}
    for (seed, arm), recipe in recipes.items():
        file = recipe.output.folder / COST
        if file.is_file():
            _refuse_others(recipe)
        else:
            console.print(f"\n[bold]{arm}[/], seed {seed}: {recipe.output.folder}")
            cost = _train(recipe)
            with atomic_file(file) as partial:
                partial.write_text(json.dumps(cost), encoding="utf-8")
        costs[arm].append(json.loads(file.read_text(encoding="utf-8")))
    return {
        arm: {key: float(np.mean([cost[key] for cost in of])) for key in of[0]} for arm, of in costs.items()
    }


def _refuse_others(recipe: Recipe) -> None:
    made = load_recipe(recipe.output.folder / "recipe.yaml")
    changed = [key for key in differences(made, recipe) if key not in MAY_CHANGE]
    if changed:
        raise ValueError(
            f"{recipe.output.folder} holds a training with other values of {', '.join(changed)}: choose "
            "another output for this study, or remove that folder"
        )


def _train(recipe: Recipe) -> dict[str, float]:
    """Train one recipe, or what is left of it after a stop; its cost then is that of the rest, scaled to all.

    Seconds include validation.
    """
    resume = (recipe.output.folder / "last").exists()
    with building() as progress:
        trainer, _ = build_trainer(recipe, progress=progress)
    open_run(recipe, resume=resume)
    start, counts = time.perf_counter(), Counter[str]()
    with _counted(trainer.method, counts):
        position = trainer.fit(resume=resume)
    share = counts["steps"] / position.step
    return {
        "seconds": (time.perf_counter() - start) / share,
        "images": position.step * (recipe.train.batch_size or 0),
        "texts": counts["texts"] / share,
    }


@contextmanager
def _counted(method: Method, counts: Counter[str]) -> Iterator[None]:
    """Count steps, and texts that go through the text tower while it is trained."""

    def count(name: str, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if module.training:
            counts[name] += len(arguments[0]) if name == "texts" else 1

    hooks = [
        word_embedding(method.model.model).register_forward_pre_hook(partial(count, "texts")),
        method.register_forward_pre_hook(partial(count, "steps")),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def measure(study: Study, console: Console) -> BySeed:
    """Run every benchmark on every saved checkpoint; per-item scores are kept in ``output/results``."""
    parts = []
    for part in study.measure:
        found, _ = read_suite(part.data, names=part.benchmarks, suite=part.suite, split=part.split)
        console.print(f"to be measured: {len(found)} benchmarks of {part.data}, split {part.split}")
        parts.append((part, found, text_only(part.data, found), paraphrases(part.data)))
    links = [(part, _read_links(part)) for part in study.links]
    by_seed: BySeed = {seed: {} for seed in study.seeds}
    for seed, arm, folder in _checkpoints(study):
        told, out = by_seed[seed], study.output / "results"
        for label, scorer in scorers(str(folder)):
            name = f"{arm} with KEE" if label.endswith(" with KEE") else arm
            console.print(f"measuring {name}, seed {seed}")
            for part, found, control, said in parts:
                results = run_suite(found, scorer, text_only=control, paraphrases=said)
                results = [_renamed(result, part.name) for result in results]
                keep(results, found, scorer, out, f"{name} {seed}", part.split)
                told.setdefault(name, []).extend(_shown(results, part))
        for label, asked in link_scorers(str(folder)).items() if links else ():
            name = arm if label == "plain" else f"{arm} with {label} encoder"
            for part, triplets in links:
                results = run_link_prediction(triplets, asked, sides=part.sides)
                results = [_renamed(result, part.name) for result in results]
                keep_links(results, asked, out, f"{name} {seed}", part.split)
                told.setdefault(name, []).extend(_shown(results, part))
    return by_seed


def _read_links(part: LinkMeasurement) -> LinkSet:
    return read_links(part.path, **part.model_dump(include={"split", "modality", "among", "limit"}))


def _checkpoints(study: Study) -> Iterator[tuple[int, str, Path]]:
    for seed, arm in product(study.seeds, study.arms):
        run = study.recipe(arm, seed).output.folder
        yield seed, arm, run / ("best" if (run / "best").exists() else "last")


def _shown(results: Sequence[Result], part: Measured) -> list[Result]:
    """What the table has of them: main metrics, some groups of items, other metrics.

    Raises:
        ValueError: no result has such groups or such a metric.
    """
    shown = list(results)
    for name, groups in part.groups.items():
        grouped = [result for result in results if "group" in result.items]
        if len(grouped) != 1:
            raise ValueError(
                f"groups {name!r} are asked of {len(grouped)} benchmarks with groups; give them one, under "
                "measure of its own"
            )
        shown.append(of_groups(grouped[0], name, groups))
    for metric in part.also:
        wanted = f"{part.name} {metric}" if part.name else metric
        having = [result for result in results if wanted in result.metrics]
        if not having:
            known = ", ".join(name for result in results for name in result.metrics)
            raise ValueError(f"no metric {wanted!r} was measured; there are {known}")
        shown += [with_main(result, wanted) for result in having]
    return shown


def _renamed(result: Result, name: str) -> Result:
    """``swaps`` of the measurement ``blind-balanced`` is ``blind-balanced swaps``."""
    if not name:
        return result
    metrics = {f"{name} {metric}": value for metric, value in result.metrics.items()}
    return replace(
        result, benchmark=f"{name} {result.benchmark}", main=f"{name} {result.main}", metrics=metrics
    )


def tell(study: Study, by_seed: BySeed, costs: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Write ``ablation.json``, ``ablation.md`` and ``ablation.png``; return the first's content."""
    results = _all(by_seed)
    table = across_seeds(by_seed, baseline=study.baseline) | {
        "title": study.title,
        "n": {result.main: result.n for result in results},
        "text_only": ablation.text_only(results),
        "costs": costs,
    }
    for name, content in (
        ("ablation.json", to_json(table).encode()),
        ("ablation.md", ablation.markdown(table).encode()),
        ("ablation.png", ablation.plot(table, LIGHT)),
    ):
        with atomic_file(Path(study.output) / name) as partial:
            partial.write_bytes(content)
    return table


def _all(by_seed: BySeed) -> Sequence[Result]:
    return [result for of in by_seed.values() for results in of.values() for result in results]
