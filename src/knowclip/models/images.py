"""Image inputs of a model: files, regions, PIL images and arrays -> RGB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from knowclip.storage.pixels import load_pixels, upright
from knowclip.types import ImageRef

ImageInput = ImageRef | str | Path | Image.Image | np.ndarray
"""One image; an array is [H, W, 3], [H, W, 4] or, of grey, [H, W] or [H, W, 1], channels last, 0 to 255."""

T = TypeVar("T")


def open_image(image: ImageInput) -> Image.Image:
    """Open an image, or crop the region of an ``ImageRef``, as RGB, upright by its EXIF orientation.

    Raises:
        ValueError: Naming the file, if it cannot be read or the box holds none of it; an array of another
            shape or type; anything else.
    """
    if isinstance(image, Image.Image):
        return upright(image)
    if isinstance(image, np.ndarray):
        return _of_array(image)
    if isinstance(image, ImageRef):
        return load_pixels(image)
    if isinstance(image, str | Path):
        return load_pixels(ImageRef(Path(image)))
    raise ValueError(f"an image is a path, an ImageRef, a PIL image or a NumPy array, got {_told(image)}")


def each_image(images: ImageInput | Iterable[ImageInput]) -> Iterable[ImageInput]:
    """One image or several, as several: a string or [H, W, C] array is one, a [B, H, W, C] array is B."""
    if isinstance(images, ImageRef | str | Path | Image.Image):
        return [images]
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OU" and images.ndim < 4:
        return [images]
    if not isinstance(images, Iterable):
        raise ValueError(f"images are paths, ImageRefs, PIL images or NumPy arrays, got {_told(images)}")
    return images


def each_text(texts: str | Iterable[str]) -> Iterable[str]:
    """One text or several, as several."""
    if isinstance(texts, str):
        return [texts]
    if not isinstance(texts, Iterable):
        raise ValueError(f"texts are strings, got {_told(texts)}")
    return texts


def batches(items: Iterable[T], size: int, what: str) -> Iterator[list[T]]:
    """What is given, also by a generator, ``size`` at a time.

    Raises:
        ValueError: There is nothing, or ``size`` is less than 1.
    """
    if size < 1:
        raise ValueError(f"batch_size is 1 or more, got {size}")
    iterator = iter(items)
    batch = list(islice(iterator, size))
    if not batch:
        raise ValueError(f"got no {what} to encode")
    while batch:
        yield batch
        batch = list(islice(iterator, size))


def _of_array(array: np.ndarray) -> Image.Image:
    grey = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    colour = array.ndim == 3 and array.shape[2] in (3, 4)
    if array.dtype != np.uint8 or array.size == 0 or not (grey or colour):
        raise ValueError(
            "an image as an array is uint8 (0 to 255), [height, width, 3] with the channels last (4 with "
            f"alpha, 1 or no third axis for grey), got {_told(array)}"
        )
    return Image.fromarray(array.reshape(array.shape[:2]) if grey else array).convert("RGB")


def _told(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return type(value).__name__
