"""Two processes compute the losses and gradients of one process on the joined batch, whatever the method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import is_torch_version
from method_cases import CASES, STEPS, saved

from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.recipe.methods.registry import METHODS
from knowclip.training.distributed import gather
from knowclip.training.sharding import Shards
from knowclip.training.step import backward
from knowclip.types import Features
from processes import in_two_processes
from tiny_graph import make_graph

WAYS = {"ddp": 1, "ddp, micro-batches": 2}
if is_torch_version(">=", "2.14"):
    WAYS |= {"fsdp": 1, "fsdp, micro-batches": 2}
"""How two processes train, and in how many micro-batches."""


def train(name: str, graph: KnowledgeGraph, *, way: str | None, rank: int | None) -> list[dict[str, Any]]:
    """Two steps of SGD; the losses and every gradient of each."""
    case = CASES[name]
    method = case.method(graph)
    accelerator = Accelerator(cpu=True)
    optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=1e-3)
    shards = None
    if way is not None and way.startswith("fsdp"):
        shards = Shards(method, optimizer, device=accelerator.device, checkpoints="full")
    wrapped = accelerator.prepare(method) if shards is None else shards.module
    history = []
    for step in range(STEPS):
        batch = case.batch(graph, step, rank)
        losses, report = backward(wrapped, batch, accelerator=accelerator, accumulate=WAYS.get(way, 1))
        if shards is None:
            gradients = {name: p.grad.clone() for name, p in method.named_parameters() if p.requires_grad}
        else:
            shards.reduce_gradients()
            gradients = shards.gradients()
        history.append({"losses": losses, "report": report, "gradients": gradients})
        optimizer.step()
        optimizer.zero_grad()
    return history


def worker(rank: int, graph: str, folder: str) -> None:
    for name in CASES:
        for way in WAYS:
            history = train(name, KnowledgeGraph(graph), way=way, rank=rank)
            torch.save(history, saved(Path(folder), name, way, rank))
    check_gather(rank)


def check_gather(rank: int) -> None:
    mask = torch.arange(4).view(2, 2)[rank : rank + 1] > 1
    ranks = torch.full((1, 2), float(rank))
    scale = torch.tensor(10.0 + rank)
    features = Features(image_features=ranks, text_features=-ranks, negative_mask=mask, logit_scale=scale)
    gathered = gather(features)
    assert gathered.negative_mask.tolist() == [[False, False], [True, True]]
    assert gathered.image_features.tolist() == [[0, 0], [1, 1]]
    assert gathered.text_features.tolist() == [[0, 0], [-1, -1]]
    assert gathered.caption_ids is None and gathered.logit_scale == scale


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeGraph:
    return make_graph(tmp_path_factory.mktemp("graph"))


@pytest.fixture(scope="module")
def two_processes(graph, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gloo")
    in_two_processes(worker, str(graph.path), str(folder))
    return folder


def test_every_method_is_a_case() -> None:
    assert {case.section.get("name", "negclip") for case in CASES.values()} == METHODS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CASES))
def test_two_processes_equal_one(two_processes, graph, name) -> None:
    """Losses to 1e-5; gradients to 1e-5 of their largest element, or to 1e-5 where that is below 1."""
    expected = train(name, graph, way=None, rank=None)
    for way in WAYS:
        for rank in (0, 1):
            history = torch.load(saved(two_processes, name, way, rank), weights_only=True)
            for ours, one in zip(history, expected, strict=True):
                told = f"{way}, rank {rank}: "
                torch.testing.assert_close(ours["losses"], one["losses"], atol=1e-5, rtol=1e-5)
                assert ours["gradients"].keys() == one["gradients"].keys()
                largest = max(gradient.abs().max().item() for gradient in one["gradients"].values())
                for key, gradient in one["gradients"].items():
                    off = (ours["gradients"][key] - gradient).abs().max().item()
                    assert off <= 1e-5 * max(1.0, largest), f"{told}{key} is off by {off:.1e}"
                assert ours["report"] == pytest.approx(one["report"], abs=1e-5), told


def test_one_process_gathers_nothing() -> None:
    ones = torch.ones(2, 3)
    features = Features(image_features=ones, text_features=ones, logit_scale=torch.tensor(1.0))
    assert gather(features) is features
