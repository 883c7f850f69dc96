"""Image inputs of a model: files, regions and PIL images -> RGB."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from knowclip.storage.pixels import load_pixels
from knowclip.types import ImageRef

ImageInput = ImageRef | str | Path | Image.Image


def open_image(image: ImageInput) -> Image.Image:
    """Open an image, or crop the region of an ``ImageRef``, as RGB.

    Raises:
        ValueError: Naming the file, if it cannot be read or the box holds none of it.
    """
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    return load_pixels(image if isinstance(image, ImageRef) else ImageRef(Path(image)))
