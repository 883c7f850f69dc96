"""A task times a model to a Result: train with several seeds, measure once each, average."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from knowclip.evaluation.benchmarks.grading import class_table, describe, missing_images
from knowclip.evaluation.metrics import macro_average
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.statistics.bootstrap import RESAMPLES, Interval, bootstrap
from knowclip.evaluation.tasks.head import PooledHead, TokenHead
from knowclip.evaluation.tasks.settings import HeadSettings
from knowclip.evaluation.tasks.sides import Cached, Live, Side, Tokens, sides_of
from knowclip.evaluation.tasks.task import Logits, Task, TaskItems
from knowclip.evaluation.tasks.training import fit, hold_out, predict
from knowclip.types import Result

RANK_RESAMPLES = 200
"""Draws for metrics that are no means: each draw computes them anew."""


class _Run(NamedTuple):
    """What one seed gave: logits of the test items, and how the head was selected."""

    logits: Logits
    selection: dict[str, float]


def run_task(
    task: Task,
    scorer: Scorer,
    *,
    settings: HeadSettings | None = None,
    seeds: Sequence[int] = (0,),
    progress: Callable[[str], None] = lambda stage: None,
) -> Result:
    """Train a head on ``task.train`` for every seed, and measure on ``task.test``.

    The seed draws the held-out part, the weights and the order. Metrics are means over seeds; per-item
    outcomes too. Tasks with images get the control ``text_only``: the same head on the first seed, with
    the image features zeroed.

    Raises:
        ValueError: ``tune`` for a task with images, or no seeds.
    """
    settings = settings or HeadSettings()
    if not seeds:
        raise ValueError("no seeds; give at least one")
    if settings.tune and task.train.images is not None:
        raise ValueError(f"{task.card.name}: tune=true is for text tasks; heads on images keep the towers")
    progress("encoding")
    if settings.tune:
        runs = [_tuned(task, scorer, settings, seed, progress) for seed in seeds]
        controls: dict[str, Any] = {}
    else:
        train = sides_of(task.train, scorer, kind=settings.features)
        test = sides_of(task.test, scorer, kind=settings.features)
        runs = [_frozen(task, train, test, settings, seed, progress) for seed in seeds]
        controls = {}
        if task.train.images is not None:
            progress("text-only control")
            # the same head on zeros: what differs is the image alone, not the number of weights
            blind = [train[0].blind(), train[1]], [test[0].blind(), test[1]]
            controls["text_only"] = _text_only(task, _frozen(task, *blind, settings, seeds[0], progress))
    return _result(task, scorer, runs, seeds, settings, controls)


def _frozen(
    task: Task,
    train: Sequence[Cached],
    test: Sequence[Cached],
    settings: HeadSettings,
    seed: int,
    progress: Callable[[str], None],
) -> _Run:
    progress(f"training a head, seed {seed}")
    # forked: measuring must not move the random numbers of what goes on around it
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = _head(train, task.objective.outputs, settings)
        return _fit_and_predict(task, head, train, test, settings, seed)


def _tuned(
    task: Task, scorer: Scorer, settings: HeadSettings, seed: int, progress: Callable[[str], None]
) -> _Run:
    """Tune a copy of the model's text tower along with the head."""
    progress(f"tuning the text tower, seed {seed}")
    model = copy.deepcopy(scorer.model)
    if not isinstance(model, nn.Module):
        raise ValueError(f"tune=true needs a torch module, got {type(model).__name__}")
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        train, test = ([Live(model, t) for t in _texts(items)] for items in (task.train, task.test))
        width = train[0].take(torch.tensor([0])).shape[-1]
        head = PooledHead(
            [width] * len(train),
            outputs=task.objective.outputs,
            hidden=settings.hidden,
            dropout=settings.dropout,
        )
        return _fit_and_predict(task, head, train, test, settings, seed, tower=model)


def _texts(items: TaskItems) -> list[Sequence[str]]:
    return [items.texts] if items.pairs is None else [items.texts, items.pairs]


def _head(sides: Sequence[Cached], outputs: int, settings: HeadSettings) -> nn.Module:
    if isinstance(sides[0], Tokens):
        image, text = sides
        return TokenHead(
            image.width, text.width, outputs=outputs, hidden=settings.hidden, dropout=settings.dropout
        )
    widths = [side.width for side in sides]
    return PooledHead(widths, outputs=outputs, hidden=settings.hidden, dropout=settings.dropout)


def _fit_and_predict(
    task: Task,
    head: nn.Module,
    train: Sequence[Side],
    test: Sequence[Side],
    settings: HeadSettings,
    seed: int,
    tower: nn.Module | None = None,
) -> _Run:
    rows, held = hold_out(task.train.clusters, share=settings.held_out, seed=seed)
    if tower is not None:
        head.to(next(tower.parameters()).device)
    fitted = fit(head, train, task.objective, rows=rows, held=held, settings=settings, seed=seed, tower=tower)
    logits = predict(nn.ModuleList([head]), test, torch.arange(len(task.test)), settings.batch_size)
    return _Run(logits.float().numpy(), {"epoch": fitted.epoch, "held_out_score": fitted.score})


def _text_only(task: Task, run: _Run) -> dict[str, Any]:
    grade = task.grade(run.logits, np.arange(len(task.test)))
    return {"strongest": "head without image", "accuracy": float(grade[task.card.main])}


def _result(
    task: Task,
    scorer: Scorer,
    runs: Sequence[_Run],
    seeds: Sequence[int],
    settings: HeadSettings,
    controls: Mapping[str, Any],
) -> Result:
    test, everything = task.test, np.arange(len(task.test))
    per_seed = [task.grade(run.logits, everything) for run in runs]
    metrics = {name: float(np.mean([grade[name] for grade in per_seed])) for name in per_seed[0]}
    items: dict[str, NDArray[Any]] = {"key": np.array(test.keys), "image_id": np.array(test.clusters)}
    if test.kinds is not None:
        items["kind"] = np.array(test.kinds)
    missing = missing_images(scorer, test.images) if test.images else 0
    used = len(task.train) + len(test)
    details = describe(task.card, used=used, skipped=task.skipped, missing=missing) | {
        "train_items": len(task.train),
        "settings": asdict(settings),
        "seeds": {
            str(seed): {**dict(grade), **run.selection}
            for seed, grade, run in zip(seeds, per_seed, runs, strict=True)
        },
        **controls,
    }
    if task.outcomes is not None:
        items["correct"] = np.mean([task.outcomes(run.logits) for run in runs], axis=0)
        if task.macro:
            items["group"] = items["kind"]
        if test.kinds is not None:
            table = macro_average(items["correct"], test.kinds)
            details["classes"] = class_table(table.accuracies, table.counts)
    details["interval"] = asdict(_interval(task, runs, metrics[task.card.main], items))
    return Result(task.card.name, task.card.main, len(test), metrics, items, details)


def _interval(task: Task, runs: Sequence[_Run], value: float, items: Mapping[str, NDArray[Any]]) -> Interval:
    """Bootstrap over the test items (whole images); of their outcomes, or of the metric itself."""
    clusters = list(task.test.clusters)
    if "correct" in items:
        classes = items["group"].tolist() if task.macro else None
        return bootstrap(items["correct"], classes=classes, clusters=clusters, resamples=RESAMPLES)
    rng, n = np.random.default_rng(0), len(task.test)
    draws = []
    for _ in range(RANK_RESAMPLES):
        rows = rng.integers(n, size=n)
        draws.append(np.mean([task.grade(run.logits[rows], rows)[task.card.main] for run in runs]))
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, float(low), float(high), n, n)
