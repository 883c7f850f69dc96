"""What ``evaluate --data`` means: a folder of benchmarks, or captioned photos of one's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowclip.console.screen import Screen

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
    swap_items: int | None = None,
) -> Found:
    """The benchmarks ``chosen`` that ``data`` has the files for.

    Args:
        data: folder of benchmarks; or a captions file, or a folder of captioned images and no more.
        chosen: suites and benchmarks by name; none: all.
        split: None: "test"; of own photos all their rows, whether or not they have splits.
        allow_missing: accept incomplete copies.
        columns: how captions are to be read (``read_own``); then ``data`` are photos of one's own.
        swap_items: how many swaps of own photos are measured; None: as ``read_own`` has it.

    Raises:
        ValueError: nothing can be measured.
    """
    from knowclip.console.progress import waiting
    from knowclip.evaluation.benchmarks.locating import NO_PAIR
    from knowclip.evaluation.benchmarks.retrieval import IMAGE_TO_TEXT, TEXT_TO_IMAGE
    from knowclip.evaluation.metrics import NoDataError
    from knowclip.evaluation.report.summary import NO_FILES
    from knowclip.evaluation.suites.folder import read_suite
    from knowclip.evaluation.suites.own_data import NAMES

    _check(chosen)
    suites = {one: _members(one) for one in chosen}
    names = list(dict.fromkeys(name for several in suites.values() for name in several))
    strange = [one for one, several in suites.items() if not set(several) & set(NAMES)]
    own_names = [name for name in names if name in NAMES] + strange  # which ``read_own`` refuses by name
    columns = {key: value for key, value in (columns or {}).items() if value is not None}
    photos = partial(_own, data, own_names, split, allow_missing, columns, swap_items)
    if columns or not data.is_dir():
        return photos()
    try:
        with waiting("reading the data"):
            found, absent = read_suite(
                data, names=names, split=split or "test", allow_missing=allow_missing, strict=False
            )
    except NoDataError as error:
        if split is not None or strange:
            raise
        try:
            return photos()
        except ValueError as own:
            raise (error if NO_PAIR in str(own) else own) from None
    captions_alone = {benchmark.card.name for benchmark in found} <= {IMAGE_TO_TEXT.name, TEXT_TO_IMAGE.name}
    # photos of one's own, though their captions have splits: measured as a file of captions is
    if captions_alone and not strange and all(reason.startswith(NO_FILES) for reason in absent.values()):
        return photos()
    return found, absent


def asked(found: Sequence[Benchmark], absent: Collection[str]) -> Sequence[str]:
    """What has to be measured without being named: of own photos all that they are said to give.

    Of a folder of benchmarks nobody expects all that knowclip knows.
    """
    from knowclip.evaluation.suites.own_data import NAMES

    tried = {*(benchmark.card.name for benchmark in found), *absent}
    return sorted(tried) if tried <= set(NAMES) else ()


def unmeasured(chosen: Sequence[str], absent: Collection[str]) -> list[str]:
    """What of ``chosen`` could not be measured: a benchmark, or a suite with none of its benchmarks.

    A name of both, as SugarCrepe's, is a benchmark's first.
    """
    return [one for one in chosen if one in absent or set(_members(one)) <= set(absent)]


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
    data: Path,
    names: Sequence[str],
    split: str | None,
    allow_missing: bool,
    columns: Mapping[str, Any],
    swap_items: int | None,
) -> Found:
    """Retrieval and swaps of captioned photos; those that are left out are named."""
    from knowclip.console.counts import named
    from knowclip.console.progress import stages
    from knowclip.evaluation.suites.own_data import SWAP_ITEMS, read_own
    from knowclip.storage.caches import cache_folder

    broken: list[str] = []
    with stages() as progress:
        progress("reading captions", 0, None)
        found, absent = read_own(
            data,
            names=names,
            split=split,
            allow_missing=allow_missing,
            columns=columns,
            swap_items=SWAP_ITEMS if swap_items is None else swap_items,
            cache=cache_folder() / "negatives",
            progress=progress,
            say=broken.append,
        )
    for line in named(broken):
        Screen(stderr=True).print(line)
    if not found:
        raise ValueError("; ".join(absent.values()))
    return found, absent
