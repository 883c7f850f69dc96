"""Link prediction over a knowledge graph: complete ``(h, r, ?)``, ``(?, r, t)`` and ``(h, ?, t)``.

Filtered (what any split knows to be right is left out), realistic ranks. An image tail is also ranked against
the entities of its own image only: against all others the background may give it away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowclip.console.progress import Stages
from knowclip.data.graphs.checks import relation_words
from knowclip.evaluation.links.ranks import Ranks, filtered_ranks, hits_at_k, rank_metrics, select
from knowclip.evaluation.links.scorers import LinkScorer, ReadsOnce, Side, TellsReading, View
from knowclip.evaluation.metrics import NoDataError, macro_average
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.split import PARTS
from knowclip.knowledge.graph.store import MANIFEST
from knowclip.types import Result, Triplet

Indices = NDArray[np.int64]
SIDES: tuple[Side, ...] = ("tail", "head", "relation")
Modality = Literal["text", "image"]
CHUNK = 256
"""Queries whose scores against all entities are held at once."""
COMPARED = 1024
"""Candidates between two signs of life."""


@dataclass(frozen=True)
class LinkSet:
    """n triplets of a graph to complete, the entities among which, and what is known besides.

    Args:
        graph: the split that holds the triplets.
        parts: all splits, for the filter.
        rows: triplets to complete, ``[n]``.
        candidates: entities that are ranked, ``[E]``.
        views: how each of them is shown, ``[E]``.
        split: name of the split; "all" of a whole graph.
    """

    graph: KnowledgeGraph
    parts: tuple[KnowledgeGraph, ...]
    rows: Indices
    candidates: Indices
    views: tuple[View, ...]
    split: str = "all"

    @property
    def relations(self) -> list[str]:
        """The graph's relations in words, by number.

        Raises:
            ValueError: one has no words.
        """
        return relation_words(self.graph)


class _Queries(NamedTuple):
    """Of a chunk of triplets: scores ``[Q, E]``, the right column, columns known to be right too."""

    scores: NDArray[np.float32]
    true: Indices
    known: list[Indices]


def read_links(
    path: Path,
    *,
    split: str | None = None,
    modality: Modality = "text",
    among: Literal["all", "split"] = "all",
    limit: int | None = None,
    seed: int = 0,
    known: Sequence[str] = PARTS,
    image_roots: Mapping[str, Path] | None = None,
) -> LinkSet:
    """Open a graph that ``knowclip graph split`` has split, or a whole one (filtered by itself).

    Args:
        path: folder with ``train``, ``val``, ``test``; or a graph's own folder.
        split: whose triplets are completed; default: test. A whole graph has none.
        modality: how entities that have both are shown; the others as they can be. Of several images the
            first.
        among: rank all entities of the graph that are in a triplet, or those of this split only.
        limit: at most so many triplets, drawn with ``seed``.
        seed: of that draw.
        known: splits that are opened, for the filter and for candidates; selection leaves out the test split.
        image_roots: source -> folder of its images; see ``KnowledgeGraph``.

    Raises:
        ValueError: no graph, no such split, or an entity with neither text nor image.
    """
    roots: dict[str, str | Path] = dict(image_roots or {})
    parts: tuple[KnowledgeGraph, ...]
    if (path / MANIFEST).is_file():
        if set(known) != set(PARTS):
            raise ValueError(
                f"{path} is a whole graph; give the folder that 'knowclip graph split' made of it"
            )
        if split is not None or among == "split":
            raise ValueError(f"{path} is a whole graph without splits: leave out split and among=split")
        graph = KnowledgeGraph(path, image_roots=roots)
        parts, named = (graph,), "all"
    else:
        named = split or "test"
        there = [part for part in known if (path / part / MANIFEST).is_file()]
        graphs = {part: KnowledgeGraph(path / part, image_roots=roots) for part in there}
        if named not in graphs:
            raise ValueError(
                f"{path} has no graph {named!r}; it has {list(graphs) or 'none'}: see 'graph split'"
            )
        graph, parts = graphs[named], tuple(graphs.values())
    rows = np.arange(graph.counts["triplets"])
    if limit is not None and limit < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False))
    if not len(rows):
        raise NoDataError(f"{graph.path} has no triplets")
    used = [part.arrays for part in (parts if among == "all" else (graph,))]
    candidates = np.unique(np.concatenate([np.concatenate([a.head, a.tail]) for a in used])).astype(np.int64)
    views = tuple(view_of(graph, int(entity), modality) for entity in candidates)
    return LinkSet(graph, parts, rows, candidates, views, named)


def also_in(links: LinkSet, graph: KnowledgeGraph) -> list[Triplet]:
    """Triplets to complete that ``graph`` holds too, by ids: a model that learned from it has seen them."""
    entity, relation = graph.arrays.entity_id.find, graph.arrays.relation_id.find
    wanted = [links.graph.triplet(int(row)) for row in links.rows]
    found = [(entity(t.head), relation(t.relation), entity(t.tail)) for t in wanted]
    there = [number for number, indices in enumerate(found) if None not in indices]
    indices = np.array([found[number] for number in there], dtype=np.int64).reshape(-1, 3)
    held = graph.contains(*indices.T)
    return [wanted[number] for number, is_held in zip(there, held, strict=True) if is_held]


def view_of(graph: KnowledgeGraph, entity: int, modality: Modality) -> View:
    """How an entity is shown: in the modality asked for if it has that, else in the other.

    Raises:
        ValueError: it has neither.
    """
    text, images = graph.arrays.entity_text[entity], graph.images(entity)
    if images and (modality == "image" or text is None):
        return images[0]
    if text is None:
        name = graph.arrays.entity_id[entity]
        raise ValueError(f"entity {name!r} of {graph.path} has neither text nor image; filter it out")
    return text


def answered_sides(links: LinkSet, scorer: LinkScorer) -> tuple[Side, ...]:
    """Those of all that the scorer has learned to answer."""
    relations = links.relations
    return tuple(side for side in SIDES if scorer.answers(side, relations))


def run_link_prediction(
    links: LinkSet, scorer: LinkScorer, *, sides: Sequence[Side] = SIDES, progress: Stages | None = None
) -> list[Result]:
    """One Result a side: ``link_tail``, ``link_head``, ``link_relation``; the main metric is MRR."""
    run = _Run(links, scorer, sides, progress)
    return [run.side(side) for side in sides]


def predict_tails(
    scorer: LinkScorer,
    head: View,
    relation: str,
    candidates: Sequence[View],
    *,
    k: int = 10,
    progress: Callable[[int], None] = lambda done: None,
) -> list[tuple[int, float]]:
    """The best ``k`` candidates for ``(head, relation, ?)``: position and cosine, best first.

    Raises:
        ValueError: a score is NaN.
    """
    query, parts = scorer.tail_queries([head], [relation])[0], []
    for start in range(0, len(candidates), COMPARED):
        some = candidates[start : start + COMPARED]
        parts.append(scorer.tail_candidates(some) @ query)
        progress(start + len(some))
    scores = np.concatenate(parts)
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN; the weights have diverged: take an earlier checkpoint")
    # stable: equal scores keep the order of the candidates on every machine
    best = np.argsort(-scores, kind="stable")[:k]
    return [(int(index), float(scores[index])) for index in best]


def tails_like(scorer: LinkScorer, head: View, candidates: Sequence[View], *, k: int = 10) -> set[int]:
    """The ``k`` candidates most like the head alone, whatever the relation: positions."""
    scores = scorer.tail_candidates(candidates) @ scorer.tail_candidates([head])[0]
    return {int(index) for index in np.argsort(-scores, kind="stable")[:k]}


def known_tails(graph: KnowledgeGraph, head: int, relation: str) -> set[int]:
    """Entities that the graph has as tails of ``head`` by a relation in these words."""
    a, rows = graph.arrays, graph.outgoing(head)
    return {int(a.tail[row]) for row in rows if a.relation_text[a.relation[row]] == relation}


class _Run:
    """One model on one set of triplets."""

    def __init__(
        self, links: LinkSet, scorer: LinkScorer, sides: Sequence[Side], progress: Stages | None
    ) -> None:
        self.links, self.scorer, self.progress = links, scorer, progress
        self.roles = tuple(side for side in sides if side != "relation")
        self.encoded: dict[Side, NDArray[np.float32]] = {}
        a = links.graph.arrays
        self.heads, self.relations, self.tails = (
            np.asarray(column[links.rows], dtype=np.int64) for column in (a.head, a.relation, a.tail)
        )
        self.phrases = links.relations
        # relations of two graphs may share their words, which is all that a model reads of them
        self.phrase = np.unique(self.phrases, return_inverse=True)[1]
        # -1 of an entity that is no candidate: _known leaves those out
        self.column = np.full(links.graph.counts["entities"], -1)
        self.column[links.candidates] = np.arange(len(links.candidates))
        self.group = np.asarray(a.group)
        self.candidate_group = self.group[links.candidates]

    def side(self, side: Side) -> Result:
        """Rank every query of a side."""
        found, inside = [], []
        for chunk, asked in self._asked(side):
            found.append(filtered_ranks(asked.scores, asked.true, asked.known))
            if side == "tail":
                inside += self._same_image(chunk, asked)
            if self.progress is not None:
                self.progress(f"ranking {side}s", int(chunk[-1]) + 1, len(self.links.rows))
        return self._result(side, _joined(found), _same_image_metrics(inside))

    def _asked(self, side: Side) -> Iterator[tuple[Indices, _Queries]]:
        """The queries of a side, a chunk at a time; the scores of one are written over those before it."""
        starts = range(0, len(self.links.rows), CHUNK)
        chunks = [np.arange(start, min(start + CHUNK, len(self.links.rows))) for start in starts]
        if side == "relation":
            yield from ((chunk, self._relation_queries(chunk)) for chunk in chunks)
            return
        with self._told():
            candidates = self._candidates(side)
        scores = np.empty((len(chunks[0]), len(candidates)), dtype=candidates.dtype)
        for chunk in chunks:
            yield chunk, self._entity_queries(side, candidates, chunk, scores[: len(chunk)])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Have the scorer tell how far it is with reading entities, of which there may be millions."""
        tell, scorer = self.progress, self.scorer
        if tell is None or not isinstance(scorer, TellsReading):
            yield
            return
        before, scorer.progress = scorer.progress, lambda what, *counts: tell(f"reading {what}", *counts)
        try:
            yield
        finally:
            scorer.progress = before

    def _candidates(self, side: Side) -> NDArray[np.float32]:
        """The entities as answers of a side, ``[E, D]``; the other's are kept if both are read at once."""
        if not isinstance(self.scorer, ReadsOnce):
            return getattr(self.scorer, f"{side}_candidates")(self.links.views)
        if side not in self.encoded:
            self.encoded = self.scorer.candidates(self.links.views, self.roles)
        return self.encoded.pop(side)

    def _entity_queries(
        self, side: Side, candidates: NDArray[np.float32], chunk: Indices, scores: NDArray[np.float32]
    ) -> _Queries:
        """Scores are written into ``scores``, ``[Q, E]``."""
        phrases = [self.phrases[relation] for relation in self.relations[chunk]]
        given, wanted = (self.heads, self.tails) if side == "tail" else (self.tails, self.heads)
        views = [self.links.views[self.column[entity]] for entity in given[chunk]]
        ask = self.scorer.tail_queries
        queries = ask(views, phrases) if side == "tail" else self.scorer.head_queries(phrases, views)
        known = [self._known(side, int(row)) for row in chunk]
        return _Queries(np.matmul(queries, candidates.T, out=scores), self.column[wanted[chunk]], known)

    def _relation_queries(self, chunk: Indices) -> _Queries:
        heads, tails = (
            [self.links.views[self.column[entity]] for entity in ends[chunk]]
            for ends in (self.heads, self.tails)
        )
        scores = self.scorer.relation_scores(heads, tails, self.phrases)
        return _Queries(scores, self.relations[chunk], [self._known("relation", int(row)) for row in chunk])

    def _known(self, side: Side, row: int) -> Indices:
        """Columns that any split knows to complete triplet ``row`` on this side, by relations' words."""
        h, r, t = self.heads[row], self.phrase[self.relations[row]], self.tails[row]
        found = []
        for part in self.links.parts:
            a = part.arrays
            if side == "head":
                rows = part.incoming(t)
                found.append(a.head[rows[self.phrase[a.relation[rows]] == r]])
            else:
                rows = part.outgoing(h)
                fits = self.phrase[a.relation[rows]] == r if side == "tail" else a.tail[rows] == t
                found.append((a.tail if side == "tail" else a.relation)[rows[fits]])
        columns = np.concatenate(found).astype(np.int64)
        if side == "relation":
            return np.flatnonzero(np.isin(self.phrase, self.phrase[columns]))
        placed = self.column[columns]
        return np.asarray(placed[placed >= 0])

    def _same_image(self, chunk: Indices, asked: _Queries) -> list[Ranks]:
        """Ranks where all candidates are entities of the tail's image, its head left out (K4)."""
        groups = self.group[self.tails[chunk]]
        at = np.flatnonzero(groups >= 0)
        if not len(at):
            return []
        members = {g: np.flatnonzero(self.candidate_group == g) for g in np.unique(groups[at])}
        allowed = [
            members[g][members[g] != self.column[h]]
            for g, h in zip(groups[at], self.heads[chunk][at], strict=True)
        ]
        known = [asked.known[place] for place in at]
        return [filtered_ranks(asked.scores[at], asked.true[at], known, allowed=allowed)]

    def _result(self, side: Side, ranks: Ranks, extra: dict[str, float]) -> Result:
        name, graph = f"link_{side}", self.links.graph
        texts = [self.phrases[relation] for relation in self.relations]
        # by words: relations of two sources that read alike are one to a model
        reciprocal = macro_average(1 / ranks.rank, texts)
        metrics = rank_metrics(ranks, prefix=f"{name}_")
        metrics[f"{name}_mrr_per_relation"] = reciprocal.value
        names = np.array(texts)
        per_relation = {
            relation: {**rank_metrics(select(ranks, names == relation)), "n": count}
            for relation, count in reciprocal.counts.items()
        }
        triplets = [graph.triplet(int(row)) for row in self.links.rows]
        items: dict[str, Any] = {
            "key": np.array([f"{t.head}|{t.relation}|{t.tail}" for t in triplets]),
            "image_id": np.array([t.head if side != "head" else t.tail for t in triplets]),
            "rank": ranks.rank,
            "correct": 1 / ranks.rank,
        }
        details = {
            "title": f"Link prediction, {side}",
            "protocol": "filtered, realistic ranks; " + self.scorer.description,
            "flaws": "a graph lacks many true triplets: what is right and not in it counts as wrong",
            "missing_images": 0,
            "candidates": float(np.mean(ranks.candidates)),
            "relations": per_relation,
            "classes": {
                relation: {"accuracy": facts["mrr"], "n": facts["n"]}
                for relation, facts in per_relation.items()
            },
        }
        return Result(name, f"{name}_mrr", len(ranks.rank), metrics | extra, items, details)


def _same_image_metrics(found: Sequence[Ranks]) -> dict[str, float]:
    """E2E accuracy (K4) among the entities of the tail's image, where there are several."""
    ranks = _joined(found) if found else None
    if ranks is None or not (several := ranks.candidates > 1).any():
        return {}
    ranks = select(ranks, several)
    return {
        "link_tail_same_image_accuracy": hits_at_k(ranks, 1),
        "link_tail_same_image_chance": float(np.mean(1 / ranks.candidates)),
        "link_tail_same_image_n": float(len(ranks.rank)),
    }


def _joined(parts: Sequence[Ranks]) -> Ranks:
    return Ranks(
        np.concatenate([part.rank for part in parts]), np.concatenate([part.candidates for part in parts])
    )
