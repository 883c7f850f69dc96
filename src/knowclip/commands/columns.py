"""The options that say where a table has its images and captions, for every command that reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

ImageColumn = Annotated[str | None, typer.Option(help="Column of image names, where a table leaves it open.")]
ImagesFolder = Annotated[Path | None, typer.Option(help="Folder that image names are relative to.")]
CaptionColumn = Annotated[str | None, typer.Option(help="Column of captions, likewise.")]
SplitColumn = Annotated[str | None, typer.Option(help="Column that says the split, if not 'split'.")]


def columns_of(
    images: Path | None, image_column: str | None, caption_column: str | None, split_column: str | None
) -> dict[str, Any]:
    """The four as ``read_captions`` takes them."""
    return {
        "images": images,
        "image_column": image_column,
        "caption_column": caption_column,
        "split_column": split_column,
    }
