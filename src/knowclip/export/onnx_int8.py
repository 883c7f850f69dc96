"""An ONNX folder in 8 bits: weights by channel, activations by static scales that samples calibrate.

Static, because scales that are taken from each batch (dynamic quantisation) make an embedding depend on what
else is in its batch. Quantised are products with weights and convolutions; attention, norms and softmax stay
in float32. What it costs is measured on pairs that no scale was calibrated on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from knowclip.evaluation.metrics import recall_at_k, relevance
from knowclip.export.calibration import refuse_few
from knowclip.export.onnx import CONFIG, read_onnx_config
from knowclip.export.parity import Stock, stock_onnx
from knowclip.models.clip import DualEncoder
from knowclip.models.images import ImageInput, open_image

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 16
_QUANTISED = ("MatMul", "Gemm", "Conv")


@dataclass(frozen=True)
class Cost:
    """What 8 bits change on pairs that no scale was calibrated on, and how much smaller the files are."""

    pairs: int
    image_distance: float
    text_distance: float
    """Mean cosine distances between the embeddings of float32 and of 8 bits."""
    recalls: dict[str, tuple[float, float]]
    """``image_to_text_R@1`` and ``text_to_image_R@1``, each of float32 and of 8 bits."""
    sizes: tuple[int, int]
    """Bytes of both graphs, float32 and 8 bits."""

    def lines(self) -> list[str]:
        """What was measured, in words."""
        before, after = self.sizes
        return [
            f"int8, cost on {self.pairs:,} other pairs: mean cosine distance {self.image_distance:.1e} of "
            f"images, {self.text_distance:.1e} of texts",
            *(
                f"int8, {name}: {100 * whole:.1f}% before, {100 * eighth:.1f}% after"
                for name, (whole, eighth) in self.recalls.items()
            ),
            f"int8, size: {before / 1e6:,.1f} MB before, {after / 1e6:,.1f} MB after",
        ]


def quantize(model: DualEncoder, folder: str | Path, pairs: Sequence[tuple[ImageInput, str]]) -> Cost:
    """Replace both graphs of an ONNX folder by ones in 8 bits.

    Args:
        model: Of the folder: its preprocessing and tokenizer.
        folder: As ``save_onnx`` wrote it.
        pairs: Images and their captions, each image once; every second one measures, the others calibrate.

    Raises:
        ValueError: There are fewer than ``FEWEST`` pairs, an image cannot be read, or a tower is too large.
    """
    refuse_few(len(pairs))
    folder = Path(folder)
    if apart := [path.name for path in folder.glob("*.onnx.data")]:
        raise ValueError(f"{folder}: int8 is for towers of less than 2 GB, and {apart[0]} is larger")
    calibrating, measuring = pairs[::2], pairs[1::2]  # alike, also where the pairs are sorted
    before, size = _embed(model, stock_onnx(folder), measuring), _size(folder)
    with TemporaryDirectory(dir=folder) as scratch:
        _quantize_tower(folder, "image", _pixel_batches(model, calibrating), Path(scratch))
        _quantize_tower(folder, "text", _id_batches(model, calibrating), Path(scratch))
    config = {**read_onnx_config(folder), "precision": "int8"}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    after = _embed(model, stock_onnx(folder), measuring)
    distances = [1 - F.cosine_similarity(*both, dim=-1).mean() for both in zip(before, after, strict=True)]
    recalls = zip(_recalls(before, measuring).items(), _recalls(after, measuring).values(), strict=True)
    return Cost(
        pairs=len(measuring),
        image_distance=float(distances[0]),
        text_distance=float(distances[1]),
        recalls={name: (whole, eighth) for (name, whole), eighth in recalls},
        sizes=(size, _size(folder)),
    )


def _quantize_tower(folder: Path, which: str, batches: Iterator[np.ndarray], scratch: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    part = read_onnx_config(folder)[which]

    class Batches(CalibrationDataReader):
        def get_next(self) -> dict[str, Any] | None:
            batch = next(batches, None)
            return None if batch is None else {part["input"]: batch}

    prepared, quantised = scratch / f"prepared-{which}.onnx", scratch / part["file"]
    quant_pre_process(folder / part["file"], prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        quantised,
        Batches(),
        op_types_to_quantize=_QUANTISED,
        per_channel=True,
        extra_options={"MatMulConstBOnly": True},
    )
    quantised.replace(folder / part["file"])


def _pixel_batches(model: DualEncoder, pairs: Sequence[tuple[ImageInput, str]]) -> Iterator[np.ndarray]:
    for start in range(0, len(pairs), BATCH):
        images = [model.preprocess(open_image(image)) for image, _ in pairs[start : start + BATCH]]
        yield torch.stack(images).numpy()


def _id_batches(model: DualEncoder, pairs: Sequence[tuple[ImageInput, str]]) -> Iterator[np.ndarray]:
    for start in range(0, len(pairs), BATCH):
        yield model.tokenize([text for _, text in pairs[start : start + BATCH]]).numpy()


def _embed(
    model: DualEncoder, stock: Stock, pairs: Sequence[tuple[ImageInput, str]]
) -> tuple[Tensor, Tensor]:
    images = [stock.encode_image(torch.from_numpy(batch)) for batch in _pixel_batches(model, pairs)]
    texts = [stock.encode_text(torch.from_numpy(batch)) for batch in _id_batches(model, pairs)]
    return torch.cat(images), torch.cat(texts)


def _recalls(embedded: tuple[Tensor, Tensor], pairs: Sequence[tuple[ImageInput, str]]) -> dict[str, float]:
    images, texts = (F.normalize(part, dim=-1).numpy() for part in embedded)
    scores = images @ texts.T
    numbers = [str(number) for number in range(len(pairs))]
    of_images, of_texts = relevance(numbers, [text for _, text in pairs])
    return {
        "image_to_text_R@1": recall_at_k(scores, of_images, 1),
        "text_to_image_R@1": recall_at_k(scores.T, of_texts, 1),
    }


def _size(folder: Path) -> int:
    config = read_onnx_config(folder)
    return sum((folder / config[which]["file"]).stat().st_size for which in ("image", "text"))
