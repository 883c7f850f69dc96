"""Triplets beside pairs: loading, micro-batches, resuming, two processes."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from trainers import make_trainer

from knowclip.data.graphs.collate import Neighbours, relation_vocabulary
from knowclip.data.graphs.hierarchy import Hierarchy
from knowclip.data.graphs.queries import Queries
from knowclip.export.method import load_own_tensors, own_tensors, save_method
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.methods.knowledge_clip import KnowledgeClip
from knowclip.training.batches import map_tensors, split
from knowclip.training.mixed import MixedLoader
from knowclip.training.step import backward
from knowclip.types import Batch
from tiny import tiny_batch, tiny_model
from tiny_graph import graph_steps, make_graph

STEPS, PAIRS, TRIPLETS = 3, 7, 9
NEAR = Neighbours(2, 2)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeGraph:
    return make_graph(tmp_path_factory.mktemp("graph"))


def make_method(graph: KnowledgeGraph, **changed: Any) -> KnowledgeClip:
    model = tiny_model()
    options = {
        "e2e_weight": 1.0, "e2r_weight": 1.0, "g2e_weight": 1.0, "kd_weight": 1.0, "head_side": True,
        "pooled_weight": 1.0,
        "captions_as_triplets": True, "graph_layers": 2,
        "fusion": {"width": 8, "layers": 1, "heads": 2, "drop_path": 0.0},
        "relations": relation_vocabulary(graph, inverse=True),
    }  # fmt: skip
    teacher = tiny_model(seed=1)  # another: distilling from oneself has no gradient
    return KnowledgeClip(model, teacher=teacher, **options | changed)


class Pairs:
    """``length`` batches an epoch, or one process's rows of them."""

    def __init__(self, length: int, rows: slice = slice(None)) -> None:
        self.length, self.rows = length, rows

    def __len__(self) -> int:
        return self.length

    def epoch(self, number: int, *, skip: int = 0):
        for index in range(skip, self.length):
            batch = tiny_batch(PAIRS, seed=10 * number + index)
            yield dataclasses.replace(
                map_tensors(batch, lambda value: value[self.rows]), keys=batch.keys[self.rows]
            )


def loader(graph: KnowledgeGraph, *, rank: int = 0, world_size: int = 1, workers: int = 0) -> MixedLoader:
    rows = slice(*(PAIRS * r // world_size for r in (rank, rank + 1)))
    steps = graph_steps(
        graph,
        batch_size=TRIPLETS,
        neighbours=NEAR,
        queries=Queries(Hierarchy(graph), heads=True),
        inverse=True,
        rank=rank,
        world_size=world_size,
    )
    return MixedLoader(Pairs(STEPS, rows), steps, num_workers=workers)


def same(one: Batch, other: Batch) -> bool:
    tensors: list[list] = [[], []]
    for batch, found in zip((one, other), tensors, strict=True):
        map_tensors(batch, lambda value, found=found: found.append(value) or value)
    return all(torch.equal(a, b) for a, b in zip(*tensors, strict=True))


def test_a_step_holds_both_and_epochs_resume(graph) -> None:
    whole = list(loader(graph).epoch(1))
    assert len(whole) == STEPS
    assert all(len(batch.keys) == PAIRS and len(batch.graph.keys) == TRIPLETS for batch in whole)
    rest = list(loader(graph).epoch(1, skip=1))
    assert all(same(a, b) for a, b in zip(whole[1:], rest, strict=True))
    by_workers = list(loader(graph, workers=1).epoch(1))
    assert all(same(a, b) for a, b in zip(whole, by_workers, strict=True))
    assert not same(whole[0], next(loader(graph).epoch(2)))


def test_triplets_alone(graph) -> None:
    steps = MixedLoader(None, graph_steps(graph), num_workers=0)
    batches = list(steps.epoch(0))
    assert len(batches) == len(steps) == 3
    assert all(batch.keys == () and len(batch.graph.keys) == 8 for batch in batches)


def test_a_missing_image_is_told_in_one_line_wherever_it_is_found(tmp_path) -> None:
    graph = make_graph(tmp_path)
    for picture in (tmp_path / "pictures").iterdir():
        picture.unlink()
    told = []
    for workers in (0, 1):
        steps = MixedLoader(None, graph_steps(graph, modality="image"), num_workers=workers)
        with pytest.raises(ValueError, match=r"^knowledge graph .*\.png.*data\.graph\.image_roots") as raised:
            list(steps.epoch(0))
        told.append(str(raised.value))
    assert told[0] == told[1] and "Traceback" not in told[0]


def test_lengths_must_agree(graph) -> None:
    with pytest.raises(ValueError, match="2 batches of pairs an epoch and 3 steps of triplets"):
        MixedLoader(Pairs(2), graph_steps(graph), num_workers=0)


def test_split_shares_out_pairs_and_triplets(graph) -> None:
    batch = next(loader(graph).epoch(0))
    parts = split(batch, 4)
    assert [len(part.keys) for part in parts] == [1, 2, 2, 2]
    assert [len(part.graph.keys) for part in parts] == [2, 2, 2, 3]
    assert sum((part.graph.keys for part in parts), ()) == batch.graph.keys
    assert len(split(batch, 50)) == PAIRS
    alone = dataclasses.replace(next(MixedLoader(None, graph_steps(graph), num_workers=0).epoch(0)))
    assert [len(part.graph.keys) for part in split(alone, 3)] == [2, 3, 3]


def gradients(method: KnowledgeClip, batch: Batch, accumulate: int) -> tuple[dict, dict]:
    method = copy.deepcopy(method).train()
    losses, _ = backward(method, batch, accelerator=Accelerator(), accumulate=accumulate)
    return losses, {name: p.grad for name, p in method.named_parameters()}


@pytest.mark.parametrize("accumulate", [2, 7])
def test_micro_batches_give_the_gradients_of_the_step(graph, accumulate) -> None:
    method, batch = make_method(graph), next(loader(graph).epoch(0))
    losses, whole = gradients(method, batch, 1)
    micro_losses, micro = gradients(method, batch, accumulate)
    assert losses.keys() == {"e2e_loss", "e2r_loss", "g2e_loss", "kd_loss", "pooled_loss"}
    torch.testing.assert_close(micro_losses, losses, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(micro, whole, atol=1e-5, rtol=1e-3)


def test_micro_batches_of_the_control_too(graph) -> None:
    weights = {
        "e2e_weight": 0.0,
        "e2r_weight": 0.0,
        "g2e_weight": 0.0,
        "pooled_weight": 0.0,
        "sentence_weight": 1.0,
    }
    method = make_method(graph, **weights)
    batch = dataclasses.replace(tiny_batch(PAIRS), graph=graph_steps(graph, batch_size=9, sentences=True)[0])
    losses, whole = gradients(method, batch, 1)
    micro_losses, micro = gradients(method, batch, 2)
    assert losses.keys() == {"sentence_loss", "kd_loss"}
    torch.testing.assert_close(micro_losses, losses, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(micro, whole, atol=1e-5, rtol=1e-3)


def save(method, folder: Path) -> None:
    from safetensors.torch import save_file

    save_file(own_tensors(method), folder / "own.safetensors")


def test_resumed_run_equals_an_uninterrupted_one(graph, tmp_path) -> None:
    def trainer(run: str, steps: int) -> Any:
        made = make_trainer(
            tmp_path / run,
            steps=5,
            method=make_method(graph),
            batches=loader(graph),
            saver=save,
            save_every=1,
        )
        made.steps = steps
        return made

    whole = trainer("whole", 5)
    whole.fit()
    trainer("run", 2).fit()
    resumed = trainer("run", 5)
    assert resumed.fit(resume=True).step == 5
    for name, value in whole.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[name]), name


def test_temperatures_are_kept_where_clip_keeps_its_own(graph, tmp_path) -> None:
    method = make_method(graph)
    with torch.no_grad():
        method.knowledge.triplets.e2e_logit_scale.fill_(9.0)
    make_trainer(tmp_path, steps=2, method=method, batches=loader(graph), saver=save).fit()
    assert method.knowledge.triplets.e2e_logit_scale.item() <= torch.log(torch.tensor(100.0)) + 1e-6


def test_saved_method_is_a_drop_in_clip_and_its_own_weights(graph, tmp_path) -> None:
    from knowclip.export.method import read_settings
    from knowclip.models.loading.load import load
    from tiny_models import FAMILIES

    (tmp_path / "x").mkdir()
    model = FAMILIES["word_level"](tmp_path / "x")
    method = KnowledgeClip(model, **make_method(graph).settings())
    save_method(method, tmp_path / "out", name="knowledge_clip")
    name, settings = read_settings(tmp_path / "out")
    assert name == "knowledge_clip" and settings["relations"] == relation_vocabulary(graph, inverse=True)
    again = KnowledgeClip(load(tmp_path / "out"), **settings)
    load_own_tensors(again, tmp_path / "out")
    for key, value in method.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    with pytest.raises(ValueError, match="does not fit KnowledgeClip"):
        load_own_tensors(KnowledgeClip(model, **settings | {"e2r_weight": 0}), tmp_path / "out")
    with pytest.raises(ValueError, match="it is a CLIP alone"):
        read_settings(tmp_path)
