"""The image files of a folder, as tasks come with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from knowclip.storage.text_files import IMAGE_SUFFIXES, is_junk


def find_images(folder: Path) -> Iterator[Path]:
    """Image files below ``folder``, through symbolic links too, as image folders often are."""
    for place, _, names in os.walk(folder, followlinks=True):
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix.lower() in IMAGE_SUFFIXES and not is_junk(path.relative_to(folder)):
                yield path
