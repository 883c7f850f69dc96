"""A run's folder before it is trained in: which may be begun or gone on with, and its ``recipe.yaml``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from knowclip.console.spelling import resuming

if TYPE_CHECKING:
    from knowclip.recipe.recipe import Recipe
    from knowclip.training.loop import Trainer

MAY_CHANGE = {
    "data.cache_dir",
    "data.negatives.processes",
    "data.max_unreadable",
    "data.max_overlap",
    "train.num_workers",
    "train.grad_checkpointing",
    "train.compile",
    "train.log_every",
    "train.validate_every",
    "train.save_every",
    "train.max_nonfinite",
    "output.folder",
    "output.keep_last",
    "output.wandb",
}
"""Keys that a resumed run may change: they do not decide what is learned."""

MAY_GROW = {"train.steps", "train.epochs", "selection.patience"}
"""Keys that it may raise, or put one for the other: the schedule is then drawn anew over all steps."""


def check_run(recipe: Recipe, *, resume: bool) -> None:
    """Refuse a folder that holds another run, or not the one to go on with.

    Raises:
        ValueError: If another run is there, or the one to resume is not, or was of another recipe.
    """
    from knowclip.recipe.load import load_recipe
    from knowclip.storage.locks import locked
    from knowclip.training.kept import recover_last

    run, last = recipe.output.folder, recipe.output.folder / "last"
    if run.is_dir() and os.environ.get("RANK", "0") == "0":
        with locked(run, doing="training"):  # told now, not after the model is loaded
            recover_last(run)
    if resume and not last.exists():
        raise ValueError(f"nothing to resume in {run}: it has no checkpoint; train without {resuming()}")
    if not resume and last.exists():
        raise ValueError(
            f"{run} holds a run already: go on with {resuming()}, choose another output.folder, or remove it"
        )
    if resume:
        _refuse_changes(load_recipe(run / "recipe.yaml"), recipe, last)


@contextmanager
def held(recipe: Recipe) -> Iterator[None]:
    """Hold the run's folder from before a model is loaded on: a second training there is told at once.

    The main process holds it; one that was made for that and stayed empty goes again.

    Raises:
        ValueError: Another process trains there.
    """
    from knowclip.storage.locks import locked

    if os.environ.get("RANK", "0") != "0":
        yield
        return
    run = recipe.output.folder
    made = [folder for folder in (run, *run.parents) if not folder.exists()]
    try:
        with locked(run, doing="training", lend=True):
            yield
    finally:
        with suppress(OSError):  # it holds something
            for folder in made:
                folder.rmdir()


def finished(recipe: Recipe) -> str | None:
    """Say that a run to resume has nothing left to do; None: it has, or only torch could tell."""
    from knowclip.training.kept import LAST, TRAINING

    run, train = recipe.output.folder, recipe.train
    try:
        told = json.loads((run / LAST / TRAINING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # damaged: what is to be done about it is told when it is read
    done = told["step"] if train.epochs is None else told.get("epoch", 0)
    if told.get("to_validate", True) or done < (train.steps or train.epochs or 0):
        return None
    return (
        f"{run} is finished: all {told['step']:,} steps are done; raise train.steps or train.epochs to go on"
    )


def seed_of(model: str | Path) -> int:
    """With which seed the run of a checkpoint drew the weights that its start had in no file; 0 of no run."""
    import yaml

    for folder in (Path(model), Path(model).parent):  # of the run, or its best
        if (folder / "recipe.yaml").is_file():
            told = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
            return int((told or {}).get("seed", 0))
    return 0


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
    if resume and trainer is not None:
        _check_checkpoint(recipe.output.folder, trainer)
    recipe.output.folder.mkdir(parents=True, exist_ok=True)
    save_recipe(recipe, recipe.output.folder / "recipe.yaml")
    if trainer is not None and recipe.data.val is None and trainer.checkpointer.data is not None:
        from knowclip.api.trained_on import write_held_out

        if held := trainer.checkpointer.data.pairs["validation pairs"]:
            write_held_out(recipe.output.folder, held)


def _check_checkpoint(run: Path, trainer: Trainer) -> None:
    from knowclip.training.kept import fall_back

    if told := fall_back(run):
        trainer.monitor.say(told)
    if not trainer.checkpointer.refuse_other_data():
        trainer.monitor.say(
            "this checkpoint is of a version that kept no fingerprint of its data: whether they are the same "
            "is not known"
        )


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
            f"{resuming()} goes on with the same recipe, but {shown}: use the old values (train.steps, "
            "train.epochs and selection.patience may grow), or start a new run from these weights with "
            f"model.name={last}"
        )
