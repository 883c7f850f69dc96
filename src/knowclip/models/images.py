"""Image inputs of a model: files, regions and PIL images -> RGB."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from knowclip.types import ImageRef

ImageInput = ImageRef | str | Path | Image.Image


def open_image(image: ImageInput) -> Image.Image:
    """Open an image, or crop the region of an ``ImageRef``, as RGB.

    Raises:
        ValueError: Naming the file, if it cannot be read or the box holds none of it.
    """
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    reference = image if isinstance(image, ImageRef) else ImageRef(Path(image))
    try:
        with Image.open(reference.path) as file:
            picture = file.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read image {reference.path}: {error}") from error
    if reference.box is None:
        return picture
    x, y, width, height = reference.box
    if (
        width <= 0
        or height <= 0
        or x >= picture.width
        or y >= picture.height
        or x + width <= 0
        or y + height <= 0
    ):
        raise ValueError(
            f"{reference.path}: box {reference.box} (x, y, width, height) holds nothing of the "
            f"{picture.width}x{picture.height} image"
        )
    return picture.crop((x, y, x + width, y + height))
