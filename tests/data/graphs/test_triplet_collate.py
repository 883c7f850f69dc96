"""Steps of triplets as tensors: entities once, known truths, neighbourhoods, shares, mistakes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from knowclip.data.graphs.collate import Neighbours, mixed, relation_vocabulary
from knowclip.data.graphs.negatives import known_true
from knowclip.data.graphs.rows import take
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.staging import graph_builder
from knowclip.knowledge.graph.store import Source
from knowclip.types import GraphBatch
from tiny_graph import PICTURES, THINGS, graph_steps, make_graph

NEAR = Neighbours(hops=2, fanout=2)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeGraph:
    return make_graph(tmp_path_factory.mktemp("graph"))


def entity_keys(batch: GraphBatch) -> list[bytes]:
    images = [] if batch.images is None else list(batch.images)
    return [row.numpy().tobytes() for row in [*batch.texts, *images]]


def shown(batch: GraphBatch) -> list[tuple]:
    """Head, relation and tail of each triplet as the encoders read them."""
    entities = entity_keys(batch)
    relations = [tuple(row.tolist()) for row in batch.relation_texts]
    return [(entities[h], relations[r], entities[t]) for h, r, t in batch.triplets.tolist()]


def test_a_step_holds_its_triplets_and_each_entity_once(graph) -> None:
    steps = graph_steps(graph, batch_size=12, neighbours=NEAR)
    batch = steps[0]
    keys = entity_keys(batch)
    assert len(keys) == len(batch.texts) + len(batch.images)
    assert len(set(keys)) == len(keys)
    used = torch.cat([batch.triplets[:, 0], batch.triplets[:, 2], batch.nodes]).unique()
    assert used.tolist() == list(range(len(keys)))
    drawn = mixed(steps.sampler.batch(0, 0), np.random.default_rng([0, 0, 0, 1]))
    assert batch.relation_labels.tolist() == drawn.relations.tolist()
    tokens = steps._tokenize(drawn.relation)
    assert torch.equal(batch.relation_texts[batch.triplets[:, 1]][:, : tokens.shape[1]], tokens)
    for row, end in enumerate(drawn.tail):
        number = int(batch.triplets[row, 2])
        if isinstance(end, str):
            expected = steps._tokenize([end])[0]
            assert torch.equal(batch.texts[number][: len(expected)], expected)
        else:
            assert torch.equal(batch.images[number - len(batch.texts)], steps._load_images([end])[0])


def test_known_truths_are_the_graph_s_and_what_reads_the_same(graph) -> None:
    steps = graph_steps(graph, batch_size=26, modality="text", same_image=1)
    batch = steps[0]
    drawn = mixed(steps.sampler.batch(0, 0), np.random.default_rng([0, 0, 0, 1]))
    for name, side in (("known_tails", "tail"), ("known_heads", "head")):
        known = getattr(batch, name)
        assert not known.diagonal().any()
        stated = known_true(graph, drawn, side=side)
        assert known[torch.from_numpy(stated & ~np.eye(26, dtype=bool))].all()
    triplets = list(zip(drawn.head, drawn.relation, drawn.tail, strict=True))
    for i, (head, relation, tail) in enumerate(triplets):
        for j, (other, _, end) in enumerate(triplets):
            if i != j and (head, relation, end) in triplets:
                assert batch.known_tails[i, j]
            if i != j and (other, relation, tail) in triplets:
                assert batch.known_heads[i, j]
    assert not batch.known_tails.all()


def test_relations_with_the_same_words_are_the_same_query(tmp_path) -> None:
    """ConceptNet and VisualSem both have "is a": what one says of a dog is true of the other's query too."""
    with graph_builder(tmp_path / "g") as builder:
        builder.relation("/r/IsA", "is a")
        builder.relation("visualsem:is-a", "is a")
        builder.triplet("dog", "/r/IsA", "animal")
        builder.triplet("dog", "visualsem:is-a", "pet")
        builder.triplet("cat", "visualsem:is-a", "animal")
        builder.triplet("dog", "has", "tail")
        builder.finish((Source("words", "CC0"),))
    batch = graph_steps(KnowledgeGraph(tmp_path / "g"), batch_size=4, same_image=1)[0]
    said = [(key.split()[0], " ".join(key.split()[1:-1]), key.split()[-1]) for key in batch.keys]
    for i, (head, relation, tail) in enumerate(said):
        for j, (other, _, end) in enumerate(said):
            assert batch.known_tails[i, j] == (i != j and (head, relation, end) in said)
            assert batch.known_heads[i, j] == (i != j and (other, relation, tail) in said)
    assert batch.known_tails.any() and batch.known_heads.any()


def test_groups_are_of_triplets_within_one_image(graph) -> None:
    batch = graph_steps(graph, batch_size=26)[0]
    inside = [key.startswith("vg/") for key in batch.keys]
    assert (batch.image_groups >= 0).tolist() == inside
    for i, one in enumerate(batch.keys):
        for j, other in enumerate(batch.keys):
            if inside[i] and inside[j]:
                same = one.split("/")[1] == other.split("/")[1]
                assert (batch.image_groups[i] == batch.image_groups[j]).item() == same


def test_neighbourhood_edges_are_triplets_of_the_graph(graph) -> None:
    steps = graph_steps(graph, batch_size=10, neighbours=NEAR, modality="text")
    batch = steps[0]
    a = graph.arrays
    texts = {tuple(row.tolist()) for row in batch.texts}
    assert len(texts) == len(batch.texts)
    pairs = {(a.entity_text[h], a.entity_text[t]) for h, t in zip(a.head, a.tail, strict=True)}
    width = batch.texts.shape[1]
    names = {}
    for text in {text for pair in pairs for text in pair}:
        ids = steps._tokenize([text])[0].tolist()
        names[tuple(ids + [0] * (width - len(ids)))] = text
    for head, tail in batch.edges.tolist():
        ends = [names[tuple(batch.texts[batch.nodes[node]].tolist())] for node in (head, tail)]
        assert tuple(ends) in pairs
    assert torch.equal(batch.nodes[batch.seeds], batch.triplets[:, 2])
    ended = torch.bincount(batch.edges[:, 1], minlength=len(batch.nodes)) > 0
    assert ended[batch.seeds].all()


def test_shuffled_neighbours_keep_numbers_but_not_truth(graph) -> None:
    true, shuffled = (
        graph_steps(graph, batch_size=20, neighbours=Neighbours(2, 3, shuffled=control))[1]
        for control in (False, True)
    )
    assert torch.equal(true.edges[:, 1], shuffled.edges[:, 1])
    assert torch.equal(true.edges[:, 0].sort().values, shuffled.edges[:, 0].sort().values)
    assert (true.edges != shuffled.edges).any()
    assert torch.equal(true.triplets, shuffled.triplets)


@pytest.mark.parametrize("neighbours", [None, NEAR])
@pytest.mark.parametrize("world_size", [2, 3])
def test_shares_of_processes_make_up_the_step(graph, world_size, neighbours) -> None:
    def step(**options) -> GraphBatch:
        return graph_steps(graph, batch_size=10, neighbours=neighbours, inverse=True, **options)[1]

    whole = step()
    parts = [step(rank=rank, world_size=world_size) for rank in range(world_size)]
    assert [key for part in parts for key in part.keys] == list(whole.keys)
    for name in ("relation_labels", "image_groups", "known_tails", "known_heads"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    start = 0
    for part in parts:
        same = take(whole, slice(start, start := start + len(part.keys)))
        assert shown(same) == [tuple(x) for x in shown(pad(part, whole))]
        if neighbours is not None:
            assert torch.equal(same.edges, part.edges) and torch.equal(same.seeds, part.seeds)
            assert torch.equal(same.nodes, part.nodes)


def pad(part: GraphBatch, whole: GraphBatch) -> GraphBatch:
    """The same texts, as wide as in ``whole``."""
    import dataclasses

    def wide(ids: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(ids, [0, like.shape[1] - ids.shape[1]])

    return dataclasses.replace(
        part,
        texts=wide(part.texts, whole.texts),
        relation_texts=wide(part.relation_texts, whole.relation_texts),
    )


def test_a_single_triplet(graph) -> None:
    batch = graph_steps(graph, batch_size=1, proportions={"words": 1}, neighbours=NEAR, same_image=1)[0]
    assert batch.triplets.shape == (1, 3) and batch.images is None
    assert batch.known_tails.tolist() == [[False]]


def test_items_are_functions_of_epoch_and_step(graph) -> None:
    one, other = graph_steps(graph, neighbours=NEAR), graph_steps(graph, neighbours=NEAR)
    one[0], one[1]
    assert shown(one[2]) == shown(other[2])
    other.set_epoch(1)
    assert shown(one[2]) != shown(other[2])


def test_relation_vocabulary(graph) -> None:
    words = relation_vocabulary(graph, inverse=False)
    assert sorted(words) == ["beside", "has", "is a", "on", "under"]
    assert relation_vocabulary(graph, inverse=True)[5:] == [f"inverse of {word}" for word in words]


def test_more_processes_than_triplets(graph) -> None:
    with pytest.raises(ValueError, match="step of 2 triplets cannot be shared by 3 processes"):
        graph_steps(graph, batch_size=2, world_size=3, proportions={"words": 1})


def test_missing_crop_file_is_named(graph, tmp_path) -> None:
    moved = KnowledgeGraph(graph.path, image_roots={"regions": tmp_path / "nowhere"})
    with pytest.raises(
        ValueError, match=r"nowhere/\d\.png does not exist; say where .* data\.graph\.image_roots"
    ):
        graph_steps(moved, modality="image", proportions={"regions": 1})[0]


def test_graph_of_the_tests_is_as_described(graph) -> None:
    assert graph.counts["triplets"] == 2 * PICTURES + 2 * len(THINGS)
