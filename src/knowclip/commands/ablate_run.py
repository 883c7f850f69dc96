"""The first and last step of ``ablate``: trainings that are made once, and the tables."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from knowclip.api.lost import pairs_told
from knowclip.api.runs import MAY_CHANGE, held
from knowclip.api.train import prepare, start
from knowclip.console.progress import stages
from knowclip.console.screen import Screen
from knowclip.evaluation.report import ablation
from knowclip.evaluation.report.plots import LIGHT
from knowclip.evaluation.report.write import to_json
from knowclip.evaluation.statistics.seeds import across_seeds
from knowclip.models.text_length import word_embedding
from knowclip.recipe.load import differences, load_recipe
from knowclip.recipe.recipe import Recipe
from knowclip.storage.atomic import atomic_file

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn

    from knowclip.commands.ablate_measure import BySeed
    from knowclip.methods.method import Method
    from knowclip.recipe.study import Study
    from knowclip.types import Result

COST = "cost.json"
"""Written when a training is complete: what it took."""


def train(
    study: Study, console: Console, *, seeds: Sequence[int] | None = None
) -> dict[str, dict[str, float]]:
    """Train every arm with every seed, or with ``seeds`` alone, unless that is done; mean cost of an arm.

    Raises:
        ValueError: a recipe is wrong (told before anything is trained), or a folder holds another training.
    """
    recipes = {
        (seed, arm): study.recipe(arm, seed) for seed, arm in product(seeds or study.seeds, study.trained)
    }
    costs: dict[str, list[dict[str, float]]] = {arm: [] for arm in study.trained}
    for (seed, arm), recipe in recipes.items():
        file = recipe.output.folder / COST
        if file.is_file():
            _refuse_others(recipe)
        else:
            console.print(f"\n{arm}, seed {seed}: {recipe.output.folder}")
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
    with held(recipe):
        with stages() as progress:
            trainer, pairs = prepare(recipe, progress=progress)
        for line in pairs_told(pairs):
            Screen(stderr=True).print(line)
        began, counts = time.perf_counter(), Counter[str]()
        with _counted(trainer.method, counts):
            position = start(recipe, trainer, pairs, resume=resume)
    share = counts["steps"] / position.step
    return {
        "seconds": (time.perf_counter() - began) / share,
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
