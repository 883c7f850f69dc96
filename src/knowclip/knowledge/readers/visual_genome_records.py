"""Fields of Visual Genome's records, whatever version of the files they are from (see ``visual_genome``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from knowclip.storage.text_files import is_utf8, read_text
from knowclip.types import Box

LARGEST = 2**31 - 1
"""The graph's tables hold no larger number of pixels."""


class BadRecordError(ValueError):
    """A record does not hold what it must; the message says what."""


def records(element: Any, key: str, *, required: bool = True) -> Iterator[tuple[str, Any]]:
    """The records under ``element[key]`` of an image, each with its place (``.objects[3]``)."""
    found = element.get(key) if isinstance(element, dict) else None
    if found is None and not required:
        return
    if not isinstance(found, list):
        raise BadRecordError(f"no list {key!r} in the image")
    for index, record in enumerate(found):
        yield f".{key}[{index}]", record if isinstance(record, dict) else {}


def integer(record: Any, *keys: str) -> int:
    """The first of ``keys`` that holds a whole number."""
    if isinstance(record, dict):
        for key in keys:
            value = record.get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    raise BadRecordError(f"no whole number {' or '.join(map(repr, keys))}")


def words(value: Any, what: str, alias: Mapping[str, str] | None = None) -> str:
    """Words in lower case with single spaces, or what ``alias`` has for them."""
    text = " ".join(value.lower().split()) if isinstance(value, str) else ""
    if not text.strip("/_ "):  # a concept's URI has no words left of these
        raise BadRecordError(f"no {what}")
    if not is_utf8(text):
        raise BadRecordError(f"the {what} holds half a surrogate pair, which is no letter")
    return (alias or {}).get(text, text)


def name(record: Any, alias: Mapping[str, str] | None = None) -> str:
    """What the object is called: ``name``, or the first of ``names``."""
    said = record.get("name") or record.get("names")
    return words(said[0] if isinstance(said, list) and said else said, "name", alias)


def attributes(record: Any) -> list[str]:
    """The object's attributes, which may be absent, null, a text or a list of texts, each maybe twice."""
    said = record.get("attributes") or ()
    if not isinstance(said, (str, list, tuple)):
        raise BadRecordError("attributes are no list")
    return [words(value, "attribute") for value in ((said,) if isinstance(said, str) else said)]


def coco_id(record: Mapping[str, Any]) -> int | None:
    """COCO's number of the image; None where there is none, which some copies write as -1 or 0."""
    value = record.get("coco_id")
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST else None


def image_size(record: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height of the image, as far as the record says both."""
    width, height = record.get("width"), record.get("height")
    if not (isinstance(width, int) and isinstance(height, int)):
        return None
    return (width, height) if 0 < width <= LARGEST and 0 < height <= LARGEST else None


def url(*records: Mapping[str, Any]) -> str:
    """The image's address, of the first record that has one."""
    said = (record.get(key) for record in records for key in ("url", "image_url"))
    return next((address for address in said if isinstance(address, str) and address), "")


def box(record: Any, size: tuple[int, int] | None = None) -> Box:
    """The object's box, cut at the borders of the image as far as its (width, height) is known."""
    width, height = record.get("w", record.get("width")), record.get("h", record.get("height"))
    sides = record.get("x"), record.get("y"), width, height
    if not all(isinstance(side, (int, float)) and abs(side) <= LARGEST for side in sides):  # nor NaN
        raise BadRecordError("no box x, y, w, h")
    x, y, width, height = map(round, sides)
    left, top = max(x, 0), max(y, 0)
    right, bottom = x + width, y + height
    if size:
        right, bottom = min(right, size[0]), min(bottom, size[1])
    if right <= left or bottom <= top:
        raise BadRecordError("box without area inside the image")
    return left, top, right - left, bottom - top


def aliases(path: Path) -> dict[str, str]:
    """``relationship_alias.txt``: lines of names, the first of which stands for all; {} without the file."""
    if not path.is_file():
        return {}
    alias = {}
    for line in read_text(path).splitlines():
        canonical, *others = (" ".join(other.lower().split()) for other in line.split(","))
        alias.update({other: canonical for other in others if other and canonical})
    return alias
