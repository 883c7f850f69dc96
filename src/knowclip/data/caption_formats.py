"""What the original files of caption data sets say, row by row; no image is touched here.

Every reader yields ``Row`` for each record of its file as it stands: ``captions.py`` decides what is usable.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from knowclip.files import IMAGE_SUFFIXES, read_text

IMAGE_COLUMNS = ("image", "filepath", "filename")
CAPTION_COLUMNS = ("caption", "title", "text")
SPLIT_COLUMN = "split"
KAGGLE_FILE = "captions.txt"
COCO_NAME = re.compile(r"captions_([a-z]+)\d*\.json")

_TOKEN_LINE = re.compile(r"(?P<image>[^\t]+)#\d+\t(?P<caption>.*)")


class Row(NamedTuple):
    """One record: where it stands, and what it says, unchecked."""

    where: str
    image: Any
    caption: Any


def _records(content: Any, key: str, path: Path) -> list[Mapping[str, Any]]:
    """``content[key]`` as the list of objects it has to be."""
    records = content.get(key) if isinstance(content, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{path} has no list of objects under the key {key!r}")
    return records


def check_split(split: str | None, available: Iterable[str], path: Path) -> None:
    """Refuse a split that the file does not hold."""
    names = sorted(set(available))
    if split is not None and split not in names:
        allowed = ", ".join(names) if names else "none: leave the split out"
        raise ValueError(f"{path} has no split {split!r}; it has: {allowed}")


def coco_rows(path: Path, content: Any, split: str | None) -> Iterator[Row]:
    """COCO captions JSON: ``images: [{id, file_name}]``, ``annotations: [{image_id, caption}]``.

    A file is one split, which its name says (``captions_val2017.json``).
    """
    named = COCO_NAME.fullmatch(path.name)
    check_split(split, [named[1]] if named else [], path)
    names = {str(image.get("id")): image.get("file_name") for image in _records(content, "images", path)}
    for i, annotation in enumerate(_records(content, "annotations", path)):
        name = names.get(str(annotation.get("image_id")))
        yield Row(f"annotations[{i}]", name, annotation.get("caption"))


def karpathy_rows(path: Path, content: Any, split: str | None) -> Iterator[Row]:
    """Karpathy's ``dataset_*.json``; his "train" takes in "restval", as papers on COCO do."""
    images = _records(content, "images", path)
    check_split(split, (str(image["split"]) for image in images if "split" in image), path)
    wanted = ("train", "restval") if split == "train" else (split,)
    for i, image in enumerate(images):
        if split is not None and image.get("split") not in wanted:
            continue
        name = image.get("filename")
        folder = image.get("filepath")
        if isinstance(folder, str) and isinstance(name, str):
            name = f"{folder}/{name}" if folder else name
        sentences = image.get("sentences")
        for k, sentence in enumerate(sentences if isinstance(sentences, list) else [None]):
            caption = sentence.get("raw") if isinstance(sentence, dict) else None
            yield Row(f"images[{i}].sentences[{k}]", name, caption)


def token_rows(path: Path, split: str | None) -> Iterable[Row]:
    """Flickr's own ``name.jpg#k<TAB>caption``, with ``Flickr_8k.*Images.txt`` beside it as splits."""
    rows = [
        Row(f"line {number}", match["image"], match["caption"])
        if match
        else Row(f"line {number}", None, None)
        for number, line in enumerate(read_text(path).split("\n"), start=1)
        if line.strip()
        for match in [_TOKEN_LINE.fullmatch(line)]
    ]
    return _flickr8k_split(rows, path.parent, split)


def _flickr8k_split(rows: list[Row], folder: Path, split: str | None) -> Iterable[Row]:
    """Choose the rows of an official split: "train", "dev" (also called "val") or "test".

    Kaggle's copy comes without the official lists: there an eighth of the images each, chosen by a hash of
    the file name, is "dev" and "test", with a warning, since such numbers compare with no published ones.
    """
    if split is None:
        return rows
    files = {
        re.sub(r"^Flickr_8k\.|Images\.txt$", "", p.name): p for p in folder.glob("Flickr_8k.*Images.txt")
    }
    check_split(split, ["val", *(files or ("train", "dev", "test"))], folder)
    split = "dev" if split == "val" else split
    if files:
        listed = set(read_text(files[split]).split())
        return (row for row in rows if row.image is None or row.image in listed)
    warnings.warn(
        f"{folder} has no Flickr_8k.*Images.txt: its split {split!r} is drawn by a hash of the file "
        "names and is not the official one",
        stacklevel=2,
    )
    return (row for row in rows if row.image is None or _drawn_split(row.image) == split)


def _drawn_split(name: str) -> str:
    return {0: "dev", 1: "test"}.get(hashlib.blake2b(name.encode()).digest()[0] % 8, "train")


def table_rows(
    path: Path, split: str | None, *, image_column: str | None = None, caption_column: str | None = None
) -> Iterable[Row]:
    """CSV or TSV with a header, a column ``split`` being optional; Kaggle's Flickr8k is one of them."""
    header, records = _read_table(path)
    image = _column(header, image_column, IMAGE_COLUMNS, "image", path)
    caption = _column(header, caption_column, CAPTION_COLUMNS, "caption", path)
    by_column = split is not None and SPLIT_COLUMN in header
    if by_column:
        check_split(split, (record[SPLIT_COLUMN] for _, record in records if record), path)
        records = [(where, record) for where, record in records if record.get(SPLIT_COLUMN, split) == split]
    rows = [Row(where, record.get(image), record.get(caption)) for where, record in records]
    if split is None or by_column:
        return rows
    if path.name == KAGGLE_FILE:
        return _flickr8k_split(rows, path.parent, split)
    raise ValueError(f"{path} has no column {SPLIT_COLUMN!r}, so it has no split {split!r}; leave it out")


def _read_table(path: Path) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """Header, then each record with its place; a record of the wrong length comes out empty."""
    text = read_text(path)
    tabs = path.suffix == ".tsv" or "\t" in text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter="\t" if tabs else ",", strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        return header, [
            (
                f"line {reader.line_num}",
                dict(zip(header, fields, strict=True)) if len(fields) == len(header) else {},
            )
            for fields in reader
            if fields
        ]
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {reader.line_num}: {error} (a quote inside a quoted field is written twice)"
        ) from error


def _column(header: list[str], given: str | None, known: tuple[str, ...], role: str, path: Path) -> str:
    """Name the one column that is meant."""
    found = [name for name in header if name == given or (given is None and name in known)]
    if len(found) == 1:
        return found[0]
    wanted = repr(given) if given is not None else " or ".join(map(repr, known))
    raise ValueError(
        f"{path} needs one {role} column, {wanted}, but has {len(found) or 'none'}; its columns are "
        f"{header}. Name the right one with {role}_column=..."
    )


def sidecar_rows(folder: Path, split: str | None) -> Iterator[Row]:
    """Walk a folder of images, each line of ``name.txt`` being a caption of ``name.jpg``."""
    check_split(split, [], folder)
    for image in sorted(folder.rglob("*")):
        if image.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        name = image.relative_to(folder).as_posix()
        sidecar = image.with_suffix(".txt")
        if not sidecar.is_file():
            yield Row(name, name, "")
            continue
        for number, line in enumerate(read_text(sidecar).rstrip("\n").split("\n"), start=1):
            yield Row(f"{sidecar.name}, line {number}", name, line)
