"""WebDataset shards as a captions file: tar files whose members of one name are one sample.

Captions are read once; images stay in their shards, here or at a URL, and are found by offset. So pairs are
shuffled, shared between processes and resumed exactly as from any other format, which a stream of shards does
not allow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowclip.data.formats.columns import captions_of
from knowclip.data.formats.rows import MALFORMED, NOT_UTF8, REPLACED, Format, Options, Row, check_split
from knowclip.storage.members import read_text_member
from knowclip.storage.remote import find, is_remote
from knowclip.storage.shard_index import index
from knowclip.storage.text_files import IMAGE_SUFFIXES, decode, is_junk

META = re.compile(r"__[^/]*__(/|\.|$)")
"""Members that describe the shard, which WebDataset's readers leave out."""
Sample = dict[str, str]
"""File ending to member."""


def shard_rows(path: Path, content: Any, options: Options) -> Iterator[Row]:
    """Rows of one ``.tar`` file or of all in a folder; captions are ``.txt``, else ``caption`` in ``.json``.

    A sample is what shares a name up to the first dot, as in WebDataset; where names have dots of their own
    (``22.05.jpg`` and ``22.05.txt``), up to the last. Images are named ``shard.tar/name.jpg``.

    Raises:
        ValueError: A shard is cut short, or a split is asked for: shards have none.
    """
    check_split(options.split, [], path)
    for shard in shards_at(path):
        if shard != path and is_junk(shard.name):
            continue
        # of members of one name tar readers give the last; the others are told
        for name in index(shard).repeated:
            if Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Row(f"{shard.name}/{name}", None, None, fault=REPLACED)
        for key, members in _samples(shard).items():
            image = next((members[extension] for extension in members if extension in IMAGE_SUFFIXES), None)
            yield from _rows(shard, key, members, f"{shard.name}/{image}" if image else None)


def shards_at(path: Path) -> list[Path]:
    """The shard of a path, or all shards of a folder, here or at a URL."""
    if is_remote(path):
        return [
            each for each in find(path) if each.suffix == ".tar" and (each == path or each.parent == path)
        ]
    return [path] if path.is_file() else sorted(path.glob("*.tar"))


def _samples(shard: Path) -> dict[str, Sample]:
    """Key to members, in the order of the shard."""
    groups: dict[str, dict[str, Sample]] = {}
    for member in index(shard).members:
        if is_junk(member) or META.match(member):
            continue
        folder, _, name = member.rpartition("/")
        stem, dot, extension = name.rpartition(".")
        stem = stem if dot else name
        first = f"{folder}/{name.partition('.')[0]}".lstrip("/")
        own = groups.setdefault(first, {}).setdefault(f"{folder}/{stem}".lstrip("/"), {})
        own[f".{extension.lower()}" if dot else ""] = member
    samples: dict[str, Sample] = {}
    for first, subgroups in groups.items():
        whole = first in subgroups  # then the others are its parts (000.seg.png), unless they are pairs
        samples |= {key: own for key, own in subgroups.items() if key == first or not whole or _is_pair(own)}
    return samples


def _is_pair(sample: Sample) -> bool:
    return bool(IMAGE_SUFFIXES & sample.keys()) and bool({".txt", ".json"} & sample.keys())


def _rows(shard: Path, key: str, members: Sample, image: str | None) -> Iterator[Row]:
    where = f"{shard.name}:{key}"
    text = members.get(".txt") or members.get(".json")
    written = read_text_member(shard, text) if text else b""
    try:
        content = decode(written, where)
    except ValueError:
        yield Row(where, None, written.decode(errors="surrogateescape"), fault=NOT_UTF8)
        return
    captions = [content] if ".txt" in members or not text else _in_json(content)
    for caption in captions:
        yield Row(where, image, caption) if caption is not None else Row(where, None, None, fault=MALFORMED)


def _in_json(text: str) -> list[Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return [None]
    return list(captions_of([content.get("caption")])) if isinstance(content, dict) else [None]


SHARDS = Format(
    name="webdataset",
    told="`.tar`, or a folder of them, here or at a URL: members `name.jpg` and `name.txt` (or `caption` in "
    "`name.json`)",
    samples={
        "write.py": "import tarfile; from pathlib import Path\n"
        'Path("a.txt").write_text("A dog runs.")\n'
        'with tarfile.open("pairs.tar", "w") as tar: tar.add("a.jpg"); tar.add("a.txt")\n'
    },
    read=shard_rows,
    endings=(".tar",),
    separate=True,
)
