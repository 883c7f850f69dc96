"""Image files to RGB pixels, upright, with errors that name the file; files may be members of tar shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image, ImageOps, UnidentifiedImageError

from knowclip.storage.members import open_file
from knowclip.storage.remote import RemoteError
from knowclip.types import ImageRef

Opener = Callable[[Path], IO[bytes]]
READING = "RGB, upright"
"""How files become pixels: part of the keys of whatever is kept of pixels."""


def load_pixels(ref: ImageRef, opener: Opener = open_file, *, enough: int | None = None) -> Image.Image:
    """Decode an image as RGB, upright, cropped to its box as ARO crops: what lies outside the image is black.

    A box is of the pixels as the file has them, as annotations of photos count them; what it holds is turned.

    Args:
        ref: The image.
        opener: What gives the bytes of its file.
        enough: Pixels of its shorter side that will do: a JPEG without a box may be decoded at a half, a
            quarter or an eighth, which takes a fraction of the time; whole, if None.

    Raises:
        ValueError: The file is missing, no image, cut short or corrupt, or the box does not meet the image.
        RemoteError: The server that has it cannot be asked.
    """
    with _opened(ref.path, opener) as image:
        if enough is not None and ref.box is None:
            _decode_smaller(image, enough)
        pixels = image.convert("RGB")
    if ref.box is not None:
        _refuse_outside(ref, pixels.size)
        x, y, width, height = ref.box
        pixels = pixels.crop((x, y, x + width, y + height))
    return _turned(pixels)


def upright(image: Image.Image) -> Image.Image:
    """A copy as RGB, turned by its EXIF orientation: phones store photos lying, and how they were held."""
    return _turned(image.convert("RGB"))


def check_pixels(ref: ImageRef) -> None:
    """Raise what ``load_pixels`` would, several times sooner: a JPEG is decoded at an eighth of its size."""
    with _opened(ref.path) as image:
        size = image.size
        image.draft(None, (1, 1))
        image.load()
    if ref.box is not None:
        _refuse_outside(ref, size)


def _decode_smaller(image: Image.Image, enough: int) -> None:
    """Ask for the smallest of JPEG's scales that keeps ``enough``; what is no JPEG stays as it is."""
    width, height = image.size
    for scale in (8, 4, 2):
        # evenly: half of an odd side is rounded, and a resize to whole pixels would then crop elsewhere
        if width % scale == height % scale == 0 and min(width, height) >= scale * enough:
            image.draft(None, (width // scale, height // scale))
            return


def _turned(pixels: Image.Image) -> Image.Image:
    try:
        ImageOps.exif_transpose(pixels, in_place=True)
    except Exception:  # Pillow's reader of EXIF raises nearly every type there is on a broken one
        return pixels  # how the photo was held is not known: as it lies, like one without EXIF
    return pixels


@contextmanager
def _opened(path: Path, opener: Opener = open_file) -> Iterator[Image.Image]:
    try:
        with opener(path) as file, Image.open(file) as image:
            yield image
    except FileNotFoundError as error:
        raise ValueError(f"image {path} does not exist") from error
    except RemoteError:  # the image may be sound: the same again may do
        raise
    except UnidentifiedImageError as error:  # its text names the file once more, as Python prints objects
        raise ValueError(f"image {path} cannot be decoded: {_what_it_is(path)}") from error
    except Exception as error:  # Pillow's decoders raise nearly every type there is on corrupt data
        raise ValueError(f"image {path} cannot be decoded: {error}") from error


def _what_it_is(path: Path) -> str:
    with open_file(path) as file:
        return "it is no image of a known format" if file.read(1) else "it is empty"


def _refuse_outside(ref: ImageRef, size: tuple[int, int]) -> None:
    assert ref.box is not None
    x, y, width, height = ref.box
    if width < 1 or height < 1 or x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
        raise ValueError(
            f"image {ref.path} is {size[0]}x{size[1]} pixels: the box (x, y, width, height) = {ref.box} "
            "shows none of it"
        )
