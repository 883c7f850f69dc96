"""Sets of images that must stay out of training, such as those a benchmark holds."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from knowclip.console.counts import listed
from knowclip.knowledge.graph.image_files import IMAGE_SUFFIXES, coco_id
from knowclip.knowledge.graph.store import literal
from knowclip.storage.text_files import read_text

if TYPE_CHECKING:
    import duckdb

FORMS = (
    "COCO's annotations, a Karpathy split, Visual Genome's or ARO's lists, a list of records that name their "
    "image files, Flickr8k's text files, or a text file with an image on each line"
)
NAMES = ("filename", "file_name", "image", "image_file", "image_name", "image_path", "filepath", "img")
_LISTS = ("images", "annotations", "data", "questions")
_IDS = ("image_id", "imageId")
_VG_PATH = re.compile(r"(?:^|/)VG_100K(?:_2)?/(\d+)\.jpe?g$")
_VG_RECORD = frozenset(
    "relation_name relationships attributes objects regions bbox_x obj1_name image_path image_url".split()
)


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images by their ``image_id`` in the graph ("vg/2412") or their file's name, and by COCO's ids."""

    image_ids: frozenset[str] = field(default_factory=frozenset)
    coco_ids: frozenset[int] = field(default_factory=frozenset)

    def mark(self, connection: duckdb.DuckDBPyConnection, graph: Path) -> None:
        """Make the table ``held_entities``: the entities of ``graph`` that are part of these images.

        Where it stays empty, and this set is not, a warning says so.
        """
        names = {PurePosixPath(id).name for id in self.image_ids if _is_file_name(id)}
        held: dict[str, tuple[list[Any], str]] = {
            "held_image_ids": (sorted(self.image_ids), "VARCHAR"),
            "held_names": (sorted(names), "VARCHAR"),
            "held_coco_ids": (sorted(self.coco_ids), "BIGINT"),
        }
        for table, (values, kind) in held.items():
            connection.execute(f"CREATE TABLE {table} AS SELECT unnest($1::{kind}[]) AS id", [values])
        connection.execute(
            f"""CREATE TABLE held_entities AS SELECT DISTINCT entity
                FROM read_parquet({literal(graph / "images.parquet")})
                WHERE image_id IN (SELECT id FROM held_image_ids)
                OR coco_id IN (SELECT id FROM held_coco_ids)
                OR parse_filename(path) IN (SELECT id FROM held_names)"""
        )
        asked = len(self.image_ids) + len(self.coco_ids)
        if asked and connection.execute("SELECT 1 FROM held_entities LIMIT 1").fetchone() is None:
            warnings.warn(
                f"none of the {asked:,} images to keep out is in {graph}, whose images are known by "
                "image_id, COCO id and file name: is this the right file?",
                stacklevel=3,
            )


def read_image_set(path: Path) -> ImageSet:
    """Read which images a benchmark holds.

    Args:
        path: COCO's annotations (all images) or a Karpathy split (its val and test images), by COCO's id or
            by file name; ARO's lists or Visual Genome's files (its ids); any list of JSON records, or a
            record a line, that name image files; Flickr8k's ``.token.txt``, ``.testImages.txt`` or Kaggle's
            ``captions.txt``; or a text file with ``vg/2412``, ``coco/139``, a file name or another
            ``image_id`` of the graph on each line.

    Raises:
        ValueError: None of these, a record without an image, or no image in it.
    """
    if path.is_dir():
        raise ValueError(f"{path}: a folder; give the file that lists the images: {FORMS}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; one that lists images is wanted: {FORMS}")
    text = read_text(path)
    found = _from_json(text, path) if text.lstrip()[:1] in ("[", "{") else _from_lines(text, path)
    images = frozenset(found)
    if not images:
        raise ValueError(f"{path}: holds no image; {FORMS} are read")
    return ImageSet(
        frozenset(image for image in images if isinstance(image, str)),
        frozenset(image for image in images if isinstance(image, int)),
    )


def _from_lines(text: str, path: Path) -> Iterator[str | int]:
    """Images of a text file: an id, a file name or Flickr8k's line of one; COCO's as numbers."""
    for number, line in enumerate(text.splitlines(), 1):
        name = line.strip()
        first = (
            re.split(r"#\d+\t|[\t,|]", name)[0].strip().strip('"')
        )  # 1.jpg#0<TAB>A dog ., or 1.jpg,A dog .
        if number == 1 and first.lower() in NAMES:
            continue
        name = first if _is_file_name(first) else name
        if name.isdigit():
            raise ValueError(
                f"{path}, line {number}: {name!r} may be of any data set: write vg/{name}, coco/{name} or "
                "the file's name"
            )
        if first != name and not _is_file_name(name):
            raise ValueError(f"{path}, line {number}: {first!r} is no image; {FORMS} are read")
        if name:
            yield int(name[5:]) if re.fullmatch(r"coco/\d+", name) else _by_name(name)


def _from_json(text: str, path: Path) -> Iterator[str | int]:
    splits = set()
    held = False
    for where, record in _records(_parsed(text, path), path):
        if isinstance(record, str):
            record = {"image": record}
        if not isinstance(record, Mapping):
            raise ValueError(
                f"{path}: neither an object nor a text at {where}, but {record!r}; {FORMS} are read"
            )
        splits.add(split := str(record.get("split", "test")))
        if not split.startswith("train") and split != "restval":
            held = True
            yield from _images(record, path, where)
    if splits and not held:
        raise ValueError(f"{path}: holds no image to keep out, as all are of {', '.join(sorted(splits))}")


def _parsed(text: str, path: Path) -> Any:
    """A JSON file, or the list of the records of a file that has one a line."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.splitlines() if line.strip()]
        with suppress(ValueError, RecursionError):
            if len(lines) > 1:
                return [json.loads(line) for line in lines]
        raise ValueError(f"{path}: neither JSON nor a record a line ({error}); is it cut off?") from None


def _records(content: Any, path: Path) -> Iterable[tuple[str, Any]]:
    """The records with their places: of a list, under a key of ``_LISTS``, or the values of an object."""
    if isinstance(content, list):
        return [(f"$[{index}]", record) for index, record in enumerate(content)]
    for key in _LISTS:
        if isinstance(content.get(key), list):
            return [(f"$.{key}[{index}]", _of_coco(record, key)) for index, record in enumerate(content[key])]
    if set(content) & {*NAMES, *_IDS, "cocoid", "coco_id"}:
        return [("$", content)]
    if all(isinstance(value, Mapping) for value in content.values()):
        return [(f"$.{key}", record) for key, record in content.items()]  # SugarCrepe, VALSE, GQA
    raise ValueError(
        f"{path}: neither a list nor one under {_or(_LISTS)}, but an object of {listed([*content][:8])}; "
        f"{FORMS} are read"
    )


def _of_coco(record: Any, key: str) -> Any:
    """A record of a file in COCO's form, whose ids are COCO's unless its images are called otherwise."""
    if not isinstance(record, Mapping) or any(record.get(name) for name in ("cocoid", "coco_id")):
        return record
    id = record.get("id" if key == "images" else "image_id")
    name = next((record[name] for name in NAMES if isinstance(record.get(name), str)), None)
    if "split" in record or id is None or (name is not None and coco_id(name) is None):
        return record
    return {**record, "cocoid": id}


def _images(record: Mapping[str, Any], path: Path, where: str) -> Iterator[str | int]:
    """The image of a record: by COCO's id, Visual Genome's or its file's name.

    Raises:
        ValueError: It has none of them, or an ``image_id`` of an unknown data set.
    """
    number = _first(record, ("cocoid", "coco_id"))
    name = next((record[key] for key in NAMES if isinstance(record.get(key), str)), None)
    is_genome = bool(_VG_RECORD & set(record)) or "VG_100K" in str(record.get("url"))
    genome = _first(record, (*_IDS, "id") if is_genome else _IDS)
    named = is_genome or not (name or number or "caption" in record or "score" in record)
    if genome and named:
        yield f"vg/{genome}"
    if number:
        yield number
    elif not (genome and named):
        if name is None:
            of = f"'image_id' {genome} may be of any data set, and " if genome else ""
            raise ValueError(
                f"{path}: neither 'cocoid', 'image_id' of Visual Genome nor a file name ({_or(NAMES)}) in "
                f"{where}: {of}it has the keys {listed(record)}"
            )
        yield _by_name(name)


def _by_name(name: str) -> str | int:
    """COCO's number or Visual Genome's id of an image file that is called as theirs; else the name."""
    if match := _VG_PATH.search(name):
        return f"vg/{match[1]}"
    return name if (number := coco_id(name)) is None else number


def _is_file_name(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _first(record: Mapping[str, Any], keys: Iterable[str]) -> int | None:
    """The first of ``keys`` that holds a number."""
    return next((number for key in keys if (number := _whole(record.get(key)))), None)


def _whole(value: Any) -> int | None:
    """A number above 0, written as one or as text; -1 and the like stand for none."""
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _or(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
