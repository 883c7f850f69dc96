"""Half precision in the towers alone: features and losses are float32; float16's scale changes nothing."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from method_cases import CASES
from trainers import make_trainer

from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.methods.method import Method
from knowclip.training.step import backward
from knowclip.types import Features
from tiny_graph import make_graph


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeGraph:
    return make_graph(tmp_path_factory.mktemp("graph"))


@pytest.fixture
def bf16() -> Any:
    AcceleratorState._reset_state()
    yield Accelerator(cpu=True, mixed_precision="bf16")
    AcceleratorState._reset_state()


@pytest.mark.parametrize("name", list(CASES))
def test_features_and_losses_are_float32_under_autocast(graph, bf16, name) -> None:
    case = CASES[name]
    method, seen = case.method(graph), {}
    objective = type(method).objective

    def watched(features: Features) -> Any:
        seen["autocast"] = torch.is_autocast_enabled("cpu")
        seen["features"] = {
            field.name: value.dtype
            for field in dataclasses.fields(features)
            if (value := getattr(features, field.name)) is not None and value.is_floating_point()
        }
        return objective(method, features)

    method.objective = watched
    losses, _ = backward(bf16.prepare(method), case.batch(graph, 0, None), accelerator=bf16, accumulate=2)
    assert seen["autocast"] is False
    assert set(seen["features"].values()) == {torch.float32}, seen["features"]
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    half = gradients(method)
    losses_32, whole = at_float32(case.method(graph), case.batch(graph, 0, None))
    # the towers did run in bfloat16: near, and not the same
    assert any(not torch.equal(half[key], value) for key, value in whole.items())
    for key, loss in losses_32.items():
        assert losses[key].item() == pytest.approx(loss.item(), rel=0.1, abs=0.1), key


def at_float32(method: Method, batch: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    AcceleratorState._reset_state()
    losses, _ = backward(method, batch, accelerator=Accelerator(cpu=True), accumulate=1)
    return losses, gradients(method)


def gradients(method: Method) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in method.named_parameters() if p.requires_grad}


class Scaled(Accelerator):
    """As an accelerator of float16 on a GPU, of which the CPU has none: towers in float32, a scaler."""

    def __init__(self, scale: float) -> None:
        super().__init__(cpu=True)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_scaled_run_is_the_run_without(tmp_path, accumulate) -> None:
    weights = []
    for name, accelerator in (("plain", Accelerator(cpu=True)), ("scaled", Scaled(1024.0))):
        trainer = make_trainer(tmp_path / name, accumulate=accumulate, accelerator=accelerator)
        trainer.fit()
        weights.append(copy.deepcopy(trainer.method.state_dict()))
    torch.testing.assert_close(weights[1], weights[0], atol=1e-6, rtol=1e-5)


def test_a_step_that_overflows_is_left_out_and_the_scale_kept_on_resuming(tmp_path) -> None:
    accelerator = Scaled(1e38)  # times a loss of about 1 still finite, its gradients are not
    trainer = make_trainer(tmp_path, steps=6, accelerator=accelerator, save_every=1)
    before = copy.deepcopy(trainer.method.state_dict())
    trainer.steps = 1
    trainer.fit()
    assert accelerator.scaler.get_scale() < 1e38
    assert '"kind": "skipped"' in (tmp_path / "log.jsonl").read_text()
    for key, value in trainer.method.state_dict().items():
        assert torch.equal(value, before[key]), key
    again = Scaled(7.0)
    resumed = make_trainer(tmp_path, steps=6, accelerator=again)
    resumed.steps = 1
    resumed.fit(resume=True)
    assert again.scaler.get_scale() == accelerator.scaler.get_scale()


def test_a_loss_that_is_not_finite_ends_a_scaled_run_too(tmp_path) -> None:
    trainer = make_trainer(tmp_path, accelerator=Scaled(8.0))
    with torch.no_grad():
        trainer.method.model.logit_scale.fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite in 3 steps in a row"):
        trainer.fit()
