"""Memory-mapped arrays of a knowledge graph for training: columns, CSR neighbours, groups.

Built once from the Parquet tables, under a name keyed by their hash, and then only mapped: opening costs
nothing that grows with the graph, and memory holds the pages that are touched.

Shape legend: E entities, R relations, T triplets, I images, S sources, G distinct image ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.format import open_memmap

from knowclip.knowledge.graph.store import Manifest, read_manifest
from knowclip.storage.atomic import atomic_folder
from knowclip.storage.parquet import whole

if TYPE_CHECKING:
    from jaxtyping import Float, Int

ARRAYS_VERSION = 2
"""Part of their folder's name: arrays that an older version built are built anew, never misread."""
BATCH_ROWS = 1 << 17
_BOX, _SIZE = ("x", "y", "width", "height"), ("image_width", "image_height")


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
    characters = place / f"{name}.bytes"
    if not characters.exists():
        return _map(place / f"{name}.npy")
    # An empty file cannot be mapped.
    data = np.memmap(characters, np.uint8, "r") if characters.stat().st_size else np.empty(0, np.uint8)
    return Strings(data.view(np.ndarray), _map(place / f"{name}.offsets.npy"))


def _map(path: Path) -> Any:
    return np.load(path, mmap_mode="r").view(np.ndarray)  # memmap's own slicing is ten times slower


@dataclass
class _Writer:
    """Writes every array of ``GraphArrays`` from the tables in ``folder``, a batch of rows at a time."""

    folder: Path
    target: Path
    manifest: Manifest

    def write(self) -> None:
        E = self.manifest.counts["entities"]
        self._strings("entity", "entities", "id", "text")
        self._strings("relation", "relations", "id", "text")
        head, tail, source = self._triplets()
        self._save("out_indptr", _indptr(head, E))
        self._grouped("in", tail, E)
        self._grouped("source", source, len(self.manifest.sources))
        self._images(head, tail, E)

    def _triplets(self) -> tuple[Any, Any, Any]:
        """Write the columns of the triplets; give back head, tail and source."""
        T = self.manifest.counts["triplets"]
        kinds = {"head": np.int32, "relation": np.int32, "tail": np.int32, "weight": np.float32}
        columns = {name: self._empty(name, kind, T) for name, kind in kinds.items()}
        columns["source"] = np.empty(T, np.uint8)
        for start, batch in self._batches("triplets", *columns):
            for name, column in columns.items():
                column[start : start + batch.num_rows] = _numbers(batch[name])
        return columns["head"], columns["tail"], columns["source"]

    def _images(self, head: Any, tail: Any, E: int) -> None:
        import pyarrow.parquet as pq

        path = self.folder / "images.parquet"
        with whole(path), pq.ParquetFile(path) as file:
            table = file.read(["entity", *_BOX, *_SIZE, "source", "image_id"])
        owner = _numbers(table["entity"])
        self._save("image_indptr", _indptr(owner, E))
        for name, columns in {"box": _BOX, "size": _SIZE}.items():
            self._save(f"image_{name}", np.stack([_numbers(table[column]) for column in columns], axis=1))
        self._save("image_source", _numbers(table["source"]))
        self._strings("image", "images", "path")
        encoded = table["image_id"].combine_chunks().dictionary_encode()
        group = np.full(E, -1, np.int32)
        group[owner] = _numbers(encoded.indices, missing=-1)
        self._save("group", group)
        groups = len(encoded.dictionary)
        of_triplet = np.maximum(group[head], group[tail]) if groups else np.full(0, -1)
        rows = np.flatnonzero(of_triplet >= 0)
        self._grouped("group", of_triplet[rows], groups, rows=rows)

    def _grouped(self, name: str, key: Any, groups: int, *, rows: Any = None) -> None:
        """Row indices sorted by ``key`` (stable), and where each of ``groups`` begins."""
        # Sorting key and position in one number is five times faster than a stable argsort.
        packed = key.astype(np.int64) << 32
        packed |= np.arange(len(key))
        if groups > 1:  # most graphs have one source
            packed.sort()
        packed &= 0xFFFFFFFF
        self._save(f"{name}_indptr", _indptr(key, groups))
        self._save(f"{name}_order", (packed if rows is None else rows[packed]).astype(np.int32))

    def _strings(self, kind: str, table: str, *columns: str) -> None:
        """Write string columns: their bytes one after another, and where each string begins."""
        offsets = {name: np.zeros(self.manifest.counts[table] + 1, np.int64) for name in columns}
        with ExitStack() as stack:
            files = {
                name: stack.enter_context((self.target / f"{kind}_{name}.bytes").open("wb"))
                for name in columns
            }
            for start, batch in self._batches(table, *columns):
                for name in columns:
                    ends, characters = _string_buffers(batch[name])
                    offsets[name][start + 1 : start + len(ends)] = np.diff(ends)
                    files[name].write(characters[ends[0] : ends[-1]])
        for name, lengths in offsets.items():
            self._save(f"{kind}_{name}.offsets", np.cumsum(lengths, out=lengths))

    def _batches(self, table: str, *columns: str) -> Iterator[tuple[int, Any]]:
        """Some columns of a table in its order, in batches, each with the row it starts at."""
        import pyarrow.parquet as pq

        start, path = 0, self.folder / f"{table}.parquet"
        with whole(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
                yield start, batch
                start += batch.num_rows

    def _empty(self, name: str, dtype: type, length: int) -> Any:
        """A file-backed array to fill."""
        return open_memmap(self.target / f"{name}.npy", mode="w+", dtype=dtype, shape=(length,))

    def _save(self, name: str, array: Any) -> None:
        np.save(self.target / f"{name}.npy", array)


def _indptr(key: Any, groups: int) -> Int[np.ndarray, " groups+1"]:
    """Where each group starts when rows are sorted by ``key``."""
    indptr = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(key, minlength=groups), out=indptr[1:])
    return indptr


def _numbers(column: Any, *, missing: int = 0) -> Any:
    """An Arrow column of numbers in NumPy. ``to_numpy`` would import pandas, which takes longer than this."""
    import pyarrow as pa

    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.from_dlpack(flat.fill_null(missing) if flat.null_count else flat)


def _string_buffers(rows: Any) -> tuple[Any, Any]:
    """Offsets and bytes of an Arrow string array; a null is an empty stretch."""
    _, offsets, characters = rows.buffers()
    ends = np.frombuffer(offsets, np.int32)[rows.offset : rows.offset + len(rows) + 1]
    return ends, np.frombuffer(characters if characters is not None else b"", np.uint8)
