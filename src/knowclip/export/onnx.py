"""A DualEncoder as two ONNX graphs, for onnxruntime and whatever else reads ONNX; no torch is needed then.

The folder holds ``image.onnx`` (``pixel_values`` [batch, 3, height, width] -> ``image_embeds`` [batch, D]),
``text.onnx`` (``input_ids`` [batch, length] -> ``text_embeds`` [batch, D]), ``onnx_config.json``, the
tokenizer's files and, where transformers has a counterpart of the preprocessing, a
``preprocessor_config.json``. Embeddings are the towers' own, not normalised. The batch is of any size, and a
text of any length up to the context length where the text tower reads nothing behind its end
(``models.text_length``); others take the full context length.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from knowclip.export.huggingface import write_tokenizer
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.transformers_images import write_preprocessing
from knowclip.models.text_length import LengthRule, encode_text
from knowclip.storage.atomic import atomic_folder

IMAGE, TEXT, CONFIG = "image.onnx", "text.onnx", "onnx_config.json"
LARGEST = 1_900_000_000
"""Bytes of weights beyond which they lie in a file of their own: one of ONNX's ends at 2 GiB."""
_EXAMPLES = 3
"""Rows of the example inputs: a graph exported from one row is frozen at one in several exporters."""


class _ImageTower(nn.Module):
    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        self.visual = model.model.visual

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.visual(pixel_values)


class _TextTower(nn.Module):
    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        self.model = model.model

    def forward(self, input_ids: Tensor) -> Tensor:
        # slices positions and mask to the length of the ids: open_clip's own forward has them at full length
        return encode_text(self.model, input_ids).pooled


def save_onnx(model: DualEncoder, folder: str | Path) -> None:
    """Write the folder, whole or not at all.

    Raises:
        ValueError: A tower cannot be exported; nothing is then written.
    """
    any_length = LengthRule.of(model.model).mark is not None
    pixels = torch.zeros(_EXAMPLES, 3, *model.image_size, device=model.device)
    ids = model.tokenizer(["a", "a red horse", "a small dog"]).to(model.device)
    ids = model.tokenize(["a", "a red horse", "a small dog"]).to(model.device) if any_length else ids
    with atomic_folder(folder) as temporary:
        _export(_ImageTower(model), pixels, {0: "batch"}, temporary / IMAGE, ("pixel_values", "image_embeds"))
        axes = {0: "batch", 1: "length"} if any_length else {0: "batch"}
        _export(_TextTower(model), ids, axes, temporary / TEXT, ("input_ids", "text_embeds"))
        write_tokenizer(model, temporary)
        config = _config(model, any_length=any_length)
        (temporary / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if (preprocessing := _preprocessing(model)) is not None:
            text = json.dumps(preprocessing, indent=2) + "\n"
            (temporary / "preprocessor_config.json").write_text(text, encoding="utf-8")


def read_onnx_config(folder: Path) -> dict[str, Any]:
    """What ``save_onnx`` says of its graphs."""
    config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return config


@torch.no_grad()  # nothing is traced for gradients
def _export(
    tower: nn.Module, example: Tensor, axes: dict[int, str], path: Path, names: tuple[str, str]
) -> None:
    try:
        with _quiet():
            torch.onnx.export(
                tower.eval(),
                (example,),
                path,
                input_names=names[:1],
                output_names=names[1:],
                dynamic_shapes=(axes,),
                dynamo=True,
                external_data=_bytes(tower) > LARGEST,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ValueError(f"torch cannot export this model's {path.stem} tower to ONNX: {error}") from error


def _bytes(tower: nn.Module) -> int:
    tensors = (*tower.parameters(), *tower.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' reports of what they left unoptimised to themselves; their errors are raised."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("torch.onnx", "onnxscript"))}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _config(model: DualEncoder, *, any_length: bool) -> dict[str, Any]:
    bias = model.logit_bias
    return {
        "image": {"file": IMAGE, "input": "pixel_values", "output": "image_embeds", "size": model.image_size},
        "text": {
            "file": TEXT,
            "input": "input_ids",
            "output": "text_embeds",
            "context_length": model.context_length,
            "any_length": any_length,
        },
        "embed_dim": model.embed_dim,
        "normalized": False,
        "logit_scale": model.logit_scale.item(),
        "logit_bias": None if bias is None else bias.item(),
        "precision": "float32",
        "preprocess_cfg": model.model.visual.preprocess_cfg,
    }


def _preprocessing(model: DualEncoder) -> dict[str, Any] | None:
    height, width = model.image_size
    if height != width:
        return None
    try:
        return write_preprocessing(model.model.visual.preprocess_cfg, height)
    except ValueError:  # transformers has no counterpart: onnx_config.json says what to do
        return None
