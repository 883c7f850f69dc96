"""Import and sampling of knowledge graphs at their real size.

    python benchmarks/graph_import.py                                # all of it, 5 to 10 minutes
    python benchmarks/graph_import.py conceptnet --million 1 10 30   # ConceptNet's format, 15% English
    python benchmarks/graph_import.py pykeen --million 2             # plain triples, ours and PyKEEN's
    python benchmarks/graph_import.py triples --million 1 10 30      # plain triples; opening and sampling

Prints one JSON object a measurement, each made in a process of its own with all modules imported before: wall
and CPU seconds (of all threads; on a machine that is not quiet, compare these) and peak resident memory.
``tables`` ends when the Parquet tables and the manifest are written, ``seconds`` when the mapped arrays are
too and all is flushed to disk. Files are made in a temporary folder (``--scratch``) and removed. ``pykeen``
needs PyKEEN (pip install pykeen): theirs and ours in turn, the fastest of three each, and their ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

MILLION = 1_000_000


def make_conceptnet(path: str, lines: str) -> None:
    """ConceptNet's five columns: 15% English pairs, terms from a pool of lines / 2, ~300 bytes of JSON."""
    import duckdb

    info = json.dumps(
        {
            "dataset": "/d/wiktionary/en",
            "license": "cc:by-sa/4.0",
            "sources": [
                {"contributor": "/s/resource/wiktionary/en", "process": "/s/process/wikiparsec/2"},
                {"contributor": "/s/resource/verbosity", "process": "/s/process/split_words"},
            ],
            "surfaceEnd": "the end of it",
            "surfaceStart": "the start",
        }
    )[:-1]
    relations = "['RelatedTo','IsA','Synonym','FormOf','DerivedFrom','AtLocation','UsedFor','HasContext']"
    languages = "['fr','de','ja','ru','es','it','pt','zh','nl','fi','sv','pl','la','ar','ko','tr','cs']"
    duckdb.sql(
        f"""COPY (
            SELECT '/a/[' || r || '/,' || h || '/,' || t || '/]' AS uri, r, h, t,
                   '{info}, "weight": ' || (1 + i % 7)::VARCHAR || '.0}}' AS info
            FROM (SELECT i, '/r/' || {relations}[1 + (hash(i, 1) % 8)::INT] AS r,
                         '/c/' || lang || '/term_' || (hash(i, 2) % {int(lines) // 2})::VARCHAR AS h,
                         '/c/' || lang || '/term_' || (hash(i, 3) % {int(lines) // 2})::VARCHAR || '/n' AS t
                  FROM (SELECT i, CASE WHEN hash(i, 4) % 100 < 15 THEN 'en'
                                       ELSE {languages}[1 + (hash(i, 5) % 17)::INT] END AS lang
                        FROM range({lines}) x(i)))
        ) TO '{path}' (FORMAT csv, DELIMITER '\t', HEADER false, QUOTE '', ESCAPE '')"""
    )


def make_triples(path: str, lines: str) -> None:
    """Tab-separated triples over 0.3 * lines entities and 40 relations."""
    import duckdb

    entities = int(lines) * 3 // 10
    duckdb.sql(
        f"""COPY (SELECT 'entity_' || (hash(i, 1) % {entities})::VARCHAR,
                         'relation_' || (hash(i, 2) % 40)::VARCHAR,
                         'entity_' || (hash(i, 3) % {entities})::VARCHAR FROM range({lines}) x(i))
            TO '{path}' (FORMAT csv, DELIMITER '\t', HEADER false)"""
    )


def import_ours(reader: str, path: str, out: str, memory_limit: str) -> dict[str, object]:
    """Import into a graph folder, arrays included."""
    import duckdb  # noqa: F401 (what the import loads, PyKEEN's is not timed either)
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401

    from knowclip.knowledge.readers.registry import import_graph

    before, clock, tables = memory("VmHWM"), Clock(), {}

    def report(stage: str, fraction: float) -> None:
        if stage == "mapping arrays":
            tables.update({f"tables_{key}": value for key, value in clock.read().items()})

    graph = import_graph(reader, Path(path), Path(out), memory_limit=memory_limit, report=report)
    return tables | clock.read() | {"before_mb": before, "peak_mb": memory("VmHWM")} | graph.counts


def import_pykeen(path: str) -> dict[str, object]:
    """PyKEEN's reader of the same file: mapped triples and label maps, in memory."""
    from pykeen.triples import TriplesFactory

    before, clock = memory("VmHWM"), Clock()
    factory = TriplesFactory.from_path(path)
    facts = clock.read() | {"before_mb": before, "peak_mb": memory("VmHWM")}
    counts = {"entities": factory.num_entities, "triplets": factory.num_triples}
    return facts | counts | {"pykeen": version("pykeen")}


def open_graph(out: str) -> dict[str, object]:
    """Open a graph: seconds, and all the resident memory it adds, mapped pages included."""
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

    before, clock = memory("VmRSS"), Clock()
    graph = KnowledgeGraph(out)
    return clock.read() | {"resident_growth_mb": memory("VmRSS") - before} | graph.counts


def sample(out: str) -> dict[str, object]:
    """Draw 100,000 text triplets: seconds, and the resident memory added that is not of mapped files."""
    from knowclip.data.graphs.sampler import TripletSampler
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

    graph = KnowledgeGraph(out)
    before, clock = memory("RssAnon"), Clock()
    sampler = TripletSampler(graph, batch_size=1000, steps_per_epoch=100, modality="text")
    drawn = sum(len(batch.head) for batch in sampler.epoch(0))
    return {"drawn": drawn} | clock.read() | {"anonymous_growth_mb": memory("RssAnon") - before}


class Clock:
    """Wall and CPU seconds since it was made; CPU counts all threads."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Seconds so far."""
        wall, cpu = time.perf_counter() - self.start[0], time.process_time() - self.start[1]
        return {"seconds": round(wall, 3), "cpu_seconds": round(cpu, 3)}


def memory(what: str) -> int:
    """Megabytes of ``/proc/self/status``: VmHWM is the peak, RssAnon what is not of mapped files."""
    return int(Path("/proc/self/status").read_text().split(f"{what}:")[1].split()[0]) // 1024


TASKS = {
    "make_conceptnet": make_conceptnet,
    "make_triples": make_triples,
    "import": import_ours,
    "pykeen": import_pykeen,
    "open": open_graph,
    "sample": sample,
}


def measure(task: str, *arguments: object) -> dict[str, Any]:
    """Run ``task`` of this file in a fresh process."""
    command = [sys.executable, __file__, "--task", task, *map(str, arguments)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def run(what: str, lines: int, *, memory_limit: str, scratch: Path | None) -> None:
    """Make a file of ``lines`` lines, measure, print."""
    reader = "conceptnet" if what == "conceptnet" else "triples"
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        file, graph = Path(folder) / ("file.csv" if what == "conceptnet" else "file.tsv"), f"{folder}/graph"
        measure(f"make_{reader}", file, lines)

        def show(name: str, facts: dict[str, object]) -> None:
            load = round(os.getloadavg()[0], 1)
            print(json.dumps({"what": name, "lines": lines} | facts | {"load": load}), flush=True)

        if what == "pykeen":
            against_pykeen(file, graph, memory_limit, show)
            return
        facts = measure("import", reader, file, graph, memory_limit)
        per_second = round(lines / facts["seconds"])
        show(f"import {reader}", {"bytes": file.stat().st_size, "lines_per_second": per_second} | facts)
        if what == "triples":
            show("open", measure("open", graph))
            show("sample", measure("sample", graph))


def against_pykeen(
    file: Path, graph: str, memory_limit: str, show: Callable[[str, dict[str, object]], None]
) -> None:
    """PyKEEN's reader and our import of the same file, in turn; the fastest of each."""
    theirs, ours, limited = [], [], []
    for turn in range(TURNS):
        theirs.append(measure("pykeen", file))
        ours.append(measure("import", "triples", file, f"{graph}-{turn}", memory_limit))
        limited.append(measure("import", "triples", file, f"{graph}-limited-{turn}", LITTLE_MEMORY))
    best = [min(facts, key=lambda one: float(one["seconds"])) for facts in (theirs, ours, limited)]
    show("pykeen", best[0])
    show("import triples", best[1])
    show("import triples, little memory", best[2])
    for name, our in (("import triples", best[1]), ("import triples, little memory", best[2])):
        ratios = {
            "times_faster": round(best[0]["seconds"] / our["seconds"], 2),
            "tables_times_faster": round(best[0]["seconds"] / our["tables_seconds"], 2),
            "memory_share": round(our["peak_mb"] / best[0]["peak_mb"], 3),
        }
        show(f"{name} / pykeen", ratios)


TURNS = 3
"""Of PyKEEN and us."""
SIZES = {"conceptnet": [1, 10, 30], "pykeen": [2], "triples": [1, 10, 30]}
"""Millions of lines."""
LITTLE_MEMORY = "150MB"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=[*SIZES, "all"], nargs="?", default="all")
    parser.add_argument("--million", type=float, nargs="+")
    parser.add_argument("--memory-limit", default="1GB")
    parser.add_argument("--scratch", type=Path)
    chosen = parser.parse_args()
    print(json.dumps({"cores": os.cpu_count(), "duckdb": version("duckdb")}), flush=True)
    for what in SIZES if chosen.what == "all" else [chosen.what]:
        for million in chosen.million or SIZES[what]:
            run(what, int(million * MILLION), memory_limit=chosen.memory_limit, scratch=chosen.scratch)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        print(json.dumps(TASKS[sys.argv[2]](*sys.argv[3:])))
    else:
        main()
