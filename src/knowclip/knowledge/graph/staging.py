"""Records in, knowledge graph out: staging tables in DuckDB, then sorted and numbered Parquet tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from knowclip.console.counts import by_reason
from knowclip.knowledge.graph.arrays import open_arrays
from knowclip.knowledge.graph.finish import write_tables
from knowclip.knowledge.graph.store import (
    MAX_SOURCES,
    Source,
    connect,
    read_manifest,
    refuse_taken,
    write_manifest,
)
from knowclip.knowledge.graph.tally import SELF_LOOP, Tally
from knowclip.storage.atomic import atomic_folder

if TYPE_CHECKING:
    import duckdb

STAGING: dict[str, dict[str, str]] = {
    "triplets": {
        "head": "VARCHAR", "relation": "VARCHAR", "tail": "VARCHAR", "weight": "FLOAT", "source": "UTINYINT",
    },
    "entities": {"id": "VARCHAR", "text": "VARCHAR", "source": "UTINYINT"},
    "relations": {"id": "VARCHAR", "text": "VARCHAR"},
    "images": {
        "entity": "VARCHAR", "path": "VARCHAR", "x": "INTEGER", "y": "INTEGER", "width": "INTEGER",
        "height": "INTEGER", "image_id": "VARCHAR", "coco_id": "BIGINT", "image_width": "INTEGER",
        "image_height": "INTEGER", "source": "UTINYINT",
    },
}  # fmt: skip
"""Staged records by string ids; ``graph_finish`` numbers them."""

BUFFER_ROWS = 100_000
BAD_ALLOWED, MAX_BAD = 10, 0.01
"""So many malformed records are tolerated, or that share, where nothing else is asked for."""


class GraphBuilder:
    """What a reader writes to.

    Readers in Python call ``triplet``, ``entity``, ``image`` and ``relation``; those of large tables run SQL
    on ``connection``, filling ``stage_triplets`` and its sisters. They add to ``records`` what they take from
    a file, one for each triplet that it states, and tell what became of it: a triplet, or ``skip`` (left out
    by choice), ``bad`` (malformed: refused when more than 10 and more than a ``max_bad`` share),
    ``joined`` (equal to another, when reading joined them) or ``described`` (no triplet, but a description).

    Ids and texts lose the white space around them. A blank text is none; a blank id raises ValueError.
    Triplets whose head is their tail are left out, whoever adds them.
    """

    def __init__(
        self,
        folder: Path,
        connection: duckdb.DuckDBPyConnection,
        *,
        max_bad: float | None,
        report: Callable[[str, float], None],
    ) -> None:
        self.folder = folder
        self.connection = connection
        self.max_bad = MAX_BAD if max_bad is None else max_bad
        self.few_bad = BAD_ALLOWED if max_bad is None else 0
        """Malformed records that are no reason to refuse, whatever share of few they are."""
        self.report = report
        self.skipped: Counter[str] = Counter()
        self.images_left_out: Counter[str] = Counter()
        self.records = self.joined = self.described = 0
        self._bad = 0
        self._first: dict[str, str] = {}
        self._buffers: dict[str, list[tuple[Any, ...]]] = {table: [] for table in STAGING}
        for table, columns in STAGING.items():
            described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            connection.execute(f"CREATE TABLE stage_{table} ({described})")

    def triplet(self, head: str, relation: str, tail: str, weight: float = 1.0) -> None:
        """Add ``(head, relation, tail)`` by ids. Equal triplets become one with the largest weight."""
        self._add("triplets", (_id(head), _id(relation), _id(tail), weight, 0))

    def entity(self, id: str, text: str | None) -> None:
        """Describe an entity; ``text`` None or blank where it has only images.

        An entity that is never described has the words of its ConceptNet URI, or its id, for a text.
        """
        self._add("entities", (_id(id), _text(text), 0))

    def relation(self, id: str, text: str) -> None:
        """Give the text a model reads for a relation; its id where that is blank."""
        self._add("relations", (_id(id), _text(text)))

    def image(
        self,
        entity: str,
        path: str,
        *,
        box: tuple[int, int, int, int] | None = None,
        image_id: str | None = None,
        coco_id: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Give an entity an image, or the region ``box`` (x, y, width, height) of one.

        ``image_id`` says that the entity is part of this very image (an illustration of a concept has none):
        triplets of one image are sampled together and never split apart.
        """
        # At most one region of a file shows an entity: Visual Genome repeats objects with other boxes.
        row = (_id(entity), path, *(box or (None,) * 4), image_id, coco_id, *(size or (None, None)), 0)
        self._add("images", row)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count records left out by choice."""
        if count:
            self.skipped[reason] += count

    def without_image(self, reason: str, count: int = 1) -> None:
        """Count images that an entity goes without; what is said of it is kept."""
        if count:
            self.images_left_out[reason] += count

    def bad(self, where: str, reason: str, count: int = 1) -> None:
        """Count malformed records; ``where`` names file and line, or JSON path, of the (first) one.

        Raises:
            ValueError: More than ``max_bad`` of the records read are malformed.
        """
        self.skipped[f"malformed: {reason}"] += count
        self._first.setdefault(f"malformed: {reason}", where)
        self._bad += count
        if self._bad > max(self.few_bad, self.max_bad * self.records):
            few = f"{self.few_bad} and " if self.few_bad else ""
            raise ValueError(
                f"{where}: {reason}; with it {self._bad} of {self.records} records are malformed, more than "
                f"{few}the allowed share of {self.max_bad:g}: is this the right file and format? Raise the "
                "share (--max-bad) if it is"
            )

    def flush(self) -> None:
        """Put what the Python calls added so far into the staging tables, for SQL to see."""
        for table in STAGING:
            self._flush(table)

    def _add(self, table: str, row: tuple[Any, ...]) -> None:
        buffer = self._buffers[table]
        buffer.append(row)
        if len(buffer) >= BUFFER_ROWS:
            self._flush(table)

    def _flush(self, table: str) -> None:
        import pyarrow as pa

        rows = self._buffers[table]
        if not rows:
            return
        kinds = {"VARCHAR": pa.string(), "FLOAT": pa.float32(), "UTINYINT": pa.uint8(), "INTEGER": pa.int32()}
        columns = STAGING[table]
        arrays = [
            pa.array(values, kinds.get(kind, pa.int64()))
            for values, kind in zip(zip(*rows, strict=True), columns.values(), strict=True)
        ]
        # through Arrow: DuckDB's executemany runs a statement a row
        self.connection.register("buffer", pa.table(arrays, names=list(columns)))
        self.connection.execute(f"INSERT INTO stage_{table} SELECT * FROM buffer")
        self.connection.unregister("buffer")
        rows.clear()

    def finish(self, sources: tuple[Source, ...], *, origin: Mapping[str, Any] | None = None) -> None:
        """Number entities and relations, join duplicates, write the tables and the manifest.

        Args:
            sources: Where the triplets come from, by their ``source`` number.
            origin: Of an import, ``path`` and ``options``, which its sources keep with what was left out.
        """
        self.flush()
        if len(sources) > MAX_SOURCES:
            raise ValueError(f"{len(sources)} sources in one graph; at most {MAX_SOURCES}")
        # before numbering: an entity of nothing but a loop is none of the graph's
        staged = self._without_loops()
        if not staged:
            first = "".join(f" (first: {place})" for place in [*self._first.values()][:1])
            read = f" of {self.records} records; left out: {by_reason(self.skipped) or 'none'}{first}"
            names = ", ".join(source.name for source in sources)
            raise ValueError(f"{names}: no triplet left{read if self.records else ''}")
        counts = write_tables(self.connection, self.folder, self.report)
        tally = self._tally(counts["triplets"], staged - counts["triplets"] + self.joined)
        if origin is not None:
            left_out = dict(sorted((self.skipped + self.images_left_out).items()))
            sources = tuple(replace(source, **origin, skipped=left_out) for source in sources)
        write_manifest(self.folder, sources, counts, tally)

    def _without_loops(self) -> int:
        """Leave out the triplets whose head is their tail; returns how many others are staged."""
        (loops,) = self.connection.execute("DELETE FROM stage_triplets WHERE head = tail").fetchone() or (0,)
        self.skip(SELF_LOOP, loops)
        (left,) = self.connection.execute("SELECT count(*) FROM stage_triplets").fetchone() or (0,)
        return int(left)

    def _tally(self, kept: int, merged: int) -> Tally:
        accounted = kept + merged + self.described + self.skipped.total()
        return Tally(
            read=self.records or accounted,  # who builds a graph by hand counts no records
            kept=kept,
            merged=merged,
            described=self.described,
            skipped=dict(sorted(self.skipped.items())),
            first=dict(self._first),
        )


def _id(given: str) -> str:
    if not (id := given.strip()):
        raise ValueError(f"{given!r} is blank and cannot be the id of an entity or a relation: give it one")
    return id


def _text(given: str | None) -> str | None:
    return (given or "").strip() or None


def _quiet(stage: str, fraction: float) -> None:
    """Report progress to nobody."""


@contextmanager
def graph_builder(
    out: Path,
    *,
    memory_limit: str = "1GB",
    threads: int | None = None,
    max_bad: float | None = None,
    report: Callable[[str, float], None] = _quiet,
) -> Iterator[GraphBuilder]:
    """Build a graph at ``out``, which appears only when all of it is written.

    Args:
        out: Folder to make; must not exist.
        memory_limit: Of DuckDB (see ``graph_store.connect``); beyond it tables spill to disk beside ``out``.
        threads: Of DuckDB.
        max_bad: Share of malformed records above which the import is refused; None: 1%, and ten are tolerated
            in any case.
        report: Called with what is being done and the fraction done of it.
    """
    refuse_taken(out)
    with atomic_folder(out) as folder:
        with TemporaryDirectory(prefix="staging-", dir=folder) as scratch:
            connection = connect(Path(scratch), memory_limit=memory_limit, threads=threads)
            try:
                with teaching_errors(memory_limit):
                    yield GraphBuilder(folder, connection, max_bad=max_bad, report=report)
            finally:
                connection.close()
        read_manifest(folder)  # a builder that was never finished leaves no graph
        report("mapping arrays", 0.0)
        open_arrays(folder)


@contextmanager
def teaching_errors(memory_limit: str) -> Iterator[None]:
    """Turn DuckDB's errors that a user can mend into ones that say how."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        message = f"the memory limit of {memory_limit} is too small ({str(error).splitlines()[0]})"
        raise ValueError(f"{message}; raise it (--memory-limit) or use fewer threads (--threads)") from None
    except duckdb.IOException as error:
        raise OSError(str(error).splitlines()[0]) from None
