"""FACTUAL's scheme and score, worked by hand; the parser's score on the genuine development split."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowclip.knowledge.factual import Score, lemmatised, read_factual, read_tuples, score, to_tuples
from knowclip.knowledge.parsing import parse
from knowclip.knowledge.spacy_parser import phrase_lemmas


def test_tuples_of_a_text() -> None:
    assert read_tuples("( boys , is , 2 ) , ( boys , ride , skateboards )") == {
        ("boys",),
        ("skateboards",),
        ("boys", "2"),
        ("boys", "ride", "skateboards"),
    }
    assert read_tuples("( pole )") == {("pole",)}
    with pytest.raises(ValueError, match="'dog , red' is neither"):
        read_tuples("( dog , red )")


@pytest.mark.parametrize(
    ("caption", "gold"),
    [
        ("two boys riding skateboards", "( boys , is , 2 ) , ( boys , ride , skateboards )"),
        ("a horse ridden by a man", "( man , ride , horse )"),
        ("leg of a man", "( man , have , leg )"),
        ("a chair to the left of the table", "( chair , at the left of , table )"),
        ("a sign on the side of a bus", "( sign , on side of , bus )"),
        ("a wood desk", "( desk , is , wooden )"),
    ],
)
def test_our_graphs_in_its_scheme(caption: str, gold: str) -> None:
    (graph,) = parse([caption])
    assert to_tuples(graph, caption) == read_tuples(gold)


def test_score_worked_by_hand() -> None:
    gold = [read_tuples("( dog , is , red ) , ( dog , on , mat )"), read_tuples("( cat )")]
    ours = [read_tuples("( dog , is , big ) , ( dog , on , mat )"), read_tuples("( cat )")]
    # all: 5 and 5 tuples, 4 in common; objects 3/3; attributes 0/1; relations 1/1
    assert score(ours, gold) == Score(f1=0.8, objects=1.0, attributes=0.0, relations=1.0, exact=0.5)
    assert score([frozenset()], [frozenset()]) == Score(0.0, 0.0, 0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="1 predictions for 2 graphs"):
        score(ours[:1], gold)


def test_lemmas_make_both_sides_alike() -> None:
    graphs = [read_tuples("( the dogs , sitting on , a mat )"), read_tuples("( dog , sit on , mat )")]
    one, other = lemmatised(graphs, phrase_lemmas)
    assert one == other


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("caption,graph\na dog,( dog )\n")
    with pytest.raises(
        ValueError, match=r"x\.csv, row 1: 'scene_graph'; FACTUAL has caption and scene_graph"
    ):
        list(read_factual(tmp_path / "x.csv"))


@pytest.mark.conformance
def test_score_on_the_development_split(real_data: Path) -> None:
    rows = list(read_factual(real_data / "factual" / "dev.csv"))
    captions = [row.caption for row in rows]
    ours = [to_tuples(graph, caption) for graph, caption in zip(parse(captions), captions, strict=True)]
    both = lemmatised([*ours, *(row.tuples for row in rows)], phrase_lemmas)
    result = score(both[: len(rows)], both[len(rows) :])
    assert len(rows) == 1000
    assert (
        result.f1 >= 0.80 and result.relations >= 0.64 and result.attributes >= 0.71 and result.exact >= 0.58
    )
