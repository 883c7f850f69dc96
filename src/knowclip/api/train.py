"""``knowclip.train``: a recipe to a trained run, as ``knowclip train`` does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowclip.api.runs import check_run, held, open_run

if TYPE_CHECKING:
    from knowclip.build.pairs import Pairs
    from knowclip.console.progress import Stages
    from knowclip.recipe.recipe import Recipe
    from knowclip.training.checkpoint import Position
    from knowclip.training.loop import Trainer


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was trained to its end.

    ``best`` is the highest mean of ``selection.metrics`` on validation data, reached at ``best_step`` (0:
    what it started from); both are None without such data.
    """

    folder: Path
    step: int
    best: float | None
    best_step: int | None

    @property
    def checkpoint(self) -> Path:
        """The folder to load: the best checkpoint, without validation data the last."""
        return self.folder / ("last" if self.best is None else "best")


def train(recipe: str | Path, /, *, resume: bool = False, **overrides: Any) -> Run:
    """Train a recipe, which writes its checkpoints and log into ``output.folder`` (``knowclip.train``).

    What is left out is said on standard error, as by the command; images that cannot be read are named there
    and in the run's ``unreadable.json``.

    Args:
        recipe: The name of one that ships with knowclip, or a YAML file.
        resume: Go on from the run's last checkpoint.
        **overrides: A section by its name, a mapping merged into the recipe's (``train={"steps": 100}``,
            ``data={"train": {"path": "captions.csv"}}``), or one value by its dotted key, as on the command
            line (``**{"optimizer.lr": 1e-5}``).

    Raises:
        ValueError: Files, models and options do not fit, the folder holds another run, or the training fails;
            the message names the key to change.
        TrainingStopped: Ctrl-C or SIGTERM; a KeyboardInterrupt. The last step is saved.
    """
    from knowclip.api.lost import pairs_told
    from knowclip.console.progress import stages
    from knowclip.console.screen import Screen
    from knowclip.recipe.load import load_recipe

    config = load_recipe(recipe, overrides)
    check(config, resume=resume)
    with held(config):
        with stages() as progress:
            trainer, pairs = prepare(config, progress=progress)
        console = Screen(stderr=True, quiet=not trainer.accelerator.is_main_process)
        for line in pairs_told(pairs):
            console.print(line)
        position = start(config, trainer, pairs, resume=resume)
    return Run(config.output.folder, position.step, position.best, position.best_step)


def check(recipe: Recipe, *, resume: bool = False, dry_run: bool = False) -> None:
    """Refuse what can be refused before torch is imported.

    Raises:
        ValueError: A recipe that does not fit its files, or a folder that this run may not write to.
    """
    from knowclip.preflight.recipes import check_recipe

    check_recipe(recipe)
    if not dry_run:
        check_run(recipe, resume=resume)


def prepare(recipe: Recipe, *, progress: Stages) -> tuple[Trainer, Pairs]:
    """Read the pairs and build the run; nothing is trained."""
    from knowclip.preflight.recipes import read_sources

    progress("reading captions", 0, None)
    sources = read_sources(recipe)
    progress("loading the model", 0, None)
    from knowclip.build.trainer import build_trainer  # torch: after all that can be refused without it

    return build_trainer(recipe, sources=sources, progress=progress)


def start(recipe: Recipe, trainer: Trainer, pairs: Pairs, *, resume: bool) -> Position:
    """Train to the end: the main process makes the run's folder, and says what was not learned from.

    Raises:
        TrainingStopped: As :func:`train`; what was not learned from is said before.
    """
    from knowclip.api.lost import tell_lost
    from knowclip.console.screen import Screen
    from knowclip.training.stopping import TrainingStopped

    main = trainer.accelerator.is_main_process
    if main:
        open_run(recipe, resume=resume, trainer=trainer)
    console = Screen(stderr=True, quiet=not main)
    try:
        position = trainer.fit(resume=resume)
    except TrainingStopped as stopped:
        tell_lost(console, pairs, stopped.position, recipe.output.folder)
        raise
    tell_lost(console, pairs, position, recipe.output.folder)
    return position
