"""An uploaded picture, from the file that Gradio keeps of it: small enough, and one that Pillow knows."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from knowclip.serving.limits import Limits, RefusedError
from knowclip.serving.reading import open_image


def uploaded(path: str | None, *, limits: Limits, shorter: int) -> Image.Image:
    """Decode an upload as RGB; its size is known from its header before that.

    Args:
        path: As Gradio gives it: of a file in its own folder of uploads.
        limits: Of bytes, pixels and sides.
        shorter: Pixels of the shorter side after a model's preprocessing.

    Raises:
        RefusedError: There is none, it is no picture, or too large.
    """
    if path is None:
        raise RefusedError(422, "drop a picture first")
    if Path(path).stat().st_size > limits.body:
        raise RefusedError(413, f"the picture is too large: at most {limits.body:,} bytes")
    return open_image(Path(path).read_bytes(), "the picture", limits=limits, shorter=shorter)
