"""Images as training reads them: decoded from files, and preprocessing cut before normalisation.

Shape legend: B batch, H height, W width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import Compose, Normalize

from knowclip.storage.members import open_file
from knowclip.storage.pixels import Opener, load_pixels
from knowclip.types import ImageRef

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor

Preprocess = Callable[[Image.Image], "Float[Tensor, '3 H W']"]


@dataclass(frozen=True, slots=True)
class ImageDecoder:
    """Loads the image of example ``i`` from its file each time, where no cache is wanted."""

    refs: Sequence[ImageRef]
    preprocess: Preprocess
    opener: Opener = open_file

    def __call__(self, i: int) -> Float[Tensor, "3 H W"]:
        """Decode and preprocess ``refs[i]``."""
        return prepared(self.refs[i], self.preprocess, self.opener)


def image_name(ref: ImageRef) -> str:
    """Name an image or a region of one in messages and counts."""
    return str(ref.path) if ref.box is None else f"{ref.path} {ref.box}"


def decode(refs: Sequence[ImageRef], *, preprocess: Preprocess) -> Float[Tensor, "V 3 H W"]:
    """Decode and preprocess V images.

    Raises:
        ValueError: Naming the file that is missing or unreadable.
    """
    return torch.stack([prepared(ref, preprocess) for ref in refs])


def prepared(
    ref: ImageRef, preprocess: Preprocess, opener: Opener = open_file, *, enough: int | None = None
) -> Tensor:
    """Decode and preprocess an image, whose bytes ``opener`` gives; ``enough`` as ``load_pixels`` takes it.

    Raises:
        ValueError: Naming the file that is missing, unreadable, or of a size that nothing is left of.
    """
    image = load_pixels(ref, opener, enough=enough)
    try:
        return preprocess(image)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ValueError(
            f"image {image_name(ref)} of {image.width}x{image.height} pixels cannot be prepared: {error}"
        ) from error


@dataclass(frozen=True, slots=True)
class SplitPreprocess:
    """A model's preprocess in two steps, so that the first, costly one can be kept as bytes.

    ``normalize(pixels(image)[None])`` equals ``preprocess(image)[None]`` to rounding: exactly, where all
    resizing happens before the image becomes a tensor, as in open_clip.
    """

    resize: Compose
    norm: Normalize

    @classmethod
    def of(cls, preprocess: Preprocess) -> SplitPreprocess:
        """Cut a torchvision ``Compose`` before its last step, a ``Normalize``."""
        steps = getattr(preprocess, "transforms", [None])
        if not isinstance(steps[-1], Normalize):
            raise ValueError(
                "only a torchvision Compose that ends in Normalize can be cached as bytes, got "
                f"{type(preprocess).__name__} ending in {type(steps[-1]).__name__}; leave the pixel cache out"
            )
        return cls(Compose(steps[:-1]), steps[-1])

    def pixels(self, image: Image.Image) -> UInt8[Tensor, "3 H W"]:
        """Resize and crop, without normalisation."""
        # undoes ToTensor's division exactly: a byte over 255 in float32 rounds back to itself
        return (self.resize(image) * 255).round().to(torch.uint8)

    def normalize(self, pixels: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """Finish the preprocess on a batch."""
        return self.norm(pixels.float().div_(255))


def probe_image() -> Image.Image:
    """Draw the picture by whose output a preprocess is recognised: noise, neither square nor small."""
    noise = np.random.default_rng(0).integers(0, 256, (211, 307, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def fingerprint(preprocess: Preprocess) -> str:
    """Recognise a preprocess by what it does to a wide and a tall picture.

    Its ``repr`` would not do: it leaves out the fill colour and may hold memory addresses.

    Raises:
        ValueError: It is random, as augmentation is; a cache would freeze it.
    """
    wide = probe_image()
    # the third again: what is random differs from itself
    outputs = [preprocess(image) for image in (wide, wide.transpose(Image.Transpose.ROTATE_90), wide)]
    if not torch.equal(outputs[0], outputs[2]):
        raise ValueError("the preprocess is random, and a cache would freeze it: augment after the cache")
    digest = hashlib.blake2b(digest_size=16)
    for output in outputs[:2]:
        digest.update(repr((output.dtype, tuple(output.shape))).encode() + output.numpy().tobytes())
    return digest.hexdigest()
