"""The model of an index: images and texts -> vectors, and what it is recognised by.

Shape legend: n images, m texts, D embedding width, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from knowclip.build.method import load_method, method_folder
from knowclip.evaluation.scoring import Scorer, evaluation_mode, model_hash
from knowclip.models.clip import DualEncoder
from knowclip.models.images import ImageInput
from knowclip.models.loading.load import load
from knowclip.models.with_knowledge import WithKnowledge

if TYPE_CHECKING:
    from torch import Tensor

Vectors = NDArray[np.float32]

IN_MEMORY = "a model in memory"
"""Name of a model that was given as an object: nothing can load it again."""
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
        self._plain = Scorer(clip)
        self._best = self._plain if knowledge is None else self._plain.with_texts_of(knowledge)
        self.has_knowledge = knowledge is not None

    @classmethod
    def load(cls, model: str | Path | DualEncoder, *, device: str | None = None) -> Encoder:
        """Load a model by name or path, of a run's folder the best; or take one that is loaded."""
        if isinstance(model, DualEncoder):
            return cls(model)
        name = str(Path(model).absolute()) if Path(model).exists() else str(model)
        if (folder := method_folder(model)) is None:
            return cls(load(model, device=device), name=name)
        method = load_method(folder)
        method = method.to(device) if device else method
        return cls(method.model, name=name, knowledge=method.with_knowledge())

    @cached_property
    def fingerprint(self) -> str:
        """Equal for equal vectors: of the towers' weights, preprocessing, tokenizer and configuration."""
        return model_hash(self.clip)

    def pixels(self, pixels: Sequence[Tensor]) -> Vectors:
        """Normalised vectors ``[n, D]`` of preprocessed images ``[3, H, W]``.

        Raises:
            ValueError: The model gives NaN or infinite numbers.
        """
        with torch.inference_mode(), evaluation_mode(self.clip):
            batch = torch.stack(list(pixels)).to(self.clip.device)
            # float32: NumPy has no bfloat16
            vectors = self.clip.encode_image(batch, normalize=True).float().cpu().numpy()
        if not np.isfinite(vectors).all():
            raise ValueError(f"{self.name} gives NaN or infinite vectors: its weights have diverged")
        return vectors

    def image(self, image: ImageInput) -> Vectors:
        """Normalised vector ``[D]`` of a query image.

        Raises:
            ValueError: Naming the file, if it cannot be read.
        """
        with torch.inference_mode(), evaluation_mode(self.clip):
            return self.clip.encode_image(image, normalize=True)[0].float().cpu().numpy()

    def texts(self, texts: Sequence[str], *, knowledge: bool = False) -> Vectors:
        """Normalised vectors ``[m, D]`` of texts; with ``knowledge``, as the KEE, if any, has them."""
        return (self._best if knowledge else self._plain).texts(texts)
