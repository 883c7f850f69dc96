"""WebDataset shards as a captions file: tar files whose members of one name are one sample.

Captions are read once; images stay in their shards and are found by offset. So pairs are shuffled, shared
between processes and resumed exactly as from any other format, which a stream of shards does not allow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowclip.data.caption_formats import Row, check_split
from knowclip.files import IMAGE_SUFFIXES
from knowclip.members import open_file, tar_members


def shard_rows(path: Path, split: str | None) -> Iterator[Row]:
    """Rows of one ``.tar`` file or of all in a folder; captions are ``.txt``, else ``caption`` in ``.json``.

    A sample is what shares a name up to the first dot. Images are named ``shard.tar/name.jpg``.

    Raises:
        ValueError: A shard is cut short, or a split is asked for: shards have none.
    """
    check_split(split, [], path)
    for shard in [path] if path.is_file() else sorted(path.glob("*.tar")):
        samples: dict[str, dict[str, str]] = {}
        for member in tar_members(shard):
            folder, _, name = member.rpartition("/")
            stem, _, extension = name.partition(".")
            samples.setdefault(f"{folder}/{stem}", {})[f".{extension.lower()}"] = member
        for key, members in samples.items():
            images = [member for extension, member in members.items() if extension in IMAGE_SUFFIXES]
            image = f"{shard.name}/{images[0]}" if images else None
            yield Row(f"{shard.name}:{key.lstrip('/')}", image, _caption(shard, members))


def _caption(shard: Path, members: dict[str, str]) -> Any:
    if ".txt" in members:
        return _read(shard, members[".txt"]).decode(errors="replace")
    if ".json" in members:
        try:
            content = json.loads(_read(shard, members[".json"]))
        except ValueError:
            return None
        return content.get("caption") if isinstance(content, dict) else None
    return ""


def _read(shard: Path, member: str) -> bytes:
    with open_file(shard / member) as file:
        return file.read()
