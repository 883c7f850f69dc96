"""Image files to RGB pixels, with errors that name the file; files may be members of tar shards."""

from __future__ import annotations

from PIL import Image

from knowclip.members import open_file
from knowclip.types import ImageRef


def load_pixels(ref: ImageRef) -> Image.Image:
    """Decode an image as RGB, cropped to its box as ARO crops: what lies outside the image is black.

    Raises:
        ValueError: The file is missing, no image, cut short or corrupt, or the box does not meet the image.
    """
    try:
        with open_file(ref.path) as file, Image.open(file) as image:
            pixels = image.convert("RGB")
    except FileNotFoundError as error:
        raise ValueError(f"image {ref.path} does not exist") from error
    except Exception as error:  # Pillow's decoders raise nearly every type there is on corrupt data
        raise ValueError(f"image {ref.path} cannot be decoded: {error}") from error
    if ref.box is None:
        return pixels
    x, y, width, height = ref.box
    if (
        width < 1
        or height < 1
        or x >= pixels.width
        or y >= pixels.height
        or x + width <= 0
        or y + height <= 0
    ):
        raise ValueError(
            f"image {ref.path} is {pixels.width}x{pixels.height} pixels: the box (x, y, width, height) = "
            f"{ref.box} shows none of it"
        )
    return pixels.crop((x, y, x + width, y + height))
