"""``vectors.usearch``: the graph of neighbours that finds the nearest of a million vectors in milliseconds.

It follows from ``photos.db`` alone: where it is missing, cut off or behind, it is completed from there,
without the model. Its vectors are of half precision, for memory; scores are computed from the single
precision of the database, so that rounding never decides an order.

Shape legend: D embedding width.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from knowclip.console.progress import Stages
from knowclip.preflight.machine import require
from knowclip.search.store import Store
from knowclip.storage.atomic import atomic_file

if TYPE_CHECKING:
    from usearch.index import Index

NAME = "vectors.usearch"
EXACT = 10_000
"""Up to so many, all are compared: about as quick, and nothing is overlooked."""
_BLOCK = 4096
_SAVE_EVERY = 100_000
"""Vectors added between two savings: what a process that is killed has to add again."""
_METRIC, _DTYPE = "cos", "f16"


class NearestImages:
    """The vectors of a store, arranged for finding; a moment's picture of it.

    Args:
        store: Whose images to find.
        save: Write what had to be completed; else it is completed in memory.
        progress: Told how many vectors are arranged of how many.
    """

    def __init__(self, store: Store, *, save: bool = False, progress: Stages | None = None) -> None:
        require("search", "search")
        self.changes = store.about("changes")
        path = store.folder / NAME
        current = self.changes == store.about("saved")
        # mapped only where nothing is to be added: adding to a mapped index ends the process
        found = _restored(path, store.about("width"), mapped=current)
        if found is not None and current:
            self._index = found
            return
        self._index = _empty(store.about("width")) if found is None else found
        self._complete(store, save=save, progress=progress)

    def __len__(self) -> int:
        return len(self._index)

    def nearest(self, query: NDArray[np.float32], count: int) -> NDArray[np.uint64]:
        """Ids of the ``count`` images nearest to a query ``[D]`` of any length, the nearest first."""
        count = min(count, len(self))
        if count == 0:
            return np.zeros(0, dtype=np.uint64)
        # one query at a time: in a batch, USearch fills up with key 0 where there are fewer
        return self._index.search(query, count, exact=len(self) <= EXACT, threads=1).keys

    def _complete(self, store: Store, *, save: bool, progress: Stages | None) -> None:
        """Remove what is not to be found any more, and add what is new."""
        wanted, held = store.ids(), self._index.keys[:]
        gone, new = np.setdiff1d(held, wanted), np.setdiff1d(wanted, held)
        if 2 * len(gone) > len(held):  # mostly holes: begin anew
            self._index, gone, new = _empty(store.about("width")), gone[:0], wanted
        if len(gone):
            self._index.remove(gone)
        for start in range(0, len(new), _BLOCK):
            ids = new[start : start + _BLOCK]
            self._index.add(ids, store.vectors(ids))
            if progress is not None:
                progress("arranging vectors", start + len(ids), len(new))
            if save and start // _SAVE_EVERY != (start + len(ids)) // _SAVE_EVERY:
                self._save(store.folder)
        if save:
            self._save(store.folder)
            with store.changing():  # after the file: what is said to be saved is never less than that
                store.set_about("saved", self.changes)

    def _save(self, folder: Path) -> None:
        with atomic_file(folder / NAME) as temporary:
            self._index.save(temporary)


def _empty(width: int) -> Index:
    from usearch.index import Index

    return Index(ndim=width, metric=_METRIC, dtype=_DTYPE)


def _restored(path: Path, width: int, *, mapped: bool) -> Index | None:
    """The saved graph; None where there is none that can be used, which is told if it is a surprise."""
    from usearch.index import Index

    if not path.is_file():
        return None
    try:
        # restore, not load: load would keep the metric of the index it is called on
        index = Index.restore(path, view=mapped)
    except (RuntimeError, ValueError) as error:
        warnings.warn(f"{path} cannot be read ({error}): it is made again from photos.db", stacklevel=2)
        return None
    return index if index is not None and index.ndim == width else None
