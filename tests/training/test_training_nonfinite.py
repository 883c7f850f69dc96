"""A loss or gradient that is not finite: a step skipped, named, counted; too many in a row end the run."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from trainers import MemoryEpochs, make_trainer

from knowclip.methods.clip import Clip
from tiny import tiny_model
from tiny_models import make, pixels


class Poisoned(MemoryEpochs):
    """NaN pixels in some batches, by (epoch, batch)."""

    def __init__(self, length: int, *where: tuple[int, int]) -> None:
        super().__init__(length)
        self.where = where

    def epoch(self, number, *, skip=0):
        for index, batch in enumerate(super().epoch(number, skip=skip), start=skip):
            poison = math.nan if (number, index) in self.where else 1.0
            yield dataclasses.replace(batch, images=batch.images * poison)


class Infinite(torch.autograd.Function):
    """The number itself, and an infinite gradient."""

    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.inf


class SteepClip(Clip):
    """A finite loss with an infinite gradient where an image is very bright."""

    def encode_images(self, batch):
        features = super().encode_images(batch)
        return Infinite.apply(features) if batch.images.mean() > 100 else features


def lines(run: Path, kind: str) -> list[dict]:
    read = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line for line in read if line["kind"] == kind]


def state(trainer) -> list[torch.Tensor]:
    adam = trainer.optimizer.state_dict()["state"].values()
    return [
        *(value.clone() for value in trainer.method.state_dict().values()),
        *(value.clone() for one in adam for value in one.values()),
    ]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_without_a_finite_loss_is_skipped_named_and_changes_nothing(
    tmp_path, capsys, accumulate
) -> None:
    trainer = make_trainer(tmp_path, batches=Poisoned(3, (0, 1)), accumulate=accumulate)
    seen = []
    original = trainer._step

    def step(wrapped, batch, position):
        before, rate = state(trainer), trainer.scheduler.get_last_lr()
        numbers = original(wrapped, batch, position)
        after = state(trainer)
        same = len(before) == len(after) and all(map(torch.equal, before, after))
        seen.append((numbers is None, same and rate == trainer.scheduler.get_last_lr()))
        return numbers

    trainer._step = step
    position = trainer.fit()
    assert seen == [(False, False), (True, True), (False, False), (False, False)]
    assert (position.step, position.nonfinite, position.nonfinite_in_a_row) == (4, 1, 0)
    assert [line["step"] for line in lines(tmp_path, "train")] == [1, 3, 4]
    (skipped,) = lines(tmp_path, "skipped")
    assert (skipped["step"], skipped["loss"]) == (2, "nan")
    assert skipped["keys"] == [f"epoch0-batch1-pair{number}" for number in range(5)]
    told = capsys.readouterr().err
    assert told.count("step 2 skipped: loss or gradient is not finite (loss nan") == 1
    assert "epoch0-batch1-pair0" in told


def test_an_infinite_gradient_of_a_finite_loss_is_skipped_too(tmp_path) -> None:
    class Bright(MemoryEpochs):
        def epoch(self, number, *, skip=0):
            for index, batch in enumerate(super().epoch(number, skip=skip), start=skip):
                yield dataclasses.replace(batch, images=batch.images + 1000 * (index == 1))

    trainer = make_trainer(tmp_path, method=SteepClip(tiny_model()), batches=Bright(3), steps=3)
    assert trainer.fit().nonfinite == 1
    (skipped,) = lines(tmp_path, "skipped")
    assert math.isfinite(skipped["loss"]) and skipped["grad_norm"] in ("nan", "inf")
    assert all(value.isfinite().all() for value in trainer.method.state_dict().values())


def test_the_running_statistics_of_a_skipped_batch_are_put_back(tmp_path) -> None:
    """A forward of NaN alone would spoil BatchNorm for good."""
    model = make("resnet", tmp_path)

    class Photos(Poisoned):
        def epoch(self, number, *, skip=0):
            for batch in super().epoch(number, skip=skip):
                poison = batch.images.flatten(1).mean(dim=1).view(-1, 1, 1, 1) * 0
                texts = batch.texts.clamp(max=9)
                yield dataclasses.replace(batch, images=pixels(model, len(batch.keys)) + poison, texts=texts)

    trainer = make_trainer(tmp_path, method=Clip(model), batches=Photos(3, (0, 1)), steps=3, lr=1e-4)
    assert trainer.fit().nonfinite == 1
    assert len(lines(tmp_path, "train")) == 2
    buffers = dict(trainer.method.named_buffers())
    assert all(value.isfinite().all() for name, value in buffers.items() if "running" in name)
    counts = [int(value) for name, value in buffers.items() if "num_batches" in name]
    assert counts and set(counts) == {2}


def test_so_many_in_a_row_end_the_run_and_leave_what_was_saved(tmp_path) -> None:
    batches = Poisoned(9, (0, 1), (0, 3), (0, 4))
    trainer = make_trainer(tmp_path, batches=batches, steps=9, save_every=1, max_nonfinite=2)
    with pytest.raises(ValueError, match=r"not finite in 2 steps in a row \(train.max_nonfinite\)") as error:
        trainer.fit()
    assert "at last in step 5" in str(error.value) and "epoch0-batch4-pair0" in str(error.value)
    assert "optimizer.lr" in str(error.value)
    assert [line["step"] for line in lines(tmp_path, "skipped")] == [2, 4, 5]
    saved = torch.load(tmp_path / "last/trainer/state.pt", weights_only=True)["position"]
    assert (saved["step"], saved["nonfinite"], saved["nonfinite_in_a_row"]) == (4, 2, 1)
    # the row goes on over a resume, and a good batch ends it
    with pytest.raises(ValueError, match="2 steps in a row"):
        make_trainer(tmp_path, batches=batches, steps=9, max_nonfinite=2).fit(resume=True)
    mended = make_trainer(tmp_path, batches=MemoryEpochs(9), steps=9, max_nonfinite=2)
    assert mended.fit(resume=True).nonfinite == 2


def test_the_first_one_may_end_the_run(tmp_path) -> None:
    with pytest.raises(ValueError, match="not finite in 1 step in a row"):
        make_trainer(tmp_path, batches=Poisoned(3, (0, 1)), max_nonfinite=1).fit()


def test_an_epoch_of_nothing_else_is_no_epoch_without_batches(tmp_path) -> None:
    batches = Poisoned(2, (0, 0), (0, 1))
    assert make_trainer(tmp_path, batches=batches).fit().nonfinite == 2
