"""KnowledgeGraph: entities in words and images, relations in words, the triplets between them; on disk."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from knowclip.console.counts import listed
from knowclip.knowledge.graph.arrays import open_arrays
from knowclip.knowledge.graph.store import TABLES, connect, literal, read_manifest
from knowclip.types import Box, ImageRef, Triplet

if TYPE_CHECKING:
    import duckdb
    from jaxtyping import Bool, Int


class KnowledgeGraph:
    """A graph folder opened for reading: mapped ``arrays`` for training, ``sql`` for questions.

    Entities, relations and triplets are row indices of the tables (see ``graph_store``). Arrays that are not
    there yet, or belong to other contents, are built while opening.

    Args:
        path: Folder that ``knowclip graph import`` made.
        image_roots: Source name -> folder of its images, where they are not (any more) where the import found
            them.
        verify: Also compare the tables' SHA-256 with the manifest's.

    Raises:
        ValueError: ``path`` is no graph, of another version or damaged; ``image_roots`` names no source.
    """

    def __init__(
        self, path: str | Path, *, image_roots: Mapping[str, str | Path] | None = None, verify: bool = False
    ) -> None:
        self.path = Path(path)
        manifest = read_manifest(self.path, verify=verify)
        self.sources = manifest.sources
        self.counts = dict(manifest.counts)
        self.tally = manifest.tally
        self.key = manifest.key
        self.arrays = open_arrays(self.path, manifest)
        names = [source.name for source in self.sources]
        if unknown := set(image_roots or {}) - set(names):
            raise ValueError(
                f"image_roots names {listed(sorted(unknown))}; the sources of {path} are {listed(names)}"
            )
        roots = {source.name: source.image_root for source in self.sources} | dict(image_roots or {})
        self._roots = [Path(roots[name]) for name in names]

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        return f"KnowledgeGraph({str(self.path)!r}: {counts})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Open it again in another process: what is mapped is not copied there."""
        roots = {source.name: root for source, root in zip(self.sources, self._roots, strict=True)}
        return partial(KnowledgeGraph, image_roots=roots), (self.path.resolve(),)

    def entity(self, name: str) -> int:
        """Index of the entity with this id, or of the concept in these words, or the only one with this text.

        Raises:
            ValueError: No entity has this id or text, or several have this text.
        """
        for id in (name, f"/c/en/{name.lower().replace(' ', '_')}"):
            if (index := self.arrays.entity_id.find(id)) is not None:
                return index
        query = "SELECT id FROM entities WHERE lower(text) = lower($1) ORDER BY id LIMIT 20"
        ids = [row[0] for row in self.sql(query, [name]).fetchall()]
        if len(ids) == 1:
            return self.entity(ids[0])
        if ids:
            raise ValueError(f"{name!r} is the text of several entities, give an id: {', '.join(ids)}")
        near = ", ".join(row[0] for row in self.sql(_NEAR, [name.strip().lower()]).fetchall())
        told = f"near it: {near}" if near else "none contains it or is spelt nearly so"
        raise ValueError(f"no entity of {self.path} has the id or text {name!r}; {told}")

    def triplet(self, row: int) -> Triplet:
        """Triplet ``row`` by ids."""
        a = self.arrays
        ids = a.entity_id[a.head[row]], a.relation_id[a.relation[row]], a.entity_id[a.tail[row]]
        return Triplet(*(str(id) for id in ids))

    def images(self, entity: int) -> tuple[ImageRef, ...]:
        """The images, or image regions, that show ``entity``."""
        start, end = self.arrays.image_indptr[entity : entity + 2]
        return tuple(self.image(index) for index in range(start, end))

    def image_paths(self) -> set[Path]:
        """Image files that show an end of a triplet: parts of a split describe each other's entities too."""
        ends = "SELECT head FROM triplets UNION SELECT tail FROM triplets"
        files = self.sql(f"SELECT DISTINCT source, path FROM images WHERE entity IN ({ends})").fetchall()
        return {self._roots[source] / path for source, path in files}

    def image(self, index: int, *, margin: float = 0.0) -> ImageRef:
        """Image ``index`` of the image arrays; a region grows by ``margin`` of its size on every side.

        The grown region is cut at the borders of the image as far as its size is known.
        """
        a = self.arrays
        path = self._roots[a.image_source[index]] / str(a.image_path[index])
        x, y, width, height = (int(value) for value in a.image_box[index])
        if not width:
            return ImageRef(path)
        full_width, full_height = (int(value) for value in a.image_size[index])
        return ImageRef(path, _grow((x, y, width, height), margin, full_width, full_height))

    def outgoing(self, entity: int) -> Int[np.ndarray, " n"]:
        """Rows of the triplets with ``entity`` as head."""
        return np.arange(*self.arrays.out_indptr[entity : entity + 2])

    def incoming(self, entity: int) -> Int[np.ndarray, " n"]:
        """Rows of the triplets with ``entity`` as tail."""
        start, end = self.arrays.in_indptr[entity : entity + 2]
        return self.arrays.in_order[start:end]

    def contains(
        self, head: Int[np.ndarray, " n"], relation: Int[np.ndarray, " n"], tail: Int[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        """Which of n triplets the graph holds: binary search in each head's sorted slice."""
        a = self.arrays
        low, end = a.out_indptr[head], a.out_indptr[np.asarray(head) + 1]
        wanted = _key(relation, tail)
        high, last = end.copy(), len(a.tail) - 1
        # as many halvings as the longest slice takes; the others stand still
        for _ in range(int(np.max(end - low, initial=0)).bit_length()):
            open_ = low < high
            middle = np.minimum((low + high) // 2, last)
            below = open_ & (_key(a.relation[middle], a.tail[middle]) < wanted)
            low = np.where(below, middle + 1, low)
            high = np.where(open_ & ~below, middle, high)
        at = np.minimum(low, last)
        return (low < end) & (_key(a.relation[at], a.tail[at]) == wanted)

    def sql(self, query: str, parameters: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
        """Run SQL over the tables, as views ``entities``, ``images``, ``relations`` and ``triplets``.

        ``entities`` and ``relations`` have a column ``row`` besides those of the files.
        """
        connection = connect()
        for table in TABLES:
            file = literal(self.path / f"{table}.parquet")
            columns = "*, file_row_number AS row" if table in ("entities", "relations") else "*"
            options = ", file_row_number = true" if "row" in columns else ""
            connection.execute(f"CREATE VIEW {table} AS SELECT {columns} FROM read_parquet({file}{options})")
        return connection.execute(query, parameters)


_NEAR = """
SELECT id FROM (
    SELECT id, text, contains(' ' || lower(text) || ' ', ' ' || $1 || ' ') AS holds,
        damerau_levenshtein(lower(text), $1) AS edits
    FROM entities WHERE text IS NOT NULL
)
WHERE holds OR edits <= greatest(1, length($1) // 4)
ORDER BY holds AND edits > 1, edits, id LIMIT 5
"""
"""Entities that are spelt nearly as $1 (a letter in four may differ), then those that hold it as a word."""


def _key(relation: Any, tail: Any) -> Int[np.ndarray, " n"]:
    # one number a pair, so that one comparison orders both
    return np.asarray(relation, np.int64) << 32 | np.asarray(tail, np.int64)


def _grow(box: Box, margin: float, full_width: int, full_height: int) -> Box:
    x, y, width, height = box
    dx, dy = round(width * margin), round(height * margin)
    left, top = max(x - dx, 0), max(y - dy, 0)
    right = min(x + width + dx, full_width or x + width + dx)
    bottom = min(y + height + dy, full_height or y + height + dy)
    return left, top, right - left, bottom - top
