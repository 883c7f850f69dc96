"""Image-caption pairs from the files people have; ``data.formats`` knows the formats."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from knowclip.console import spelling
from knowclip.console.counts import TOLERATED_SHARE
from knowclip.data.formats.broken import Broken
from knowclip.data.formats.pairs import GIVEN, pairs_of
from knowclip.data.formats.registry import CAPTIONLESS, Source, find, why_none
from knowclip.data.formats.rows import MALFORMED, Options, Row, fault_of
from knowclip.storage import collector
from knowclip.storage.members import exists
from knowclip.storage.remote import is_remote
from knowclip.types import Example, ImageRef, Negative

UNREADABLE = "unreadable image"
"""It is there, and cannot be decoded."""

_FETCH = "Images are not downloaded: do that first (as img2dataset does). "
_IMAGE_FOLDERS = (
    "", "images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset", "Flickr8k_Dataset/Flicker8k_Dataset",
    "flickr30k_images", "flickr30k-images",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CaptionSet:
    """The pairs of one file, in its order, and how many records were skipped for which reason.

    ``missing`` are the images that are not there: where each would have to be, and that it is not.
    """

    source: Path
    format: str
    examples: list[Example] = field(repr=False)
    skipped: Counter[str]
    missing: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def read(self) -> int:
        """Records read: those that are kept, and those that are skipped."""
        return len(self.examples) + self.skipped.total()

    @property
    def images(self) -> int:
        """Distinct images that the records name, there or not."""
        return len({example.image for example in self.examples}) + len(self.missing)


def repeated(examples: Iterable[Example]) -> int:
    """How many pairs are equal in image and caption to an earlier one: they are kept, and told."""
    said = Counter((example.image_id, example.caption) for example in examples)
    return said.total() - len(said)


@collector.paused()
def read_captions(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    images: str | os.PathLike[str] | None = None,
    split: str | None = None,
    image_column: str | None = None,
    caption_column: str | None = None,
    split_column: str | None = None,
    allow_missing: bool = False,
    max_missing: float = TOLERATED_SHARE,
) -> CaptionSet:
    """Read image-caption pairs.

    Args:
        path: a captions file, a folder in which to find one (else its images with ``.txt`` sidecars), or
            ``hf-hub:`` and the name of a data set. `knowclip data --formats` lists the formats.
        format: one of ``data.formats.registry.NAMES``; found out from the file when None.
        images: the folder that image names are relative to; looked for beside the file when None.
        split: all splits when None. Karpathy's "train" takes in "restval"; Flickr8k's "val" is its "dev".
        image_column: column of image names of a table, where the header leaves it open.
        caption_column: column of captions of a table, likewise.
        split_column: column that says the split, where it is not called "split".
        allow_missing: accept that any number of the images is not there.
        max_missing: else the share of the images that may be missing.

    Returns:
        Examples with ``image_id`` the image's name as the file writes it, and ``key`` ``"name#k"`` for the
        k-th caption of that image; ``negatives`` where the file brings its own. Captions that are empty or
        lack their image are skipped and counted.

    Raises:
        ValueError: nothing readable there, a column or split that does not exist, too many bad records.
    """
    source = find(Path(path), format, split)
    if not source.format.images:
        raise ValueError(
            f"{source.path} is read as {source.format.name!r}, a caption a line without images: only 'parse' "
            "and 'negatives' read it; give a table with the columns 'image' and 'caption', or another "
            "format of `knowclip data --formats`"
        )
    options = Options(split, image_column, caption_column, split_column=split_column)
    rows = list(source.rows(options))
    tolerated = 1.0 if allow_missing else max_missing
    return _assemble(rows, source, Path(images) if images is not None else None, tolerated)


def _assemble(rows: list[Row], source: Source, root: Path | None, tolerated: float) -> CaptionSet:
    """Check every row and make the examples."""
    faults = [fault_of(row) or ("" if row.image else MALFORMED) for row in rows]
    skipped = Counter(fault for fault in faults if fault)
    broken = Broken(source.path, source.format.name, separate=source.format.separate)
    for row, fault in zip(rows, faults, strict=True):
        broken.add(row, fault)
    broken.refuse_many()
    good = [row for row, fault in zip(rows, faults, strict=True) if not fault]
    refs, missing = _refs(list(dict.fromkeys(row.image for row in good)), source, root, tolerated)
    examples = [
        Example(key, image, refs[image], caption, negatives=tuple(Negative(one, GIVEN) for one in false))
        for key, image, caption, false in pairs_of(good, skipped, there=refs)
    ]
    if not examples:
        told = why_none(source.path, skipped)
        if told.endswith(CAPTIONLESS):
            told += ", and this folder as --images (data.train.images for train)"
        raise ValueError(f"{source.path}, read as {source.format.name!r}, gives no image-caption pair {told}")
    return CaptionSet(source.path, source.format.name, examples, skipped, missing)


def _refs(
    names: list[str], source: Source, root: Path | None, tolerated: float
) -> tuple[dict[str, ImageRef], dict[str, str]]:
    """Image name to its file, and the missing ones; what shards and saved data sets list, they hold."""
    if is_remote(source.path) and root is None:
        folder = source.path if source.path.suffix != ".tar" else source.path.parent
        return {name: ImageRef(folder / name) for name in names}, {}
    if source.format.name not in ("webdataset", "huggingface"):
        return _locate(names, source.path, root, tolerated)
    folder = source.path if source.path.is_dir() else source.path.parent
    if root is not None or source.format.name == "webdataset":
        folder = root or folder
    inside = [name for name in names if source.format.name == "webdataset" or ".arrow/" in name]
    outside = sorted(set(names) - set(inside))
    found = {name: ImageRef(folder / name) for name in inside}
    located, missing = _locate(outside, source.path, root, tolerated) if outside else ({}, {})
    return found | located, missing


def _locate(
    names: list[str], source: Path, root: Path | None, tolerated: float
) -> tuple[dict[str, ImageRef], dict[str, str]]:
    """Find the image file of every name that has one; the others are missing where they would have to be."""
    roots = [root] if root is not None else list(image_roots(source))
    # The first folder that holds any of the first names: a few may be missing, never all.
    root = next((r for r in roots if any(_file(r, name) for name in names[:100])), roots[0])
    found = {name: ImageRef(path) for name in names if (path := _file(root, name)) is not None}
    missing = {str(root / name): f"image {root / name} does not exist" for name in names if name not in found}
    if len(missing) > tolerated * len(names):
        first = next(name for name in names if name not in found)
        looked = ", ".join(dict.fromkeys(str(path.absolute()) for path in (roots if not found else [root])))
        folder = spelling.option("images", value="FOLDER")
        folder = f" ({folder})" if folder else ""
        allowed = spelling.allowed("allow_missing", "data.max_unreadable=SHARE") or "leave their rows out"
        without = f", or go on without them ({allowed})" if found else ""
        raise ValueError(
            f"{source}: {len(missing):,} of {len(names):,} images, such as {first!r}, are not under "
            f"{looked}. {_FETCH if '://' in first else ''}Name their folder{folder}{without}"
        )
    return found, missing


def _file(root: Path, name: str) -> Path | None:
    """The file of a name, which another system may have written: with backslashes, or accents apart."""
    if exists(path := root / name):
        return path
    if name.isascii() and "\\" not in name:
        return None
    forms = (normalize(form, name.replace("\\", "/")) for form in ("NFC", "NFD"))
    return next((path for form in forms if exists(path := root / form)), None)


def image_roots(source: Path) -> Iterator[Path]:
    """Where the images of a captions file usually are."""
    folder = source if source.is_dir() else source.parent
    subfolders: Iterable[str] = _IMAGE_FOLDERS
    if source.suffix == ".json" and source.name.startswith("captions_"):
        subfolders = (source.stem.removeprefix("captions_"), *_IMAGE_FOLDERS)  # captions_val2017 -> val2017
    for base in (folder, folder.parent):
        for name in subfolders:
            for candidate in (base / name, base / "images" / name):
                if candidate.is_dir():
                    yield candidate
