"""Model to features to scores: the only file of the folder that touches a model.

Shape legend: n images, m texts, D embedding width.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from knowclip.evaluation.feature_cache import FeatureCache, Features, image_key, text_key
from knowclip.types import ImageRef

T = TypeVar("T", ImageRef, str)

UNREADABLE = (OSError, ValueError, SyntaxError)
"""What decoding a broken image file raises (Pillow's PNG reader raises ``SyntaxError``)."""


class UnreadableError(ValueError):
    """More of the images that a benchmark shows are missing or unreadable than is allowed."""


class Encoder(Protocol):
    """What a Scorer needs of a model; ``models.clip.DualEncoder`` is one."""

    def encode_image(self, images: list[ImageRef], *, normalize: bool = False) -> Any:
        """``[n, D]`` tensor."""

    def encode_text(self, texts: list[str], *, normalize: bool = False) -> Any:
        """``[m, D]`` tensor."""


class TextEnhancer(Protocol):
    """Adds to a model's text features; ``models.with_knowledge.WithKnowledge`` is one."""

    def enhance(self, plain: Any, texts: list[str]) -> Any:
        """Normalised features ``[m, D]`` of normalised ones ``[m, D]`` and their texts."""


class Scorer:
    """Encodes every distinct image and text once, for all benchmarks, and scores them by cosine.

    A Scorer belongs to one set of weights: make a new one after training on.

    Args:
        model: the encoder, put in evaluation mode while it encodes.
        batch_size: images or texts per forward pass.
        cache: folder to keep features in across processes, by hash of the model and of the content: every
            distinct image and text is encoded once, however many benchmarks share it.
        max_missing: share of the images asked for that may be unreadable. They get zero features, which tie
            with everything, so their items count as wrong: never a silently smaller test.
    """

    def __init__(
        self,
        model: Encoder,
        *,
        batch_size: int = 256,
        cache: Path | None = None,
        max_missing: float = 0.01,
    ) -> None:
        self.model = model
        self.plain: Scorer | None = None
        self.enhancer: TextEnhancer | None = None
        self.batch_size = batch_size
        self.max_missing = max_missing
        self.progress: Callable[[str, int, int], None] | None = None
        """Told "images" or "texts", how many of them are encoded, and how many are to be."""
        self.missing: dict[ImageRef, str] = {}
        store = None if cache is None else cache / self.model_hash
        self._images = FeatureCache(store and store / "images", image_key)
        self._texts = FeatureCache(store and store / "texts", text_key)

    @cached_property
    def model_hash(self) -> str:
        """Hash of the weights and of all else that decides the features; see ``model_hash``."""
        return model_hash(self.enhancer or self.model)

    def with_texts_of(self, enhancer: TextEnhancer) -> Scorer:
        """A Scorer of the same model with its KEE, which shares all that this one has encoded.

        Its text features stay in memory: they depend on a parser too, which no hash of the model covers.
        """
        other = copy(self)
        other.plain, other.enhancer = self, enhancer
        other.__dict__.pop("model_hash", None)
        other._texts = FeatureCache(None, text_key)
        return other

    def images(self, refs: Sequence[ImageRef]) -> Features:
        """Normalised image features ``[n, D]``, float32; zeros where an image is missing.

        Raises:
            UnreadableError: more than ``max_missing`` of the distinct images are missing or unreadable.
        """
        wanted = dict.fromkeys(refs)
        new = [ref for ref in wanted if ref not in self.missing]
        self._images.add(new, self._encode_images, self.batch_size, self._told("images"))
        lost = [ref for ref in wanted if ref in self.missing]
        self._report(lost, total=len(wanted), fresh=not set(lost).isdisjoint(new))
        return self._images.rows(refs)

    def texts(self, texts: Sequence[str]) -> Features:
        """Normalised text features ``[m, D]``, float32."""
        blank = [index for index, text in enumerate(texts) if not text.strip()]
        if blank:
            raise ValueError(f"{len(blank)} of {len(texts)} texts are empty, the first at index {blank[0]}")
        distinct = sorted(dict.fromkeys(texts), key=len)  # like lengths together: models cut to the longest
        self._texts.add(distinct, self._encode_texts, self.batch_size, self._told("texts"))
        return self._texts.rows(texts)

    def _told(self, what: str) -> Callable[[int, int], None] | None:
        return self.progress and partial(self.progress, what)

    def pair_scores(self, refs: Sequence[ImageRef], texts: Sequence[str]) -> NDArray[np.float32]:
        """Cosine of each image with the text beside it, ``[n]``."""
        if len(refs) != len(texts):
            raise ValueError(f"{len(refs)} images against {len(texts)} texts; expected one text an image")
        return cast(Features, np.sum(self.images(refs) * self.texts(texts), axis=1))

    def _encode_images(self, refs: list[ImageRef]) -> dict[ImageRef, Features]:
        try:
            rows = self._forward(self.model, partial(self.model.encode_image, normalize=True), refs)
            return dict(zip(refs, rows, strict=True))
        except UNREADABLE as error:
            if len(refs) == 1:
                self.missing[refs[0]] = str(error)
                return {}
            half = len(refs) // 2  # one bad file must not cost its neighbours: halve until it is alone
            return self._encode_images(refs[:half]) | self._encode_images(refs[half:])

    def _encode_texts(self, texts: list[str]) -> dict[str, Features]:
        if self.plain is None or self.enhancer is None:
            rows = self._forward(self.model, partial(self.model.encode_text, normalize=True), texts)
        else:
            plain = self.plain.texts(texts)
            rows = self._forward(self.enhancer, partial(self._enhanced, self.enhancer, plain), texts)
        return dict(zip(texts, rows, strict=True))

    @staticmethod
    def _enhanced(enhancer: TextEnhancer, plain: Features, texts: list[str]) -> Any:
        import torch

        return enhancer.enhance(torch.from_numpy(plain), texts)

    def _forward(self, model: Any, encode: Callable[[list[T]], Any], inputs: list[T]) -> Features:
        import torch

        with torch.inference_mode(), evaluation_mode(model):
            # float32: NumPy has no bfloat16, and half precision ties cosines that differ
            return cast(Features, encode(inputs).float().cpu().numpy())

    def _report(self, lost: list[ImageRef], *, total: int, fresh: bool) -> None:
        if not lost:
            return
        path, reason = str(lost[0].path), self.missing[lost[0]]
        first = f"first: {reason if path in reason else f'{path} ({reason})'}"
        if len(lost) > self.max_missing * total or len(lost) == total:
            raise UnreadableError(
                f"{len(lost):,} of {total:,} images are missing or unreadable, more than the "
                f"{self.max_missing:.1%} (and never all) allowed; {first}. "
                "Put readable files there, or pass --allow-missing to count their items as wrong."
            )
        if fresh:
            message = f"{len(lost):,} of {total:,} images are unreadable; their items count as wrong; {first}"
            warnings.warn(message, stacklevel=3)


_TOWER_FILES = ("config.json", "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt")
"""Of a Hugging Face text tower's folder: what decides its features beside its weights."""


def model_hash(model: Any) -> str:
    """Hash of everything that decides a model's features: weights, preprocessing, tokenizer, config.

    Where the model lies decides nothing: a folder that its config names stands for what is in it.
    """
    if not hasattr(model, "state_dict"):
        raise ValueError(f"{type(model).__name__} has no state_dict to hash; use a Scorer without a cache")
    import torch

    digest = hashlib.sha256()
    # by name, so that the order of modules does not matter; as bytes, for NumPy has no bfloat16
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().cpu().contiguous().flatten()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(array.view(torch.uint8).numpy().tobytes())
    for part in (getattr(model, name, None) for name in ("preprocess", "tokenizer", "config")):
        digest.update(_stable_repr(_without_places(part)).encode())
    return digest.hexdigest()[:16]


def _without_places(config: Any) -> Any:
    """A configuration whose folders (``hf_model_name``) are replaced by a hash of their small files."""
    if isinstance(config, Mapping):
        return {key: _without_places(value) for key, value in config.items()}
    if not isinstance(config, str) or not (Path(config) / "config.json").is_file():
        return config
    files = [file for name in _TOWER_FILES if (file := Path(config) / name).is_file()]
    return [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]


def _stable_repr(value: Any) -> str:
    """``repr`` without memory addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Put a model in evaluation mode, and back in training mode if it was in that."""
    training = getattr(model, "training", False)
    if training:
        model.eval()
    try:
        yield
    finally:
        if training:
            model.train()
