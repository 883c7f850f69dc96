"""Image-caption pairs from the files people have: COCO, Karpathy, Flickr8k, tables, folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knowclip.data.caption_formats import (
    COCO_NAME,
    KAGGLE_FILE,
    Row,
    coco_rows,
    karpathy_rows,
    sidecar_rows,
    table_rows,
    token_rows,
)
from knowclip.data.shards import shard_rows
from knowclip.files import read_json
from knowclip.types import Example, ImageRef

FORMATS = ("coco", "karpathy", "flickr8k", "csv", "folder", "webdataset")
TOLERATED_SHARE = 0.01
"""More missing or unreadable images or malformed records than this share are an error, not bad luck."""

_TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
_IMAGE_FOLDERS = ("", "images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset")


@dataclass(frozen=True, slots=True)
class CaptionSet:
    """The pairs of one file, in its order, and how many records were skipped for which reason."""

    source: Path
    format: str
    examples: list[Example] = field(repr=False)
    skipped: Counter[str]


def read_captions(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    images: str | os.PathLike[str] | None = None,
    split: str | None = None,
    image_column: str | None = None,
    caption_column: str | None = None,
    allow_missing: bool = False,
) -> CaptionSet:
    """Read image-caption pairs.

    Args:
        path: a captions file, or a folder in which to find one (else its images with ``.txt`` sidecars).
        format: one of ``FORMATS``; found out from the file when None.
        images: the folder that image names are relative to; looked for beside the file when None.
        split: all splits when None. Karpathy's "train" takes in "restval"; Flickr8k's "val" is its "dev".
        image_column: column of image names of a table, where the header leaves it open.
        caption_column: column of captions of a table, likewise.
        allow_missing: accept that more than 1% of the images are not there.

    Returns:
        Examples with ``image_id`` the image's name as the file writes it, and ``key`` ``"name#k"`` for the
        k-th caption of that image. Captions that are empty or lack their image are skipped and counted.

    Raises:
        ValueError: nothing readable there, a column or split that does not exist, too many bad records.
    """
    source, form = _find(Path(path), format, split)
    if form == "json":
        content = read_json(source)
        form = "coco" if isinstance(content, dict) and "annotations" in content else "karpathy"
    elif form in ("coco", "karpathy"):
        content = read_json(source)
    if form != "csv" and (image_column or caption_column):
        raise ValueError(f"image_column and caption_column are for tables; {source} is read as {form!r}")
    if form == "csv":
        rows = table_rows(source, split, image_column=image_column, caption_column=caption_column)
    elif form == "flickr8k":
        rows = token_rows(source, split)
    elif form == "karpathy":
        rows = karpathy_rows(source, content, split)
    elif form == "coco":
        rows = coco_rows(source, content, split)
    elif form == "webdataset":
        rows = shard_rows(source, split)
    else:
        rows = sidecar_rows(source, split)
    return _assemble(list(rows), source, form, Path(images) if images is not None else None, allow_missing)


def _find(path: Path, form: str | None, split: str | None) -> tuple[Path, str]:
    """Choose the file to read and its format, "json" where only its content tells which."""
    if form is not None and form not in FORMATS:
        raise ValueError(f"format={form!r} is not one of {', '.join(FORMATS)}")
    if path.is_dir():
        return _find_in_folder(path, form, split)
    if not path.is_file():
        raise ValueError(f"{path} does not exist; give a captions file, or the folder that holds one")
    if form == "folder":
        raise ValueError(f"{path} is a file; format='folder' reads a folder of images with .txt captions")
    return path, form or _format_of_file(path)


def _format_of_file(path: Path) -> str:
    if path.suffix == ".json":
        return "json"
    if path.suffix == ".tar":
        return "webdataset"
    if path.suffix == ".token" or path.name.endswith(".token.txt"):
        return "flickr8k"
    if path.suffix in _TABLE_SUFFIXES:
        return "csv"
    raise ValueError(
        f"{path}: no captions format has files named so; allowed are .json (COCO, Karpathy), .csv, .tsv, "
        f".tar, .token.txt (Flickr) or a folder; or say which with format={'|'.join(FORMATS)}"
    )


def _find_in_folder(folder: Path, form: str | None, split: str | None) -> tuple[Path, str]:
    """Choose the one captions file of a folder, the most specific format first."""
    coco = [*folder.glob("captions_*.json"), *folder.glob("annotations/captions_*.json")]
    named = [path for path in coco if (match := COCO_NAME.fullmatch(path.name)) and match[1] == split]
    kaggle = list(folder.glob(KAGGLE_FILE))
    candidates: dict[str, list[Path]] = {
        "karpathy": [*folder.glob("dataset.json"), *folder.glob("dataset_*.json")],
        "coco": named or coco,
        "flickr8k": [*folder.glob("*.token.txt"), *folder.glob("*.token")],
        "csv": kaggle or [*folder.glob("*.csv"), *folder.glob("*.tsv")],
    }
    for name, found in candidates.items():
        if not found or form not in (None, name):
            continue
        if len(found) > 1:
            names = ", ".join(sorted(path.name for path in found))
            raise ValueError(f"{folder} holds several captions files; name one of them: {names}")
        return found[0], name
    if form in (None, "webdataset") and any(folder.glob("*.tar")):
        return folder, "webdataset"
    if form in (None, "folder"):
        return folder, "folder"
    raise ValueError(f"{folder} holds no captions file of the format {form!r}")


def _assemble(rows: list[Row], source: Path, form: str, root: Path | None, allow_missing: bool) -> CaptionSet:
    """Check every row and make the examples."""
    good: list[Row] = []
    malformed: list[Row] = []
    for row in rows:
        (good if _is_text(row.image) and row.image and _is_text(row.caption) else malformed).append(row)
    if len(malformed) > TOLERATED_SHARE * len(rows):
        raise ValueError(
            f"{source}: {len(malformed):,} of {len(rows):,} records lack an image name or a caption, "
            f"the first at {malformed[0].where}; is this really {form!r} data?"
        )
    names = list(dict.fromkeys(row.image for row in good))
    if form == "webdataset":  # what the shards list, they hold
        folder = source if source.is_dir() else source.parent
        refs = {name: ImageRef(folder / name) for name in names}
    else:
        refs = _locate(names, source, root, allow_missing)
    skipped = Counter({"malformed record": len(malformed)})
    seen: Counter[str] = Counter()
    examples = []
    for _, image, text in good:
        key = f"{image}#{seen[image]}"
        seen[image] += 1
        caption = text.strip()
        if not caption:
            skipped["empty caption"] += 1
        elif image not in refs:
            skipped["image not found"] += 1
        else:
            examples.append(Example(key, image, refs[image], caption))
    skipped = +skipped  # without zeros
    if not examples:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in skipped.items()) or "it is empty"
        raise ValueError(f"{source} gives no image-caption pair ({reasons}); it was read as {form!r}")
    return CaptionSet(source, form, examples, skipped)


def _is_text(value: Any) -> bool:
    """Whether a value is text that can be written again (JSON may hold lone surrogates)."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _locate(names: list[str], source: Path, root: Path | None, allow_missing: bool) -> dict[str, ImageRef]:
    """Find the image file of every name that has one."""
    roots = [root] if root is not None else list(_image_roots(source))
    # The first folder that holds any of the first names: a few may be missing, never all.
    root = next((r for r in roots if any(os.path.isfile(r / name) for name in names[:100])), roots[0])
    found = {name: ImageRef(path) for name in names if os.path.isfile(path := root / name)}
    missing = len(names) - len(found)
    if missing > TOLERATED_SHARE * len(names) and not allow_missing:
        first = next(name for name in names if name not in found)
        looked = ", ".join(map(str, roots)) if not found else str(root)
        raise ValueError(
            f"{source}: {missing:,} of {len(names):,} images, such as {first!r}, are not under {looked}. "
            "Give their folder with images=..., or pass allow_missing=True"
        )
    return found


def _image_roots(source: Path) -> Iterator[Path]:
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
