"""Visual Genome's ``image_data.json``: where the image of each id came from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from knowclip.knowledge.readers.json_stream import iterate_array

Images = dict[int | str, dict[str, Any]]
"""Image id to its record, whose ``url`` is a text."""


def images_by_id(path: Path) -> tuple[Images, int]:
    """The records that tell an image and its address, and how many others there are.

    Older releases of the file say ``id`` where others say ``image_id``.

    Raises:
        ValueError: it is no JSON array, or broken; names the file.
    """
    return _by_id(iterate_array(path))


def _by_id(records: Iterable[Any]) -> tuple[Images, int]:
    found: Images = {}
    strange = 0
    for record in records:
        known = record if isinstance(record, dict) else {}
        number = known.get("image_id", known.get("id"))
        if isinstance(number, (int, str)) and isinstance(known.get("url"), str):
            found[number] = known
        else:
            strange += 1
    return found, strange
