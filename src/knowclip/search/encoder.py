"""The model of an index: images and texts -> vectors, and what it is recognised by.

Shape legend: n images, m texts, D embedding width, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from knowclip.build.method import load_method, method_folder
from knowclip.evaluation.feature_cache import digest
from knowclip.evaluation.scoring import evaluation_mode, model_hash
from knowclip.models.clip import DualEncoder
from knowclip.models.images import ImageInput
from knowclip.models.loading.load import load
from knowclip.models.with_knowledge import WithKnowledge
from knowclip.preflight.models import open_clip_architectures, own_architectures, shipped_models
from knowclip.search.store import IN_MEMORY
from knowclip.storage.pixels import READING

if TYPE_CHECKING:
    from torch import Tensor

Vectors = NDArray[np.float32]

PARSER = "spacy"


class Encoder:
    """A CLIP, with its KEE where it has one.

    Args:
        clip: The towers.
        name: What ``knowclip.load`` takes; a path is absolute.
        knowledge: The towers with their KEE, which reads queries and their negatives.
    """

    def __init__(
        self, clip: DualEncoder, *, name: str = IN_MEMORY, knowledge: WithKnowledge | None = None
    ) -> None:
        self.clip = clip
        self.name = name
        self.parser = PARSER if knowledge is None else knowledge.parser
        self.has_knowledge = knowledge is not None
        self._reader = clip if knowledge is None else knowledge

    @classmethod
    def load(cls, model: str | Path | DualEncoder, *, device: str | None = None) -> Encoder:
        """Load a model by name or path, of a run's folder the best; or take one that is loaded."""
        if isinstance(model, DualEncoder):
            knowledge = model.with_knowledge()
            return cls(model if knowledge is None else knowledge.model, knowledge=knowledge)
        if (folder := method_folder(model)) is None:
            return cls(load(model, device=device), name=_lasting(model))
        method = load_method(folder)
        method = method.to(device) if device else method
        return cls(method.model, name=_lasting(model), knowledge=method.with_knowledge())

    @cached_property
    def fingerprint(self) -> str:
        """Equal for equal vectors: of weights, preprocessing, tokenizer, configuration, reading of photos."""
        return digest(model_hash(self.clip), READING)[:16]

    @property
    def logit_scale(self) -> float:
        """The model's ``1 / tau``."""
        return self.clip.logit_scale.exp().item()

    def pixels(self, pixels: Sequence[Tensor]) -> Vectors:
        """Normalised vectors ``[n, D]`` of preprocessed images ``[3, H, W]``.

        Raises:
            ValueError: The model gives NaN or infinite numbers.
        """
        batch = torch.stack(list(pixels)).to(self.clip.device)
        vectors = _rows(self.clip, lambda: self.clip.encode_image(batch, normalize=True))
        if not np.isfinite(vectors).all():
            raise ValueError(f"{self.name} gives NaN or infinite vectors: its weights have diverged")
        return vectors

    def image(self, image: ImageInput) -> Vectors:
        """Normalised vector ``[D]`` of a query image.

        Raises:
            ValueError: Naming the file, if it cannot be read.
        """
        return _rows(self.clip, lambda: self.clip.encode_image(image, normalize=True))[0]

    def texts(self, texts: Sequence[str], *, knowledge: bool = False) -> Vectors:
        """Normalised vectors ``[m, D]`` of texts; with ``knowledge``, as the KEE, if any, has them."""
        reader = self._reader if knowledge else self.clip
        return _rows(reader, lambda: reader.encode_text(list(texts), normalize=True))


def _rows(model: nn.Module, encode: Callable[[], Tensor]) -> Vectors:
    with torch.inference_mode(), evaluation_mode(model):
        # float32: NumPy has no bfloat16
        return encode().float().cpu().numpy()


def _lasting(model: str | Path) -> str:
    """The name that finds a model from any folder: that of an architecture, a hub's, or an absolute path."""
    names = (*own_architectures(), *shipped_models(), *open_clip_architectures())
    named = isinstance(model, str) and model in names  # as load has it: a folder of that name is ./NAME
    return str(model) if named or not Path(model).exists() else str(Path(model).absolute())
