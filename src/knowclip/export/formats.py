"""The formats that a model is exported to: what writes each, which library loads it, and with which line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from knowclip.export import parity
from knowclip.export.huggingface import save_transformers
from knowclip.export.onnx import CONFIG, save_onnx
from knowclip.export.open_clip import save_pretrained
from knowclip.export.sentence_transformers import MODULES, save_sentence_transformers
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.weight_files import read_json

WRITERS: dict[str, Callable[[DualEncoder, Path], object]] = {
    "open_clip": save_pretrained,
    "transformers": save_transformers,
    "onnx": save_onnx,
    "sentence-transformers": save_sentence_transformers,
}
"""Format -> what writes a folder, whole or not at all; ``ValueError`` where it cannot express the model."""


@dataclass(frozen=True)
class Loading:
    """How a folder is loaded: by which library (the Hugging Face hub's name), with which line.

    FOLDER stands for the folder in ``line``. ``stock`` reads it with that library, to be compared.
    """

    library: str
    line: str
    stock: Callable[[Path], parity.Stock]

    def line_on_hub(self, repository: str) -> str:
        """The line that loads ``ORG/NAME`` of the Hugging Face hub; onnxruntime reads none, but a folder."""
        if self.library == "onnx":
            return self.line.replace("FOLDER", "PATH OF THIS FOLDER")
        place = f"hf-hub:{repository}" if self.library in ("open_clip", "knowclip") else repository
        return self.line.replace("local-dir:", "").replace("FOLDER", place)


_MARKS = {
    "open_clip_config.json": Loading(
        "open_clip", 'open_clip.create_model_and_transforms("local-dir:FOLDER")', parity.stock_open_clip
    ),
    "knowclip_config.json": Loading("knowclip", 'knowclip.load("FOLDER")', parity.stock_knowclip),
    CONFIG: Loading(
        "onnx",
        'onnxruntime.InferenceSession("FOLDER/image.onnx"), onnxruntime.InferenceSession("FOLDER/text.onnx")',
        parity.stock_onnx,
    ),
    MODULES: Loading(
        "sentence-transformers", 'SentenceTransformer("FOLDER")', parity.stock_sentence_transformers
    ),
}
"""A file of a folder -> how the folder is loaded."""
_TRANSFORMERS = {
    "clip": 'CLIPModel.from_pretrained("FOLDER"), CLIPProcessor.from_pretrained("FOLDER")',
    "vision-text-dual-encoder": 'VisionTextDualEncoderModel.from_pretrained("FOLDER"), '
    'AutoImageProcessor.from_pretrained("FOLDER"), AutoTokenizer.from_pretrained("FOLDER")',
}


def loading_of(folder: Path) -> Loading:
    """How a folder that was exported is loaded.

    Raises:
        ValueError: It is none.
    """
    for mark, loading in _MARKS.items():
        if (folder / mark).is_file():
            return loading
    config = folder / "config.json"
    kind = read_json(config).get("model_type") if config.is_file() else None
    if kind in _TRANSFORMERS:
        return Loading("transformers", _TRANSFORMERS[kind], parity.stock_transformers)
    raise ValueError(
        f"{folder} holds no checkpoint ({', '.join(_MARKS)}, or config.json of "
        f"{' or '.join(_TRANSFORMERS)}): give a run's folder, its best or last, or what 'convert' wrote"
    )
