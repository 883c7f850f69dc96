"""Official files of every kind -> records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from knowclip.evaluation.metrics import NoDataError
from knowclip.storage import parquet
from knowclip.storage.atomic import atomic_file
from knowclip.storage.text_files import read_json, read_table, read_text
from knowclip.types import ImageRef


class Record(NamedTuple):
    """One record: the file (path without suffix), its name or number there, and what it says.

    ``content`` is None where it cannot be parsed.
    """

    file: str
    name: str
    content: Any

    @property
    def key(self) -> str:
        """Unique in the benchmark."""
        return f"{self.file}/{self.name}"


def json_records(path: Path, *, file: str = "", one_of_several: bool = False) -> list[Record]:
    """Records of a JSON list by number, or of an object by key; ``file`` is its name, else the stem.

    This and all that follow raise ``NoDataError``, naming the file, where there are none: but for
    ``one_of_several`` files of a benchmark.
    """
    content = read_json(path)
    if isinstance(content, list):
        content = dict(enumerate(content))
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no list of records, but a {type(content).__name__}")
    found = [Record(file or path.stem, str(name), record) for name, record in content.items()]
    return found if one_of_several else _some(path, found)


def jsonl_records(path: Path) -> list[Record]:
    """One JSON object a line; a line that is cut short is a bad record."""
    lines = enumerate(read_text(path).splitlines())
    found = [Record(path.stem, str(number), _parsed(line)) for number, line in lines if line.strip()]
    return _some(path, found)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def csv_records(path: Path, *, file: str = "", one_of_several: bool = False) -> list[Record]:
    """Rows of a CSV file with a header, as dictionaries; one of another length misses fields."""
    found = [Record(file or path.stem, str(number), row) for number, row in enumerate(read_table(path))]
    return found if one_of_several else _some(path, found)


def parquet_records(paths: Iterable[Path], *, images: Sequence[str]) -> Iterator[Record]:
    """Rows of Parquet files as the Hugging Face hub distributes them.

    The columns ``images`` hold ``{bytes, path}``; the bytes are written once to ``extracted/<hash>`` beside
    the file and the row gets an ``ImageRef`` instead.

    Raises:
        ValueError: A file is damaged, or a column of images is missing or holds something else; names both.
    """
    for path in paths:
        number = -1
        for number, row in enumerate(parquet.rows(path, images=images)):
            extracted = {name: _extracted(row[name], path.parent / "extracted") for name in images}
            yield Record(path.stem, str(number), row | extracted)
        if number < 0:
            raise NoDataError(_empty(path))


def _some(path: Path, records: list[Record]) -> list[Record]:
    """Refuse a file without a record: it was cut, or emptied; no benchmark publishes one."""
    if not records:
        raise NoDataError(_empty(path))
    return records


def _empty(path: Path) -> str:
    return f"{path} holds no record: get the file anew, or remove it"


def _extracted(cell: Any, folder: Path) -> ImageRef:
    content = (cell or {}).get("bytes")
    if not content:
        return ImageRef(folder / "absent")
    return ImageRef(write_once(folder / f"{hashlib.sha256(content).hexdigest()[:32]}.img", content))


def write_once(path: Path, content: bytes) -> Path:
    """Write a file named after its content, unless it is there already."""
    if not path.is_file():
        with atomic_file(path) as temporary:
            temporary.write_bytes(content)
    return path
