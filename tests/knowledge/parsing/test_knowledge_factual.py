"""FACTUAL's scheme and score, worked by hand; the parser's score on the genuine development split."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import pytest

from knowclip.knowledge.parsing.factual_graphs import Score, lemmatised, read_factual, read_tuples, score
from knowclip.knowledge.parsing.factual_scheme import WEIGHTS, Naming, Scheme, shipped, to_tuples
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.parsing.spacy_parser import phrase_lemmas


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
        ("a man in a blue shirt", "( man , wear , shirt ) , ( shirt , is , blue )"),
        ("a car in the street", "( car , in , street )"),
        ("a man holding a stop sign", "( man , hold , stop sign )"),
        ("a pine tree on a hill", "( tree , is , pine ) , ( tree , on , hill )"),
        ("a group of people on a beach", "( people , on , beach ) , ( people , is , group of )"),
    ],
)
def test_our_graphs_in_its_scheme(caption: str, gold: str) -> None:
    (graph,) = parse([caption])
    assert to_tuples(graph, caption) == read_tuples(gold)


CAPTION = "a group of two tall pine trees beside a guy"


def test_ways_to_write_an_object() -> None:
    (graph,) = parse([CAPTION])
    scheme = Scheme(aliases={"guy": ["man"]})
    tall = next(i for i, attribute in enumerate(graph.attributes) if attribute.name == "tall")
    assert scheme.namings(graph, CAPTION, 0) == [
        Naming("pine trees"),
        Naming("trees", ("pine",)),
        Naming("trees"),
        Naming("trees", owner="pine"),
        Naming("pine trees", ("group of",)),
        Naming("trees", ("pine", "group of")),
        Naming("trees", ("group of",)),
        Naming("tall pine trees", takes=tall),
        Naming(""),
    ]
    assert scheme.namings(graph, CAPTION, 1) == [Naming("guy"), Naming("man"), Naming("")]


def test_an_untrained_scheme_writes_the_graph_as_it_is() -> None:
    (graph,) = parse([CAPTION])
    gold = "( pine trees , is , 2 ) , ( pine trees , is , tall ) , ( pine trees , beside , guy )"
    assert Scheme().to_tuples(graph, CAPTION) == read_tuples(gold)


def test_weights_decide() -> None:
    (graph,) = parse([CAPTION])
    scheme = Scheme(
        names={"owner=pine": 1.0, "out=guy": 0.5, "same=guy": 1.0},
        attributes={"two>": 1.0},
        relations={"beside:beside< o=guy": 1.0, "beside:by>": 0.5},
        predicates={"beside": [("by", False), ("beside", True)]},
    )
    gold = "( pine , have , trees ) , ( trees , is , tall ) , ( guy , beside , trees )"
    assert scheme.to_tuples(graph, CAPTION) == read_tuples(gold)


def test_shipped_weights_are_small_and_read_once() -> None:
    assert WEIGHTS.stat().st_size < 1_000_000
    assert shipped() is shipped()


def test_the_trainer_maximises_the_likelihood() -> None:
    """Three of four choose "a": the optimum has odds 3 to 1, or no gradient where penalised."""
    fit = runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "train_factual_scheme.py"))["fit"]
    examples = [([["a"], ["b"]], 0)] * 3 + [([["a"], ["b"]], 1)]
    weights = fit(examples, 1e-6)
    assert weights["a"] - weights["b"] == pytest.approx(math.log(3), abs=0.02)
    penalised = fit(examples, 1.0)
    share = 1 / (1 + math.exp(penalised["b"] - penalised["a"]))
    assert penalised["a"] == pytest.approx(3 - 4 * share, abs=0.02)
    assert fit([([["seldom"], ["never"]], 0)], 1.0) == {}


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
    assert result.f1 >= 0.85 and result.relations >= 0.70
    assert result.attributes >= 0.80 and result.exact >= 0.55
