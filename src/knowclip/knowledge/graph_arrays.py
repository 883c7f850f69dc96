"""Memory-mapped arrays of a knowledge graph for training: columns, CSR neighbours, groups.

Built once from the Parquet tables, under a name keyed by their hash, and then only mapped: opening costs
nothing that grows with the graph, and memory holds the pages that are touched.

Shape legend: E entities, R relations, T triplets, I images, S sources, G distinct image ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.format import open_memmap

from knowclip.atomic import atomic_folder
from knowclip.knowledge.graph_store import Manifest, read_manifest

if TYPE_CHECKING:
    from jaxtyping import Float, Int

ARRAYS_VERSION = 1
BATCH_ROWS = 1 << 17


class Strings:
    """E strings in one byte array: ``strings[i]`` is a ``str``, or None where the table has none."""

    def __init__(self, data: Int[np.ndarray, " bytes"], offsets: Int[np.ndarray, " E+1"]) -> None:
        self.data = data
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str | None:
        start, end = self.offsets[index], self.offsets[index + 1]
        return self.data[start:end].tobytes().decode() if end > start else None

    def find(self, text: str) -> int | None:
        """Index of ``text`` by binary search; the strings must be sorted by their UTF-8 bytes, as ids are."""
        wanted, low, high = text.encode(), 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.data[self.offsets[middle] : self.offsets[middle + 1]].tobytes() < wanted:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self[low] == text else None


@dataclass(frozen=True)
class GraphArrays:
    """The mapped arrays. Triplets are sorted by (head, relation, tail), a head's triplets are one slice."""

    head: Int[np.ndarray, " T"]
    relation: Int[np.ndarray, " T"]
    tail: Int[np.ndarray, " T"]
    weight: Float[np.ndarray, " T"]
    out_indptr: Int[np.ndarray, " E+1"]
    """Triplets with head e: rows ``out_indptr[e]:out_indptr[e + 1]``."""
    in_indptr: Int[np.ndarray, " E+1"]
    in_order: Int[np.ndarray, " T"]
    """Triplets with tail e: rows ``in_order[in_indptr[e]:in_indptr[e + 1]]``."""
    source_indptr: Int[np.ndarray, " S+1"]
    source_order: Int[np.ndarray, " T"]
    """Triplets of source s: rows ``source_order[source_indptr[s]:source_indptr[s + 1]]``."""
    group: Int[np.ndarray, " E"]
    """Which image (of G) the entity is a part of, -1 for none."""
    group_indptr: Int[np.ndarray, " G+1"]
    group_order: Int[np.ndarray, " grouped"]
    """Triplets within image g: rows ``group_order[group_indptr[g]:group_indptr[g + 1]]``."""
    image_indptr: Int[np.ndarray, " E+1"]
    """Images of entity e: ``image_indptr[e]:image_indptr[e + 1]`` in the image arrays."""
    image_box: Int[np.ndarray, "I 4"]
    """(x, y, width, height) in pixels; width 0 means the whole image."""
    image_size: Int[np.ndarray, "I 2"]
    """(width, height) of the whole image, 0 where unknown."""
    image_source: Int[np.ndarray, " I"]
    image_path: Strings
    entity_id: Strings
    entity_text: Strings
    relation_id: Strings
    relation_text: Strings


def open_arrays(folder: Path, manifest: Manifest | None = None) -> GraphArrays:
    """Map the arrays of the graph at ``folder``, building them first where they are not there yet."""
    manifest = manifest or read_manifest(folder)
    place = folder / "arrays" / f"v{ARRAYS_VERSION}-{manifest.key}"
    if not place.is_dir():
        with atomic_folder(place) as target:
            _Writer(folder, target, manifest).write()
    return GraphArrays(**{field.name: _open(place, field.name) for field in fields(GraphArrays)})


def _open(place: Path, name: str) -> Any:
    if (place / f"{name}.bytes.npy").exists():
        return Strings(_map(place / f"{name}.bytes.npy"), _map(place / f"{name}.offsets.npy"))
    return _map(place / f"{name}.npy")


def _map(path: Path) -> Any:
    return np.load(path, mmap_mode="r").view(np.ndarray)  # memmap's own slicing is ten times slower


@dataclass
class _Writer:
    """Writes every array of ``GraphArrays`` from the tables in ``folder``, a batch of rows at a time."""

    folder: Path
    target: Path
    manifest: Manifest

    def write(self) -> None:
        counts = self.manifest.counts
        E, T = counts["entities"], counts["triplets"]
        for column in ("id", "text"):
            self._strings("entity", "entities", column)
            self._strings("relation", "relations", column)
        head = self._column("head", "triplets", np.int32)
        self._column("relation", "triplets", np.int32)
        tail = self._column("tail", "triplets", np.int32)
        self._column("weight", "triplets", np.float32)
        np.save(self.target / "out_indptr.npy", _indptr(head, E))
        self._grouped("in", tail, E)
        source = np.empty(T, np.uint8)
        for start, rows in self._rows("triplets", "source"):
            source[start : start + len(rows)] = rows.to_numpy()
        self._grouped("source", source, len(self.manifest.sources))
        del source
        self._images(head, tail, E)

    def _images(self, head: Any, tail: Any, E: int) -> None:
        import pyarrow.parquet as pq

        columns = ["entity", "x", "y", "width", "height", "image_width", "image_height", "source", "image_id"]
        table = pq.read_table(self.folder / "images.parquet", columns=columns)
        owner = table["entity"].to_numpy()

        def stack(*names: str) -> Int[np.ndarray, "I names"]:
            filled = [table[name].fill_null(0).to_numpy() for name in names]
            return np.stack(filled, axis=1).astype(np.int32)

        np.save(self.target / "image_indptr.npy", _indptr(owner, E))
        np.save(self.target / "image_box.npy", stack("x", "y", "width", "height"))
        np.save(self.target / "image_size.npy", stack("image_width", "image_height"))
        np.save(self.target / "image_source.npy", table["source"].to_numpy())
        self._strings("image", "images", "path")
        encoded = table["image_id"].combine_chunks().dictionary_encode()
        group = np.full(E, -1, np.int32)
        group[owner] = encoded.indices.fill_null(-1).to_numpy()
        np.save(self.target / "group.npy", group)
        of_triplet = np.maximum(group[head], group[tail])
        rows = np.flatnonzero(of_triplet >= 0)
        self._grouped("group", of_triplet[rows], len(encoded.dictionary), rows=rows)

    def _grouped(self, name: str, key: Any, groups: int, *, rows: Any = None) -> None:
        """Row indices sorted by ``key`` (stable), and where each of ``groups`` begins."""
        order = np.argsort(key, kind="stable")
        np.save(self.target / f"{name}_indptr.npy", _indptr(key, groups))
        np.save(self.target / f"{name}_order.npy", (order if rows is None else rows[order]).astype(np.int32))

    def _column(self, name: str, table: str, dtype: type) -> Any:
        length = self.manifest.counts[table]
        if not length:
            np.save(self.target / f"{name}.npy", np.empty(0, dtype))
            return np.empty(0, dtype)
        array = open_memmap(self.target / f"{name}.npy", mode="w+", dtype=dtype, shape=(length,))
        for start, rows in self._rows(table, name):
            array[start : start + len(rows)] = rows.to_numpy()
        return array.view(np.ndarray)

    def _strings(self, kind: str, table: str, column: str) -> None:
        """Two passes over the column: lengths, then bytes."""
        offsets = np.zeros(self.manifest.counts[table] + 1, np.int64)
        for start, rows in self._rows(table, column):
            offsets[start + 1 : start + 1 + len(rows)] = np.diff(_string_buffers(rows)[0])
        np.cumsum(offsets, out=offsets)
        np.save(self.target / f"{kind}_{column}.offsets.npy", offsets)
        total, path = int(offsets[-1]), self.target / f"{kind}_{column}.bytes.npy"
        if not total:
            np.save(path, np.empty(0, np.uint8))
            return
        data = open_memmap(path, mode="w+", dtype=np.uint8, shape=(total,))
        for start, rows in self._rows(table, column):
            ends, characters = _string_buffers(rows)
            data[offsets[start] : offsets[start + len(rows)]] = characters[ends[0] : ends[-1]]

    def _rows(self, table: str, column: str) -> Iterator[tuple[int, Any]]:
        """Chunks of one column in the table's order, each with the row it starts at."""
        import pyarrow.parquet as pq

        start = 0
        with pq.ParquetFile(self.folder / f"{table}.parquet") as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=[column]):
                yield start, batch.column(0)
                start += batch.num_rows


def _indptr(key: Any, groups: int) -> Int[np.ndarray, " groups+1"]:
    """Where each group starts when rows are sorted by ``key``."""
    indptr = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(key, minlength=groups), out=indptr[1:])
    return indptr


def _string_buffers(rows: Any) -> tuple[Any, Any]:
    """Offsets and bytes of an Arrow string array; a null is an empty stretch."""
    _, offsets, characters = rows.buffers()
    ends = np.frombuffer(offsets, np.int32)[rows.offset : rows.offset + len(rows) + 1]
    return ends, np.frombuffer(characters if characters is not None else b"", np.uint8)
