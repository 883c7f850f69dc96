"""Batches of triplets: mixing, order, resumption, modalities, images, negatives, neighbourhoods."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowclip.data.graphs.negatives import corrupt, known_true
from knowclip.data.graphs.neighbourhood import sample_neighbourhood
from knowclip.data.graphs.sampler import TripletBatch, TripletSampler
from knowclip.data.permutation import permute
from knowclip.knowledge.graph.edit import merge
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.staging import graph_builder
from knowclip.knowledge.graph.store import Source
from knowclip.types import ImageRef

IMAGES, REGIONS, WORDS = 30, 5, 60


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeGraph:
    """30 images of 5 regions in a chain (120 triplets), and 60 facts in words."""
    folder = tmp_path_factory.mktemp("graphs")
    with graph_builder(folder / "vg") as builder:
        builder.relation("on", "is on")
        for image in range(IMAGES):
            for region in range(REGIONS):
                id = f"vg/{image}/{region}"
                builder.entity(id, f"thing {region}")
                builder.image(id, f"{image}.jpg", box=(10 * region, 0, 10, 20), image_id=f"vg/{image}")
                if region:
                    builder.triplet(f"vg/{image}/{region - 1}", "on", id)
        builder.finish((Source("vg", "CC BY", image_root="/images"),))
    with graph_builder(folder / "words") as builder:
        for word in range(WORDS):
            builder.triplet(f"/c/en/a{word:02}", "is", f"/c/en/b{word % 7}")
        builder.finish((Source("words", "CC0"),))
    return merge([folder / "vg", folder / "words"], folder / "all")


def same(one: TripletBatch, other: TripletBatch) -> bool:
    arrays = ("rows", "heads", "relations", "tails", "sources")
    lists = ("head", "relation", "tail")
    return all(np.array_equal(getattr(one, x), getattr(other, x)) for x in arrays) and all(
        getattr(one, x) == getattr(other, x) for x in lists
    )


@given(st.integers(1, 3000), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3))
def test_permute_is_a_permutation(size: int, key: list[int]) -> None:
    assert sorted(permute(np.arange(size), size, key).tolist()) == list(range(size))


def test_permute_looks_random() -> None:
    orders = np.stack([permute(np.arange(1000), 1000, [seed]) for seed in range(200)])
    assert len(np.unique(orders[:, 0])) > 150  # no fixed first element
    assert abs(np.corrcoef(orders[0], np.arange(1000))[0, 1]) < 0.1
    assert abs(np.corrcoef(orders[0], orders[1])[0, 1]) < 0.1


def test_batches_depend_on_seed_epoch_step_alone(graph: KnowledgeGraph) -> None:
    def sampler(seed: int) -> TripletSampler:
        return TripletSampler(graph, batch_size=16, seed=seed, same_image=3, inverse=True)

    whole = list(sampler(1).epoch(2))
    resumed = list(sampler(1).epoch(2, start=4))
    assert len(whole) == len(sampler(1)) == 180 // 16
    assert all(same(a, b) for a, b in zip(whole[4:], resumed, strict=True))
    assert not same(whole[0], sampler(2).batch(2, 0)) and not same(whole[0], sampler(1).batch(3, 0))


def test_every_triplet_once_before_any_twice(graph: KnowledgeGraph) -> None:
    sampler = TripletSampler(graph, batch_size=18)
    seen = Counter(int(row) for batch in sampler.epoch(0) for row in batch.rows)
    assert seen == Counter(range(180))
    two = seen + Counter(int(row) for batch in sampler.epoch(1) for row in batch.rows)
    assert set(two.values()) == {2}


@pytest.mark.parametrize(
    ("options", "share"),
    [({}, 120 / 180), ({"temperature": 1e9}, 0.5), ({"proportions": {"vg": 1, "words": 3}}, 0.25)],
)
def test_sources_are_mixed_by_share(graph: KnowledgeGraph, options: dict, share: float) -> None:
    sampler = TripletSampler(graph, batch_size=10, steps_per_epoch=60, **options)
    counts = [int((batch.sources == 0).sum()) for batch in sampler.epoch(0)]
    assert sum(counts) == pytest.approx(600 * share, abs=1) and max(counts) - min(counts) <= 1
    assert all(len(batch.rows) == 10 for batch in sampler.epoch(1))


def test_a_source_left_out_is_not_drawn(graph: KnowledgeGraph) -> None:
    sampler = TripletSampler(graph, batch_size=8, proportions={"words": 1.0})
    assert all((batch.sources == 1).all() for batch in sampler.epoch(0))


def test_batch_says_what_the_graph_says(graph: KnowledgeGraph) -> None:
    a = graph.arrays
    batch = TripletSampler(graph, batch_size=30, modality="text").batch(0, 0)
    assert (a.head[batch.rows] == batch.heads).all() and (a.tail[batch.rows] == batch.tails).all()
    assert batch.head == [a.entity_text[i] for i in batch.heads]
    assert batch.relation == [a.relation_text[i] for i in batch.relations]
    assert {"is on", "is"} == set(batch.relation)


def test_modalities(graph: KnowledgeGraph) -> None:
    def images(modality: object) -> float:
        sampler = TripletSampler(
            graph, batch_size=60, steps_per_epoch=20, proportions={"vg": 1}, modality=modality
        )
        drawn = [end for batch in sampler.epoch(0) for end in batch.head + batch.tail]
        return sum(isinstance(end, ImageRef) for end in drawn) / len(drawn)

    assert images("text") == 0 and images("image") == images({"vg": "image"}) == 1
    assert images("random") == pytest.approx(0.5, abs=0.05) and images({"words": "text"}) == pytest.approx(
        0.5, abs=0.05
    )
    words = TripletSampler(graph, batch_size=20, proportions={"words": 1}, modality="image").batch(0, 0)
    assert all(isinstance(end, str) for end in words.head)  # there is no image to draw


def test_regions_with_context(graph: KnowledgeGraph) -> None:
    batch = TripletSampler(
        graph, batch_size=60, proportions={"vg": 1}, modality="image", context_margin=0.5
    ).batch(0, 0)
    for entity, image in zip(batch.heads, batch.head, strict=True):
        _, number, region = str(graph.arrays.entity_id[entity]).split("/")
        left = max(10 * int(region) - 5, 0)
        assert image == ImageRef(Path(f"/images/{number}.jpg"), (left, 0, 10 * int(region) + 15 - left, 30))


def test_triplets_of_one_image_come_together(graph: KnowledgeGraph) -> None:
    sampler = TripletSampler(graph, batch_size=12, proportions={"vg": 1}, same_image=3, steps_per_epoch=40)
    for batch in sampler.epoch(0):
        per_image = Counter(graph.arrays.group[batch.heads].tolist())
        assert len(set(batch.rows.tolist())) == 12
        assert sorted(per_image.values(), reverse=True)[:3] >= [3, 3, 3] and max(per_image.values()) <= 4
    alone = TripletSampler(graph, batch_size=12, proportions={"vg": 1}, steps_per_epoch=40)
    assert np.mean([len(set(graph.arrays.group[b.heads].tolist())) for b in alone.epoch(0)]) > 8


def test_companions_are_of_the_same_source(tmp_path: Path) -> None:
    """Two sources tell of the same images: each triplet and its companions are of one of them."""
    for name, relation in (("vg", "on"), ("mine", "touches")):
        with graph_builder(tmp_path / name) as builder:
            for image in range(8):
                for region in range(4):
                    id = f"vg/{image}/{region}"
                    builder.entity(id, f"thing {region}")
                    builder.image(id, f"{image}.jpg", box=(region, 0, 4, 4), image_id=f"vg/{image}")
                    if region:
                        builder.triplet(f"vg/{image}/{region - 1}", relation, id)
            builder.finish((Source(name, "CC0", image_root="/images"),))
    both = merge([tmp_path / "vg", tmp_path / "mine"], tmp_path / "both")
    alone = TripletSampler(both, batch_size=8, same_image=4, proportions={"vg": 1})
    assert {said for batch in alone.epoch(0) for said in batch.relation} == {"on"}
    mixed = TripletSampler(both, batch_size=8, same_image=3, modality={"vg": "image", "mine": "text"})
    for batch in mixed.epoch(0):
        assert [("on", "touches")[source] for source in batch.sources] == batch.relation
        shown = [isinstance(end, ImageRef) for end in batch.head]
        assert shown == [said == "on" for said in batch.relation]
        per_image = Counter(zip(batch.sources.tolist(), both.arrays.group[batch.heads].tolist(), strict=True))
        assert len(set(batch.rows.tolist())) == 8 and sorted(per_image.values()) == [1, 1, 3, 3]


def test_inverse_triplets(graph: KnowledgeGraph) -> None:
    a, R = graph.arrays, graph.counts["relations"]
    batch = TripletSampler(graph, batch_size=100, inverse=True, modality="text").batch(0, 0)
    turned = batch.relations >= R
    assert 30 < turned.sum() < 70
    assert (np.where(turned, batch.tails, batch.heads) == a.head[batch.rows]).all()
    assert (np.where(turned, batch.heads, batch.tails) == a.tail[batch.rows]).all()
    assert (batch.relations % R == a.relation[batch.rows]).all()
    assert all(
        text.startswith("inverse of ") == turn for text, turn in zip(batch.relation, turned, strict=True)
    )


@pytest.mark.parametrize("side", ["head", "tail"])
def test_known_true_and_corrupt(graph: KnowledgeGraph, side: str) -> None:
    batch = TripletSampler(graph, batch_size=60, inverse=True, proportions={"words": 1}).batch(0, 0)
    a, R = graph.arrays, graph.counts["relations"]
    facts = set(zip(a.head.tolist(), a.relation.tolist(), a.tail.tolist(), strict=True))

    def is_true(head: int, relation: int, tail: int) -> bool:
        return (tail, relation - R, head) in facts if relation >= R else (head, relation, tail) in facts

    true = known_true(graph, batch, side)
    for i in range(60):
        for j in range(60):
            head = batch.heads[j if side == "head" else i]
            tail = batch.tails[j if side == "tail" else i]
            assert true[i, j] == is_true(int(head), int(batch.relations[i]), int(tail))
    assert true.diagonal().all() and true.sum() > 60
    entities, mask = corrupt(graph, batch, 4, rng=np.random.default_rng(0), side=side)
    assert entities.shape == mask.shape == (60, 4) and mask.all()
    for i in range(60):
        for entity in entities[i].tolist():
            ends = (entity, batch.tails[i]) if side == "head" else (batch.heads[i], entity)
            assert not is_true(int(ends[0]), int(batch.relations[i]), int(ends[1]))


def test_corrupt_admits_when_everything_is_true(tmp_path: Path) -> None:
    with graph_builder(tmp_path / "g") as builder:
        for tail in "bcd":
            builder.triplet("a", "r", tail)
        builder.finish((Source("s", "l"),))
    full = KnowledgeGraph(tmp_path / "g")
    batch = TripletSampler(full, batch_size=3).batch(0, 0)
    assert not corrupt(full, batch, 2, rng=np.random.default_rng(0))[1].any()


def test_neighbourhood(graph: KnowledgeGraph) -> None:
    a = graph.arrays
    seeds = np.array([graph.entity("vg/3/4"), graph.entity("/c/en/b0"), graph.entity("vg/3/4")])
    found = sample_neighbourhood(graph, seeds, hops=2, fanout=5, rng=np.random.default_rng(0))
    assert found.seeds == 2 and found.entities[:2].tolist() == seeds[:2].tolist()
    assert (found.entities[found.heads] == a.head[found.rows]).all()
    assert (found.entities[found.tails] == a.tail[found.rows]).all()
    assert (found.relations == a.relation[found.rows]).all()
    assert len(set(found.rows.tolist())) == len(found.rows) and len(set(found.entities.tolist())) == len(
        found.entities
    )
    near = found.tails[found.hops == 1]
    assert Counter(near.tolist()) == {0: 1, 1: 5}  # one region before it; 5 of 9 words
    far = {graph.triplet(int(row)).tail for row in found.rows[found.hops == 2]}
    assert far == {"vg/3/3"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 4, "proportions": {"cc3m": 1}}, "no source cc3m; it has vg, words"),
        ({"batch_size": 4, "proportions": {"vg": -1}}, "none may be negative"),
        ({"batch_size": 4, "proportions": {"vg": 1}, "temperature": 2}, "not both"),
        ({"batch_size": 4, "temperature": 0}, "temperature=0"),
        ({"batch_size": 4, "modality": "sound"}, "modality 'sound': allowed are"),
        ({"batch_size": 1, "proportions": {"vg": 0.6, "words": 0.4}}, "too small to mix 2 sources"),
    ],
)
def test_arguments_are_checked(graph: KnowledgeGraph, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TripletSampler(graph, **options)
