"""The features a head reads: every distinct image or text once, looked up by item.

Shape legend: B batch, k distinct inputs, n items, D embedding width, L tokens, W tower width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch

from knowclip.evaluation.scoring import Scorer, evaluation_mode
from knowclip.evaluation.tasks.settings import Kind
from knowclip.evaluation.tasks.task import TaskItems
from knowclip.types import ImageRef

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

T = TypeVar("T", str, ImageRef)
TOKEN_BATCH = 64


class Side(Protocol):
    """One input of a head for n items."""

    def take(self, rows: Int[Tensor, " B"]) -> Any:
        """What the head reads of these items."""


class TokenEncoder(Protocol):
    """What token features need of a model; ``models.clip.DualEncoder`` is one."""

    def encode_image_tokens(self, images: list[ImageRef]) -> Any:
        """Pooled ``[B, D]`` and tokens ``[B, N, W]``."""

    def encode_text_tokens(self, texts: list[str]) -> Any:
        """Pooled ``[B, D]``, tokens ``[B, L, W]``, mask ``[B, L]``."""


@dataclass(frozen=True)
class Pooled:
    """Pooled features ``[k, D]`` and the one of each item ``[n]``."""

    features: Float[Tensor, "k D"]
    index: Int[Tensor, " n"]

    @property
    def width(self) -> int:
        """D."""
        return self.features.shape[-1]

    def take(self, rows: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
        """Features of the items ``rows``."""
        return self.features[self.index[rows]]

    def blind(self) -> Pooled:
        """The same for every item: zeros."""
        return replace(self, features=torch.zeros_like(self.features))


@dataclass(frozen=True)
class Tokens:
    """Token features ``[k, L, W]`` in half precision, their mask ``[k, L]``, the one of each item ``[n]``."""

    features: Float[Tensor, "k L W"]
    mask: Bool[Tensor, "k L"]
    index: Int[Tensor, " n"]

    @property
    def width(self) -> int:
        """W."""
        return self.features.shape[-1]

    def take(self, rows: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B L W"], Bool[Tensor, "B L"]]:
        """Tokens of the items ``rows``, cut to the longest, and their mask."""
        chosen = self.index[rows]
        mask = self.mask[chosen]
        length = int(mask.any(0).nonzero().max()) + 1
        return self.features[chosen, :length].float(), mask[:, :length]

    def blind(self) -> Tokens:
        """The same for every item: zeros."""
        return replace(self, features=torch.zeros_like(self.features))


Cached = Pooled | Tokens


@dataclass(frozen=True)
class Live:
    """Texts encoded anew at every look, with gradients: the tower is tuned along with the head."""

    model: Any
    texts: Sequence[str]

    def take(self, rows: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
        """Pooled features of the items ``rows``."""
        return self.model.encode_text([self.texts[row] for row in rows.tolist()], normalize=True)


def sides_of(items: TaskItems, scorer: Scorer, *, kind: Kind) -> list[Cached]:
    """Features of the items: image (where there is one) and text, or both texts.

    Raises:
        ValueError: token features are asked for of items without images.
    """
    if kind == "tokens":
        if items.images is None:
            raise ValueError("features=tokens is for tasks with images; use features=pooled")
        return [image_tokens(items.images, scorer), text_tokens(items.texts, scorer)]
    if items.images is not None:
        return [_pooled(items.images, scorer.images), _pooled(items.texts, scorer.texts)]
    texts = [items.texts] if items.pairs is None else [items.texts, items.pairs]
    return [_pooled(side, scorer.texts) for side in texts]


def _distinct(items: Sequence[T]) -> tuple[list[T], Int[Tensor, " n"]]:
    position = {item: index for index, item in enumerate(dict.fromkeys(items))}
    return list(position), torch.tensor([position[item] for item in items])


def _pooled(items: Sequence[T], encode: Callable[[Sequence[T]], Any]) -> Pooled:
    distinct, index = _distinct(items)
    return Pooled(torch.from_numpy(np.asarray(encode(distinct), dtype=np.float32)), index)


def image_tokens(refs: Sequence[ImageRef], scorer: Scorer) -> Tokens:
    """Spatial tokens of each image; zeros where it cannot be read, as ``Scorer.images`` has it."""
    distinct, index = _distinct(refs)
    scorer.images(distinct)  # finds out what is unreadable, and refuses if that is too much
    model: TokenEncoder = scorer.model  # type: ignore[assignment]
    readable = [ref for ref in distinct if ref not in scorer.missing]
    with torch.no_grad(), evaluation_mode(model):
        # half precision: all tokens of all images are held at once
        found = torch.cat([model.encode_image_tokens(batch)[1].half().cpu() for batch in _batches(readable)])
    features = found.new_zeros(len(distinct), *found.shape[1:])
    features[[number for number, ref in enumerate(distinct) if ref not in scorer.missing]] = found
    return Tokens(features, torch.ones(features.shape[:2], dtype=torch.bool), index)


def text_tokens(texts: Sequence[str], scorer: Scorer) -> Tokens:
    """Tokens of each text, padded to the longest."""
    distinct, index = _distinct(texts)
    model: TokenEncoder = scorer.model  # type: ignore[assignment]
    with torch.no_grad(), evaluation_mode(model):
        parts = [model.encode_text_tokens(batch)[1:] for batch in _batches(distinct)]
    length, width = max(mask.shape[1] for _, mask in parts), parts[0][0].shape[-1]
    features = torch.zeros(len(distinct), length, width, dtype=torch.half)
    real = torch.zeros(len(distinct), length, dtype=torch.bool)
    start = 0
    for tokens, mask in parts:
        end = start + len(mask)
        features[start:end, : mask.shape[1]] = tokens.half().cpu()
        real[start:end, : mask.shape[1]] = mask.cpu()
        start = end
    return Tokens(features, real, index)


def _batches(items: list[T]) -> list[list[T]]:
    return [items[start : start + TOKEN_BATCH] for start in range(0, len(items), TOKEN_BATCH)]
