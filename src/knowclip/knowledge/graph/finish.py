"""The end of every import: staged records become numbered, sorted Parquet tables.

Numbering joins 64-bit hashes of the ids in place of the ids, which is several times faster. That two ids of
the graph share a hash is improbable (1e-7 at two million) but checked; if so the ids themselves are joined.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from knowclip.knowledge.graph.store import literal, watched

if TYPE_CHECKING:
    import duckdb

HASH = "hash({})"

_ENTITIES = """CREATE TABLE entities AS
    WITH used AS (
        SELECT id, min(source) AS source FROM (
            SELECT head AS id, source FROM stage_triplets UNION ALL
            SELECT tail, source FROM stage_triplets) GROUP BY id),
    described AS (
        SELECT id, min_by(text, (source, text)) AS text, min(source) AS source
        FROM stage_entities GROUP BY id)
    SELECT coalesce(u.id, d.id) AS id, d.id IS NOT NULL AS described, d.text,
           coalesce(d.source, u.source) AS source
    FROM used u FULL JOIN described d ON u.id = d.id ORDER BY 1"""

_RELATIONS = """CREATE TABLE relations AS
    SELECT r.id, coalesce(min(s.text), r.id) AS text
    FROM (SELECT DISTINCT relation AS id FROM stage_triplets) r
    LEFT JOIN stage_relations s ON r.id = s.id GROUP BY r.id ORDER BY 1"""

_TABLES = {
    "entities": """SELECT id,
        CASE WHEN described THEN text
             WHEN id LIKE '/c/%' THEN replace(split_part(id, '/', 4), '_', ' ')
             ELSE id END AS text, source
        FROM entities ORDER BY rowid""",
    "relations": "FROM relations ORDER BY rowid",
    "triplets": """SELECT * EXCLUDE (again) FROM (
            SELECT *, lag(head) OVER () = head AND lag(relation) OVER () = relation
                      AND lag(tail) OVER () = tail AS again
            FROM (FROM triplets ORDER BY head, relation, tail, weight DESC, source))
        WHERE again IS NOT TRUE""",
    "images": """SELECT DISTINCT ON (entity, path) * FROM images
        ORDER BY entity, path, source, x, y, width, height""",
}
"""Table -> what is written.

Equal triplets become one, that of the largest weight and then of the first source: they are neighbours once
sorted, and looking one row back takes half the time of grouping. One region of a file, the first, shows an
entity.
"""


def write_tables(
    connection: duckdb.DuckDBPyConnection, folder: Path, report: Callable[[str, float], None]
) -> dict[str, int]:
    """Write the tables into ``folder`` from what is staged on ``connection``, and return their row counts."""
    with watched(connection, report, "numbering entities"):
        connection.execute(_ENTITIES)
    with watched(connection, report, "numbering relations"):
        connection.execute(_RELATIONS)
    entity, relation = _key(connection, "entities"), _key(connection, "relations")
    with watched(connection, report, "numbering triplets"):
        connection.execute(
            f"""CREATE TABLE triplets AS
                SELECT h.rowid::INTEGER AS head, r.rowid::INTEGER AS relation, t.rowid::INTEGER AS tail,
                       weight, s.source
                FROM stage_triplets s
                JOIN entities h ON {entity.format("s.head")} = {entity.format("h.id")}
                JOIN entities t ON {entity.format("s.tail")} = {entity.format("t.id")}
                JOIN relations r ON {relation.format("s.relation")} = {relation.format("r.id")}"""
        )
    # the largest table: its memory is wanted for the sorts below
    connection.execute("DROP TABLE stage_triplets")
    connection.execute(
        f"""CREATE TABLE images AS SELECT e.rowid::INTEGER AS entity, i.* EXCLUDE (entity)
            FROM stage_images i JOIN entities e ON {entity.format("i.entity")} = {entity.format("e.id")}"""
    )
    counts = {}
    for table, query in _TABLES.items():
        target = literal(folder / f"{table}.parquet")
        with watched(connection, report, f"writing {table}"):
            written = connection.execute(f"COPY ({query}) TO {target} (FORMAT parquet)").fetchone()
        assert written is not None
        counts[table] = int(written[0])
    return counts


def _key(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """SQL of what ids of ``table`` are joined by: their hashes, or themselves where two share a hash."""
    query = f"SELECT count(*) = count(DISTINCT {HASH.format('id')}) FROM {table}"
    return HASH if connection.execute(query).fetchone() == (True,) else "{}"
