"""Link prediction on a small graph: filter, sides, image tails, plain CLIP, fusion encoder, commands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from knowclip.cli import build_app
from knowclip.evaluation.links import prediction
from knowclip.evaluation.links.frequency import Frequency
from knowclip.evaluation.links.prediction import (
    LinkSet,
    known_tails,
    predict_tails,
    read_links,
    run_link_prediction,
    view_of,
)
from knowclip.evaluation.links.scorers import FusionLinks, LinkScorer, PlainClip, View
from knowclip.evaluation.runs import find_runs
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.statistics.bootstrap import interval
from knowclip.export.method import save_method
from knowclip.export.open_clip import save_pretrained
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.split import split
from knowclip.knowledge.graph.staging import graph_builder
from knowclip.knowledge.graph.store import Source
from knowclip.methods.joint import Joint
from knowclip.methods.knowledge_clip import KnowledgeClip
from knowclip.models.triplet_encoder import LinkPredictor
from knowclip.types import ImageRef
from tiny import tiny_model
from tiny_graph import OPTIONS, STRUCTURE, make_graph
from tiny_models import make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("links")
    make_graph(root)
    split(root / "all", root / "split", val=0.2, test=0.3)
    return root


class Knowing:
    """Knows every triplet of a graph: a query is the sum of its right answers' axes."""

    description = "oracle"

    def __init__(self, graph: KnowledgeGraph, links: LinkSet) -> None:
        self.place = {view: number for number, view in enumerate(links.views)}
        views, a = [view_of(graph, e, "text") for e in range(graph.counts["entities"])], graph.arrays
        self.facts = {
            (views[h], str(a.relation_text[r]), views[t])
            for h, r, t in zip(a.head, a.relation, a.tail, strict=True)
        }

    def tail_queries(self, heads: Any, relations: Any) -> np.ndarray:
        return self._rows(
            [[t for h, r, t in self.facts if (h, r) == pair] for pair in zip(heads, relations, strict=True)]
        )

    def head_queries(self, relations: Any, tails: Any) -> np.ndarray:
        return self._rows(
            [[h for h, r, t in self.facts if (r, t) == pair] for pair in zip(relations, tails, strict=True)]
        )

    def tail_candidates(self, entities: Any) -> np.ndarray:
        return self._rows([[entity] for entity in entities])

    head_candidates = tail_candidates

    def relation_scores(self, heads: Any, tails: Any, relations: Any) -> np.ndarray:
        return np.array(
            [[float((h, r, t) in self.facts) for r in relations] for h, t in zip(heads, tails, strict=True)]
        )

    def _rows(self, answers: list[list[View]]) -> np.ndarray:
        rows = np.zeros((len(answers), len(self.place)), dtype=np.float32)
        for row, views in zip(rows, answers, strict=True):
            row[[self.place[view] for view in views]] = 1
        return rows


class Blind(Knowing):
    """Gives everything the same score."""

    def tail_candidates(self, entities: Any) -> np.ndarray:
        return np.zeros((len(entities), len(self.place)), dtype=np.float32)

    head_candidates = tail_candidates

    def relation_scores(self, heads: Any, tails: Any, relations: Any) -> np.ndarray:
        return np.zeros((len(heads), len(relations)))


def words(root: Path) -> LinkSet:
    return read_links(root / "words")


def test_an_oracle_is_perfect_and_a_blind_scorer_at_chance(folder: Path) -> None:
    links = words(folder)
    for result in run_link_prediction(links, Knowing(links.graph, links)):
        name = result.benchmark
        assert result.metrics[f"{name}_mrr"] == result.metrics[f"{name}_amri"] == 1
        assert interval(result).value == pytest.approx(result.metrics[result.main])
        assert len(set(result.items["key"])) == result.n == 10
    for result in run_link_prediction(links, Blind(links.graph, links)):
        assert result.metrics[f"{result.benchmark}_amri"] == pytest.approx(0)
        assert result.metrics[f"{result.benchmark}_hits@1"] == 0


def test_reading_and_ranking_tell_how_far_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = words(folder)
    monkeypatch.setattr(prediction, "CHUNK", 4)
    scorer = PlainClip(Scorer(tiny_model().eval(), batch_size=3))
    told: list[tuple[str, float, float | None]] = []
    run_link_prediction(links, scorer, sides=["tail"], progress=lambda *found: told.append(found))
    texts = len(set(links.views))
    reading = [(done, total) for label, done, total in told if label == "reading texts"]
    assert reading[-1] == (texts, texts) and len(reading) >= texts / 3
    assert told[-3:] == [("ranking tails", done, 10) for done in (4, 8, 10)]
    assert scorer.progress is None  # nobody is told of the next one
    fusion = links_of(knowledge_clip(sorted(links.relations)))
    run_link_prediction(links, fusion, sides=["tail"], progress=lambda *found: told.append(found))
    assert ("reading entities", len(links.views), len(links.views)) in told


def test_frequency_counts_the_training_graph(tmp_path: Path) -> None:
    lines = ["a\tis\tx", "b\tis\tx", "c\tis\ty", "a\tlikes\ty"]
    (tmp_path / "kg.tsv").write_text("\n".join(lines) + "\n")
    app = CliRunner().invoke(
        build_app(), ["graph", "import", "triples", str(tmp_path / "kg.tsv"), "--out", str(tmp_path / "kg")]
    )
    assert app.exit_code == 0, app.output
    counted = Frequency(KnowledgeGraph(tmp_path / "kg"))
    scores = (
        counted.tail_queries(["c", "unheard"], ["is", "likes"])
        @ counted.tail_candidates(["x", "y", "a", "unheard"]).T
    )
    assert scores.tolist() == [[2, 1, 0, 0], [0, 1, 0, 0]]
    assert (counted.head_queries(["is"], ["x"]) @ counted.head_candidates(["a", "x"]).T).tolist() == [[1, 0]]
    assert counted.relation_scores(["a"], ["x"], ["likes", "is", "eats"]).tolist() == [[1, 3, 0]]


def test_frequency_is_a_model_of_the_command(folder: Path) -> None:
    asked = ["link-prediction", "frequency", str(folder / "split"), "--side", "tail", "--json"]
    done = CliRunner().invoke(build_app(), asked)
    assert done.exit_code == 0, done.output
    assert "link_tail_mrr" in done.output and list(json.loads(done.output)) == ["frequency"]
    whole = CliRunner().invoke(build_app(), ["link-prediction", "frequency", str(folder / "words")])
    assert "no folder 'train' to count in" in str(whole.exception)


def test_what_any_split_knows_is_filtered(folder: Path) -> None:
    links = words(folder)
    (heads,) = run_link_prediction(links, Blind(links.graph, links), sides=["head"])
    # five entities are heads of "has part": for each of them the four others are filtered
    of_has = [
        rank for key, rank in zip(heads.items["key"], heads.items["rank"], strict=True) if "|has|" in key
    ]
    others = len(links.candidates) - 5
    assert of_has == [1 + others / 2] * 5


def test_chunks_change_no_rank(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of one chunk are written over those of the one before: nothing may look back at them."""
    for name in ("words", "regions"):
        links = read_links(folder / name, modality="image")
        draw = np.random.default_rng(0)
        vectors = {view: draw.standard_normal(8).astype(np.float32) for view in links.views}

        class Random(Knowing):
            """A vector of its own for each entity, whatever is asked."""

            def __init__(self, vectors: dict[View, np.ndarray]) -> None:
                self.vectors = vectors

            def tail_candidates(self, entities: Any) -> np.ndarray:
                return np.stack([self.vectors[entity] for entity in entities])

            head_candidates = tail_candidates

            def tail_queries(self, heads: Any, relations: Any) -> np.ndarray:
                return self.tail_candidates(heads)

            def head_queries(self, relations: Any, tails: Any) -> np.ndarray:
                return self.tail_candidates(tails)

        sides = ("tail", "head")
        whole = run_link_prediction(links, Random(vectors), sides=sides)
        with monkeypatch.context() as patch:
            patch.setattr(prediction, "CHUNK", 3)
            assert len(links.rows) > 6
            parts = run_link_prediction(links, Random(vectors), sides=sides)
        for one, other in zip(whole, parts, strict=True):
            assert one.metrics == other.metrics and (one.items["rank"] == other.items["rank"]).all()


def test_regions_are_ranked_within_their_image(folder: Path) -> None:
    links = read_links(folder / "regions", modality="image")
    assert all(isinstance(view, ImageRef) for view in links.views)
    graph = links.graph
    by_view = {view: entity for view, entity in zip(links.views, links.candidates, strict=True)}

    class OfItsImage(Blind):
        """Knows which image a query is about, and nothing else."""

        def __init__(self) -> None:
            self.place = {view: number for number, view in enumerate(links.views)}

        def _groups(self, views: Any) -> np.ndarray:
            return np.eye(8, dtype=np.float32)[[graph.arrays.group[by_view[view]] for view in views]]

        def tail_queries(self, heads: Any, relations: Any) -> np.ndarray:
            return self._groups(heads)

        def tail_candidates(self, entities: Any) -> np.ndarray:
            return self._groups(entities)

    (result,) = run_link_prediction(links, OfItsImage(), sides=["tail"])
    assert result.metrics["link_tail_amri"] > 0.9  # the background gives most of it away
    assert result.metrics["link_tail_same_image_accuracy"] == 0  # but not which region it is
    assert result.metrics["link_tail_same_image_chance"] == pytest.approx(1 / 2)
    assert result.metrics["link_tail_same_image_n"] == 16


def test_plain_clip_ranks_as_documented(folder: Path) -> None:
    links, scorer = read_links(folder / "all", modality="image"), Scorer(tiny_model())
    plain: LinkScorer = PlainClip(scorer)
    image = next(view for view in links.views if isinstance(view, ImageRef))
    queries = plain.tail_queries(["dog", image], ["is a", "on"])
    assert np.allclose(queries[0], scorer.texts(["dog is a"])[0], atol=1e-6)
    summed = scorer.images([image])[0] + scorer.texts(["on"])[0]
    assert np.allclose(queries[1], summed / np.linalg.norm(summed), atol=1e-6)
    assert np.allclose(plain.head_queries(["is a"], ["dog"])[0], scorer.texts(["is a dog"])[0], atol=1e-6)
    mixed = plain.tail_candidates(["dog", image, "cat"])
    assert np.allclose(mixed[[0, 2]], scorer.texts(["dog", "cat"]), atol=1e-6)
    assert np.allclose(mixed[1], scorer.images([image])[0], atol=1e-6)
    scores = plain.relation_scores(["dog"], ["cat"], ["on", "has"])
    assert scores[0, 1] == pytest.approx(
        float(scorer.texts(["dog has"])[0] @ scorer.texts(["cat"])[0]), abs=1e-6
    )


def knowledge_clip(relations: list[str]) -> KnowledgeClip:
    fusion = {"width": 8, "layers": 1, "heads": 2, "drop_path": 0.0}
    return KnowledgeClip(
        tiny_model(), teacher=None, relations=relations, e2e_weight=1.0, e2r_weight=1.0, g2e_weight=0.0,
        kd_weight=0.0, head_side=True, captions_as_triplets=False, graph_layers=1, fusion=fusion,
    ).eval()  # fmt: skip


def links_of(method: KnowledgeClip | Joint) -> FusionLinks:
    knowledge = method.knowledge
    assert knowledge.triplets is not None
    predictor = LinkPredictor(method.model, knowledge.triplets)
    return FusionLinks(predictor, knowledge.vocabulary, head_side=knowledge.head_side)


def test_the_fusion_encoder_answers_as_one_triplet_at_a_time(folder: Path) -> None:
    links = read_links(folder / "all", modality="image")
    relations = sorted({str(links.graph.arrays.relation_text[r]) for r in range(5)})
    method = knowledge_clip(relations)
    fusion = links_of(method)
    heads = list(links.views[:6])
    together = fusion.tail_queries(heads, ["on", "has"] * 3)
    alone = np.concatenate(
        [fusion.tail_queries([h], [r]) for h, r in zip(heads, ["on", "has"] * 3, strict=True)]
    )
    assert np.allclose(together, alone, atol=1e-5)
    assert fusion.relation_scores(heads, heads[::-1], relations[::-1]).shape == (6, len(relations))
    results = run_link_prediction(links, fusion)
    assert [result.benchmark for result in results] == ["link_tail", "link_head", "link_relation"]
    assert all(0 < result.metrics[result.main] <= 1 for result in results)
    with pytest.raises(ValueError, match="without the relations"):
        fusion.relation_scores(heads, heads, ["unheard of"])


def test_both_sides_read_the_entities_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = read_links(folder / "all", modality="image")
    fusion = links_of(knowledge_clip(links.relations))
    apart = fusion.tail_candidates(links.views), fusion.head_candidates(links.views)
    assert not np.allclose(*apart)
    read: list[Any] = []
    encode = LinkPredictor.encode_entities
    monkeypatch.setattr(LinkPredictor, "encode_entities", lambda self, e: read.append(e) or encode(self, e))
    together = fusion.candidates(links.views, ["tail", "head"])
    assert all(np.array_equal(*pair) for pair in zip(apart, together.values(), strict=True))
    assert len(read) == 1  # of a batch of 256
    read.clear()
    run_link_prediction(links, fusion, sides=["tail", "head"])
    assert sum(entities == links.views for entities in read) == 1


def test_predictions_are_sorted_and_the_graph_knows_some(folder: Path) -> None:
    graph = KnowledgeGraph(folder / "words")
    found = predict_tails(PlainClip(Scorer(tiny_model())), "dog", "is a", ["cat", "part", "place"], k=2)
    assert len(found) == 2 and found[0][1] >= found[1][1]
    dog = graph.entity("/c/en/dog")
    assert {graph.arrays.entity_id[tail] for tail in known_tails(graph, dog, "is a")} == {
        "/c/en/living_thing"
    }


def test_a_split_reads_its_part_and_filters_by_all(folder: Path) -> None:
    links = read_links(folder / "split", split="test")
    assert links.graph.path.name == "test" and len(links.parts) == 3
    assert len(links.rows) < 26 and len(read_links(folder / "split", split="test", limit=2).rows) == 2
    fewer = read_links(folder / "split", split="test", among="split")
    assert set(fewer.candidates) < set(links.candidates)
    with pytest.raises(ValueError, match="no graph 'dev'"):
        read_links(folder / "split", split="dev")


@pytest.mark.parametrize("name", ["knowledge_clip", "joint"])
def test_the_command_asks_a_saved_method_s_fusion_encoder(folder: Path, tmp_path: Path, name: str) -> None:
    model = make("word_level", tmp_path)
    if name == "joint":
        kee = {"layers": 1, "composition": "minus", "scale": 0.2, "renormalize": True}
        knowledge = OPTIONS | {"captions_as_triplets": False, "head_side": True}
        method = Joint(model, knowledge=knowledge, **STRUCTURE | {"kee": kee})
    else:
        method = KnowledgeClip(model, **OPTIONS | {"head_side": True})
    save_method(method.eval(), tmp_path / "run", name=name)
    arguments = ["link-prediction", str(tmp_path / "run"), str(folder / "split"), "--json", "--limit", "4"]
    arguments += ["--out", str(tmp_path / "out")]
    told = CliRunner().invoke(build_app(), arguments, catch_exceptions=False)
    found = json.loads(told.stdout)
    assert set(found) >= {"fusion", "plain"}
    assert f"written: {tmp_path / 'out'} (knowclip report " in told.stderr
    kept = find_runs([tmp_path / "out"])
    assert sorted(run.name for run in kept.values()) == [
        str(tmp_path / "run"),
        f"{tmp_path / 'run'} with fusion encoder",
    ]
    assert len({run.model_hash for run in kept.values()}) == 2
    for run in kept.values():
        assert [(result.benchmark, result.n) for result in run.results] == [
            ("link_head", 4),
            ("link_relation", 4),
            ("link_tail", 4),
        ]

    links = read_links(folder / "split", split="test", limit=4)
    here = {result.benchmark: result.metrics for result in run_link_prediction(links, links_of(method))}
    for task in found["fusion"]["tasks"]:
        assert task["metrics"] == pytest.approx(here[task["task"]], abs=1e-6)


@pytest.mark.parametrize(
    ("options", "learned"),
    [
        ({"e2r_weight": 0.0, "head_side": True}, ["link_tail", "link_head"]),
        ({}, ["link_tail", "link_relation"]),
        ({"e2e_weight": 0.0}, ["link_relation"]),
        ({"e2e_weight": 0.0, "e2r_weight": 0.0}, []),
    ],
)
def test_a_side_that_the_method_did_not_learn_is_left_out_aloud(
    folder: Path, tmp_path: Path, options: dict[str, Any], learned: list[str]
) -> None:
    method = KnowledgeClip(make("word_level", tmp_path), **OPTIONS | options)
    save_method(method.eval(), tmp_path / "run", name="knowledge_clip")
    arguments = ["link-prediction", str(tmp_path / "run"), str(folder / "split"), "--json", "--limit", "4"]
    done = CliRunner().invoke(build_app(), arguments, catch_exceptions=False)
    found = {name: [task["task"] for task in said["tasks"]] for name, said in json.loads(done.stdout).items()}
    sides = ["link_tail", "link_head", "link_relation"]
    assert found == {"fusion": learned, "plain": sides}
    missing = [side.removeprefix("link_") for side in sides if side not in learned]
    assert f"fusion did not learn side {', '.join(missing)}" in done.stderr
    refused = CliRunner().invoke(build_app(), [*arguments, "--side", missing[0]])
    assert f"fusion did not learn to answer --side {missing[0]}" in str(refused.exception)
    assert not refused.stdout

    arguments = ["predict", str(tmp_path / "run"), str(folder / "words"), "dog", "is a", "--json"]
    predicted = CliRunner().invoke(build_app(), arguments, catch_exceptions=False)
    tails = json.loads(predicted.stdout)["tails"]
    assert ("plain CLIP answers: fusion did not learn tails" in predicted.stderr) == (
        "link_tail" not in learned
    )
    plainly = CliRunner().invoke(build_app(), [*arguments, "--plain"], catch_exceptions=False)
    is_plain = tails == json.loads(plainly.stdout)["tails"]
    said = json.loads(predicted.stdout)["notes"]
    assert "the head, /c/en/dog, is left out of the tails" in said
    assert "/c/en/dog" not in [tail["tail"] for tail in tails]
    assert [note for note in said if "without the relation" in note] == (
        [note for note in json.loads(plainly.stdout)["notes"] if "without" in note] if is_plain else []
    )
    asked = [*arguments[:4], "at location", "--json"]
    other = json.loads(CliRunner().invoke(build_app(), asked, catch_exceptions=False).stdout)["notes"]
    assert "no relation of the graph is called 'at location'; it has 'has', 'is a'" in other
    near = CliRunner().invoke(build_app(), [*arguments[:4], "isa", "--json"], catch_exceptions=False).stderr
    assert near.index("called 'isa'; did you mean 'is a'? it has") < near.index("is left out of the tails")
    assert is_plain == ("link_tail" not in learned)


def test_relations_in_the_same_words_are_one_to_a_model(tmp_path: Path) -> None:
    """ConceptNet and VisualSem both say "is a": neither is a rival of the other."""
    facts = [("dog", "r/a", "animal"), ("cat", "r/a", "animal"), ("cat", "r/l", "dog"), ("dog", "r/b", "pet")]
    with graph_builder(tmp_path / "both") as builder:
        for relation, text in (("r/a", "is a"), ("r/b", "is a"), ("r/l", "likes")):
            builder.relation(relation, text)
        for name in sorted({end for head, _, tail in facts for end in (head, tail)}):
            builder.entity(name, name)
        for fact in facts:
            builder.triplet(*fact)
        builder.finish((Source("both", "CC0"),))
    links = read_links(tmp_path / "both")
    assert sorted(links.relations) == ["is a", "is a", "likes"]
    tail, relation = run_link_prediction(links, Knowing(links.graph, links), sides=["tail", "relation"])
    assert tail.metrics["link_tail_hits@1"] == relation.metrics["link_relation_hits@1"] == 1

    method = knowledge_clip(["is a", "likes", "is a"])
    fusion = links_of(method)
    scores = fusion.relation_scores(["dog"], ["pet"], ["is a", "likes"])
    probabilities = np.exp(scores) / np.exp(scores).sum()
    logits = fusion.predictor.relation_logits(
        fusion.predictor.encode_entities(["dog", "pet"]), heads=torch.tensor([0]), tails=torch.tensor([1])
    )
    each = logits.softmax(dim=1).detach().numpy()[0]
    assert probabilities[0].tolist() == pytest.approx([each[0] + each[2], each[1]], abs=1e-6)


def test_a_whole_graph_has_no_splits(folder: Path, tmp_path: Path) -> None:
    assert read_links(folder / "words").split == "all" and read_links(folder / "split").split == "test"
    for options in ({"split": "val"}, {"among": "split"}):
        with pytest.raises(ValueError, match="a whole graph without splits"):
            read_links(folder / "words", **options)


def test_an_unreadable_image_is_no_candidate_with_a_score(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    plain = PlainClip(Scorer(tiny_model(), max_missing=1.0))
    with pytest.raises(ValueError, match=r"broken\.png"):
        plain.tail_candidates(["dog", ImageRef(tmp_path / "broken.png")])


def test_ranks_and_counts_are_no_percentages(folder: Path) -> None:
    arguments = ["link-prediction", "frequency", str(folder / "split"), "--side", "tail"]
    console = CliRunner().invoke(build_app(), arguments, env={"COLUMNS": "80"}, catch_exceptions=False)
    found = json.loads(CliRunner().invoke(build_app(), [*arguments, "--json"]).stdout)
    metrics = found["frequency"]["tasks"][0]["metrics"]
    shown = {
        row.split("│")[2].strip(): row.split("│")[3].strip()
        for row in console.stdout.splitlines()
        if "│ link" in row
    }
    assert {f"link_tail_{name}" for name in shown} == set(metrics)  # none is cut at 80 columns
    assert shown["mean_rank"] == f"{metrics['link_tail_mean_rank']:.1f}"
    assert shown["amr"] == f"{metrics['link_tail_amr']:.3f}"
    assert shown["mrr"] == f"{100 * metrics['link_tail_mrr']:.1f}"


def test_commands(folder: Path, tmp_path: Path) -> None:
    save_pretrained(make("word_level", tmp_path), tmp_path / "clip")
    app, runner = build_app(), CliRunner()
    arguments = ["link-prediction", str(tmp_path / "clip"), str(folder / "split"), "--json", "--limit", "4"]
    found = json.loads(runner.invoke(app, arguments, catch_exceptions=False).stdout)
    assert [task["task"] for task in found["plain"]["tasks"]] == ["link_tail", "link_head", "link_relation"]
    arguments = [
        "predict",
        str(tmp_path / "clip"),
        str(folder / "words"),
        "/c/en/dog",
        "is a",
        "-k",
        "8",
        "--json",
    ]
    for head in ("/c/en/dog", "dog"):
        arguments[3] = head
        tails = json.loads(runner.invoke(app, arguments, catch_exceptions=False).stdout)["tails"]
        assert [tail["tail"] for tail in tails if tail["known"]] == ["/c/en/living_thing"]
    arguments[3] = "a long story " * 40
    tails = json.loads(runner.invoke(app, arguments, catch_exceptions=False).stdout)["tails"]
    assert len(tails) == 8 and not any(tail["known"] for tail in tails)


def test_results_of_different_limits_stand_side_by_side(folder: Path, tmp_path: Path) -> None:
    save_pretrained(make("word_level", tmp_path), tmp_path / "clip")
    app, runner, out = build_app(), CliRunner(), str(tmp_path / "out")
    for model, limit in (("frequency", []), (str(tmp_path / "clip"), ["--limit", "2"])):
        arguments = ["link-prediction", model, str(folder / "split"), "--side", "tail", *limit, "--out", out]
        runner.invoke(app, arguments, catch_exceptions=False)
    told = runner.invoke(app, ["report", out, "--out", str(tmp_path / "page")], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    page = (tmp_path / "page" / "report.html").read_text()
    assert len(re.findall(r"n = \d+: other items than [^<]+, not compared", page)) == 1 and "n = 2" in page
