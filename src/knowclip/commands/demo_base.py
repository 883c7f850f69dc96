"""The demo's base CLIP, made from nothing: two towers are taught what scenes say, then plain CLIP training.

Published CLIPs' towers know whose attribute is which (their pooled embeddings tell it to a linear probe),
but their cosine does not use it. Their knowledge comes from much data and large towers; here both towers
are told: which noun has which colour and who does what to whom, by the boxes, attributes and relations of
scenes that are not the demo's, and by the words of their captions. Each tower is told apart, by heads that
are thrown away. What follows is plain CLIP on those scenes' captions. The result names objects well and
reads captions as a bag of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console

from knowclip.commands.demo_teaching import teach
from knowclip.data.captions.read import read_captions
from knowclip.data.images.cache import PixelCache
from knowclip.data.scenes.labels import Labels
from knowclip.knowledge.readers.visual_genome_scene_graphs import read_visual_genome_graphs
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.architectures import architecture
from knowclip.models.loading.load import build
from knowclip.models.tokenizers import word_tokenizer
from knowclip.types import Example, SceneGraph

if TYPE_CHECKING:
    from jaxtyping import Float, Int64
    from torch import Tensor

NUMBERS = {"train": 200000, "val": 1000, "test": 0}
SEED = 100
"""The base's scenes are not the demo's; the compositional hold-out is the same for all seeds."""
IMAGE_STEPS, TEXT_STEPS = 3000, 1200
IMAGE_LR, TEXT_LR = 2e-3, 2e-3
STRIDE = 16
"""Pixels a cell of the image tower's last stage but one; the last one's cells hold several objects."""


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


def teach_towers(model: DualEncoder, scenes: Path, *, cache: Path, precision: str, console: Console) -> None:
    """Teach both towers what the train scenes say, one after the other."""
    examples = read_captions(scenes, format="karpathy", split="train").examples
    read = read_visual_genome_graphs(scenes / "visual_genome")
    graphs = [read[int(example.image.path.stem)] for example in examples]
    model.train()
    for tower, taught in (
        ("image", teach_images(model, examples, graphs, cache=cache, precision=precision)),
        ("text", teach_texts(model, [example.caption for example in examples], graphs, precision=precision)),
    ):
        told = ", ".join(f"{name} {loss:.2f}" for name, loss in taught.items())
        console.print(f"{tower} tower, losses of its last batch in nats: {told}")


def teach_images(
    model: DualEncoder,
    examples: Sequence[Example],
    graphs: Sequence[SceneGraph],
    *,
    cache: Path,
    precision: str,
) -> dict[str, float]:
    """Teach the image tower, by the labels of cells in its last stage but one; return its last losses."""
    refs = [example.image for example in examples]
    pixels = PixelCache.build(refs, preprocess=model.preprocess, folder=cache)
    load, visual, size = pixels.loader(refs), model.model.visual, model.image_size[0]
    maps: list[Float[Tensor, "B W G G"]] = []

    def encode(rows: Int64[np.ndarray, " B"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B S W"]]:
        images = pixels.normalize(torch.stack([load(int(row)) for row in rows]))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            pooled = model.encode_image(images)
        return pooled, maps.pop().flatten(2).transpose(1, 2)

    hook = visual.layer3.register_forward_hook(lambda module, inputs, output: maps.append(output))
    try:
        return teach(
            encode,
            visual.parameters(),
            Labels.of_images(graphs, size=size, grid=size // STRIDE),
            sizes=(model.embed_dim, visual.layer3[-1].conv3.out_channels),
            names_roles=True,
            steps=IMAGE_STEPS,
            lr=IMAGE_LR,
            seed=SEED,
            doing="teaching the image tower",
        )
    finally:
        hook.remove()


def teach_texts(
    model: DualEncoder, captions: Sequence[str], graphs: Sequence[SceneGraph], *, precision: str
) -> dict[str, float]:
    """Teach the text tower, by the labels of its words; return its last losses.

    Every second caption of a batch is read without its full stop: benchmarks' texts have none, and a tower
    taught only with one takes "to the right of" for "to the left of" there.
    """
    ids = model.tokenize([*captions, *(caption.removesuffix(".") for caption in captions)])
    lengths = model.text_reader.rule.lengths(ids)
    parts = model.model

    def encode(rows: Int64[np.ndarray, " B"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B S W"]]:
        said = rows + len(captions) * (np.arange(len(rows)) % 2)
        texts = ids[said][:, : int(lengths[said].max())]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            pooled, tokens, _ = model.encode_text_tokens(texts)
        return pooled, tokens[:, 1:]  # the first marks where the text begins

    text = [parts.token_embedding, parts.transformer, parts.ln_final]
    return teach(
        encode,
        [*(p for part in text for p in part.parameters()), parts.positional_embedding, parts.text_projection],
        Labels.of_captions(captions, graphs, words=ids.shape[1] - 1),
        sizes=(model.embed_dim, parts.ln_final.normalized_shape[0]),
        names_roles=False,
        steps=TEXT_STEPS,
        lr=TEXT_LR,
        seed=SEED,
        doing="teaching the text tower",
    )
