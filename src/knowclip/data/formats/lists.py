"""Records with named fields: JSON lists as LAVIS has them, JSON lines, Parquet, imagefolder's metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from knowclip.data.formats.columns import Record, choose, record_rows, tell_unused
from knowclip.data.formats.rows import (
    MALFORMED,
    NOT_UTF8,
    Format,
    Options,
    Row,
    check_split,
    no_splits,
    of_split,
)
from knowclip.data.formats.tables import read_table
from knowclip.storage.parquet import whole
from knowclip.storage.text_files import is_utf8, open_text

LIST_NAME = re.compile(r"(?:.*[_-])?(train|val|test)\.json")
_LOOKED_AT = 100


def read_list(path: Path, content: Any, options: Options) -> Iterator[Row]:
    """LAVIS' lists: ``[{"image": name, "caption": text or list of texts, ...}]``.

    A file is one split, which its name says (``coco_karpathy_train.json``), unless records have a ``split``.
    """
    if not isinstance(content, list):
        raise ValueError(f"{path} is no list of records")
    records = (
        (f"[{i}]", one, "") if isinstance(one, dict) else (f"[{i}]", None, MALFORMED)
        for i, one in enumerate(content)
    )
    named = LIST_NAME.fullmatch(path.name)
    told = any(isinstance(one, dict) and "split" in one for one in content)
    if named and not told and options.split_column is None:
        check_split(options.split, [named[1]], path)
        options = replace(options, split=None)
    return _rows(records, path, options)


def read_json_lines(path: Path, content: Any, options: Options) -> Iterator[Row]:
    """A JSON object a line."""
    with open_text(path) as lines:
        yield from json_line_rows(lines, path, options)


def json_line_rows(lines: Iterable[str], path: Path | str, options: Options) -> Iterator[Row]:
    """Rows of the lines of JSON."""
    yield from _rows(_lines(lines), path, options)


def read_parquet(path: Path, content: Any, options: Options) -> Iterator[Row]:
    """A Parquet table whose image column holds names."""
    with whole(path):
        import pyarrow
        from pyarrow import parquet

        file = parquet.ParquetFile(path)
    is_packed = (pyarrow.types.is_struct, pyarrow.types.is_binary, pyarrow.types.is_large_binary)
    packed = [field.name for field in file.schema_arrow if any(kind(field.type) for kind in is_packed)]
    if packed and options.with_images and options.image_column in (None, *packed):
        raise ValueError(
            f"{path} holds the images themselves ({', '.join(packed)}): give its folder as "
            f"hf-hub:{path.parent}, which the extra `datasets` reads"
        )
    names = [name for name in file.schema_arrow.names if name not in packed]
    return _rows(_of_batches(file, names, path), path, options, names=names)


def _of_batches(file: Any, names: list[str], path: Path) -> Iterator[Record]:
    """Records of the columns ``names`` of a Parquet file, a few at a time."""
    number = 0
    with whole(path):
        for batch in file.iter_batches(columns=names):
            for record in batch.to_pylist():
                number += 1
                yield f"row {number}", record, ""


def read_metadata(path: Path, content: Any, options: Options) -> Iterable[Row]:
    """Hugging Face's imagefolder: ``metadata.csv``, ``.jsonl`` or ``.parquet`` beside its images."""
    readers = {".csv": read_table, ".jsonl": read_json_lines, ".parquet": read_parquet}
    return readers[path.suffix.lower()](path, content, options)


def _lines(lines: Iterable[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        where = f"line {number}"
        if not line.strip():
            continue
        if not is_utf8(line):
            yield where, line, NOT_UTF8
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        yield (where, record, "") if isinstance(record, dict) else (where, None, MALFORMED)


def _rows(
    records: Iterable[Record], path: Path | str, options: Options, *, names: list[str] | None = None
) -> Iterator[Row]:
    """Rows of records whose fields are those of the first hundred."""
    records = iter(records)
    first = list(islice(records, _LOOKED_AT))
    if names is None:
        names = list(
            dict.fromkeys(name for _, record, _ in first if isinstance(record, Mapping) for name in record)
        )
        if first and not names:
            raise ValueError(
                f"{path}: none of its first {len(first)} records, from {first[0][0]} on, is a JSON object "
                'with named fields ({"image": ..., "caption": ...}); a list of objects is a .json file'
            )
    columns = choose(names, options, path)
    tell_unused(names, columns, path, options)
    if options.split is not None and columns.split is None:
        raise no_splits(f"{path} has no field 'split'", options.split)
    return of_split(record_rows(chain(first, records), columns), options.split, Path(path))


LIST = Format(
    name="lavis",
    told="`.json` that is a list; `flickr30k_test.json` is the split `test`",
    samples={
        "flickr30k_train.json": '[{"image": "a.jpg", "caption": ["A dog runs.", "A brown dog."]},\n'
        ' {"image": "b.jpg", "caption": "A cat sleeps.", "image_id": 1}]\n'
    },
    read=read_list,
    columns=True,
)
JSON_LINES = Format(
    name="jsonl",
    told="`.jsonl`: an object a line; what `parse` and `swaps` write is of it",
    samples={
        "captions.jsonl": '{"image": "a.jpg", "caption": "A dog runs."}\n'
        '{"image": "a.jpg", "caption": "A brown dog."}\n{"image": "b.jpg", "caption": "A cat sleeps."}\n'
    },
    read=read_json_lines,
    columns=True,
    endings=(".jsonl", ".ndjson"),
)
PARQUET = Format(
    name="parquet",
    told="`.parquet` with a column of image names",
    samples={
        "write.py": "import pyarrow as pa, pyarrow.parquet\n"
        'table = pa.table({"image": ["a.jpg", "b.jpg"], "caption": ["A dog runs.", "A cat sleeps."]})\n'
        'pa.parquet.write_table(table, "captions.parquet")\n'
    },
    read=read_parquet,
    columns=True,
    endings=(".parquet",),
)
IMAGE_FOLDER = Format(
    name="imagefolder",
    told="`metadata.csv`, `.jsonl` or `.parquet` (Hugging Face), in a folder or its `train`, `test`, ...",
    samples={
        "metadata.csv": "file_name,caption_0,caption_1\na.jpg,A dog runs.,A brown dog.\n"
        "b.jpg,A cat sleeps.,\n",
        "metadata.jsonl": '{"file_name": "a.jpg", "text": "A dog runs."}\n'
        '{"file_name": "b.jpg", "text": "A cat sleeps."}\n',
    },
    read=read_metadata,
    columns=True,
)
