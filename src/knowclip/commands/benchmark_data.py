"""What ``evaluate --data`` means: a folder of benchmarks, or captioned photos of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowclip.evaluation.benchmarks.base import Benchmark

Found = tuple[list["Benchmark"], dict[str, str]]
"""Benchmarks, and of the others why they cannot be measured."""


def find(data: Path, chosen: Sequence[str], split: str | None, *, allow_missing: bool) -> Found:
    """The benchmarks ``chosen`` that ``data`` has the files for.

    Args:
        data: folder of benchmarks; or a captions file, or a folder of captioned images without splits.
        chosen: suites and benchmarks by name; none: all.
        split: None: "test"; of own photos all where they have no such split.
        allow_missing: accept incomplete copies.

    Raises:
        ValueError: nothing can be measured.
    """
    from knowclip.evaluation.benchmarks.files import NO_PAIR
    from knowclip.evaluation.benchmarks.registry import SUITES
    from knowclip.evaluation.metrics import NoDataError
    from knowclip.evaluation.suites.folder import read_suite
    from knowclip.evaluation.suites.own_data import NAMES

    _check(chosen)
    names = list(dict.fromkeys(name for one in chosen for name in SUITES.get(one, (one,))))
    named = [name for name in chosen if name not in SUITES]
    if not data.is_dir():
        return _own(data, named, split, allow_missing)
    try:
        return read_suite(data, names=names, split=split or "test", allow_missing=allow_missing, strict=False)
    except NoDataError as error:
        if split is not None or not set(named) <= set(NAMES):
            raise
        try:
            return _own(data, named, split, allow_missing)
        except ValueError as own:
            raise (error if NO_PAIR in str(own) else own) from None


def _check(chosen: Sequence[str]) -> None:
    from knowclip.evaluation.benchmarks.registry import BENCHMARKS, SUITES, known

    for name in chosen:
        if name not in SUITES:
            known(name, {**BENCHMARKS, **dict.fromkeys(SUITES, ())})


def _own(data: Path, names: Sequence[str], split: str | None, allow_missing: bool) -> Found:
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
            cache=cache_folder() / "negatives",
            progress=progress,
        )
    if not found:
        raise ValueError("; ".join(absent.values()))
    return found, absent
