"""All captions formats, and which one a path is of: one front door for every command."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from knowclip.console.counts import by_reason
from knowclip.data.formats.coco import COCO, COCO_NAME, KARPATHY
from knowclip.data.formats.folders import FOLDER
from knowclip.data.formats.huggingface import DATASETS, MARKERS, is_hub
from knowclip.data.formats.lists import IMAGE_FOLDER, JSON_LINES, LIST, LIST_NAME, PARQUET
from knowclip.data.formats.rows import EMPTY, NO_IMAGE, SPLIT_NAMES, Format, Options, Row, check_split
from knowclip.data.formats.shards import SHARDS
from knowclip.data.formats.tables import CSV, KAGGLE_FILE
from knowclip.data.formats.texts import TEXT, TOKENS, recognise
from knowclip.plugins import find as find_named
from knowclip.plugins import found as plugins_of
from knowclip.plugins import names, usable
from knowclip.storage.remote import find as find_files
from knowclip.storage.remote import is_remote, url_of
from knowclip.storage.text_files import is_junk, open_text, read_json

FORMATS = (
    COCO,
    KARPATHY,
    TOKENS,
    CSV,
    LIST,
    IMAGE_FOLDER,
    JSON_LINES,
    PARQUET,
    FOLDER,
    SHARDS,
    DATASETS,
    TEXT,
)
CODE = "write.py"
"""A sample that no text can show is the code that writes it, beside its images."""
KIND = "caption format"
"""What plug-ins call it."""
_OWN = {each.name: each for each in FORMATS}
NAMES = tuple(_OWN)
_ENDINGS = {ending: each for each in FORMATS for ending in each.endings}
_SPLIT_FOLDERS = ("train", *SPLIT_NAMES["val"], "test")
"""Subfolders that hold the metadata of a split."""
CAPTIONLESS = "no captions here: put NAME.txt beside each picture, or give a table of images and captions"
"""What is said of a folder of pictures."""
_PACKED = (".gz", ".tgz", ".zip", ".xz", ".bz2", ".zst", ".7z")


class Source(NamedTuple):
    """A captions file or folder, its format, what its JSON says, and whether it is one split alone."""

    path: Path
    format: Format
    content: Any = None
    is_split: bool = False

    def rows(self, options: Options) -> Iterator[Row]:
        """Every record as it stands.

        Raises:
            ValueError: the file is broken, or has no such split or column.
        """
        if options.columns and not self.format.columns:
            raise ValueError(
                "image_column, caption_column, split_column and key columns are for tables; "
                f"{self.path}, for which {options.named!r} is given, is read as {self.format.name!r}"
            )
        if self.is_split:
            options = replace(options, split=None)
        return iter(self.format.read(self.path, self.content, options))


def find(path: Path, name: str | None, split: str | None, *, text: bool = False) -> Source:
    """The captions file at a path and its format.

    Args:
        path: A captions file, a folder that holds one, or ``hf-hub:`` and the name of a data set.
        name: Of the format; found out when None.
        split: Wanted, which may choose a file of the folder.
        text: Whether files of unknown endings are read as text.

    Raises:
        ValueError: there is none, there are several, or no format is of this kind.
    """
    given = None if name is None else named(name)
    if is_hub(path):
        return Source(path, DATASETS)
    if is_remote(path):
        return _at_url(path, given)
    if path.is_dir():
        return _in_folder(path, given, split)
    if not path.is_file():
        raise ValueError(f"{path} does not exist; give a captions file, or the folder that holds one")
    if given is FOLDER:
        raise ValueError(f"{path} is a file; format='folder' reads a folder of images with .txt captions")
    return _of_file(path, given, text)


def why_none(path: Path | None, skipped: Mapping[str, int]) -> str:
    """Why captions gave nothing, by reason, in brackets; of pictures without any what to do, too.

    Among them may lie texts of other names, which caption none of them.
    """
    pictures = EMPTY in skipped and {*skipped} <= {EMPTY, NO_IMAGE} and path is not None and path.is_dir()
    return f"({by_reason(skipped) or 'it is empty'})" + (f"; {CAPTIONLESS}" if pictures else "")


def _at_url(path: Path, given: Format | None) -> Source:
    """Shards at a URL, or images with their texts; the images of other formats could not be found there."""
    if path.suffix == ".tar" or given is SHARDS:
        return Source(path, SHARDS)
    if given not in (None, FOLDER):
        raise ValueError(
            f"{url_of(path)}: {SHARDS.name!r} and {FOLDER.name!r} are read from URLs, and {given.name!r} is "
            "not: copy its files here first"
        )
    files = find_files(path)
    if path in files or not files:
        what = "is a file" if files else "does not exist"
        raise ValueError(f"{url_of(path)} {what}: give a shard (.tar), or a folder of shards or of images")
    shards = given is None and any(each.suffix == ".tar" and each.parent == path for each in files)
    return Source(path, SHARDS if shards else FOLDER)


def named(name: str) -> Format:
    """The format of a name: knowclip's own, or a plug-in's.

    Raises:
        ValueError: There is none, several, or it cannot be imported.
    """
    form = find_named(KIND, name, _OWN, Format)
    for plugin in plugins_of(KIND).get(name, ()):
        plugin.check_name(form.name)
    return form


def added() -> list[Format]:
    """Formats of plug-ins, which are imported; it is warned of those that cannot be used."""
    return [named(name) for name in usable(KIND, _OWN, named) if name not in _OWN]


def _of_file(path: Path, given: Format | None, text: bool = True) -> Source:
    suffix = path.suffix.lower()
    if given in (COCO, KARPATHY, LIST) or (given is None and suffix == ".json"):
        try:
            content = read_json(path)
        except ValueError:
            if given is None and _is_json_lines(path):
                return Source(path, JSON_LINES)
            raise
        return Source(path, given or _of_json(path, content), content)
    if suffix in _PACKED:
        raise ValueError(f"{path} is compressed: unpack it first (shards are plain .tar files)")
    if given is not None:
        return Source(path, given)
    if path.stem == "metadata" and suffix in (".csv", ".jsonl", ".parquet"):
        return Source(path, IMAGE_FOLDER)
    if suffix in _ENDINGS:
        return Source(path, _ENDINGS[suffix])
    if suffix == ".token" or path.name.endswith(".token.txt"):
        return Source(path, TOKENS)
    if suffix != ".txt" and (form := _added_of(path)) is not None:
        return Source(path, form)
    if suffix == ".txt" or text:
        with open_text(path) as lines:
            return Source(path, recognise(next((line for line in lines if line.strip()), ""), path))
    raise ValueError(
        f"{path}: no captions format has files named so; allowed are .json (COCO, Karpathy, lists), .jsonl, "
        ".csv, .tsv, .parquet, .tar, .arrow, .token.txt and .txt (Flickr, Kaggle) or a folder; or say which "
        f"with format={'|'.join(names(KIND, NAMES))}"
    )


def _added_of(path: Path) -> Format | None:
    """The format of a plug-in that a file's ending tells, where none of knowclip's own does."""
    told = [each for each in added() if path.name.lower().endswith(each.endings)]
    if len(told) > 1:
        raise ValueError(
            f"{path} may be read as {' or '.join(each.name for each in told)}: say which with format=NAME"
        )
    return told[0] if told else None


def _is_json_lines(path: Path) -> bool:
    """Whether a file called ``.json`` holds an object in each of its first two lines."""
    with open_text(path) as lines:
        try:
            # two lines: an object on one line alone is JSON as well
            return all(isinstance(json.loads(next(lines, "")), dict) for _ in range(2))
        except (ValueError, RecursionError):
            return False


def _of_json(path: Path, content: Any) -> Format:
    if isinstance(content, list):
        return LIST
    if isinstance(content, dict) and "annotations" in content:
        return COCO
    if isinstance(content, dict) and "images" in content:
        return KARPATHY
    keys = ", ".join(map(repr, content)) if isinstance(content, dict) else "no keys"
    raise ValueError(
        f"{path} holds none of the captions that are read ({keys[:200] or 'empty'}): COCO's ('images' and "
        "'annotations'), Karpathy's ('images' with sentences), lists of {'image': ..., 'caption': ...}"
    )


def _in_folder(folder: Path, given: Format | None, split: str | None) -> Source:
    """Choose the one captions file of a folder, the most specific format first."""
    if given is not None and given not in FORMATS:
        return _added_in(folder, given)
    if given in (None, DATASETS) and any((folder / name).is_file() for name in MARKERS):
        return Source(folder, DATASETS)
    for form, found in _candidates(folder, split, given).items():
        if not found or given not in (None, form):
            continue
        if len(found) > 1:
            names = ", ".join(sorted(path.relative_to(folder).as_posix() for path in found))
            raise ValueError(f"{folder} holds several captions files; name one of them: {names}")
        told = given is None and found[0].name == KAGGLE_FILE  # by its first line: others call theirs so too
        source = _of_file(found[0], None if told else form)
        return source._replace(is_split=form is IMAGE_FOLDER and found[0].parent != folder)
    if given in (None, SHARDS) and any(not is_junk(path.name) for path in folder.glob("*.tar")):
        return Source(folder, SHARDS)
    if given in (None, FOLDER):
        others = [name for name in _SPLIT_FOLDERS if any((folder / name).glob("metadata.*"))]
        if split is not None and others:
            check_split(split, others, folder)
        return Source(folder, FOLDER)
    raise ValueError(f"{folder} holds no captions file of the format {given.name!r}")


def _added_in(folder: Path, given: Format) -> Source:
    """A plug-in's file by its ending; a format without endings is one of folders."""
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and not is_junk(path.name) and path.name.lower().endswith(given.endings)
    ]
    if given.endings and len(found) != 1:
        listed = ", ".join(path.name for path in found) or "none"
        raise ValueError(f"{folder} should hold one file of the format {given.name!r} ({listed}): name it")
    return Source(found[0] if found else folder, given)


def _candidates(folder: Path, split: str | None, given: Format | None) -> dict[Format, list[Path]]:
    def glob(*patterns: str) -> list[Path]:
        found = (path for pattern in patterns for path in folder.glob(pattern))
        return [path for path in found if path.is_file() and not is_junk(path.relative_to(folder))]

    metadata = [f"metadata{suffix}" for suffix in (".csv", ".jsonl", ".parquet")]
    splits = SPLIT_NAMES.get(split, (split,)) if split is not None else _SPLIT_FOLDERS
    # what is no folder's name, as "" or one with a slash, no reader knows as a split: it is refused there
    parts = [f"{name}/{file}" for name in splits if Path(name).parts == (name,) for file in metadata]
    coco = glob("captions_*.json", "annotations/captions_*.json")
    tokens = glob("*.token.txt", "*.token")
    named = [path for path in coco if (match := COCO_NAME.fullmatch(path.name)) and match[1] == split]
    return {
        KARPATHY: glob("dataset.json", "dataset_*.json"),
        COCO: named or coco,
        TOKENS: [path for path in tokens if ".lemma." not in path.name] or tokens,  # lie side by side
        IMAGE_FOLDER: glob(*metadata) or glob(*parts),
        CSV: glob(KAGGLE_FILE) or glob("*.csv", "*.tsv"),
        JSON_LINES: glob("captions*.jsonl"),
    } | ({LIST: _lists(glob("*.json"), split)} if given is LIST else {})


def _lists(found: list[Path], split: str | None) -> list[Path]:
    """Files named as LAVIS names its lists, of the split that is asked for."""
    named = [(path, match[1]) for path in found if (match := LIST_NAME.fullmatch(path.name))]
    return [path for path, name in named if split in (None, name)]
