"""What a knowledge graph looks like on disk: tables, manifest, DuckDB connection.

A graph is a folder::

    graph.json          format version, sources with licences, counts, SHA-256 of every table
    entities.parquet    id, text, source                        row number = entity index, sorted by id
    images.parquet      entity, path, box, image_id, ...        zero or more images (or regions) an entity
    relations.parquet   id, text                                row number = relation index, sorted by id
    triplets.parquet    head, relation, tail, weight, source    indices, sorted by (head, relation, tail)
    arrays/<key>/       memory-mapped arrays derived from the tables (see graph_arrays)

Ids are strings. Concepts in words carry ConceptNet's URIs (``/c/en/hot_dog``) whatever file they come from,
so that merged sources meet in them.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowclip.knowledge.graph.tally import Tally
from knowclip.storage.own_folder import another

if TYPE_CHECKING:
    import duckdb

FORMAT_VERSION = 1
MANIFEST = "graph.json"
TABLES = ("entities", "images", "relations", "triplets")
MAX_SOURCES = 255
"""A triplet's source is kept in one byte."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where triplets come from: provenance, licence, the folder image paths start from, what was left out."""

    name: str
    licence: str
    url: str = ""
    path: str = ""
    image_root: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of ``graph.json``; ``files`` maps a table's file to its size in bytes and SHA-256.

    ``tally`` says what became of the records that the graph was made of; parts of a split have none.
    """

    sources: tuple[Source, ...]
    counts: Mapping[str, int]
    files: Mapping[str, Mapping[str, Any]]
    tally: Tally | None = None

    @property
    def key(self) -> str:
        """Hash of the tables' contents: arrays built from other contents are never taken for these."""
        digests = [self.files[f"{table}.parquet"]["sha256"] for table in TABLES]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


def write_manifest(
    folder: Path, sources: tuple[Source, ...], counts: Mapping[str, int], tally: Tally | None = None
) -> Manifest:
    """Hash the tables in ``folder`` and write ``graph.json``, the file that makes the folder a graph."""
    files = {}
    for table in TABLES:
        path = folder / f"{table}.parquet"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[path.name] = {"bytes": path.stat().st_size, "sha256": digest}
    manifest = Manifest(sources, dict(counts), files, tally)
    record = {"format": "knowclip-graph", "version": FORMAT_VERSION, **asdict(manifest)}
    (folder / MANIFEST).write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")
    return manifest


def read_manifest(folder: Path, *, verify: bool = False) -> Manifest:
    """Read ``graph.json`` and check the tables against it: sizes always, SHA-256 with ``verify``.

    Raises:
        ValueError: ``folder`` is no graph, is of another version, or its tables are not the ones described.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(_no_graph(folder))
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != "knowclip-graph" or record["version"] != FORMAT_VERSION:
            raise ValueError(_other_version(path, record["format"], record["version"]))
        sources = tuple(Source(**source) for source in record["sources"])
        tally = Tally(**record["tally"]) if record.get("tally") else None
        manifest = Manifest(sources, record["counts"], record["files"], tally)
        expected = {table: manifest.files[f"{table}.parquet"] for table in TABLES}
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: damaged ({type(error).__name__}: {error}); import the graph again"
        ) from None
    for table, facts in expected.items():
        _check_table(folder / f"{table}.parquet", facts, verify=verify)
    return manifest


def refuse_taken(out: Path) -> None:
    """Refuse a place where anything is: of graphs one is told that they may go, of nothing else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if [*out.glob(MANIFEST), *out.glob(f"*/{MANIFEST}")]:
        raise ValueError(f"{out}: a graph is there already: remove it, or {another(out)}")
    raise ValueError(f"{out}: is there already, and no graph: {another(out)}")


def _no_graph(folder: Path) -> str:
    """Say what stands where a graph was expected."""
    if folder.is_file():
        return f"{folder}: a file; a graph is the folder that 'knowclip graph import' makes of files"
    if not folder.exists():
        return f"{folder}: no such folder; 'knowclip graph import' makes a graph"
    parts = [part.parent.name for part in sorted(folder.glob(f"*/{MANIFEST}"))]
    hint = (
        f"it holds graphs, give one: {', '.join(parts)}" if parts else "make one with 'knowclip graph import'"
    )
    return f"{folder}: not a knowledge graph (no {MANIFEST}); {hint}"


def _other_version(path: Path, form: Any, version: Any) -> str:
    newer = form == "knowclip-graph" and isinstance(version, int) and version > FORMAT_VERSION
    way = "a newer knowclip made it: update knowclip, or import" if newer else "import"
    return (
        f"{path}: format {form!r} version {version!r}; this knowclip reads 'knowclip-graph' version "
        f"{FORMAT_VERSION}: {way} the graph again"
    )


def _check_table(path: Path, facts: Mapping[str, Any], *, verify: bool) -> None:
    size = path.stat().st_size if path.is_file() else None
    if size != facts["bytes"]:
        raise ValueError(
            f"{path}: {'missing' if size is None else f'{size} bytes'}, {MANIFEST} says {facts['bytes']} "
            "bytes: the graph was changed or copied in part; import or copy it again"
        )
    if verify:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != facts["sha256"]:
                raise ValueError(
                    f"{path}: contents differ from the SHA-256 in {MANIFEST}; import the graph again"
                )


def connect(
    scratch: Path | None = None, *, memory_limit: str = "1GB", threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """Open DuckDB in memory.

    Args:
        scratch: Folder into which tables spill beyond the memory limit; None: none do.
        memory_limit: DuckDB's own limit, such as ``"1GB"``; Python and file buffers come on top.
        threads: Worker threads; None leaves DuckDB's default, one a core.
    """
    try:
        import duckdb
    except ImportError:
        raise ImportError("knowledge graphs need DuckDB and PyArrow: pip install 'knowclip[graph]'") from None
    connection = duckdb.connect()
    try:
        connection.execute("SET memory_limit = $1", [memory_limit])
    except duckdb.Error as error:
        raise ValueError(f"memory limit {memory_limit!r}: {error}; write it like '1GB' or '800MB'") from None
    if threads is not None:
        if threads < 1:
            raise ValueError(f"threads={threads}: must be at least 1")
        connection.execute(f"SET threads = {int(threads)}")
    # empty, DuckDB writes nothing: by default it would spill into the working folder
    connection.execute(f"SET temp_directory = {literal(scratch or '')}")
    connection.execute("SET preserve_insertion_order = false")  # sorted where order matters: less memory
    # Dropped tables go back to the system at once; by default half a gigabyte of them is kept.
    connection.execute("SET allocator_bulk_deallocation_flush_threshold = '8MB'")
    connection.execute("SET enable_progress_bar = true")  # for ``watched``
    connection.execute("SET enable_progress_bar_print = false")
    return connection


@contextmanager
def watched(
    connection: duckdb.DuckDBPyConnection, report: Callable[[str, float], None], stage: str
) -> Iterator[None]:
    """Report ``stage`` now, and how far the queries run inside are, five times a second."""
    report(stage, 0.0)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            report(stage, max(connection.query_progress(), 0.0) / 100)  # -1: not known yet

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def literal(value: object) -> str:
    """``value`` as an SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"
