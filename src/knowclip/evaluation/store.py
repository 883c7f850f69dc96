"""Results on disk: one Parquet file each, whose path says which model, which benchmark and which revision.

``FOLDER/<model>-<model hash>[-<split>]/<benchmark>@<revision>[-<number>].parquet`` holds one row an item. The
rest of the Result stands in the file's metadata as JSON, so a file explains itself. Nothing is overwritten:
the same result again is the same file, another result of the same name (changed data or controls)
gets the next number. Readers take what was written last. ``absent.json`` beside them says of other benchmarks
that were tried why they could not be measured.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.storage.atomic import atomic_file
from knowclip.storage.parquet import whole
from knowclip.storage.text_files import read_json
from knowclip.types import ImageRef, Result

SCHEMA = 1
UNPINNED = "local"
"""In place of the revision, for benchmarks made from the user's own files."""
ABSENT = "absent.json"
TOLERANCE = 1e-5
"""Scores of one model on one benchmark differ by less than this between machines and batch sizes."""

_METADATA = b"knowclip"
_ABOUT = ("benchmark", "main", "n", "metrics", "details", "model", "hash", "split", "written")
"""What stands in the metadata of every result."""


def save(
    result: Result,
    folder: Path,
    *,
    model: str,
    model_hash: str,
    split: str = "test",
    cases: Sequence[Choice] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Keep a Result; returns its file.

    Args:
        result: of one benchmark.
        folder: of all results.
        model: name the model was loaded by.
        model_hash: ``scoring.model_hash`` of it.
        split: of the benchmark's data.
        cases: images and captions of the items, for the pages that show them.
        provenance: in JSON types.
    """
    revision = str(result.details.get("revision") or UNPINNED)[:12]
    place = _place(folder, model, model_hash, split)
    stem = f"{result.benchmark}@{revision}"
    about = {"model": model, "hash": model_hash, "split": split, "provenance": dict(provenance or {})}
    for number in range(1, 1000):
        path = place / (f"{stem}.parquet" if number == 1 else f"{stem}-{number}.parquet")
        if not path.exists():
            _write(path, result, cases, about)
            return path
        if _equal(read(path), result):
            return path
    raise ValueError(f"{place} holds 999 different results of {stem}: its data are not what its name says")


def save_absent(
    absent: Mapping[str, str], folder: Path, *, model: str, model_hash: str, split: str = "test"
) -> None:
    """Keep why benchmarks could not be measured, where ``save`` keeps the results of those that could."""
    path = _place(folder, model, model_hash, split) / ABSENT
    kept = {**read_absent(path.parent), **absent}
    if not kept:
        return
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(kept, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def read_absent(place: Path) -> dict[str, str]:
    """Why benchmarks could not be measured, of a folder of one model's results; empty where all could."""
    path = place / ABSENT
    told = read_json(path) if path.is_file() else {}
    if not isinstance(told, dict) or not all(isinstance(reason, str) for reason in told.values()):
        raise ValueError(f"{path} should hold a reason a benchmark: delete it, and evaluate writes it again")
    return told


def _place(folder: Path, model: str, model_hash: str, split: str) -> Path:
    """The folder of a model's results."""
    return folder / (f"{_slug(model)}-{model_hash}" + ("" if split == "test" else f"-{split}"))


def read(path: Path) -> Result:
    """Read one Result back.

    Raises:
        ValueError: the file is none of ours.
    """
    table, about = opened(path)
    names = [name for name in table.column_names if not name.startswith("case_")]
    items = {}
    for name in names:
        try:
            items[name] = _array(table[name])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, column {name!r} holds {table[name].type}, no plain values") from error
    return Result(
        about["benchmark"], about["main"], about["n"], about["metrics"], items, details=about["details"]
    )


def stored(folder: Path) -> dict[Path, str]:
    """The folders of results in ``folder``, and the name of the model of each; no result is read."""
    import pyarrow.parquet as pq

    found: dict[Path, str] = {}
    for path in sorted(folder.glob("*/*.parquet")):
        with suppress(ValueError, OSError, KeyError):  # of somebody else
            about = json.loads((pq.read_schema(path).metadata or {})[_METADATA])
            found[path.parent] = str(about["model"])
    return found


def _write(path: Path, result: Result, cases: Sequence[Choice], about: Mapping[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    told = {
        "schema": SCHEMA,
        "benchmark": result.benchmark,
        "main": result.main,
        "n": result.n,
        "metrics": dict(result.metrics),
        "details": dict(result.details),
        "written": time.time_ns(),
        **about,
    }
    columns: dict[str, Any] = {name: np.asarray(column) for name, column in result.items.items()}
    if cases:
        columns |= {
            "case_image": [str(case.image.path) for case in cases],
            "case_box": [None if case.image.box is None else list(case.image.box) for case in cases],
            **{
                f"case_{name}": [getattr(case, name) for case in cases] for name in ("true", "false", "group")
            },
        }
    text = json.dumps(told, allow_nan=False, default=_plain)
    table = pa.table(columns).replace_schema_metadata({_METADATA: text.encode()})
    with atomic_file(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def opened(path: Path) -> tuple[Any, dict[str, Any]]:
    """The table of a stored result, and what stands in its metadata.

    Raises:
        ValueError: The file is none of ours, of another schema, or lacks something.
    """
    with whole(path):
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        table.validate(full=True)  # bytes that are no text are told by whoever reads them first
    about: Any = None
    with suppress(ValueError):
        about = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
    if not isinstance(about, dict) or about.get("schema") != SCHEMA:
        found = about.get("schema") if isinstance(about, dict) else None
        raise ValueError(f"{path} holds no knowclip result of schema {SCHEMA}; got {found}")
    if lacking := [name for name in _ABOUT if name not in about] + sorted({"key"} - {*table.column_names}):
        raise ValueError(f"{path} lacks {', '.join(lacking)} of a result: evaluate writes it again")
    return table, about


def read_cases(path: Path) -> tuple[Choice, ...]:
    """The cases of a stored result, with their pictures and captions; none where it has none."""
    table, _ = opened(path)
    if "case_image" not in table.column_names:
        return ()
    try:
        return tuple(map(_case, table.to_pylist()))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no cases that can be shown: {error!r}") from error


def _case(row: Mapping[str, Any]) -> Choice:
    return Choice(
        key=str(row["key"]),
        image=ImageRef(Path(row["case_image"]), tuple(row["case_box"]) if row["case_box"] else None),
        true=row["case_true"],
        false=row["case_false"],
        group=row["case_group"],
        image_id=str(row["image_id"]),
    )


def _equal(old: Result, new: Result) -> bool:
    if set(old.items) != set(new.items) or len(old.items["key"]) != len(new.items["key"]):
        return False
    told = [json.dumps(dict(r.details), sort_keys=True, default=_plain) for r in (old, new)]
    return told[0] == told[1] and all(_close(old.items[name], new.items[name]) for name in old.items)


def _close(old: Any, new: Any) -> bool:
    old, new = np.asarray(old), np.asarray(new)
    if np.issubdtype(old.dtype, np.floating):
        return bool(np.allclose(old, new, rtol=0, atol=TOLERANCE, equal_nan=True))
    return bool(np.array_equal(old.astype(str), new.astype(str)))


def _array(column: Any) -> Any:
    array = column.to_numpy()
    return array.astype(str) if array.dtype == object else array


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays, paths and mappings to JSON types."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _slug(name: str) -> str:
    """A name as part of a path: the end of it, in letters that every file system takes."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[-60:] or "model"
