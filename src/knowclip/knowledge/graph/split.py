"""Split a graph into train, val and test such that no part gives another away; or as its publishers did."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from knowclip.knowledge.graph.arrays import open_arrays
from knowclip.knowledge.graph.edit import merge, table
from knowclip.knowledge.graph.excluded_images import ImageSet
from knowclip.knowledge.graph.staging import teaching_errors
from knowclip.knowledge.graph.store import connect, literal, read_manifest, refuse_taken, write_manifest
from knowclip.knowledge.graph.tally import SELF_LOOP, Tally
from knowclip.storage.atomic import atomic_folder

if TYPE_CHECKING:
    import duckdb

PARTS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class SplitReport:
    """Triplets of each part, and how many entities of val and test no training triplet has.

    ``tally`` says what became of the triplets of the graph, or of the graphs, that were split.
    """

    triplets: dict[str, int]
    unseen_entities: dict[str, int]
    tally: Tally


def split(
    path: Path,
    out: Path,
    *,
    val: float = 0.05,
    test: float = 0.05,
    seed: int = 0,
    benchmark: ImageSet | None = None,
    memory_limit: str = "1GB",
    threads: int | None = None,
    report: Callable[[str, float], None] = lambda stage, fraction: None,
) -> SplitReport:
    """Write the graphs ``out/train``, ``out/val`` and ``out/test``.

    All parts have the same entities and relations under the same indices. What could leak stays together:

    - triplets between the same two entities, in either direction and by any relation: so inverse relations,
      duplicate relations and symmetric pairs never straddle (the leak of FB15k and WN18);
    - triplets within one image: regions of one image share its background;
    - images of ``benchmark``: all in test.

    Which part it is depends on ids and ``seed`` alone, so a graph that grows keeps its split.

    Args:
        path: The graph.
        out: Folder to make.
        val: Share of the groups that go to val.
        test: Share that goes to test.
        seed: Of the draw.
        benchmark: Images that must not be in train or val.
        memory_limit: Of DuckDB.
        threads: Of DuckDB.
        report: Called with what is being done and the fraction done.
    """
    if min(val, test) < 0 or val + test >= 1:
        raise ValueError(f"val={val} and test={test}: shares of at least 0 that leave something for train")
    if benchmark is not None and not test:
        raise ValueError("the images of the benchmark go to test: its share must be above 0")
    parts = [part for part, share in zip(PARTS, (1, val, test), strict=True) if share]
    with _staging(out, memory_limit=memory_limit, threads=threads) as (folder, _, connection):
        (benchmark or ImageSet()).mark(connection, path)
        report("grouping triplets", 0.0)
        connection.execute(_assignment(path, val, test, seed))
        return _write_parts(connection, path, folder, parts, report)


def split_as_given(
    graphs: Mapping[str, Path],
    out: Path,
    *,
    memory_limit: str = "1GB",
    threads: int | None = None,
    report: Callable[[str, float], None] = lambda stage, fraction: None,
) -> SplitReport:
    """Make a split of graphs that were published as one: the same folder as :func:`split` makes.

    A triplet of several graphs goes to test before val before train, so that training sees none of them.
    Nothing else is held together: inverses and duplicate relations leak as far as the publishers let them.

    Args:
        graphs: The graph of each part; "train" and at least one more.
        out: Folder to make.
        memory_limit: Of DuckDB.
        threads: Of DuckDB.
        report: Called with what is being done and the fraction done.
    """
    parts = [part for part in PARTS if part in graphs]
    with _staging(out, memory_limit=memory_limit, threads=threads) as (folder, scratch, connection):
        whole = scratch / "whole"
        paths = [graphs[part] for part in parts]
        merge(paths, whole, memory_limit=memory_limit, threads=threads, report=report)
        connection.execute(_given(whole, {part: graphs[part] for part in reversed(parts)}))
        return _write_parts(connection, whole, folder, parts, report, read_manifest(whole).tally)


@contextmanager
def _staging(
    out: Path, *, memory_limit: str, threads: int | None
) -> Iterator[tuple[Path, Path, duckdb.DuckDBPyConnection]]:
    """The folder that becomes ``out`` when all is done, a folder for the meantime, and DuckDB."""
    refuse_taken(out)
    with atomic_folder(out) as folder, TemporaryDirectory(prefix="staging-", dir=folder) as scratch:
        connection = connect(Path(scratch), memory_limit=memory_limit, threads=threads)
        try:
            with teaching_errors(memory_limit):
                yield folder, Path(scratch), connection
        finally:
            connection.close()


def _write_parts(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    folder: Path,
    parts: list[str],
    report: Callable[[str, float], None],
    merged: Tally | None = None,
) -> SplitReport:
    """Write table ``parts``, the triplets of ``path`` with the part of each, as graphs in ``folder``.

    ``merged`` is the tally of ``path`` where that was made for this split.
    """
    manifest = read_manifest(path)
    result = _summarise(connection, parts, _tally(connection, manifest.counts["triplets"], merged))
    for step, part in enumerate(parts):
        report(f"writing {part}", step / len(parts))
        _write_part(connection, path, folder / part)
        counts = {**manifest.counts, "triplets": result.triplets[part]}
        open_arrays(folder / part, write_manifest(folder / part, manifest.sources, counts))
    return result


def _write_part(connection: duckdb.DuckDBPyConnection, path: Path, folder: Path) -> None:
    folder.mkdir()
    connection.execute(
        f"""COPY (SELECT * EXCLUDE (part) FROM parts WHERE part = {literal(folder.name)}
            ORDER BY head, relation, tail) TO {literal(folder / "triplets.parquet")} (FORMAT parquet)"""
    )
    for name in ("entities", "relations", "images"):
        shutil.copy(path / f"{name}.parquet", folder)


def _assignment(path: Path, val: float, test: float, seed: int) -> str:
    """SQL of table ``parts``: every triplet with the part its group falls into."""
    entities, triplets, images = (table(path, name) for name in ("entities", "triplets", "images"))
    # >> 11 leaves 53 bits of the hash, as many as a double holds: u is even over [0, 1)
    return f"""CREATE TABLE parts AS
        WITH image_of AS (
            SELECT entity, min(image_id) AS image_id FROM {images}
            WHERE image_id IS NOT NULL GROUP BY entity),
        grouped AS (
            SELECT x.* EXCLUDE (row), x.head IN (SELECT entity FROM held_entities)
                       OR x.tail IN (SELECT entity FROM held_entities) AS held,
                   CASE WHEN coalesce(a.image_id, b.image_id) IS NOT NULL
                        THEN least(coalesce(a.image_id, b.image_id), coalesce(b.image_id, a.image_id))
                        ELSE least(h.id, t.id) || chr(9) || greatest(h.id, t.id) END AS key
            FROM {triplets} x JOIN {entities} h ON x.head = h.row JOIN {entities} t ON x.tail = t.row
            LEFT JOIN image_of a ON x.head = a.entity LEFT JOIN image_of b ON x.tail = b.entity
            WHERE x.head <> x.tail),
        drawn AS (
            SELECT * EXCLUDE (key),
                   (md5_number_lower('{int(seed)}' || chr(9) || key) >> 11) / 9007199254740992.0 AS u
            FROM grouped)
        SELECT * EXCLUDE (u, held),
               CASE WHEN held OR u < {float(test)} THEN 'test' WHEN u < {float(test + val)} THEN 'val'
                    ELSE 'train' END AS part
        FROM drawn"""


def _tally(connection: duckdb.DuckDBPyConnection, triplets: int, merged: Tally | None) -> Tally:
    """What became of ``triplets``: all are in table ``parts`` but those whose head is their tail."""
    if merged is not None:
        return merged
    (kept,) = connection.execute("SELECT count(*) FROM parts").fetchone() or (0,)
    loops = triplets - kept
    return Tally(read=triplets, kept=kept, skipped={SELF_LOOP: loops} if loops else {})


def _given(path: Path, graphs: Mapping[str, Path]) -> str:
    """SQL of table ``parts``: every triplet of ``path`` with the first of ``graphs`` that holds it."""
    cases = [
        f"WHEN (h.id, r.id, t.id) IN (SELECT (h.id, r.id, t.id) FROM {_by_id(graph)}) THEN {literal(part)}"
        for part, graph in graphs.items()
    ]
    return f"""CREATE TABLE parts AS
        SELECT x.* EXCLUDE (row), CASE {" ".join(cases)} END AS part FROM {_by_id(path)}"""


def _by_id(path: Path) -> str:
    """SQL of the triplets x of a graph, joined with head h, relation r and tail t."""
    entities, triplets, relations = (table(path, name) for name in ("entities", "triplets", "relations"))
    return f"""{triplets} x JOIN {entities} h ON x.head = h.row JOIN {entities} t ON x.tail = t.row
        JOIN {relations} r ON x.relation = r.row"""


def _summarise(connection: duckdb.DuckDBPyConnection, parts: list[str], tally: Tally) -> SplitReport:
    counts = dict(connection.execute("SELECT part, count(*) FROM parts GROUP BY 1").fetchall())
    for part in parts:
        if part not in counts:
            raise ValueError(f"no triplet falls into {part}: the graph is too small for these shares")
    unseen = connection.execute(
        """SELECT part, count(DISTINCT entity) FROM (SELECT part, unnest([head, tail]) AS entity FROM parts)
            WHERE part != 'train' AND entity NOT IN (
                SELECT unnest([head, tail]) FROM parts WHERE part = 'train') GROUP BY part"""
    ).fetchall()
    triplets = {part: counts[part] for part in parts}
    return SplitReport(triplets, dict.fromkeys(parts[1:], 0) | dict(unseen), tally)
