"""A killed run goes on bit for bit: every method, with its data, samplers, workers, negatives and dropout."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from knowclip.api.runs import open_run
from knowclip.build.trainer import build_trainer
from knowclip.commands.train import command
from knowclip.recipe.load import load_recipe
from knowclip.recipe.methods.registry import METHODS
from knowclip.training.batches import Epochs
from knowclip.training.loop import Trainer
from knowclip.training.nonfinite import is_finite
from knowclip.types import Batch
from processes import exit_code, in_two_processes

KEPT_TEXTS = "negclip, kept text layers"
RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "clip": ("clip", ("train.num_workers=2", "train.ema=0.9")),
    "clip, cached trunk features": ("clip", ("model.lock_image=true", "data.cache=trunk")),
    "negclip": ("negclip", ("data.negatives.per_caption=2", "train.num_workers=2", "data.group_share=0.5")),
    KEPT_TEXTS: ("negclip", ("model.unlocked_text_layers=0", "model.text_cache=1")),
    "structure_clip": ("structure-clip", ("method.kee.layers=1", "train.num_workers=1")),
    "knowledge_clip": ("knowledge-clip", ("train.num_workers=2", "method.fusion.drop_path=0.3")),
    "knowledge_clip, pooled term": (
        "knowledge-clip",
        ("method.pooled_weight=1", "method.head_side=true", "method.sentence_weight=0.5"),
    ),
    "joint": ("scenes-joint", ("selection.suite=null", "train.num_workers=1")),
}
"""Name, which begins with that of the method -> recipe and what is changed in it."""
IN_TWO = ("clip", "negclip", KEPT_TEXTS, "structure_clip", "joint")
"""Those that also run in two processes: between them, all that one process keeps of its own."""
EPOCHS, STEPS = 2, 6


@pytest.fixture
def overrides(stand_in, graph_stand_in, world: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Overrides of one of ``RUNS``: two epochs of three batches in micro-batches, by a model with dropout."""
    architecture = json.loads((world / "tiny.json").read_text())
    architecture["model_cfg"]["vision_cfg"]["patch_dropout"] = 0.5
    (tmp_path / "dropping.json").write_text(json.dumps(architecture))

    def of(name: str, *more: str) -> list[str]:
        recipe, changes = RUNS[name]
        return [
            *stand_in, *graph_stand_in(recipe), f"model.name={tmp_path / 'dropping.json'}",
            f"train.epochs={EPOCHS}", "train.accumulate=2", "train.log_every=1", *changes, *more,
        ]  # fmt: skip

    return of


def cut_of(name: str) -> int:
    """After which step a run is cut off: any but the last."""
    return random.Random(name).randrange(1, STEPS)


def train_and_cut(recipe: str, overrides: list[str], folder: Path, *, cut: int) -> tuple[Trainer, Trainer]:
    """A run to its end; and one that goes on from what that had on disk after step ``cut``, as if killed."""
    config = load_recipe(recipe, [*overrides, f"train.save_every={cut}", f"output.folder={folder / 'whole'}"])
    whole, _ = build_trainer(config)
    save = whole._save_last

    def save_and_copy(position):
        save(position)
        if position.step == cut and whole.accelerator.is_main_process:
            shutil.copytree(folder / "whole", folder / "cut")

    whole._save_last = save_and_copy
    if whole.accelerator.is_main_process:
        open_run(config, resume=False)
    whole.fit()
    whole.accelerator.wait_for_everyone()
    resumed, _ = build_trainer(load_recipe(recipe, [*overrides, f"output.folder={folder / 'cut'}"]))
    torch.rand(7), random.random()  # whatever the new process did before
    assert resumed.fit(resume=True).step == STEPS
    return whole, resumed


def log_of(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "pairs_per_second"} for line in lines]


def assert_same_state(one: Trainer, other: Trainer) -> None:
    for name, value in one.method.state_dict().items():
        assert torch.equal(value, other.method.state_dict()[name]), name
    moments = [trainer.optimizer.state_dict()["state"] for trainer in (one, other)]
    for key, state in moments[0].items():
        assert all(torch.equal(value, moments[1][key][name]) for name, value in state.items()), key
    averages = [trainer._average.state_dict() if trainer._average else {} for trainer in (one, other)]
    assert all(torch.equal(value, averages[1][name]) for name, value in averages[0].items())
    assert one.scheduler.get_last_lr() == other.scheduler.get_last_lr()


def test_every_method_is_among_them() -> None:
    assert {name.partition(",")[0] for name in RUNS} == set(METHODS)


@pytest.mark.parametrize("name", [name for name in RUNS if name != KEPT_TEXTS])
def test_a_run_that_was_cut_off_goes_on_bit_for_bit(name, overrides, tmp_path) -> None:
    whole, resumed = train_and_cut(RUNS[name][0], overrides(name), tmp_path, cut=cut_of(name))
    log = log_of(tmp_path / "whole")
    assert [line["step"] for line in log if line["kind"] == "train"] == list(range(1, STEPS + 1))
    assert log_of(tmp_path / "cut") == log
    assert_same_state(whole, resumed)
    assert (tmp_path / "cut" / "best" / "training.json").read_text() == (
        tmp_path / "whole" / "best" / "training.json"
    ).read_text()


def test_with_kept_texts_it_goes_on_but_for_rounding(overrides, tmp_path) -> None:
    """A text is encoded in the batch in which a process meets it first; another batch rounds otherwise."""
    recipe, _ = RUNS[KEPT_TEXTS]
    train_and_cut(recipe, overrides(KEPT_TEXTS), tmp_path, cut=cut_of(KEPT_TEXTS))
    whole, cut = (log_of(tmp_path / run) for run in ("whole", "cut"))
    assert len(whole) == len(cut) > STEPS
    for ours, theirs in zip(whole, cut, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


def train_until_killed(recipe: str, overrides: list[str], step: int) -> None:
    """``knowclip train``, which dies in a step."""
    taken = Trainer._step

    def until_killed(self, wrapped, batch, position):
        if position.step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return taken(self, wrapped, batch, position)

    Trainer._step = until_killed
    command(recipe, overrides, resume=False, dry_run=False)


@pytest.mark.slow
def test_sigkill(overrides, tmp_path) -> None:
    """The process dies in a step, two after the last checkpoint, and its workers with it."""
    name, cut = "negclip", 4
    options = overrides(name, f"output.folder={tmp_path / 'killed'}", "train.save_every=2")
    assert exit_code(train_until_killed, RUNS[name][0], options, cut + 1) == -signal.SIGKILL
    assert json.loads((tmp_path / "killed/last/training.json").read_text())["step"] == cut
    resumed, _ = build_trainer(load_recipe(RUNS[name][0], options))
    resumed.fit(resume=True)
    whole, _ = build_trainer(
        load_recipe(RUNS[name][0], overrides(name, f"output.folder={tmp_path / 'whole'}"))
    )
    (tmp_path / "whole").mkdir()
    whole.fit()
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "whole")
    assert_same_state(whole, resumed)


class PoisonedOnTheSecond:
    """Batches, NaN pixels in one of them on the second process alone."""

    def __init__(self, batches: Epochs, *, rank: int) -> None:
        self.batches, self.rank = batches, rank

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[Batch]:
        for index, batch in enumerate(self.batches.epoch(number, skip=skip), start=skip):
            if (number, index, self.rank) == (0, 1, 1):
                batch = dataclasses.replace(batch, images=batch.images * math.nan)
            yield batch


def skip_together(recipe: str, overrides: list[str], folder: Path, *, rank: int) -> None:
    """What one process alone sees is skipped by both, and the log names the examples of both."""
    trainer, _ = build_trainer(load_recipe(recipe, [*overrides, f"output.folder={folder}"]))
    numbers = {"loss": 1.0, "grad_norm": math.inf if rank else 1.0}
    assert not is_finite(numbers, accelerator=trainer.accelerator)
    assert is_finite({"loss": 1.0, "grad_norm": 1.0}, accelerator=trainer.accelerator)
    trainer.batches = PoisonedOnTheSecond(trainer.batches, rank=rank)
    position = trainer.fit()
    assert (position.step, position.nonfinite) == (STEPS, 1)
    torch.save(trainer.method.state_dict(), folder / f"{rank}.pt")


def two(rank: int, folder: str, runs: dict[str, tuple[str, list[str]]]) -> None:
    for name, (recipe, overrides) in runs.items():
        train_and_cut(recipe, overrides, Path(folder) / name, cut=cut_of(name))
    recipe, overrides = runs["negclip"]
    skip_together(recipe, overrides, Path(folder) / "poisoned", rank=rank)


@pytest.mark.slow
def test_two_processes_that_were_cut_off_go_on(overrides, tmp_path) -> None:
    runs = {name: (RUNS[name][0], overrides(name, "train.num_workers=0")) for name in IN_TWO}
    runs["clip, LoRA"] = ("clip", overrides("clip", "train.num_workers=0", "model.lora={r: 2}"))
    in_two_processes(two, str(tmp_path), runs)
    for name in runs:
        logs = [log_of(tmp_path / name / run) for run in ("whole", "cut")]
        assert len(logs[0]) == len(logs[1]) > STEPS
        for ours, theirs in zip(*logs, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-5), name
    log = log_of(tmp_path / "poisoned")
    (skipped,) = [line for line in log if line["kind"] == "skipped"]
    assert skipped["step"] == 2 and len(set(skipped["keys"])) == 8
    assert [line["step"] for line in log if line["kind"] == "train"] == [1, 3, 4, 5, 6]
    one, other = (torch.load(tmp_path / "poisoned" / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(value, other[name]) and value.isfinite().all() for name, value in one.items())
