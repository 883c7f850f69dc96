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
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.evaluation.benchmarks.registry import BENCHMARKS
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
_ORDER = {name: place for place, name in enumerate(BENCHMARKS)}


@dataclass(frozen=True)
class Run:
    """All results of one model; ``cases`` are those of its choice benchmarks, with pictures and captions.

    ``absent`` says of benchmarks that were tried, and have no result, why.
    """

    name: str
    model_hash: str
    folder: Path
    split: str = "test"
    results: list[Result] = field(default_factory=list)
    cases: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


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
    kept = {**_absent(path.parent), **absent}
    if not kept:
        return
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(kept, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def _absent(place: Path) -> dict[str, str]:
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
    table, about = _open(path)
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


def read_run(folder: Path) -> Run:
    """Read all results of one model on one split, of every benchmark the latest.

    Raises:
        ValueError: there are none, or of several models.
    """
    abouts = {path: _open(path)[1] for path in sorted(folder.glob("*.parquet"))}
    if not abouts:
        raise ValueError(f"{folder} holds no results; {how_to_write(folder)}")
    owners = {(about["hash"], about["split"]) for about in abouts.values()}
    if len(owners) > 1:
        told = ", ".join(f"{model} on {split}" for model, split in sorted(owners))
        raise ValueError(f"{folder} mixes results of several models or splits: {told}")
    latest: dict[str, Path] = {}
    # written, not the file's time: copies of a folder keep the order
    for path in sorted(abouts, key=lambda path: abouts[path]["written"]):
        latest[abouts[path]["benchmark"]] = path
    about = next(iter(abouts.values()))
    name = about["model"] if about["split"] == "test" else f"{about['model']} ({about['split']})"
    run = Run(name, about["hash"], folder, about["split"])
    run.absent.update({name: reason for name, reason in _absent(folder).items() if name not in latest})
    for benchmark in sorted(latest, key=lambda name: (_ORDER.get(name, len(_ORDER)), name)):
        run.results.append(read(latest[benchmark]))
        cases = _read_cases(latest[benchmark])
        if cases:
            run.cases[benchmark] = cases
    return run


def named_run(path: Path) -> Run:
    """The run of a folder, or of ``FOLDER/NAME``, where NAME is what a model of FOLDER is called by.

    ``runs-clip-<hash>`` in FOLDER goes by ``clip``, by ``runs-clip`` and by its whole name;
    ``runs-clip-<hash>-val`` likewise, and by ``clip-val``.

    Raises:
        ValueError: there is no such run, or more than one; tells those that there are.
    """
    if path.is_dir() and any(path.glob("*.parquet")):
        return read_run(path)
    inside = _held(path)
    held = [] if inside else _held(path.parent)
    found = [run for run in held if path.name in _names(run)]
    if len(inside + found) == 1:
        return (inside + found)[0]
    problem = f"{path} holds no results"
    if found:
        names = ", ".join(run.folder.name for run in found)
        problem = f"{len(found)} models in {path.parent} go by {path.name!r}: {names}"
    elif inside:
        problem = f"{path} holds results of {len(inside)} models"
    folder, runs = (path, inside) if inside else (path.parent, held)
    known = ", ".join(f"{folder / _typed(run, runs)}, in {run.folder.name} ({run.name})" for run in runs)
    hint = f"name one of {known}" if known else how_to_write(path)
    raise ValueError(f"{problem}; {hint}")


def two_runs(folder: Path) -> tuple[Run, Run]:
    """The two runs of a folder, the later one first: a model and the baseline it was measured with.

    Raises:
        ValueError: it holds more or fewer.
    """
    runs = _held(folder) or ([read_run(folder)] if any(folder.glob("*.parquet")) else [])
    if len(runs) != 2:
        raise ValueError(f"{folder} {_not_two(folder, runs)}")
    written = [max(path.stat().st_mtime_ns for path in run.folder.glob("*.parquet")) for run in runs]
    return (runs[1], runs[0]) if written[1] >= written[0] else (runs[0], runs[1])


def _not_two(folder: Path, runs: Sequence[Run]) -> str:
    """What is there in place of two runs, and how to come to two."""
    if not runs:
        return f"holds no results; {how_to_write(folder)}"
    if len(runs) == 1:
        return (
            f"holds results of one model ({runs[0].name}), and two are compared: measure another with "
            f"`knowclip evaluate MODEL --data DATA --out {runs[0].folder.parent}` and the same DATA, or name "
            f"its results: `knowclip compare {folder} OTHER`"
        )
    names = ", ".join(f"{folder / _typed(run, runs)} ({run.name})" for run in runs)
    return f"holds results of {len(runs)} models, not of two: name both to compare, of {names}"


def stored(folder: Path) -> dict[Path, str]:
    """The folders of results in ``folder``, and the name of the model of each; no result is read."""
    import pyarrow.parquet as pq

    found: dict[Path, str] = {}
    for path in sorted(folder.glob("*/*.parquet")):
        with suppress(ValueError, OSError, KeyError):  # of somebody else
            about = json.loads((pq.read_schema(path).metadata or {})[_METADATA])
            found[path.parent] = str(about["model"])
    return found


def _held(folder: Path) -> list[Run]:
    """Runs whose folders stand in ``folder``, among whatever else does."""
    runs = []
    for place in sorted({path.parent for path in folder.glob("*/*.parquet")}) if folder.is_dir() else ():
        with suppress(ValueError):  # Parquet files of somebody else
            runs.append(read_run(place))
    return runs


def _typed(run: Run, among: Sequence[Run]) -> str:
    """The shortest name that tells a run from the others."""
    taken = Counter(name for other in among for name in _names(other))
    return min((name for name in _names(run) if taken[name] == 1 and "/" not in name), key=len)


def _names(run: Run) -> set[str]:
    """What a run may be called by."""
    stem = run.folder.name.partition(f"-{run.model_hash}")[0]
    bare = run.name.removesuffix(f" ({run.split})")
    parts = [part for part in bare.split("/") if part not in ("", "best", "last")]
    return {
        run.folder.name,
        stem,
        run.name,
        bare,
        *parts[-1:],
        *(f"{part}-{run.split}" for part in parts[-1:]),
    }


def how_to_write(path: Path) -> str:
    """What to type where results were expected: a model's folder is a thing to measure, no place for them."""
    if any((path / name).is_dir() for name in ("best", "last")):
        return f"it is a model: measure it with `knowclip evaluate {path} --data DATA --out FOLDER`"
    return "write them with `knowclip evaluate MODEL --data DATA --out FOLDER`"


def find_runs(paths: Iterable[Path]) -> dict[str, Run]:
    """Runs by the end of their name: each path is a folder of one or of several, or FOLDER/NAME.

    Equal names get their hash.

    Raises:
        ValueError: a path holds no results, and goes by the name of none (``named_run``).
    """
    runs: list[Run] = []
    for path in paths:
        folders = (
            [path] if any(path.glob("*.parquet")) else sorted({p.parent for p in path.rglob("*.parquet")})
        )
        runs += [read_run(folder) for folder in folders] or [named_run(path)]
    names = ["/".join(run.name.split("/")[-2:]) for run in runs]  # enough of a path to tell it by
    told = [
        name if names.count(name) == 1 else f"{name} {run.model_hash[:6]}"
        for name, run in zip(names, runs, strict=True)
    ]
    return dict(zip(told, runs, strict=True))


def absent_of(runs: Mapping[str, Run]) -> dict[str, str]:
    """Benchmarks that could not be measured and why; the run is named where another was measured on it."""
    measured = {result.benchmark for run in runs.values() for result in run.results}
    return {
        f"{benchmark} ({name})" if benchmark in measured else benchmark: reason
        for name, run in runs.items()
        for benchmark, reason in run.absent.items()
    }


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


def _open(path: Path) -> tuple[Any, dict[str, Any]]:
    with whole(path):
        import pyarrow.parquet as pq

        table = pq.read_table(path)
    about: Any = None
    with suppress(ValueError):
        about = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
    if not isinstance(about, dict) or about.get("schema") != SCHEMA:
        found = about.get("schema") if isinstance(about, dict) else None
        raise ValueError(f"{path} holds no knowclip result of schema {SCHEMA}; got {found}")
    if lacking := [name for name in _ABOUT if name not in about] + sorted({"key"} - {*table.column_names}):
        raise ValueError(f"{path} lacks {', '.join(lacking)} of a result: evaluate writes it again")
    return table, about


def _read_cases(path: Path) -> tuple[Choice, ...]:
    table, _ = _open(path)
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
