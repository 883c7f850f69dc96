"""The demo's base CLIP, made from nothing: its image tower learns what is where, then plain CLIP training.

As published CLIPs start from much data and large towers, this one starts from dense labels: which noun
and which colour stand in which cell of a 3x3 grid, and which colour each noun has. They come from the boxes
and attributes of scenes that are not the demo's, and say nothing of who does what to whom. What follows is
plain CLIP on those scenes' captions. The result names objects well and reads captions as a bag of words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console
from torch import nn
from torch.nn import functional as F

from knowclip.console.progress import counting
from knowclip.data.captions.read import read_captions
from knowclip.data.images.cache import PixelCache
from knowclip.data.scenes.nouns import COLOURS, NOUNS
from knowclip.knowledge.readers.visual_genome_scene_graphs import read_visual_genome_graphs
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.architectures import architecture
from knowclip.models.loading.load import build
from knowclip.models.tokenizers import word_tokenizer
from knowclip.types import SceneGraph

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

NUMBERS = {"train": 60000, "val": 1000, "test": 0}
SEED = 100
"""The base's scenes are not the demo's; the compositional hold-out is the same for all seeds."""
GRID = 3
STEPS = 2500
BATCH = 256
LR = 2e-3
SHARPNESS = 20.0
"""The embedding is a unit vector; labels are read from it at this length."""


def untrained(captions: Sequence[str]) -> DualEncoder:
    """Build the base's architecture with the words of ``captions`` as its vocabulary."""
    chosen = architecture("scenes")
    length = chosen["model_cfg"]["text_cfg"]["context_length"]
    torch.manual_seed(SEED)
    return build(
        chosen["model_cfg"],
        tokenizer=word_tokenizer(captions, context_length=length),
        preprocess_cfg=chosen["preprocess_cfg"],
    )


def learn_what_is_where(
    model: DualEncoder, scenes: Path, *, cache: Path, precision: str, console: Console, steps: int = STEPS
) -> None:
    """Train the image tower on dense labels of the train scenes, with linear heads that are thrown away."""
    examples = read_captions(scenes, format="karpathy", split="train").examples
    refs = [example.image for example in examples]
    pixels = PixelCache.build(refs, preprocess=model.preprocess, folder=cache)
    load = pixels.loader(refs)
    read = read_visual_genome_graphs(scenes / "visual_genome")
    graphs = [read[int(ref.path.stem)] for ref in refs]
    places = [dense_labels(graph, size=model.image_size[0]) for graph in graphs]
    paints = [painted_nouns(graph) for graph in graphs]
    heads = nn.ModuleDict(
        {
            "places": nn.Linear(model.embed_dim, GRID**2 * (len(NOUNS) + len(COLOURS))),
            "paints": nn.Linear(model.embed_dim, len(NOUNS) * len(COLOURS)),
        }
    )
    parameters = [*model.model.visual.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LR, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1, (s + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * s / steps))
    )
    rng = np.random.default_rng(SEED)
    model.train()
    with counting("learning what is where", total=steps) as progress:
        for step in range(steps):
            rows = rng.choice(len(refs), BATCH, replace=False)
            images = pixels.normalize(torch.stack([load(int(row)) for row in rows]))
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                features = model.encode_image(images, normalize=True)
            features = SHARPNESS * features.float()
            loss = _loss(features, heads, [places[row] for row in rows], [paints[row] for row in rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            progress(step + 1)
    console.print(f"image tower: {steps} steps on what is where, last loss {loss.item():.2f} nats an image")


def _loss(
    features: Float[Tensor, "B D"],
    heads: nn.ModuleDict,
    places: list[list[int]],
    paints: list[list[tuple[int, int]]],
) -> Float[Tensor, ""]:
    """Nats an image: what stands in which cell, and which of all colours each noun has that is there."""
    logits = heads["places"](features)
    present = F.binary_cross_entropy_with_logits(logits, _targets(places, logits.shape[1]), reduction="sum")
    found = torch.tensor([(row, noun, colour) for row, paint in enumerate(paints) for noun, colour in paint])
    rows, nouns, colours = found.T
    choices = heads["paints"](features).unflatten(1, (len(NOUNS), len(COLOURS)))[rows, nouns]
    return (present + F.cross_entropy(choices, colours, reduction="sum")) / len(features)


def dense_labels(graph: SceneGraph, *, size: int) -> list[int]:
    """Indices of the (noun, cell) and (colour, cell) labels that hold of an image."""
    nouns, colours = list(NOUNS), list(COLOURS)
    cells = [_cell(thing.box, size) for thing in graph.objects]
    found = [
        nouns.index(thing.name) * GRID**2 + cell for thing, cell in zip(graph.objects, cells, strict=True)
    ]
    painted = [(colours.index(a.name), cells[a.object]) for a in graph.attributes if a.name in COLOURS]
    return found + [(len(nouns) + colour) * GRID**2 + cell for colour, cell in painted]


def painted_nouns(graph: SceneGraph) -> list[tuple[int, int]]:
    """Indices of the (noun, colour) pairs of an image's objects."""
    nouns, colours = list(NOUNS), list(COLOURS)
    return [
        (nouns.index(graph.objects[a.object].name), colours.index(a.name))
        for a in graph.attributes
        if a.name in COLOURS
    ]


def _cell(box: tuple[int, int, int, int], size: int) -> int:
    x, y, width, height = box
    column, row = (min(GRID - 1, int(GRID * centre / size)) for centre in (x + width / 2, y + height / 2))
    return row * GRID + column


def _targets(labels: list[list[int]], width: int) -> Float[Tensor, "B labels"]:
    targets = torch.zeros(len(labels), width)
    for row, indices in zip(targets, labels, strict=True):
        row[indices] = 1.0
    return targets
