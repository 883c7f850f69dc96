"""Every method, with every mechanism that has a part in gathering, on tiny models.

A case gives the method, and this rank's rows of the batch of a step; rank None: all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from knowclip.build.method import build_method
from knowclip.data.graphs.collate import Neighbours, relation_vocabulary
from knowclip.data.graphs.hierarchy import Hierarchy
from knowclip.data.graphs.queries import Queries
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.methods.method import ExtraLoss, Method
from knowclip.methods.negclip import NegClip
from knowclip.models.lora import add_lora
from knowclip.recipe.methods.registry import read_method
from knowclip.training.batches import map_tensors
from knowclip.types import Batch, Features
from tiny import tiny_batch, tiny_model
from tiny_graph import graph_steps

SIZES = ((5, 3), (1, 6))
"""Pairs on rank 0 and rank 1 in each step."""
STEPS = len(SIZES)
TRIPLETS = 9


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


@dataclass(frozen=True)
class Case:
    """A method's section of a recipe, and what is special about its model and batches."""

    section: Mapping[str, Any] = field(default_factory=dict)
    siglip: bool = False
    locked: bool = False
    lora: Mapping[str, Any] | None = None
    make: Callable[[nn.Module], Method] | None = None
    extra: bool = False
    modality: str | None = None
    """Of a step's triplets: "both" of the two halves of the graph, "image" or "text"."""
    pairs: bool = True

    def method(self, graph: KnowledgeGraph) -> Method:
        torch.manual_seed(1)
        model = tiny_model(siglip=self.siglip)
        if self.locked:
            model.lock_image_trunk()
        if self.lora is not None:
            add_lora(model, r=2, alpha=4.0, **self.lora)
        if self.make is not None:
            return self.make(model)
        section = read_method(self.section)
        method = build_method(section, model, relations=relation_vocabulary(graph, inverse=True))
        with torch.no_grad():  # else the teacher is the model, and distilling has no gradient
            for parameter in model.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
        if self.extra:
            method.extra_losses = [ExtraLoss("length", 0.5, _spread, {})]
        return method.train()

    def batch(self, graph: KnowledgeGraph, step: int, rank: int | None) -> Batch:
        batch = tiny_batch(sum(SIZES[step]), seed=step)
        if step == 0:  # rank 1 has no negative at all, nor a triple
            rows = slice(SIZES[step][0], None)
            for mask, value in ((batch.negative_mask, False), (batch.triples, -1)):
                mask[rows] = value
        if not self.pairs:
            batch = _rows(batch, slice(0))
        elif rank is not None:
            start = sum(SIZES[step][:rank])
            batch = _rows(batch, slice(start, start + SIZES[step][rank]), rank=rank)
        if self.modality is None:
            return batch
        return dataclasses.replace(batch, graph=self._triplets(graph, step, rank))

    def _triplets(self, graph: KnowledgeGraph, step: int, rank: int | None) -> Any:
        share = {} if rank is None else {"rank": rank, "world_size": 2}
        chosen = {} if self.modality == "both" else {"modality": self.modality}
        return graph_steps(
            graph,
            batch_size=TRIPLETS,
            neighbours=Neighbours(2, 2),
            queries=Queries(Hierarchy(graph), heads=True),
            sentences=True,
            inverse=True,
            **share,
            **chosen,
        )[step]


def _rows(batch: Batch, rows: slice, *, rank: int = 0) -> Batch:
    objects = map_tensors(batch.objects, lambda value: value[2 * rank : 2 * rank + 3])  # the third is on both
    subgraphs = map_tensors(batch.subgraphs, lambda value: value[2 * rank : 2 * rank + 3 + rank])
    alone = dataclasses.replace(batch, objects=None, subgraphs=None)
    pairs = map_tensors(alone, lambda value: value[rows])
    return dataclasses.replace(pairs, keys=batch.keys[rows], objects=objects, subgraphs=subgraphs)


def _spread(features: Features) -> torch.Tensor:
    return (features.image_features @ features.image_features.T).square().mean()


KEE = {"kee": {"layers": 1}, "own_negative_weight": 0.5, "fold_weight": 1.0}
BOTH = {"contrastive_features": "both", "hinge_features": "both"}
FUSION = {"fusion": {"width": 8, "layers": 1, "heads": 2, "drop_path": 0.0}}
TERMS = {"head_side": True, "pooled_weight": 1.0, "self_negatives": True, **FUSION}
ONLY = {f"{term}_weight": 0.0 for term in ("e2e", "e2r", "g2e")}

CASES: dict[str, Case] = {
    "clip": Case({"name": "clip"}),
    "clip, sigmoid": Case({"name": "clip"}, siglip=True),
    "clip, locked image tower": Case({"name": "clip"}, locked=True),
    "clip, a loss of a plug-in": Case({"name": "clip"}, extra=True),
    "negclip": Case({"name": "negclip", "own_negative_weight": 0.5}),
    "negclip, sigmoid": Case({"name": "negclip", "own_negative_weight": 0.5}, siglip=True),
    "negclip, distilled": Case(
        {"name": "negclip", "distillation": {"pairs_weight": 0.5, "objects_weight": 2.0}}
    ),
    "negclip, sub-graphs and read-out": Case(
        {
            "name": "negclip",
            "subgraphs": {"weight": 1.5, "shared": False, "curriculum": 2},
            "readout": {"weight": 0.5, "width": 8},
        }
    ),
    "negclip, LoRA": Case({"name": "negclip", "own_negative_weight": 0.5}, lora={}),
    "clip, DoRA, locked image tower": Case({"name": "clip"}, locked=True, lora={"dora": True}),
    "negclip, a part that some rows use": Case(make=WithSparePart),
    "structure_clip": Case({"name": "structure_clip", **KEE, **BOTH, "negatives_in_softmax": True}),
    "structure_clip, sigmoid": Case({"name": "structure_clip", **KEE}, siglip=True),
    "structure_clip, own folding": Case({"name": "structure_clip", **KEE, **BOTH, "fold": "own"}),
    "structure_clip, folded similarities": Case({"name": "structure_clip", **KEE, "fold": "similarities"}),
    "structure_clip, no KEE": Case({"name": "structure_clip", "kee": None}),
    "structure_clip, released code": Case(
        {"name": "structure_clip", **KEE, "contrastive": "batch_hard", "hinge_features": "plain"}
    ),
    "knowledge_clip": Case({"name": "knowledge_clip", **TERMS}, modality="both"),
    "knowledge_clip, graph alone": Case(
        {"name": "knowledge_clip", **TERMS, "kd_weight": 0.0}, modality="both", pairs=False
    ),
    "knowledge_clip, pooled alone": Case(
        {"name": "knowledge_clip", **ONLY, "pooled_weight": 1.0, "head_side": True}, modality="both"
    ),
    "knowledge_clip, sentences": Case(
        {"name": "knowledge_clip", **ONLY, "sentence_weight": 1.0}, modality="both"
    ),
    "joint": Case({"name": "joint", **KEE, **BOTH, "knowledge": TERMS}, modality="both"),
    "joint, sigmoid": Case({"name": "joint", **KEE, "knowledge": TERMS}, siglip=True, modality="both"),
}


def saved(folder: Path, case: str, way: str, rank: int) -> Path:
    """Where a worker leaves what it found."""
    return folder / f"{list(CASES).index(case)}-{way}-{rank}.pt"
