"""PyKEEN's ComplEx or RotatE on a split graph, ranked by our protocol: what Knowledge-CLIP is compared with.

    python benchmarks/link_prediction.py runs/cn100k/parts                     # ComplEx, three seeds
    python benchmarks/link_prediction.py runs/cn100k/parts --model RotatE --epochs 40

Embeddings are trained on the ``train`` graph alone. Every ``--every`` epochs the model completes the ``val``
triplets among their own entities, heads and tails, as the recipe ``cn100k`` selects; the best one then
completes the ``test`` triplets among all entities. Filter and realistic ranks are
``knowclip link-prediction``'s. Needs PyKEEN (pip install pykeen). An entity that no training triplet
has keeps its initial embedding. Prints one JSON object a seed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Collection, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from pykeen.models import ComplEx, RotatE
from pykeen.training import SLCWATrainingLoop
from pykeen.triples import CoreTriplesFactory

from knowclip.evaluation.feature_cache import Features
from knowclip.evaluation.links.prediction import LinkSet, read_links, run_link_prediction
from knowclip.evaluation.links.scorers import Side, View
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

MODELS = {"ComplEx": ComplEx, "RotatE": RotatE}
SIDES = ("tail", "head")


class Embeddings:
    """A trained PyKEEN model as a link scorer; ``h r t`` are complex vectors of width D, entities rows E.

    ComplEx scores Re(<h, r, conj(t)>), RotatE -|h r - t|: the larger, the larger its square's negative,
    ``2 Re(<h r, conj(t)>) - |t|^2`` but for what the query alone decides.
    """

    description = "PyKEEN"
    model_hash = "none"

    def __init__(self, model: torch.nn.Module, graph: KnowledgeGraph) -> None:
        with torch.no_grad():
            entities, relations = model.entity_representations[0](), model.relation_representations[0]()
            self.entities, self.relations = entities.numpy(), relations.numpy()
        a = graph.arrays
        self.row = {str(a.entity_text[i]): i for i in range(graph.counts["entities"])}
        self.relation = {str(a.relation_text[i]): i for i in range(graph.counts["relations"])}
        self.distance = isinstance(model, RotatE)

    def answers(self, side: Side, relations: Collection[str]) -> bool:
        """It is asked for ends alone."""
        return side in SIDES

    def tail_queries(self, heads: Sequence[View], relations: Sequence[str]) -> Features:
        """``h r`` as ``[Q, 2D]`` reals, and a 1."""
        return self._query(heads, relations, conjugate=False)

    def head_queries(self, relations: Sequence[str], tails: Sequence[View]) -> Features:
        """``t conj(r)``: the head that the relation turns into t."""
        return self._query(tails, relations, conjugate=True)

    def tail_candidates(self, entities: Sequence[View]) -> Features:
        """``[E, 2D + 1]``."""
        rows = self.entities[[self.row[str(entity)] for entity in entities]]
        reals = np.concatenate([rows.real, rows.imag], axis=1)
        last = -0.5 * (reals**2).sum(axis=1, keepdims=True) * self.distance
        return np.concatenate([reals, last], axis=1).astype(np.float32)

    head_candidates = tail_candidates

    def relation_scores(
        self, heads: Sequence[View], tails: Sequence[View], relations: Sequence[str]
    ) -> Features:
        """Not asked for."""
        raise NotImplementedError

    def _query(self, entities: Sequence[View], relations: Sequence[str], *, conjugate: bool) -> Features:
        rows = self.entities[[self.row[str(entity)] for entity in entities]]
        turns = self.relations[[self.relation[relation] for relation in relations]]
        product = rows * (turns.conj() if conjugate else turns)
        ones = np.ones((len(rows), 1))
        return np.concatenate([product.real, product.imag, ones], axis=1).astype(np.float32)


def mrr(links: LinkSet, scorer: Embeddings) -> dict[str, float]:
    """Metrics of both sides."""
    results = run_link_prediction(links, scorer, sides=SIDES)
    return {name: value for result in results for name, value in result.metrics.items()}


def run(
    path: Path, *, model: str, width: int, negatives: int, epochs: int, every: int, lr: float, seed: int
) -> dict[str, object]:
    """Train, select, test."""
    torch.manual_seed(seed)
    graph = KnowledgeGraph(path / "train")
    a, counts = graph.arrays, graph.counts
    triples = torch.tensor(np.stack([a.head, a.relation, a.tail], axis=1).astype(np.int64))
    factory = CoreTriplesFactory(
        triples,
        num_entities=counts["entities"],
        num_relations=counts["relations"],
        create_inverse_triples=False,
    )
    kge = MODELS[model](triples_factory=factory, embedding_dim=width, random_seed=seed)
    optimizer = torch.optim.Adam(kge.get_grad_params(), lr=lr)
    loop = SLCWATrainingLoop(
        model=kge,
        triples_factory=factory,
        optimizer=optimizer,
        negative_sampler_kwargs={"num_negs_per_pos": negatives},
    )
    val = read_links(path, split="val", known=("train", "val"), among="split")
    best, chosen, at, start = -1.0, kge, 0, time.perf_counter()
    for epoch in range(every, epochs + 1, every):
        loop.train(
            factory, num_epochs=epoch, batch_size=1024, use_tqdm=False, continue_training=epoch > every
        )
        found = mrr(val, Embeddings(kge, graph))
        score = (found["link_tail_mrr"] + found["link_head_mrr"]) / 2
        if score > best:
            best, chosen, at = score, deepcopy(kge), epoch
    seconds = time.perf_counter() - start
    test = mrr(read_links(path), Embeddings(chosen, graph))
    about = {
        "model": model,
        "width": width,
        "negatives": negatives,
        "seed": seed,
        "epoch": at,
        "seconds": round(seconds),
        "val": best,
    }
    return about | {name: round(value, 4) for name, value in test.items()}


def main() -> None:
    """Print what every seed finds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("graph", type=Path, help="folder of 'knowclip graph split'")
    parser.add_argument("--model", choices=MODELS, default="ComplEx")
    parser.add_argument("--width", type=int, default=200)
    parser.add_argument("--negatives", type=int, default=32, help="for each triplet")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = vars(parser.parse_args())
    path, seeds = options.pop("graph"), options.pop("seeds")
    for seed in seeds:
        print(json.dumps(run(path, seed=seed, **options)), flush=True)


if __name__ == "__main__":
    main()
