"""Ancestors and descendants of a graph's entities, and which triplets they keep from being negatives."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from knowclip.data.graphs.collate import mixed
from knowclip.data.graphs.hierarchy import MOST, Hierarchy
from knowclip.data.graphs.queries import Queries, phrases
from knowclip.data.graphs.sampler import TripletBatch, TripletSampler
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.staging import graph_builder
from knowclip.knowledge.graph.store import Source
from knowclip.types import ImageRef
from tiny_graph import graph_steps, make_graph

FACTS = (
    ("dog", "/r/IsA", "mammal"), ("mammal", "/r/IsA", "animal"), ("cat", "/r/IsA", "mammal"),
    ("animal", "/r/HasA", "body"), ("dog", "/r/HasA", "tail"), ("house", "/r/IsA", "building"),
    ("dog", "kind", "pet"), ("red", "/r/IsA", "colour"), ("colour", "/r/IsA", "red"),
)  # fmt: skip


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeGraph:
    folder = tmp_path_factory.mktemp("hierarchy") / "g"
    with graph_builder(folder) as builder:
        builder.relation("/r/IsA", "is a")
        builder.relation("/r/HasA", "has")
        builder.relation("kind", "is some")
        for head, relation, tail in FACTS:
            builder.triplet(head, relation, tail)
        builder.finish((Source("words", "CC0"),))
    return KnowledgeGraph(folder)


def above(hierarchy: Hierarchy, name: str) -> set[str]:
    graph = hierarchy.graph
    return {str(graph.arrays.entity_id[up]) for up in hierarchy.ancestors(graph.entity(name))}


def test_ancestors_are_those_of_the_relations_that_lead_upwards(graph) -> None:
    usual = Hierarchy(graph)
    assert above(usual, "dog") == {"mammal", "animal"} and above(usual, "animal") == set()
    assert above(usual, "red") == {"colour"}  # round a circle, but not to itself
    assert above(Hierarchy(graph, ["is some"]), "dog") == {"pet"}
    assert above(Hierarchy(graph, ["/r/IsA", "kind"]), "dog") == {"mammal", "animal", "pet"}
    assert above(Hierarchy(graph, []), "dog") == set()


def test_kin_are_ancestors_and_descendants_not_cousins(graph) -> None:
    names = ["dog", "cat", "mammal", "animal", "building"]
    numbers = np.array([graph.entity(name) for name in names])
    kin = Hierarchy(graph).kin(numbers, numbers)
    assert (kin == kin.T).all()
    found = {(names[i], names[j]) for i, j in zip(*np.nonzero(kin), strict=True)}
    up = {("dog", "mammal"), ("dog", "animal"), ("cat", "mammal"), ("cat", "animal"), ("mammal", "animal")}
    assert found == up | {(high, low) for low, high in up}


def facts_of(graph: KnowledgeGraph, batch: TripletBatch) -> dict[tuple[str, str, str], int]:
    triplets = [graph.triplet(int(row)) for row in batch.rows]
    return {(t.head, t.relation, t.tail): number for number, t in enumerate(triplets)}


def test_related_triplets_of_a_step(graph) -> None:
    batch = TripletSampler(graph, batch_size=len(FACTS)).batch(0, 0)
    related, heads = Hierarchy(graph).related(batch), Hierarchy(graph).related(batch, heads=True)
    place = facts_of(graph, batch)

    def at(mask: np.ndarray, one: int, other: int) -> bool:
        return bool(mask[place[FACTS[one]], place[FACTS[other]]])

    dog, mammal, cat, body, tail, house = range(6)
    assert at(related, dog, mammal)  # "a dog is a": "animal" is above "mammal"
    assert at(related, tail, body)  # "a dog has": what an animal has
    assert not at(related, dog, house) and not at(related, dog, tail)
    assert not at(related, tail, mammal)  # "a dog has": an animal is above the dog, and no answer
    assert at(heads, dog, mammal) and not at(heads, dog, house)
    assert at(heads, dog, cat)  # "... is a mammal": what is below it
    assert not at(heads, tail, cat)  # "... has a tail"
    assert not Hierarchy(graph, []).related(batch).any()


def test_turned_triplets_are_related_by_the_same_relation(graph) -> None:
    batch = TripletSampler(graph, batch_size=len(FACTS), inverse=True).batch(0, 0)
    hierarchy = Hierarchy(graph)
    assert (batch.relations >= len(hierarchy.upward)).any()
    related = hierarchy.related(batch)
    kin = hierarchy.kin(batch.tails, batch.tails)
    assert related[kin].all() and related.any() and not related.all()


def test_far_ancestors_are_cut_and_circles_end(tmp_path) -> None:
    with graph_builder(tmp_path / "g") as builder:
        builder.relation("/r/IsA", "is a")
        for number in range(2 * MOST):
            builder.triplet(f"n{number:04}", "/r/IsA", f"n{(number + 1) % (2 * MOST):04}")
        builder.finish((Source("words", "CC0"),))
    hierarchy = Hierarchy(KnowledgeGraph(tmp_path / "g"))
    assert hierarchy.ancestors(0) == frozenset(range(1, MOST + 1))


def test_a_relation_that_is_not_there_is_told(graph) -> None:
    with pytest.raises(ValueError, match=r"data\.graph\.hierarchy names is-a, .* it has has, is a, is some"):
        Hierarchy(graph, ["is-a"])


def test_a_hierarchy_goes_to_other_processes_without_what_it_looked_up(graph) -> None:
    hierarchy = Hierarchy(graph, ["is some"])
    hierarchy.ancestors(graph.entity("dog"))
    assert above(pickle.loads(pickle.dumps(hierarchy)), "dog") == {"pet"}


def test_phrases_and_masks_of_a_step(tmp_path) -> None:
    graph = make_graph(tmp_path)
    steps = graph_steps(graph, batch_size=20, queries=Queries(Hierarchy(graph), heads=True))
    batch = steps[0]
    drawn = mixed(steps.sampler.batch(0, 0), np.random.default_rng([0, 0, 0, 1]))
    asks, asked = phrases(drawn), phrases(drawn, heads=True)
    for row, (head, relation, tail) in enumerate(zip(drawn.head, drawn.relation, drawn.tail, strict=True)):
        assert asks[row] == (relation if isinstance(head, ImageRef) else f"{head} {relation}")
        assert asked[row] == (relation if isinstance(tail, ImageRef) else f"{relation} {tail}")
    assert batch.tail_phrases.equal(steps._tokenize(asks)) and batch.head_phrases.equal(
        steps._tokenize(asked)
    )
    for name, heads in (("related_tails", False), ("related_heads", True)):
        expected = Hierarchy(graph).related(drawn, heads=heads) & ~np.eye(20, dtype=bool)
        assert getattr(batch, name).numpy().tolist() == expected.tolist() and expected.any()
    assert graph_steps(graph, batch_size=20, queries=Queries(Hierarchy(graph)))[0].head_phrases is None
