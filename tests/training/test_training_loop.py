"""The loop: what it learns, logs, selects and refuses, and that resuming is exact."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_model
from trainers import MemoryEpochs, make_trainer

from knowclip.methods.clip import Clip
from knowclip.methods.negclip import NegClip
from tiny import tiny_batch, tiny_model


def read_log(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.method.state_dict().items()}


class OneBatch(MemoryEpochs):
    """The same batch for ever: a model can learn it by heart."""

    def epoch(self, number, *, skip=0):
        for _ in range(skip, self.length):
            yield tiny_batch(self.size, distinct=True)


@pytest.mark.parametrize("siglip", [False, True])
def test_learns_a_batch_by_heart(tmp_path, siglip) -> None:
    method = NegClip(tiny_model(siglip=siglip), own_negative_weight=1.0)
    make_trainer(tmp_path, method=method, batches=OneBatch(10), steps=40).fit()
    log = [line for line in read_log(tmp_path) if line["kind"] == "train"]
    assert log[-1]["loss"] < 0.25 * log[0]["loss"]
    assert log[-1]["own_negative_accuracy"] == 1
    assert log[-1]["image_to_text_accuracy"] == 1


def test_log_has_what_a_run_is_judged_by(tmp_path) -> None:
    make_trainer(tmp_path, validate=lambda model: {"score": 0.5, "other": 0.1}).fit()
    log = read_log(tmp_path)
    train = [line for line in log if line["kind"] == "train"]
    assert [line["step"] for line in train] == [1, 2, 3, 4]
    assert {"loss", "contrastive_loss", "own_negative_loss", "lr", "grad_norm", "pairs_per_second"} <= set(
        train[0]
    )
    assert train[0]["loss"] == pytest.approx(train[0]["contrastive_loss"] + train[0]["own_negative_loss"])
    assert train[0]["lr"] == pytest.approx(1e-2)
    validation = [line for line in log if line["kind"] == "validation"]
    # the start, the end of the epoch of 3, the end of the run
    assert [line["step"] for line in validation] == [0, 3, 4]
    assert validation[1] == {"step": 3, "kind": "validation", "score": 0.5, "other": 0.1, "selection": 0.5}
    assert list((tmp_path / "tensorboard").iterdir())


def test_best_is_the_checkpoint_with_the_highest_selection_number(tmp_path) -> None:
    scores = iter([0.1, 0.2, 0.6, 0.6, 0.4])
    seen = {}

    def validate(model):
        assert not model.training
        score = next(scores)
        seen.setdefault(score, {k: v.clone() for k, v in model.state_dict().items()})
        return {"score": score}

    trainer = make_trainer(tmp_path, validate=validate, validate_every=1)
    position = trainer.fit()
    assert (position.best, position.best_step) == (0.6, 2)
    assert trainer.method.training
    best, last = tiny_model(seed=1), tiny_model(seed=1)
    load_model(best, str(tmp_path / "best" / "model.safetensors"))
    load_model(last, str(tmp_path / "last" / "model.safetensors"))
    for name, value in best.state_dict().items():
        assert torch.equal(value, seen[0.6][name])
    for name, value in last.state_dict().items():
        assert torch.equal(value, seen[0.4][name])


def test_selection_metric_must_be_measured_before_the_first_step(tmp_path) -> None:
    trainer = make_trainer(tmp_path, validate=lambda model: {"R@1": 0.1}, selection=("R@5",))
    with pytest.raises(ValueError, match=r"'R@5' is not measured; did you mean 'R@1'\? validation gives R@1"):
        trainer.fit()
    assert read_log(tmp_path) == []


def test_a_start_that_training_only_spoils_is_the_best(tmp_path) -> None:
    scores = iter([0.5, 0.4, 0.3])
    assert make_trainer(tmp_path, validate=lambda model: {"score": next(scores)}).fit().best_step == 0


def test_the_start_is_no_candidate_where_it_is_not_to_be_measured(tmp_path) -> None:
    scores = iter([0.4, 0.3])
    asked = make_trainer(
        tmp_path,
        steps=2,
        validate=lambda model: {"score": next(scores)},
        validate_every=1,
        validate_start=False,
    )
    position = asked.fit()
    assert (position.best, position.best_step) == (0.4, 1)
    assert [line["step"] for line in read_log(tmp_path) if "selection" in line] == [1, 2]


def test_without_validation_data_there_is_no_best(tmp_path) -> None:
    assert make_trainer(tmp_path).fit().best is None
    assert not (tmp_path / "best").exists()
    assert (tmp_path / "last").is_dir()


@pytest.mark.parametrize("start", [-5.0, 10.0])
def test_logit_scale_is_clamped(tmp_path, start) -> None:
    trainer = make_trainer(tmp_path, method=Clip(tiny_model()), steps=2, lr=1e-4)
    with torch.no_grad():
        trainer.method.model.logit_scale.fill_(start)
    trainer.fit()
    assert trainer.method.model.logit_scale.item() == pytest.approx(
        min(max(start, 0), math.log(100)), abs=1e-2
    )


def test_gradient_is_clipped_by_global_norm(tmp_path) -> None:
    """With plain SGD the first step moves the weights by lr times the clipped norm."""
    trainer = make_trainer(tmp_path, method=Clip(tiny_model()), steps=2, clip_grad=1e-3)
    trainer.optimizer = torch.optim.SGD(trainer.method.parameters(), lr=1.0)
    trainer.scheduler = torch.optim.lr_scheduler.LambdaLR(trainer.optimizer, lambda step: 1.0)
    trainer.steps, before = 1, weights(trainer)
    trainer.fit()
    moved = math.sqrt(sum((v - before[k]).square().sum().item() for k, v in weights(trainer).items()))
    assert moved == pytest.approx(1e-3, rel=1e-2)
    assert read_log(tmp_path)[0]["grad_norm"] > 1e-3


def test_accumulation_trains_the_same_weights(tmp_path) -> None:
    results = []
    for parts in (1, 3):
        method = NegClip(tiny_model(), own_negative_weight=0.5)
        trainer = make_trainer(tmp_path / str(parts), method=method, accumulate=parts, lr=1e-3)
        trainer.fit()
        results.append(weights(trainer))
    differences = torch.cat([(results[0][name] - results[1][name]).abs().flatten() for name in results[0]])
    # Adam divides by the gradient's size: one that is rounding alone may go either way, by up to lr a step
    assert (differences < 1e-4).float().mean() > 0.999 and differences.max() < 1e-3


class InterruptionError(Exception):
    pass


class CutShort(MemoryEpochs):
    """Ends with an error before a batch, like a killed process."""

    def __init__(self, length: int, *, before: tuple[int, int]) -> None:
        super().__init__(length)
        self.before = before

    def epoch(self, number, *, skip=0):
        for index, batch in enumerate(super().epoch(number, skip=skip), start=skip):
            if (number, index) == self.before:
                raise InterruptionError
            yield batch


@pytest.mark.parametrize("before", [(0, 2), (1, 0)], ids=["middle of an epoch", "start of an epoch"])
@pytest.mark.parametrize(("accumulate", "ema"), [(1, None), (2, None), (1, 0.9)])
def test_two_and_two_steps_are_four_steps_bit_for_bit(tmp_path, before, accumulate, ema) -> None:
    length = 3 if before[0] == 0 else 2
    options = {"accumulate": accumulate, "ema": ema}
    options |= {"save_every": 1, "validate_every": 1, "validate": score}
    whole = make_trainer(tmp_path / "whole", batches=MemoryEpochs(length), **options)
    expected = whole.fit()

    run = tmp_path / "cut"
    with pytest.raises(InterruptionError):
        make_trainer(run, batches=CutShort(length, before=before), **options).fit()
    torch.rand(7)  # whatever the new process did before
    resumed = make_trainer(run, batches=MemoryEpochs(length), **options)
    torch.rand(3)
    assert resumed.fit(resume=True) == expected
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name
    files = [folder / "last" / "model.safetensors" for folder in (tmp_path / "whole", run)]
    assert files[0].read_bytes() == files[1].read_bytes()
    theirs, ours = (
        [{k: v for k, v in line.items() if k != "pairs_per_second"} for line in read_log(folder)]
        for folder in (tmp_path / "whole", run)
    )
    assert ours == theirs


def score(model) -> dict[str, float]:
    return {"score": model.logit_scale.item()}


def test_lines_after_the_checkpoint_are_forgotten_on_resume(tmp_path) -> None:
    trainer = make_trainer(tmp_path, save_every=2, batches=CutShort(9, before=(0, 3)))
    with pytest.raises(InterruptionError):
        trainer.fit()
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3]
    make_trainer(tmp_path, save_every=2, batches=MemoryEpochs(9)).fit(resume=True)
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3, 4]


def test_nothing_to_resume(tmp_path) -> None:
    with pytest.raises(ValueError, match="nothing to resume"):
        make_trainer(tmp_path).fit(resume=True)


def test_no_batches(tmp_path) -> None:
    with pytest.raises(ValueError, match="no batch to train on"):
        make_trainer(tmp_path, batches=MemoryEpochs(0)).fit()
