"""``knowclip train RECIPE [key=value ...]``: train a CLIP."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowclip.build.pairs import Pairs
    from knowclip.recipe.recipe import Recipe
    from knowclip.training.loop import Trainer


def command(
    recipe: Annotated[str, typer.Argument(help="A recipe that ships with knowclip, or a YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="As in optimizer.lr=1e-5.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Build everything, decode up to 10,000 images, print a summary, train nothing."
        ),
    ] = False,
) -> None:
    """Train a CLIP from a YAML recipe; on several devices: 'accelerate launch -q -m knowclip.cli train'."""
    from knowclip.api.runs import finished, held
    from knowclip.api.train import check
    from knowclip.commands.train_report import tell_measuring
    from knowclip.console.screen import Screen
    from knowclip.recipe.load import load_recipe

    config = load_recipe(recipe, overrides or [])
    check(config, resume=resume, dry_run=dry_run)
    if resume and not dry_run and (told := finished(config)):
        console = Screen(stderr=True, quiet=os.environ.get("RANK", "0") != "0")
        console.print(told)
        if (config.output.folder / "best").is_dir():
            tell_measuring(console, config)
        return
    with nullcontext() if dry_run else held(config):
        _train(config, resume=resume, dry_run=dry_run)


def _train(config: Recipe, *, resume: bool, dry_run: bool) -> None:
    """Build the run, tell what is about to be trained on what, train it and tell what came of it."""
    from knowclip.api.train import prepare, start
    from knowclip.console.progress import stages
    from knowclip.console.screen import Screen

    with stages() as progress:
        trainer, pairs = prepare(config, progress=progress)
    from knowclip.commands.train_report import (
        check_images,
        chosen_by,
        go_on,
        negatives_told,
        plan,
        tell_measuring,
    )
    from knowclip.training.stopping import TrainingStopped

    main = trainer.accelerator.is_main_process
    console = Screen(stderr=True, quiet=not main)
    console.print(f"recipe {config.source}")
    for line in (*summary(trainer, pairs), *negatives_told(config, pairs), *plan(config, trainer, pairs)):
        console.print(line)
    if dry_run:
        for line in check_images(config, trainer, pairs):
            console.print(line)
        return
    run = config.output.folder
    try:
        position = start(config, trainer, pairs, resume=resume)
    except TrainingStopped as stopped:
        position = stopped.position
        console.print(
            f"stopped after step {position.step:,} of {trainer.steps:,}; saved in {run / 'last'}. Go on with:"
        )
        console.print(go_on(), soft_wrap=True)
        raise typer.Exit(128 + stopped.number) from stopped
    if position.best is None:
        console.print(f"no validation data, so no best: the model is in {run / 'last'}")
    else:
        chosen = chosen_by(config.selection.metrics)
        console.print(f"best: {chosen} {position.best:.4f} at step {position.best_step}, in {run / 'best'}")
        if position.best_step == 0:
            console.print(
                "that is the start: training raised none of it. What was trained is in "
                f"{run / 'last'}; selection.metrics (and selection.links) say what counts"
            )
        tell_measuring(console, config)


def summary(trainer: Trainer, pairs: Pairs) -> list[str]:
    """What is about to be trained on what, in lines for a person."""
    from knowclip.api.lost import pairs_told
    from knowclip.plugins import loaded

    total = sum(p.numel() for p in trainer.method.parameters())
    trained = sum(p.numel() for p in trainer.method.parameters() if p.requires_grad)
    return [
        f"{type(trainer.method).__name__}: {trained:,} of {total:,} parameters are trained",
        *([] if (adapters := trainer.method.model.adapters) is None else [adapters.told()]),
        *(f"from another package: {plugin}" for plugin in loaded()),
        f"{len(pairs.train):,} pairs to train on, {len(pairs.val):,} to validate on; "
        f"{len(trainer.batches):,} batches an epoch, {trainer.steps:,} steps",
        *pairs_told(pairs),
    ]
