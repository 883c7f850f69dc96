"""Graphs that nothing can learn from are refused, and what they lack is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowclip.data.graphs.checks import refuse_undescribed, refuse_unreadable, relation_words
from knowclip.data.graphs.collate import graph_images, relation_vocabulary
from knowclip.data.graphs.sampler import TripletSampler
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.staging import graph_builder
from knowclip.knowledge.graph.store import Source

SOURCE = Source("hand", "CC0", image_root="/pictures")


def test_entities_with_neither_text_nor_image_are_refused(tmp_path: Path) -> None:
    with graph_builder(tmp_path / "bare") as builder:
        builder.entity("q1", None)
        builder.entity("unused", None)
        builder.triplet("q1", "is", "q2")
        builder.finish((SOURCE,))
    with pytest.raises(ValueError, match=r"1 entities of .* have neither text nor image, such as q1:"):
        refuse_undescribed(KnowledgeGraph(tmp_path / "bare"))


@pytest.mark.parametrize("text", [" ", "\n \t", " \u00a0"])
def test_white_space_is_no_text(tmp_path: Path, text: str) -> None:
    """Not by a builder's own calls, but graphs of older imports hold such."""
    with graph_builder(tmp_path / "g") as builder:
        builder.entity("described", " \u00e9l\u00e9phant")
        builder.entity("shown", None)
        builder.image("shown", "shown.png")
        staged = "INSERT INTO stage_entities VALUES ($1, $2, 0)"
        builder.connection.execute(staged, ["indented", f"{text} word"])
        for tail in ("shown", "indented"):
            builder.triplet("described", "r", tail)
        builder.finish((SOURCE,))
    refuse_undescribed(KnowledgeGraph(tmp_path / "g"))
    with graph_builder(tmp_path / "blank") as builder:
        builder.connection.execute(staged, ["blank", text])
        builder.triplet("described", "r", "blank")
        builder.finish((SOURCE,))
    with pytest.raises(ValueError, match=r"1 entities of .* have neither text nor image, such as blank:"):
        refuse_undescribed(KnowledgeGraph(tmp_path / "blank"))


@pytest.mark.parametrize("text", ["", "  "])
def test_relations_without_words_are_refused(tmp_path: Path, text: str) -> None:
    with graph_builder(tmp_path / "g") as builder:
        builder.connection.execute("INSERT INTO stage_relations VALUES ('r7', $1)", [text])
        builder.triplet("a", "is", "b")
        builder.triplet("a", "r7", "b")
        builder.finish((SOURCE,))
    graph = KnowledgeGraph(tmp_path / "g")
    for read in (
        relation_words,
        lambda graph: relation_vocabulary(graph, inverse=False),
        lambda graph: TripletSampler(graph, batch_size=2),
    ):
        with pytest.raises(
            ValueError, match=r"1 relations of .* have no words, such as 'r7'.*--without-relation"
        ):
            read(graph)


def test_unreadable_images_are_refused_where_a_triplet_needs_them(tmp_path: Path) -> None:
    with graph_builder(tmp_path / "g") as builder:
        for entity in "abc":
            for number in range(2):
                builder.image(entity, f"{entity}{number}.png")
            builder.entity(entity, None)
        builder.triplet("a", "r", "b")
        builder.finish((SOURCE,))
    graph = KnowledgeGraph(tmp_path / "g")
    images = graph_images(graph, margin=0.0)
    reasons = {image: f"image {image.path} is broken" for image in images}
    assert len(images) == 6
    refuse_unreadable(graph, images, {image: reasons[image] for image in graph.images(graph.entity("c"))})
    with pytest.raises(
        ValueError, match=r"4 images .* \(image /pictures/a0\.png is broken; .*b0\.png is broken\)"
    ):
        refuse_unreadable(graph, images, reasons)
