"""Model to features to scores: the only file of the folder that touches a model.

Shape legend: n images, m texts, D embedding width.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from knowclip.atomic import atomic_file
from knowclip.types import ImageRef

Features = NDArray[np.float32]
T = TypeVar("T", ImageRef, str)

UNREADABLE = (OSError, ValueError, SyntaxError)
"""What decoding a broken image file raises (Pillow's PNG reader raises ``SyntaxError``)."""


class Encoder(Protocol):
    """What a Scorer needs of a model; ``models.clip.DualEncoder`` is one."""

    def encode_image(self, images: list[ImageRef], *, normalize: bool = False) -> Any:
        """``[n, D]`` tensor."""

    def encode_text(self, texts: list[str], *, normalize: bool = False) -> Any:
        """``[m, D]`` tensor."""


class Scorer:
    """Encodes every distinct image and text once, for all benchmarks, and scores them by cosine.

    A Scorer belongs to one set of weights: make a new one after training on.

    Args:
        model: the encoder, put in evaluation mode while it encodes.
        batch_size: images or texts per forward pass.
        cache: folder to keep features in across processes, by hash of the model and of the content.
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
        self.batch_size = batch_size
        self.max_missing = max_missing
        self.missing: dict[ImageRef, str] = {}
        store = None if cache is None else cache / model_hash(model)
        self._images = _Features(store and store / "images", _image_key)
        self._texts = _Features(store and store / "texts", _text_key)

    def images(self, refs: Sequence[ImageRef]) -> Features:
        """Normalised image features ``[n, D]``, float32; zeros where an image is missing.

        Raises:
            ValueError: more than ``max_missing`` of the distinct images are missing or unreadable.
        """
        wanted = dict.fromkeys(refs)
        new = [ref for ref in wanted if ref not in self.missing]
        self._images.add(new, self._encode_images, self.batch_size)
        lost = [ref for ref in wanted if ref in self.missing]
        self._report(lost, total=len(wanted), fresh=not set(lost).isdisjoint(new))
        return self._images.rows(refs)

    def texts(self, texts: Sequence[str]) -> Features:
        """Normalised text features ``[m, D]``, float32."""
        blank = [index for index, text in enumerate(texts) if not text.strip()]
        if blank:
            raise ValueError(f"{len(blank)} of {len(texts)} texts are empty, the first at index {blank[0]}")
        distinct = sorted(dict.fromkeys(texts), key=len)  # like lengths together: models cut to the longest
        self._texts.add(distinct, self._encode_texts, self.batch_size)
        return self._texts.rows(texts)

    def pair_scores(self, refs: Sequence[ImageRef], texts: Sequence[str]) -> NDArray[np.float32]:
        """Cosine of each image with the text beside it, ``[n]``."""
        if len(refs) != len(texts):
            raise ValueError(f"{len(refs)} images against {len(texts)} texts; expected one text an image")
        return cast(Features, np.sum(self.images(refs) * self.texts(texts), axis=1))

    def _encode_images(self, refs: list[ImageRef]) -> dict[ImageRef, Features]:
        try:
            return dict(zip(refs, self._forward(self.model.encode_image, refs), strict=True))
        except UNREADABLE as error:
            if len(refs) == 1:
                self.missing[refs[0]] = str(error)
                return {}
            half = len(refs) // 2  # one bad file must not cost its neighbours: halve until it is alone
            return self._encode_images(refs[:half]) | self._encode_images(refs[half:])

    def _encode_texts(self, texts: list[str]) -> dict[str, Features]:
        return dict(zip(texts, self._forward(self.model.encode_text, texts), strict=True))

    def _forward(self, encode: Callable[..., Any], inputs: list[T]) -> Features:
        import torch

        with torch.inference_mode(), _evaluation_mode(self.model):
            return cast(Features, encode(inputs, normalize=True).float().cpu().numpy())

    def _report(self, lost: list[ImageRef], *, total: int, fresh: bool) -> None:
        if not lost:
            return
        first = f"first: {lost[0].path} ({self.missing[lost[0]]})"
        if len(lost) > self.max_missing * total or len(lost) == total:
            raise ValueError(
                f"{len(lost)} of {total} images are missing or unreadable, more than the "
                f"{self.max_missing:.1%} (and never all) allowed; {first}. "
                "Restore the files, or raise max_missing to count their items as wrong."
            )
        if fresh:
            message = f"{len(lost)} of {total} images are unreadable; their items count as wrong; {first}"
            warnings.warn(message, stacklevel=3)


class _Features:
    """Features by item, in memory and, given a folder, in append-only shards keyed by content hash."""

    def __init__(self, folder: Path | None, content_key: Callable[[Any], str]) -> None:
        self.folder = folder
        self.content_key = content_key
        self.memory: dict[Hashable, Features] = {}
        self.disk: dict[str, Features] = {}
        for shard in sorted(folder.glob("*.npz")) if folder else ():
            with np.load(shard) as arrays:
                self.disk.update(zip(arrays["keys"].tolist(), arrays["features"], strict=True))

    def add(
        self, items: Sequence[Any], encode: Callable[[list[Any]], dict[Any, Features]], batch_size: int
    ) -> None:
        """Encode the items not known yet; what fails to encode is simply absent."""
        unknown = [item for item in items if item not in self.memory]
        keys: dict[Hashable, str] = {}
        if self.folder:
            keys = {item: self._key_or_blank(item) for item in unknown}
            self.memory.update({item: self.disk[key] for item, key in keys.items() if key in self.disk})
            unknown = [item for item in unknown if item not in self.memory]
        encoded: dict[Hashable, Features] = {}
        for start in range(0, len(unknown), batch_size):
            encoded |= encode(unknown[start : start + batch_size])
        broken = [item for item, row in encoded.items() if not np.isfinite(row).all()]
        if broken:
            raise ValueError(
                f"the model gives NaN or infinite features for {len(broken)} of {len(encoded)} inputs, first "
                f"{broken[0]!r}; its weights have diverged: evaluate an earlier checkpoint"
            )
        self.memory.update(encoded)
        if self.folder and encoded:
            self._write([keys[item] for item in encoded], np.stack(list(encoded.values())))

    def rows(self, items: Sequence[Hashable]) -> Features:
        """``[len(items), D]``; zeros for items that could not be encoded."""
        width = next((len(row) for row in self.memory.values()), 0)
        absent = np.zeros(width, dtype=np.float32)
        rows = [self.memory.get(item, absent) for item in items]
        return np.stack(rows) if rows else np.zeros((0, width), dtype=np.float32)

    def _key_or_blank(self, item: Any) -> str:
        try:
            return self.content_key(item)
        except OSError:
            return ""  # unreadable: encoding it will fail too, and say so

    def _write(self, keys: list[str], features: Features) -> None:
        assert self.folder is not None
        with atomic_file(self.folder / f"{_digest(*keys)}.npz") as path, path.open("wb") as file:
            np.savez(file, keys=np.array(keys), features=features)
        self.disk.update(zip(keys, features, strict=True))


def model_hash(model: Any) -> str:
    """Hash of everything that decides a model's features: weights, preprocessing, tokenizer, config."""
    if not hasattr(model, "state_dict"):
        raise ValueError(f"{type(model).__name__} has no state_dict to hash; use a Scorer without a cache")
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().cpu().contiguous().flatten()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(array.view(torch.uint8).numpy().tobytes())
    for name in ("preprocess", "tokenizer", "config"):
        digest.update(_stable_repr(getattr(model, name, None)).encode())
    return digest.hexdigest()[:16]


def _stable_repr(value: Any) -> str:
    """``repr`` without memory addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@contextmanager
def _evaluation_mode(model: Any) -> Iterator[None]:
    training = getattr(model, "training", False)
    if training:
        model.eval()
    try:
        yield
    finally:
        if training:
            model.train()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _text_key(text: str) -> str:
    return _digest(text)


def _image_key(ref: ImageRef) -> str:
    return _digest(hashlib.sha256(ref.path.read_bytes()).hexdigest(), repr(ref.box))
