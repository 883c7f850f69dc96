"""Good files damaged by what hypothesis draws, and what a reader may say of them."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

Example = Callable[[st.DataObject], None]
IMAGES = {".jpg", ".jpeg", ".png", ".npy"}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
NOTHING_LEFT = ("no triplet left", "none of 0 records can be measured", "no labelled records")
"""What is said of a file without a record may do without its name."""
CELLS = st.text(max_size=8) | st.sampled_from(
    ["", "nan", "1e999", "-1", '"', "a,b", "\t", "../a.jpg", "\x00"]
)


@dataclass(frozen=True)
class Target:
    """Good files, written once, and what reads them."""

    write: Callable[[Path], None]
    reads: tuple[Callable[[Path], object], ...]


def at_random(value: Any, data: st.DataObject) -> Any:
    """The value with one part of it, at any depth, replaced, dropped or doubled."""
    if not isinstance(value, (dict, list)) or not value or data.draw(st.integers(0, 5)) == 0:
        return data.draw(JSON_VALUES)
    keys = sorted(value) if isinstance(value, dict) else range(len(value))
    key = data.draw(st.sampled_from(keys))
    changed = value.copy()
    if data.draw(st.integers(0, 7)) == 0:
        del changed[key]
    elif isinstance(value, list) and data.draw(st.integers(0, 7)) == 0:
        changed.insert(key, value[key])
    else:
        changed[key] = at_random(value[key], data)
    return changed


def by_bytes(content: bytes, data: st.DataObject) -> bytes:
    """Some bytes replaced, or the file cut off."""
    at, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 8))
    content = content[:at] + data.draw(st.binary(max_size=6)) + content[at + length :]
    return content[: data.draw(st.sampled_from([len(content), len(content) // 2, 0]))]


def by_line(content: bytes, data: st.DataObject) -> bytes:
    """A JSON value or a field of one line replaced."""
    lines = content.decode().splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    if lines[number].startswith(("{", "[")):
        lines[number] = json.dumps(at_random(json.loads(lines[number]), data))
    else:
        comma = "\t" if "\t" in lines[number] else ","
        cells = lines[number].split(comma)
        cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(CELLS)
        lines[number] = comma.join(cells)
    return "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


def by_column(content: bytes, data: st.DataObject) -> bytes:
    """A column of a Parquet file by other values, or gone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content))
    at = data.draw(st.integers(0, table.num_columns - 1))
    name, n = table.column_names[at], table.num_rows
    values = data.draw(
        st.sampled_from([[None] * n, list(range(n)), [["x"]] * n, [{"a": 1}] * n, ["x"] * n, [b"\xff"] * n])
    )
    table = (
        table.remove_column(at) if data.draw(st.booleans()) else table.set_column(at, name, pa.array(values))
    )
    into = io.BytesIO()
    pq.write_table(table, into)
    return into.getvalue()


def damaged(path: Path, content: bytes, data: st.DataObject) -> bytes:
    """Content of a file of this ending, damaged."""
    ways = [by_bytes]
    if path.suffix == ".yaml":
        ways.append(lambda whole, draw: yaml.safe_dump(at_random(yaml.safe_load(whole), draw)).encode())
    with contextlib.suppress(ValueError):
        json.loads(content)
        ways.append(lambda whole, draw: json.dumps(at_random(json.loads(whole), draw)).encode())
    if path.suffix == ".parquet":
        ways.append(by_column)
    elif path.suffix in (".csv", ".tsv", ".txt", ".jsonl", ".token", ".noun", ".verb") and content:
        ways.append(by_line)
    return data.draw(st.sampled_from(ways))(content, data)


def examples_of(target: Target, folder: Path) -> Example:
    """What hypothesis runs: one damage, and every reading of it; the file is whole again afterwards."""
    target.write(folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in IMAGES]

    def example(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(files))
        whole = path.read_bytes()
        path.write_bytes(damaged(path, whole, data))
        try:
            for read in target.reads:
                check(read, folder, path)
        finally:
            path.write_bytes(whole)

    return example


def check(read: Callable[[Path], object], folder: Path, path: Path) -> None:
    """Read the folder whose file ``path`` is damaged: it works, or says which file does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(folder)
    except ValueError as error:
        told = any(part in str(error) for part in (path.name, path.stem, str(path.parent), *NOTHING_LEFT))
        if not told or isinstance(error, UnicodeError | json.JSONDecodeError):
            raise AssertionError(
                f"does not name {path.name}: {error!r}: {path.read_bytes()[:300]!r}"
            ) from error
    except Exception as error:
        raise AssertionError(f"{path.relative_to(folder)}: {path.read_bytes()[:300]!r}") from error
