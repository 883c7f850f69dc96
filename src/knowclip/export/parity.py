"""An exported folder read by its own library: how far its embeddings are from the model's.

On equal pixels and token ids they are equal. Through the library's own preprocessing and tokenizer they may
not be: that is measured on a picture of 640x427 pixels, whose centre crop they place one column apart,
and on texts that open_clip mends before it reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from knowclip.export.onnx import read_onnx_config
from knowclip.models.clip import DualEncoder

PLAIN = ("a photo of a dog", "two red cups on the left of a table")
MENDED = ("caf\u00e9 &amp; bar", "the dog\u2019s \u201cbig\u201d \ufb01sh")
"""Texts with what open_clip's tokenizer mends: an HTML entity; curly quotes and a ligature."""
SIZES = (1, 2, 7)
"""Batches that are compared."""
TOLERANCE = 1e-4
"""Cosine distance on equal inputs above which an export is wrong; float32 stays far below."""


@dataclass(frozen=True)
class Stock:
    """A folder as its own library loads it.

    ``preprocess`` and ``tokenize`` are the library's own; the former is None where it has none for this
    model. ``any_length``: it takes ids cut to the longest text.
    """

    library: str
    encode_image: Callable[[Tensor], Tensor]
    encode_text: Callable[[Tensor], Tensor]
    preprocess: Callable[[Image.Image], Tensor] | None
    tokenize: Callable[[list[str]], Tensor]
    any_length: bool = False


@dataclass(frozen=True)
class Parity:
    """The largest cosine distances between a model's embeddings and those of the other library."""

    library: str
    equal_inputs: float
    equal_values: float
    """The largest difference between two numbers of them, at norm 1."""
    own_pixels: float | None
    own_plain_texts: float
    own_mended_texts: float

    def lines(self) -> list[str]:
        """What was measured, in words."""
        own = "has no counterpart" if self.own_pixels is None else f"cosine distance {self.own_pixels:.1e}"
        return [
            f"{self.library}, equal pixels and token ids: cosine distance {self.equal_inputs:.1e}, largest "
            f"difference {self.equal_values:.1e}, in batches of {', '.join(map(str, SIZES))}",
            f"{self.library}, its own preprocessing of a 640x427 picture: {own}",
            f"{self.library}, its own tokenizer: cosine distance {self.own_plain_texts:.1e} on plain texts, "
            f"{self.own_mended_texts:.1e} on texts that open_clip mends first (such as {MENDED[0]!r})",
        ]


@torch.no_grad()
def measure(model: DualEncoder, stock: Stock) -> Parity:
    """Compare a model with a folder read by its own library."""
    picture, texts = sample_picture(), [*PLAIN, *MENDED]
    pairs = list(_on_equal_inputs(model, stock))
    own_pixels = None
    if stock.preprocess is not None:
        image = model.encode_image(picture).cpu()
        own_pixels = float(_distances(image, stock.encode_image(stock.preprocess(picture)[None])).max())
    apart = _distances(model.encode_text(texts).cpu(), stock.encode_text(stock.tokenize(texts)))
    return Parity(
        library=stock.library,
        equal_inputs=max(float(_distances(*pair).max()) for pair in pairs),
        equal_values=max(float(_differences(*pair).max()) for pair in pairs),
        own_pixels=own_pixels,
        own_plain_texts=float(apart[: len(PLAIN)].max()),
        own_mended_texts=float(apart[len(PLAIN) :].max()),
    )


def _on_equal_inputs(model: DualEncoder, stock: Stock) -> Iterator[tuple[Tensor, Tensor]]:
    """Our embeddings and theirs, of batches of several sizes: some exporters freeze a graph at one."""
    random = torch.Generator().manual_seed(0)
    texts = [*PLAIN, *MENDED]
    for size in SIZES:
        pixels = torch.randn(size, 3, *model.image_size, generator=random)
        yield model.encode_image(pixels.to(model.device)).cpu(), stock.encode_image(pixels)
        batch = [texts[i % len(texts)] for i in range(size)]
        for ids in (model.tokenizer(batch), *([model.tokenize(batch)] if stock.any_length else ())):
            yield model.encode_text(ids.to(model.device)).cpu(), stock.encode_text(ids)


def stock_transformers(folder: Path) -> Stock:
    """A folder as ``CLIPModel`` or ``VisionTextDualEncoderModel`` and its processors load it."""
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    with _no_bar():
        model = AutoModel.from_pretrained(folder).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    # the tokenizers of many folders say no length
    length = min(tokenizer.model_max_length, model.config.text_config.max_position_embeddings)
    masked = model.config.model_type != "clip"

    def mask(ids: Tensor) -> dict[str, Tensor]:  # CLIP's text tower reads nothing behind its end of text
        return {"attention_mask": (ids != tokenizer.pad_token_id).long()} if masked else {}

    def features(output: object) -> Tensor:
        return getattr(output, "pooler_output", output)  # a tensor before transformers 5

    return Stock(
        library="transformers",
        encode_image=lambda pixels: features(model.get_image_features(pixel_values=pixels)),
        encode_text=lambda ids: features(model.get_text_features(input_ids=ids, **mask(ids))),
        preprocess=lambda picture: processor(images=picture, return_tensors="pt")["pixel_values"][0],
        tokenize=lambda texts: (
            tokenizer(
                texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
            ).input_ids
        ),
    )


def stock_sentence_transformers(folder: Path) -> Stock:
    """A folder as ``SentenceTransformer`` loads it."""
    from sentence_transformers import SentenceTransformer

    with _no_bar():
        model = SentenceTransformer(str(folder), device="cpu").eval()

    def encode(modality: str, **inputs: Tensor) -> Tensor:
        return model({**inputs, "modality": modality})["sentence_embedding"]

    return Stock(
        library="sentence-transformers",
        encode_image=lambda pixels: encode("image", pixel_values=pixels),
        encode_text=lambda ids: encode("text", input_ids=ids),
        preprocess=lambda picture: model.preprocess([picture])["pixel_values"][0],
        tokenize=lambda texts: model.preprocess(texts)["input_ids"],
        any_length=True,
    )


def stock_onnx(folder: Path) -> Stock:
    """A folder of ``export.onnx`` as onnxruntime runs it, with the processors that transformers reads."""
    from onnxruntime import InferenceSession
    from transformers import AutoTokenizer, CLIPImageProcessor

    config = read_onnx_config(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = None
    if (folder / "preprocessor_config.json").is_file():
        processor = CLIPImageProcessor.from_pretrained(folder)
    length = config["text"]["context_length"]

    def tower(which: str) -> Callable[[Tensor], Tensor]:
        part = config[which]
        session = InferenceSession(folder / part["file"], providers=["CPUExecutionProvider"])
        return lambda batch: torch.from_numpy(
            session.run([part["output"]], {part["input"]: batch.numpy()})[0]
        )

    return Stock(
        library="onnxruntime",
        encode_image=tower("image"),
        encode_text=tower("text"),
        preprocess=processor
        and (lambda picture: processor(images=picture, return_tensors="pt")["pixel_values"][0]),
        tokenize=lambda texts: (
            tokenizer(
                texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
            ).input_ids
        ),
        any_length=config["text"]["any_length"],
    )


@contextmanager
def _no_bar() -> Iterator[None]:
    """Keep transformers' bar away: files of this disk are nothing to wait for."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def stock_knowclip(folder: Path) -> Stock:
    """A folder that stock open_clip cannot load, as ``knowclip.load`` reads it."""
    from knowclip.models.loading.load import load

    model = load(folder)
    return Stock(
        library="knowclip",
        encode_image=model.encode_image,
        encode_text=model.encode_text,
        preprocess=model.preprocess,
        tokenize=model.tokenizer,
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


def _differences(one: Tensor, other: Tensor) -> Tensor:
    length = one.double().norm(dim=-1, keepdim=True)
    return ((one.double() - other.double()) / length).abs()
