"""An exported folder read by its own library: how far its embeddings are from the model's.

On equal pixels and token ids they are equal. Through the library's own preprocessing and tokenizer they may
not be: that is measured on a picture of 640x427 pixels, whose centre crop they place one column apart,
and on texts that open_clip mends before it reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from knowclip.models.clip import DualEncoder

PLAIN = ("a photo of a dog", "two red cups on the left of a table")
MENDED = ("caf\u00e9 &amp; bar", "the dog\u2019s \u201cbig\u201d \ufb01sh")
"""Texts with what open_clip's tokenizer mends: an HTML entity; curly quotes and a ligature."""
TOLERANCE = 1e-4
"""Cosine distance on equal inputs above which an export is wrong; float32 stays far below."""


@dataclass(frozen=True)
class Stock:
    """A folder as its own library loads it."""

    library: str
    encode_image: Callable[[Tensor], Tensor]
    encode_text: Callable[[Tensor], Tensor]
    preprocess: Callable[[Image.Image], Tensor]
    tokenize: Callable[[list[str]], Tensor]


@dataclass(frozen=True)
class Parity:
    """The largest cosine distances between a model's embeddings and those of the other library."""

    library: str
    equal_inputs: float
    own_pixels: float
    own_plain_texts: float
    own_mended_texts: float

    def lines(self) -> list[str]:
        """What was measured, in words."""
        return [
            f"{self.library}, equal pixels and token ids: cosine distance {self.equal_inputs:.1e}",
            f"{self.library}, its own preprocessing of a 640x427 picture: cosine distance "
            f"{self.own_pixels:.1e}",
            f"{self.library}, its own tokenizer: cosine distance {self.own_plain_texts:.1e} on plain texts, "
            f"{self.own_mended_texts:.1e} on texts that open_clip mends first (such as {MENDED[0]!r})",
        ]


@torch.no_grad()
def measure(model: DualEncoder, stock: Stock) -> Parity:
    """Compare a model with a folder read by its own library."""
    picture, texts = sample_picture(), [*PLAIN, *MENDED]
    pixels = model.preprocess(picture)[None].to(model.device)
    image = model.encode_image(pixels).cpu()
    equal_image = stock.encode_image(pixels.cpu())
    ids = model.tokenizer(texts)
    text = model.encode_text(ids.to(model.device)).cpu()
    equal_text = stock.encode_text(ids)
    own_image = stock.encode_image(stock.preprocess(picture)[None])
    own_text = stock.encode_text(stock.tokenize(texts))
    apart = _distances(text, own_text)
    return Parity(
        library=stock.library,
        equal_inputs=float(torch.cat([_distances(image, equal_image), _distances(text, equal_text)]).max()),
        own_pixels=float(_distances(image, own_image).max()),
        own_plain_texts=float(apart[: len(PLAIN)].max()),
        own_mended_texts=float(apart[len(PLAIN) :].max()),
    )


def stock_transformers(folder: Path) -> Stock:
    """A folder as ``CLIPModel`` and ``CLIPProcessor`` load it."""
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # files of this disk: nothing to wait for
    try:
        model = CLIPModel.from_pretrained(folder).eval()
    finally:
        if shown:
            logging.enable_progress_bar()
    processor, tokenizer = AutoImageProcessor.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    length = model.config.text_config.max_position_embeddings

    def features(output: object) -> Tensor:
        return getattr(output, "pooler_output", output)  # a tensor before transformers 5

    return Stock(
        library="transformers",
        encode_image=lambda pixels: features(model.get_image_features(pixel_values=pixels)),
        encode_text=lambda ids: features(model.get_text_features(input_ids=ids)),
        preprocess=lambda picture: processor(images=picture, return_tensors="pt")["pixel_values"][0],
        tokenize=lambda texts: (
            tokenizer(
                texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
            ).input_ids
        ),
    )


def stock_open_clip(folder: Path) -> Stock:
    """A folder as ``open_clip.create_model_and_transforms`` loads it."""
    import open_clip

    name = f"local-dir:{folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    model.eval()
    return Stock(
        "open_clip", model.encode_image, model.encode_text, preprocess, open_clip.get_tokenizer(name)
    )


def sample_picture() -> Image.Image:
    """640x427 pixels of soft blobs with edges, the same at every call."""
    small = np.random.default_rng(0).integers(0, 256, (14, 20, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((640, 427), Image.Resampling.BICUBIC)
    picture.paste((240, 30, 30), (100, 80, 260, 300))
    picture.paste((20, 20, 200), (400, 150, 403, 420))
    return picture


def _distances(one: Tensor, other: Tensor) -> Tensor:
    return (1 - F.cosine_similarity(one.double(), other.double(), dim=-1)).clamp(min=0)
