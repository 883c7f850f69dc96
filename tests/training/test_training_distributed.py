"""Two processes compute the losses and gradients of one process on the joined batch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from knowclip.methods.clip import Clip
from knowclip.methods.distillation import Distillation
from knowclip.methods.method import Method
from knowclip.methods.negclip import NegClip
from knowclip.methods.readout import Readout
from knowclip.methods.structure_clip import StructureClip
from knowclip.methods.subgraphs import Subgraphs
from knowclip.recipe.methods.structure_clip import StructureClipConfig
from knowclip.training.batches import map_tensors
from knowclip.training.distributed import gather
from knowclip.training.step import backward
from knowclip.types import Batch, Features
from processes import in_two_processes
from tiny import tiny_batch, tiny_model

STEPS = 3
SIZES = ((4, 4), (5, 3), (1, 6))
"""Rows on rank 0 and rank 1 in each step."""


class WithSparePart(NegClip):
    """A part that only rows with many negatives use: on some ranks it gets no gradient of its own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, own_negative_weight=0.7)
        self.part = nn.Linear(8, 8)
        self.never = nn.Linear(2, 2)

    def encode(self, batch: Batch) -> Features:
        features = super().encode(batch)
        chosen = torch.tensor([key in ("pair0", "pair1") for key in batch.keys])
        if not chosen.any():
            return features
        images = features.image_features
        turned = torch.where(chosen[:, None], nn.functional.normalize(self.part(images), dim=-1), images)
        return dataclasses.replace(features, image_features=turned)


def structure_clip(**changed: object) -> StructureClip:
    config = StructureClipConfig(
        name="structure_clip", kee={"layers": 1}, own_negative_weight=0.5, fold_weight=1.0, **changed
    )
    torch.manual_seed(1)
    return StructureClip(tiny_model(), parser="spacy", **config.arguments())


def distilled(method: Method) -> Method:
    """Held to another model than the one it starts from, by captions and by objects."""
    method.terms.append(Distillation(tiny_model(seed=7), pairs_weight=0.5, objects_weight=2.0))
    return method


def told(method: Method) -> Method:
    """Sub-graphs are positives and negatives, from the third step on all of them; triples are read out."""
    method.terms.append(Subgraphs(weight=1.5, against="batch", shared=False, curriculum=2))
    torch.manual_seed(2)
    method.terms.append(Readout(method.model, weight=0.5, width=8))
    return method


METHODS = {
    "clip": lambda: Clip(tiny_model()),
    "negclip": lambda: NegClip(tiny_model(), own_negative_weight=0.5),
    "siglip negclip": lambda: NegClip(tiny_model(siglip=True), own_negative_weight=0.5),
    "structure_clip": lambda: structure_clip(contrastive_features="both", hinge_features="both"),
    "structure_clip, released": lambda: structure_clip(contrastive="batch_hard", hinge_features="plain"),
    "distillation": lambda: distilled(NegClip(tiny_model(), own_negative_weight=0.5)),
    "subgraphs": lambda: told(NegClip(tiny_model(), own_negative_weight=0.5)),
    "spare part": lambda: WithSparePart(tiny_model()),
}


def whole_batch(step: int) -> Batch:
    batch = tiny_batch(sum(SIZES[step]), seed=step)
    if step == 1:  # rank 1 has no negative at all
        batch = dataclasses.replace(batch, negative_mask=batch.negative_mask.clone())
        batch.negative_mask[SIZES[step][0] :] = False
    return batch


def my_rows(batch: Batch, sizes: tuple[int, int], rank: int) -> Batch:
    start = sum(sizes[:rank])
    rows = slice(start, start + sizes[rank])
    mine = dataclasses.replace(batch, objects=None, subgraphs=None)
    subgraphs = map_tensors(batch.subgraphs, lambda value: value[2 * rank : 2 * rank + 3 + rank])
    # the third is named on both
    objects = map_tensors(batch.objects, lambda value: value[2 * rank : 2 * rank + 3])
    return dataclasses.replace(
        map_tensors(mine, lambda value: value[rows]),
        keys=batch.keys[rows],
        objects=objects,
        subgraphs=subgraphs,
    )


def train(method: Method, *, accumulate: int, rank: int | None) -> list[dict]:
    """Three steps of SGD; the losses and every gradient of each."""
    accelerator = Accelerator(cpu=True)
    wrapped = accelerator.prepare(method)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1)
    history = []
    for step in range(STEPS):
        batch = whole_batch(step)
        if rank is not None:
            batch = my_rows(batch, SIZES[step], rank)
        losses, report = backward(wrapped, batch, accelerator=accelerator, accumulate=accumulate)
        gradients = {name: p.grad.clone() for name, p in method.named_parameters()}
        history.append({"losses": losses, "report": report, "gradients": gradients})
        optimizer.step()
        optimizer.zero_grad()
    return history


def worker(rank: int, folder: str) -> None:
    Accelerator(cpu=True)
    for name, make in METHODS.items():
        for accumulate in (1, 2):
            history = train(make(), accumulate=accumulate, rank=rank)
            torch.save(history, Path(folder) / f"{name}-{accumulate}-{rank}.pt")
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
def two_processes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gloo")
    in_two_processes(worker, str(folder))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("name", list(METHODS))
def test_two_processes_equal_one(two_processes, name, accumulate) -> None:
    expected = train(METHODS[name](), accumulate=1, rank=None)
    for rank in (0, 1):
        history = torch.load(two_processes / f"{name}-{accumulate}-{rank}.pt", weights_only=True)
        for ours, one in zip(history, expected, strict=True):
            torch.testing.assert_close(ours["losses"], one["losses"], atol=1e-5, rtol=1e-5)
            assert ours["gradients"].keys() == one["gradients"].keys()
            torch.testing.assert_close(ours["gradients"], one["gradients"], atol=1e-5, rtol=1e-4)
            assert ours["report"] == pytest.approx(one["report"], abs=1e-5)


def test_one_process_gathers_nothing() -> None:
    ones = torch.ones(2, 3)
    features = Features(image_features=ones, text_features=ones, logit_scale=torch.tensor(1.0))
    assert gather(features) is features
