"""Link prediction over 75,000 entities without a model: ranking alone, also against another version.

    python benchmarks/link_ranking.py
    python benchmarks/link_ranking.py --against SRC

Tails and heads of 2,000 triplets of a made graph, scored by random vectors of width 128, in CPU seconds of
one thread, best of three. SRC is the source folder of another version (``git worktree add OTHER COMMIT``,
then ``OTHER/src``): it runs this file too, and has to give the same metrics. What the matrix product of
queries and entities takes by itself is told beside: no ranking of all entities is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ENTITIES, RELATIONS, TRIPLETS, QUERIES, WIDTH, ROUNDS = 75_000, 20, 225_000, 2_000, 128, 3


class Random:
    """A link scorer that has a vector for each entity and relation, and adds them."""

    description = model_hash = "random vectors"

    def __init__(self) -> None:
        draw = np.random.default_rng(0)
        entities = draw.normal(size=(ENTITIES, WIDTH)).astype(np.float32)
        self.entities = entities / np.linalg.norm(entities, axis=1, keepdims=True)
        self.relations = draw.normal(size=(RELATIONS, WIDTH)).astype(np.float32)

    def tail_candidates(self, entities: Sequence[str]) -> np.ndarray:
        """As heads, too."""
        return self.entities[[int(name[1:]) for name in entities]]

    head_candidates = tail_candidates

    def tail_queries(self, heads: Sequence[str], relations: Sequence[str]) -> np.ndarray:
        """Head plus relation."""
        return self.tail_candidates(heads) + self.relations[[int(name[1:]) for name in relations]]

    def head_queries(self, relations: Sequence[str], tails: Sequence[str]) -> np.ndarray:
        """Tail less relation."""
        return self.tail_candidates(tails) - self.relations[[int(name[1:]) for name in relations]]


def make_graph(folder: Path) -> Path:
    """Entities e0, e1, ..., each in a triplet, some in many."""
    from knowclip.knowledge.readers.registry import import_graph

    draw = random.Random(0)
    few = [int(ENTITIES * draw.random() ** 3) for _ in range(2 * (TRIPLETS - ENTITIES))]
    pairs = [(head, draw.randrange(ENTITIES)) for head in range(ENTITIES)]
    pairs += zip(few[::2], few[1::2], strict=True)
    lines = (f"e{head}\tr{draw.randrange(RELATIONS)}\te{tail}\n" for head, tail in pairs)
    (folder / "triples.tsv").write_text("".join(lines))
    import_graph("triples", folder / "triples.tsv", folder / "graph")
    return folder / "graph"


def measure(graph: Path) -> dict[str, Any]:
    """Seconds of ranking, of the product alone, and the metrics."""
    try:
        from knowclip.evaluation.links.prediction import read_links, run_link_prediction
    except ImportError:  # where they stood at d911184
        from knowclip.evaluation.link_prediction import read_links, run_link_prediction
    links, scorer = read_links(graph, limit=QUERIES), Random()
    ranking, product = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        results = run_link_prediction(links, scorer, sides=("tail", "head"))
        ranking.append(time.process_time() - start)
        start = time.process_time()
        for _ in range(0, 2 * QUERIES, 250):
            scorer.entities[:250] @ scorer.entities.T
        product.append(time.process_time() - start)
    return {"ranking": min(ranking), "product": min(product), "metrics": [r.metrics for r in results]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, metavar="SRC", help="compare with another version")
    parser.add_argument("--graph", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.graph is not None:
        print(json.dumps(measure(options.graph)))
        return
    with tempfile.TemporaryDirectory() as folder:
        graph = make_graph(Path(folder))
        here = run(graph, Path(__file__).resolve().parents[1] / "src")
        print(f"{here['ranking']:.2f} CPU s, the product alone {here['product']:.2f}")
        if options.against is not None:
            there = run(graph, options.against)
            same = "the same metrics" if there["metrics"] == here["metrics"] else "OTHER METRICS"
            print(
                f"there {there['ranking']:.2f} CPU s, {same}: {there['ranking'] / here['ranking']:.2f} times"
            )


def run(graph: Path, source: Path) -> dict[str, Any]:
    """Measure a version in a process of its own."""
    variables = {"PYTHONPATH": str(source.resolve()), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--graph", str(graph)]
    output = subprocess.run(command, env=os.environ | variables, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(output.splitlines()[-1])


if __name__ == "__main__":
    main()
