"""Image files to RGB pixels, with errors that name the file; files may be members of tar shards."""

from __future__ import annotations

import io
import tarfile
from functools import lru_cache
from pathlib import Path
from typing import IO

from PIL import Image

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


def open_file(path: Path) -> IO[bytes]:
    """Open a file, or the member ``shard.tar/name`` of a tar shard, found without reading the others.

    Raises:
        OSError: There is no such file or member.
        ValueError: The shard is no tar file, or cut short.
    """
    shard = next((parent for parent in path.parents if parent.suffix == ".tar"), None)
    if shard is None or not shard.is_file():
        return open(path, "rb")
    name = path.relative_to(shard).as_posix()
    if name not in (members := tar_members(shard)):
        raise FileNotFoundError(f"{shard} has no member {name}")
    offset, size = members[name]
    with open(shard, "rb") as file:
        file.seek(offset)
        return io.BytesIO(file.read(size))


@lru_cache(maxsize=4096)
def tar_members(shard: Path) -> dict[str, tuple[int, int]]:
    """Name -> offset and size of each file in a tar shard, from its headers alone; remembered.

    Raises:
        ValueError: It is no tar file, is compressed, or cut short.
    """
    try:
        with tarfile.open(shard, "r:") as tar:
            return {member.name: (member.offset_data, member.size) for member in tar if member.isfile()}
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{shard} is not a whole, uncompressed tar file: {error}") from error
