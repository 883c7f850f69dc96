"""The moving average of the weights, and training that ends when validations find nothing better."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, load_model
from torch import nn
from trainers import MemoryEpochs, make_trainer

from knowclip.methods.negclip import NegClip
from knowclip.training.average import WeightAverage
from knowclip.training.monitor import Monitor
from processes import in_two_processes
from tiny import tiny_model

DECAY = 0.5


def named(method: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in method.named_parameters()}


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)
        self.norm.act = nn.Module()  # as in timm's norm layers
        self.norm.act.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.norms = nn.Sequential(nn.BatchNorm1d(3))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def means(toy: Toy) -> list[torch.Tensor]:
    return [toy.norm.running_mean, toy.norms[0].running_mean]


def test_the_average_is_the_recursion_by_hand_statistics_included() -> None:
    toy = Toy()
    average = WeightAverage(toy, decay=0.9)
    expected = None
    for step in range(4):
        with torch.no_grad():
            for value in (*toy.part.parameters(), *toy.norm.parameters(), *means(toy)):
                value.add_(torch.randn_like(value))
        average.update()
        now = {"weight": toy.part.weight.clone(), "mean": torch.cat(means(toy))}
        expected = now if not step else {k: 0.9 * expected[k] + 0.1 * now[k] for k in now}
    live = {name: value.clone() for name, value in toy.state_dict().items()}
    with average.applied():
        torch.testing.assert_close(toy.part.weight.detach(), expected["weight"])
        torch.testing.assert_close(torch.cat(means(toy)), expected["mean"])
        assert torch.equal(toy.frozen.weight, live["frozen.weight"])
        assert torch.equal(toy.norm.act.mask, live["norm.act.mask"])
    assert all(torch.equal(value, live[name]) for name, value in toy.state_dict().items())


def test_checkpoints_keep_it_by_the_names_of_what_is_learned() -> None:
    """Others would not find the averages of runs that were saved before."""
    norm = {f"norm/{name}" for name in ("weight", "bias", "running_mean", "running_var")}
    learned = {"part/weight", "part/bias", *norm, *(name.replace("/", "s/0/") for name in norm)}
    kept = WeightAverage(Toy(), decay=0.9).state_dict()
    assert kept.keys() == {"n_averaged", *(f"module.{name}" for name in learned)}


def test_before_a_step_it_is_the_start_and_what_fails_leaves_the_weights() -> None:
    toy = Toy()
    before, average = named(toy), WeightAverage(toy, decay=0.9)
    with pytest.raises(RuntimeError), average.applied():
        assert all(torch.equal(value, before[name]) for name, value in named(toy).items())
        raise RuntimeError
    with torch.no_grad():
        toy.part.weight.add_(1)
    with pytest.raises(RuntimeError), average.applied():
        raise RuntimeError
    assert torch.equal(toy.part.weight, before["part.weight"] + 1)


def test_averaged_weights_are_validated_and_saved_and_training_goes_on_without(tmp_path) -> None:
    seen = []

    def validate(model):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"score": float(len(seen))}

    plain = make_trainer(tmp_path / "plain", steps=3)
    history = []
    plain.optimizer.register_step_post_hook(lambda *_: history.append(named(plain.method)))
    plain.fit()
    trainer = make_trainer(tmp_path / "ema", steps=3, ema=DECAY, validate=validate, validate_every=1)
    trainer.fit()
    for name, value in named(trainer.method).items():
        assert torch.equal(value, named(plain.method)[name]), name
    name = "model.model.text_projection"
    average = history[0][name]
    for step in history[1:]:
        average = DECAY * average + (1 - DECAY) * step[name]
    torch.testing.assert_close(seen[-1]["model.text_projection"], average)
    for part in ("best", "last"):
        kept = tiny_model(seed=1)
        load_model(kept, str(tmp_path / "ema" / part / "model.safetensors"))
        assert all(torch.equal(value, seen[-1][key]) for key, value in kept.state_dict().items())
    raw = load_file(tmp_path / "ema" / "last" / "trainer" / "method.safetensors")
    assert torch.equal(raw[name], history[-1][name])


def test_training_ends_when_validations_find_nothing_better_and_goes_on_with_more_patience(
    tmp_path, capsys
) -> None:
    scores = {0: 0.1, 1: 0.5, 2: 0.4, 3: 0.5, 4: 0.6, 5: 0.1, 6: 0.1}
    given = []

    def trainer(patience):
        def validate(model):
            given.append(len(given))
            return {"score": scores[given[-1]]}

        return make_trainer(tmp_path, steps=6, validate=validate, validate_every=1, patience=patience)

    ended = trainer(2).fit()
    assert (ended.step, ended.best_step, ended.since_best) == (3, 1, 2)
    assert "step 3: 2 validations without a better one than at step 1, so" in capsys.readouterr().err
    assert json.loads((tmp_path / "last" / "training.json").read_text())["step"] == 3
    assert trainer(2).fit(resume=True) == ended  # and nothing is validated again
    assert len(given) == 4
    longer = trainer(3).fit(resume=True)
    assert (longer.step, longer.best_step, longer.since_best) == (6, 4, 2)


def worker(rank: int, folder: str) -> None:
    scores = iter([0.5, 0.9, 0.8, 0.7, 0.6])
    method = NegClip(tiny_model(), own_negative_weight=0.5)
    trainer = make_trainer(
        Path(folder), steps=9, method=method, ema=DECAY, patience=2, validate_every=1,
        batches=MemoryEpochs(9), validate=lambda model: {"score": next(scores)},
    )  # fmt: skip
    if rank:
        trainer.monitor = Monitor(None, steps=9, every=1)
    position = trainer.fit()
    torch.save([position.step, named(trainer.method)], Path(folder) / f"{rank}.pt")
    with trainer._average.applied():
        torch.save(trainer.method.model.state_dict(), Path(folder) / f"average-{rank}.pt")


@pytest.mark.slow
def test_two_processes_end_together_with_one_average(tmp_path) -> None:
    in_two_processes(worker, str(tmp_path))
    (step, weights), (again, others) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert step == again == 3
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
    last = load_file(tmp_path / "last" / "model.safetensors")
    for rank in (0, 1):
        average = torch.load(tmp_path / f"average-{rank}.pt")
        assert all(torch.equal(value, average[name]) for name, value in last.items())
