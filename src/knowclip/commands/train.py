"""``knowclip train RECIPE [key=value ...]``: train a CLIP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from knowclip.build.pairs import Pairs
    from knowclip.recipe.recipe import Recipe
    from knowclip.training.loop import Trainer


MAY_CHANGE = {
    "data.cache_dir",
    "data.negatives.processes",
    "data.max_unreadable",
    "data.max_overlap",
    "train.num_workers",
    "train.log_every",
    "train.validate_every",
    "train.save_every",
    "output.folder",
    "output.wandb",
}
"""Keys that a resumed run may change: they do not decide what is learned."""

MAY_GROW = {"train.steps", "train.epochs"}
"""Keys that it may raise, or put one for the other: the schedule is then drawn anew over all steps."""


def command(
    recipe: Annotated[str, typer.Argument(help="A recipe that ships with knowclip, or a YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="As in optimizer.lr=1e-5.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Build everything, decode up to 10,000 images, print a summary, train nothing."
        ),
    ] = False,
) -> None:
    """Train a CLIP from a YAML recipe; on several devices: ``accelerate launch -q -m knowclip.cli train``."""
    from rich.console import Console

    from knowclip.console.progress import stages
    from knowclip.preflight.recipes import check_recipe, read_sources
    from knowclip.recipe.load import load_recipe

    config = load_recipe(recipe, overrides or [])
    check_recipe(config)
    if not dry_run:
        check_run(config, resume=resume)
    with stages() as progress:
        progress("reading captions", 0, None)
        sources = read_sources(config)
        progress("loading the model", 0, None)
        from knowclip.build.trainer import build_trainer  # torch: after all that can be refused without it
        from knowclip.commands.train_report import check_images, go_on, tell_unreadable
        from knowclip.training.stopping import TrainingStopped

        trainer, pairs = build_trainer(config, sources=sources, progress=progress)
    main = trainer.accelerator.is_main_process
    console = Console(stderr=True, quiet=not main, highlight=False, soft_wrap=True)
    console.print(f"recipe {config.source}")
    for line in summary(trainer, pairs):
        console.print(line)
    if dry_run:
        for line in check_images(config, trainer, pairs):
            console.print(line)
        return
    if main:
        open_run(config, resume=resume, trainer=trainer)
    run = config.output.folder
    try:
        position = trainer.fit(resume=resume)
    except TrainingStopped as stopped:
        position = stopped.position
        tell_unreadable(console, pairs, position.unreadable, run)
        console.print(
            f"stopped after step {position.step:,} of {trainer.steps:,}; saved in {run / 'last'}. Go on "
            f"with:\n{go_on()}",
            markup=False,
        )
        raise typer.Exit(128 + stopped.number) from stopped
    tell_unreadable(console, pairs, position.unreadable, run)
    if position.best is None:
        console.print(f"no validation data, so no best: the model is in [bold]{run / 'last'}[/]")
    else:
        chosen = " + ".join(config.selection.metrics)
        console.print(
            f"best: {chosen} {position.best:.4f} at step {position.best_step}, in [bold]{run / 'best'}[/]"
        )
        if position.best_step == 0:
            console.print(
                "that is the start: training raised none of it. What was trained is in "
                f"[bold]{run / 'last'}[/]; selection.metrics (and selection.links) say what counts"
            )


def check_run(recipe: Recipe, *, resume: bool) -> None:
    """Refuse a folder that holds another run, or not the one to go on with.

    Raises:
        ValueError: If another run is there, or the one to resume is not, or was of another recipe.
    """
    from knowclip.recipe.load import load_recipe
    from knowclip.storage.atomic import recover
    from knowclip.storage.locks import locked

    run, last = recipe.output.folder, recipe.output.folder / "last"
    if run.is_dir() and os.environ.get("RANK", "0") == "0":
        with locked(run, doing="training"):  # told now, not after the model is loaded
            recover(last)
    if resume and not last.exists():
        raise ValueError(f"nothing to resume in {run}: it has no checkpoint; train without --resume")
    if not resume and last.exists():
        raise ValueError(
            f"{run} holds a run already: go on with --resume, choose another output.folder, or remove it"
        )
    if resume:
        _refuse_changes(load_recipe(run / "recipe.yaml"), recipe, last)


def open_run(recipe: Recipe, *, resume: bool, trainer: Trainer | None = None) -> None:
    """Make the run's folder with its ``recipe.yaml``; the main process does it before training.

    Args:
        recipe: Of the run.
        resume: Whether it goes on.
        trainer: That will go on: the data are compared with those of the checkpoint.

    Raises:
        ValueError: As :func:`check_run`; or the data are not those of the run to resume.
    """
    from knowclip.recipe.load import save_recipe

    check_run(recipe, resume=resume)
    if resume and trainer is not None and not trainer.checkpointer.refuse_other_data():
        trainer.monitor.say(
            "this checkpoint is of a version that kept no fingerprint of its data: whether they are the same "
            "is not known"
        )
    recipe.output.folder.mkdir(parents=True, exist_ok=True)
    save_recipe(recipe, recipe.output.folder / "recipe.yaml")


def _refuse_changes(old: Recipe, new: Recipe, last: Path) -> None:
    from knowclip.recipe.load import differences

    changed = {
        key: (before, after)
        for key, (before, after) in differences(old, new).items()
        if key not in MAY_CHANGE and not (key in MAY_GROW and (None in (before, after) or after > before))
    }
    if changed:
        shown = ", ".join(f"{key} {before!r} -> {after!r}" for key, (before, after) in changed.items())
        raise ValueError(
            f"--resume goes on with the same recipe, but {shown}: use the old values (train.steps and "
            f"train.epochs may grow), or start a new run from these weights with model.name={last}"
        )


def summary(trainer: Trainer, pairs: Pairs) -> list[str]:
    """What is about to be trained on what, in lines for a person."""
    from knowclip.commands.train_report import NAMED
    from knowclip.console.counts import read_line
    from knowclip.data.captions.read import repeated
    from knowclip.plugins import loaded

    total = sum(p.numel() for p in trainer.method.parameters())
    trained = sum(p.numel() for p in trainer.method.parameters() if p.requires_grad)
    lines = [
        f"{type(trainer.method).__name__}: {trained:,} of {total:,} parameters are trained",
        *(f"from another package: {plugin}" for plugin in loaded()),
        f"{len(pairs.train):,} pairs to train on, {len(pairs.val):,} to validate on; "
        f"{len(trainer.batches):,} batches an epoch, {trainer.steps:,} steps",
    ]
    kept = [*pairs.train, *pairs.val]
    lines.append(read_line(len(kept), pairs.skipped, repeated=repeated(kept)))
    lines += [f"skipped: {reason}" for reason in list(pairs.unreadable.values())[:NAMED]]
    if pairs.overlap:
        lines.append(f"{pairs.overlap:,} validation images are training images too (data.max_overlap)")
    if pairs.alike:
        lines.append(f"{pairs.alike:,} negatives left out: the model reads their caption in them")
    lines += [f"{count:,} training captions have negatives by {kind}" for kind, count in pairs.kinds.items()]
    lines += [f"{count:,} have none: {reason}" for reason, count in pairs.without.items()]
    return lines
