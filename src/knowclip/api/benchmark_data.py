"""What ``evaluate --data`` means: a folder of benchmarks, or captioned photos of one's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knowclip.evaluation.benchmarks.card import Benchmark

Found = tuple[list["Benchmark"], dict[str, str]]
"""Benchmarks, and of the others why they cannot be measured."""


def find(
    data: Path,
    chosen: Sequence[str],
    split: str | None,
    *,
    allow_missing: bool,
    columns: Mapping[str, Any] | None = None,
) -> Found:
    """The benchmarks ``chosen`` that ``data`` has the files for.

    Args:
        data: folder of benchmarks; or a captions file, or a folder of captioned images without splits.
        chosen: suites and benchmarks by name; none: all.
        split: None: "test"; of own photos all where they have no such split.
        allow_missing: accept incomplete copies.
        columns: how captions are to be read (``read_own``); then ``data`` are photos of one's own.

    Raises:
        ValueError: nothing can be measured.
    """
    from knowclip.evaluation.benchmarks.locating import NO_PAIR
    from knowclip.evaluation.metrics import NoDataError
    from knowclip.evaluation.suites.folder import read_suite
    from knowclip.evaluation.suites.own_data import NAMES

    _check(chosen)
    suites = {one: _members(one) for one in chosen}
    names = list(dict.fromkeys(name for several in suites.values() for name in several))
    strange = [one for one, several in suites.items() if not set(several) & set(NAMES)]
    own_names = [name for name in names if name in NAMES] + strange  # which ``read_own`` refuses by name
    columns = {key: value for key, value in (columns or {}).items() if value is not None}
    if columns or not data.is_dir():
        return _own(data, own_names, split, allow_missing, columns)
    try:
        return read_suite(data, names=names, split=split or "test", allow_missing=allow_missing, strict=False)
    except NoDataError as error:
        if split is not None or strange:
            raise
        try:
            return _own(data, own_names, split, allow_missing, columns)
        except ValueError as own:
            raise (error if NO_PAIR in str(own) else own) from None


def unmeasured(chosen: Sequence[str], absent: Collection[str]) -> list[str]:
    """What of ``chosen`` could not be measured: a benchmark, or a suite with none of its benchmarks."""
    return [one for one in chosen if set(_members(one)) <= set(absent)]


def _members(name: str) -> tuple[str, ...]:
    """The benchmarks of a suite; of a benchmark itself."""
    from knowclip.evaluation.benchmarks.registry import SUITES, members

    return members(name) if name in SUITES else (name,)


def _check(chosen: Sequence[str]) -> None:
    from knowclip.evaluation.benchmarks.registry import BENCHMARKS, SUITES
    from knowclip.plugins import known

    for name in chosen:
        if name not in SUITES:
            known("benchmark", name, BENCHMARKS, f"; or a suite: {', '.join(SUITES)}")


def _own(
    data: Path, names: Sequence[str], split: str | None, allow_missing: bool, columns: Mapping[str, Any]
) -> Found:
    """Retrieval and swaps of captioned photos."""
    from knowclip.console.progress import counting
    from knowclip.evaluation.suites.own_data import read_own
    from knowclip.storage.caches import cache_folder

    with counting("making negatives", unit="captions") as progress:
        found, absent = read_own(
            data,
            names=names,
            split=split,
            allow_missing=allow_missing,
            columns=columns,
            cache=cache_folder() / "negatives",
            progress=progress,
        )
    if not found:
        raise ValueError("; ".join(absent.values()))
    return found, absent
