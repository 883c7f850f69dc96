"""Every benchmark by name: its card, and the reader that makes it from a folder."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, Protocol

from knowclip.evaluation.benchmarks import aro, retrieval, swaps, zero_shot
from knowclip.evaluation.benchmarks.base import Benchmark, Card


class Reader(Protocol):
    """Makes a benchmark of the files under ``folder``; ``NoDataError`` says what is not there."""

    def __call__(self, folder: Path, *, split: str = "test") -> Benchmark:
        """Read the cases of ``split``."""


class Entry(NamedTuple):
    """A registered benchmark."""

    card: Card
    read: Reader


BENCHMARKS: dict[str, Entry] = {
    entry.card.name: entry
    for entry in (
        Entry(aro.VG_RELATION, aro.read_vg_relation),
        Entry(aro.VG_ATTRIBUTION, aro.read_vg_attribution),
        Entry(retrieval.IMAGE_TO_TEXT, retrieval.read_image_to_text),
        Entry(retrieval.TEXT_TO_IMAGE, retrieval.read_text_to_image),
        Entry(zero_shot.ZERO_SHOT_OBJECTS, zero_shot.read_zero_shot_objects),
        Entry(swaps.SWAPS, swaps.read_swaps),
    )
}


def read(name: str, folder: Path, *, split: str = "test") -> Benchmark:
    """Read the benchmark ``name`` from the files of ``folder``.

    Raises:
        ValueError: no such benchmark.
        NoDataError: the folder does not hold its files, or the split has no cases.
    """
    if name not in BENCHMARKS:
        near = get_close_matches(name, BENCHMARKS, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no benchmark {name!r}. {hint}There are: {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name].read(folder, split=split)
