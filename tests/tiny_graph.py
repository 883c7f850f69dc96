"""A small knowledge graph in words and in image regions, and steps of its triplets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from knowclip.data.graphs.collate import GraphDataset, Neighbours
from knowclip.data.graphs.queries import Queries
from knowclip.data.graphs.sampler import TripletSampler
from knowclip.data.images.decoding import decode
from knowclip.knowledge.graph.edit import merge
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.staging import graph_builder
from knowclip.knowledge.graph.store import Source
from tiny import IMAGE, tiny_model

THINGS = ("dog", "cat", "horse", "house", "tree")
PICTURES = 8
OPTIONS: dict[str, Any] = {
    "relations": ("beside", "has", "is a", "on", "under"),
    "e2e_weight": 1.0,
    "e2r_weight": 1.0,
    "g2e_weight": 1.0,
    "kd_weight": 1.0,
    "head_side": False,
    "captions_as_triplets": True,
    "graph_layers": 2,
    "fusion": {"width": 8, "layers": 1, "heads": 2, "drop_path": 0.0},
}
STRUCTURE: dict[str, Any] = {
    "kee": None, "parser": "spacy", "contrastive": "infonce", "contrastive_features": None,
    "negatives_in_softmax": False, "hinge_weight": 1.0, "hinge_margin": 0.1, "hinge_features": None,
    "own_negative_weight": 0.0, "fold": "features", "fold_weight": 0.0,
}  # fmt: skip
"""Arguments of KnowledgeTerms on the graph, and of StructureClip."""


def make_graph(folder: Path) -> KnowledgeGraph:
    """8 pictures of three regions (16 triplets between them), and 10 facts in words."""
    (folder / "pictures").mkdir(parents=True)
    random = np.random.default_rng(0)
    with graph_builder(folder / "regions") as builder:
        for picture in range(PICTURES):
            pixels = random.integers(0, 256, (2 * IMAGE, 3 * IMAGE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / f"{picture}.png")
            ids = [f"vg/{picture}/{region}" for region in range(3)]
            for region, id in enumerate(ids):
                builder.entity(id, THINGS[(picture + region) % len(THINGS)])
                box = (region * IMAGE, 0, IMAGE, 2 * IMAGE)
                builder.image(id, f"{picture}.png", box=box, image_id=f"vg/{picture}")
            builder.triplet(ids[0], "on", ids[1])
            builder.triplet(ids[1], "under" if picture % 2 else "beside", ids[2])
        builder.finish((Source("regions", "CC0", image_root=str(folder / "pictures")),))
    with graph_builder(folder / "words") as builder:
        for thing in THINGS:
            builder.triplet(
                f"/c/en/{thing}", "is a", "/c/en/living_thing" if thing != "house" else "/c/en/place"
            )
            builder.triplet(f"/c/en/{thing}", "has", "/c/en/part")
        builder.finish((Source("words", "CC0"),))
    return merge([folder / "regions", folder / "words"], folder / "all")


def graph_steps(
    graph: KnowledgeGraph,
    *,
    batch_size: int = 8,
    neighbours: Neighbours | None = None,
    sentences: bool = False,
    queries: Queries | None = None,
    rank: int = 0,
    world_size: int = 1,
    **sampler: Any,
) -> GraphDataset:
    model = tiny_model()
    options = {"seed": 0, "steps_per_epoch": 3, "same_image": 2, **sampler}
    return GraphDataset(
        TripletSampler(graph, batch_size=batch_size, **options),
        tokenize=model.tokenize,
        load_images=lambda refs: decode(refs, preprocess=model.preprocess),
        neighbours=neighbours,
        sentences=sentences,
        queries=queries,
        rank=rank,
        world_size=world_size,
    )
