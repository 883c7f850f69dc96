"""Import and sampling of knowledge graphs at real size, each measurement in a fresh process.

    python benchmarks/graph_import.py conceptnet --million 1 10 30
    python benchmarks/graph_import.py triples --million 2 --against pykeen
    python benchmarks/graph_import.py sampling --million 10

Prints one JSON object a measurement: wall and CPU seconds and peak resident memory of the process that did
it (on a machine that is not quiet, compare CPU seconds). Files are made in a temporary folder (``--scratch``)
and removed. PyKEEN must be importable for ``--against pykeen``.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MILLION = 1_000_000


def make_conceptnet(path: Path, lines: int) -> None:
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
                         '/c/' || lang || '/term_' || (hash(i, 2) % {lines // 2})::VARCHAR AS h,
                         '/c/' || lang || '/term_' || (hash(i, 3) % {lines // 2})::VARCHAR || '/n' AS t
                  FROM (SELECT i, CASE WHEN hash(i, 4) % 100 < 15 THEN 'en'
                                       ELSE {languages}[1 + (hash(i, 5) % 17)::INT] END AS lang
                        FROM range({lines}) x(i)))
        ) TO '{path}' (FORMAT csv, DELIMITER '\t', HEADER false, QUOTE '', ESCAPE '')"""
    )


def make_triples(path: Path, lines: int) -> None:
    """Tab-separated triples over 0.3 * lines entities and 40 relations."""
    import duckdb

    entities = lines * 3 // 10
    duckdb.sql(
        f"""COPY (SELECT 'entity_' || (hash(i, 1) % {entities})::VARCHAR,
                         'relation_' || (hash(i, 2) % 40)::VARCHAR,
                         'entity_' || (hash(i, 3) % {entities})::VARCHAR FROM range({lines}) x(i))
            TO '{path}' (FORMAT csv, DELIMITER '\t', HEADER false)"""
    )


def import_ours(reader: str, path: Path, out: Path, memory_limit: str) -> dict[str, object]:
    """Import into a graph folder, arrays included."""
    from knowclip.knowledge.readers.registry import import_graph

    clock = Clock()
    graph = import_graph(reader, path, out, memory_limit=memory_limit)
    facts = clock.read() | {"peak_mb": peak_megabytes()}
    clock = Clock()
    type(graph)(out)
    return facts | {"open_seconds": clock.read()["seconds"]} | graph.counts


def import_pykeen(path: Path) -> dict[str, object]:
    """PyKEEN's reader of the same file."""
    from pykeen.triples import TriplesFactory

    clock = Clock()
    factory = TriplesFactory.from_path(path)
    facts = clock.read() | {"peak_mb": peak_megabytes()}
    return facts | {"entities": factory.num_entities, "triplets": factory.num_triples}


def sample(out: Path) -> dict[str, object]:
    """Draw 100,000 text triplets."""
    from knowclip.data.triplets import TripletSampler
    from knowclip.knowledge.graph import KnowledgeGraph

    clock = Clock()
    graph = KnowledgeGraph(out)
    opened = clock.read()["seconds"]
    before = anonymous_megabytes()
    clock = Clock()
    sampler = TripletSampler(graph, batch_size=1000, steps_per_epoch=100, modality="text")
    drawn = sum(len(batch.head) for batch in sampler.epoch(0))
    facts = clock.read() | {"anonymous_growth_mb": anonymous_megabytes() - before}
    return {"open_seconds": opened, "drawn": drawn} | facts | graph.counts


class Clock:
    """Wall and CPU seconds since it was made; CPU counts all threads."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Seconds so far."""
        wall, cpu = time.perf_counter() - self.start[0], time.process_time() - self.start[1]
        return {"seconds": round(wall, 3), "cpu_seconds": round(cpu, 3)}


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def anonymous_megabytes() -> float:
    """Resident memory that is not of mapped files."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def measure(task: str, *arguments: str) -> dict[str, object]:
    """Run ``task`` of this file in a fresh process."""
    command = [sys.executable, __file__, "--task", task, *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def run_task(task: str, arguments: list[str]) -> None:
    tasks = {
        "import": lambda reader, path, out, limit: import_ours(reader, Path(path), Path(out), limit),
        "pykeen": lambda path: import_pykeen(Path(path)),
        "sample": lambda out: sample(Path(out)),
    }
    print(json.dumps(tasks[task](*arguments)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("conceptnet", "triples", "sampling"))
    parser.add_argument("--million", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--memory-limit", default="1GB")
    parser.add_argument("--against", choices=("pykeen",))
    parser.add_argument("--scratch", type=Path)
    chosen = parser.parse_args()
    for million in chosen.million:
        lines = int(million * MILLION)
        with tempfile.TemporaryDirectory(dir=chosen.scratch) as scratch:
            conceptnet = chosen.what == "conceptnet"
            file = Path(scratch) / ("assertions.csv" if conceptnet else "triples.tsv")
            (make_conceptnet if conceptnet else make_triples)(file, lines)
            reader = "conceptnet" if conceptnet else "triples"
            facts = measure("import", reader, str(file), f"{scratch}/graph", chosen.memory_limit)
            facts["lines_per_second"] = round(lines / float(str(facts["seconds"])))
            print(
                json.dumps({"what": reader, "lines": lines, "bytes": file.stat().st_size} | facts), flush=True
            )
            if chosen.what == "sampling":
                print(json.dumps({"what": "sampling"} | measure("sample", f"{scratch}/graph")), flush=True)
            if chosen.against:
                print(json.dumps({"what": "pykeen"} | measure("pykeen", str(file))), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        run_task(sys.argv[2], sys.argv[3:])
    else:
        main()
