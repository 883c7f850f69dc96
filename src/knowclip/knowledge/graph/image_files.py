"""Where the images of a source are: names in annotations -> paths below one folder."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from knowclip.storage.text_files import is_junk

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".svg"))

_COCO_NAME = re.compile(r"(?:COCO_(?:train|val|test)\d{4}_)?(\d{12})\.jpe?g", re.IGNORECASE)


def coco_id(name: str) -> int | None:
    """COCO's number of an image, from its file name as COCO writes it, in a folder or not; else None."""
    match = _COCO_NAME.fullmatch(PurePosixPath(name).name)
    return int(match[1]) if match else None


class ImageFolder:
    """The image files below ``root``, listed once and found by name.

    Raises:
        FileNotFoundError: ``root`` is no folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"{root}: no such folder of images")
        self.root = root
        files = (path.relative_to(root) for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        # sorted: which of equal names is first must not depend on the file system
        self.paths = sorted(path.as_posix() for path in files if not is_junk(path))
        self._by_name: dict[str, str] = {}
        for path in reversed(self.paths):  # the first of equal names wins
            name = PurePosixPath(path)
            self._by_name[name.stem] = self._by_name[name.name] = path

    def find(self, stem: str, url: str = "") -> str | None:
        """Path below ``root`` of the file that ``url`` ends in, or else of the one called ``stem``."""
        return self._by_name.get(PurePosixPath(url).name) or self._by_name.get(stem)
