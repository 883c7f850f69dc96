"""Single OpenMoji drawings of the demo's nouns, for depiction triplets (noun, depicted by, drawing)."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from knowclip.data.scenes.nouns import COLOURS, NOUNS
from knowclip.data.scenes.sprites import LICENCE, sprite
from knowclip.storage.atomic import atomic_folder


def write_drawings(out: Path, *, size: int = 64) -> int:
    """Write ``out/<noun>/<colour>.png``: every noun of the scenes in every colour, on white.

    Args:
        out: Folder to make (replaced as a whole).
        size: Pixels a side.

    Returns:
        How many drawings.
    """
    if size < 16:
        raise ValueError(f"size {size}: drawings below 16 pixels cannot be told apart")
    with atomic_folder(out) as folder:
        for noun in NOUNS:
            (folder / noun).mkdir()
            for colour in COLOURS:
                drawing = sprite(noun, colour)
                canvas = Image.new("RGB", (max(drawing.size),) * 2, "white")
                corner = ((canvas.width - drawing.width) // 2, (canvas.height - drawing.height) // 2)
                canvas.paste(drawing, corner, drawing)
                canvas.resize((size, size), Image.Resampling.LANCZOS).save(folder / noun / f"{colour}.png")
        (folder / "README.txt").write_text(f"{LICENCE}. Adapted: recoloured.\n", encoding="utf-8")
    return len(NOUNS) * len(COLOURS)
