"""Questions, entailment and probes of the scenes: true of the pictures, and worth nothing without them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pytest

from knowclip.data.scenes.entailment import LABELS, snli_ve
from knowclip.data.scenes.facts import complementary, things_shown
from knowclip.data.scenes.formats import Drawn
from knowclip.data.scenes.layout import pair_layout
from knowclip.data.scenes.questions import ANSWERS, draw_questions, probes, vqa
from knowclip.data.scenes.world import draw_scenes
from knowclip.data.scenes.write import write_scenes


@pytest.fixture(scope="module")
def drawn() -> list[Drawn]:
    """Undrawn scenes with boxes as their layouts place them."""
    found = []
    for number, scene in enumerate(draw_scenes("test", 600, 0), start=1):
        layout = pair_layout(scene.relation.name, Random(number))
        places = [layout.subject, layout.object]
        places = places if scene.subject == 0 else places[::-1]
        boxes = [
            (
                round(100 * (p.x - p.side / 2)),
                round(100 * (p.y - p.side / 2)),
                round(100 * p.side),
                round(100 * p.side),
            )
            for p in places
        ]
        found.append(Drawn(number, "test", scene, (*boxes, *[(0, 0, 9, 9)] * len(scene.further))))
    return found


def test_every_answer_to_a_question_is_right_equally_often(drawn: list[Drawn]) -> None:
    sets = draw_questions(drawn, Random(1))
    questions, annotations = vqa(sets, split="test")
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for question, annotation in zip(questions["questions"], annotations["annotations"], strict=True):
        assert question["question_id"] == annotation["question_id"]
        assert len(annotation["answers"]) == ANSWERS
        answers[question["question"]][annotation["multiple_choice_answer"]] += 1
    for counts in answers.values():
        assert len(counts) > 1 and len(set(counts.values())) == 1
    per_kind = Counter(annotation["question_type"] for annotation in annotations["annotations"])
    assert set(per_kind) == {"colour", "position", "relation", "size", "count", "existence", "negation"}
    assert max(per_kind.values()) <= 150
    ids = [question["question_id"] for question in questions["questions"]]
    assert len(set(ids)) == len(ids)


def test_answers_are_true_of_the_scene(drawn: list[Drawn]) -> None:
    by_id = {scene.image_id: scene for scene in drawn}
    questions, annotations = vqa(draw_questions(drawn, Random(1)), split="test")
    checked = Counter[str]()
    for question, annotation in zip(questions["questions"], annotations["annotations"], strict=True):
        scene = by_id[question["image_id"]]
        shown = {thing.noun: thing for thing in things_shown(scene)}
        text, answer, kind = (
            question["question"],
            annotation["multiple_choice_answer"],
            annotation["question_type"],
        )
        words = text.rstrip("?").split()
        if kind == "colour":
            assert shown[words[-1]].colour == answer
        elif kind == "size":
            assert shown[words[2]].size == answer
        elif kind == "count":
            assert str(len(shown)) == answer
        elif kind == "existence":
            assert (words[3] in shown) == (answer == "yes")
        elif kind == "relation":
            actor, patient = scene.scene.actor.noun, scene.scene.patient.noun
            said = text == f"Is the {actor} {scene.scene.relation.name} the {patient}?"
            assert said == (answer == "yes")
        elif kind == "negation" and words[1] == "there":
            assert (words[3] not in shown) == (answer == "yes")
        elif kind == "negation":
            assert (shown[words[2]].colour != words[-1]) == (answer == "yes")
        else:
            continue
        checked[kind] += 1
    assert len(checked) == 6


def test_relation_of_sides_is_that_of_the_boxes(drawn: list[Drawn]) -> None:
    for members in draw_questions(drawn, Random(1))["position"]:
        for fact in members:
            name = fact.drawn.scene.relation.name
            actor = f"the {fact.drawn.scene.actor.noun} is"
            if name == "to the left of":
                assert ("left" in fact.answer) == fact.statement.startswith(actor)
            if name == "on":
                assert (fact.answer == "above") == fact.statement.startswith(actor)


def test_a_probe_s_texts_are_true_as_often_as_false(drawn: list[Drawn]) -> None:
    items = probes(draw_questions(drawn, Random(1)))
    true, false = (Counter(item[f"{side}_caption"] for item in items) for side in ("true", "false"))
    assert true == false
    assert all(item["true_caption"] != item["false_caption"] for item in items)
    assert set(Counter(item["semantic"] for item in items)) == {
        "colour",
        "position",
        "relation",
        "size",
        "negation",
    }


def test_every_hypothesis_has_each_label_equally_often(drawn: list[Drawn]) -> None:
    pairs = snli_ve(drawn, Random(2))
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        labels[pair["sentence2"]][pair["gold_label"]] += 1
    assert len(pairs) > 300 and len(pairs) <= 600
    assert all(set(counts) == set(LABELS) and len(set(counts.values())) == 1 for counts in labels.values())
    assert len({pair["pairID"] for pair in pairs}) == len(pairs)


def test_labels_are_those_of_the_graph(drawn: list[Drawn]) -> None:
    by_id = {scene.image_id: scene for scene in drawn}
    for pair in snli_ve(drawn, Random(2)):
        scene = by_id[int(pair["Flickr30K_ID"])]
        shown = {thing.noun: thing for thing in things_shown(scene)}
        words = pair["sentence2"].rstrip(".").split()
        nouns = [words[1]] if len(words) == 4 else [words[1], words[-1]]
        if pair["gold_label"] == "neutral":
            assert not set(nouns) <= set(shown)
            continue
        if len(nouns) == 1:
            holds = words[-1] in (shown[nouns[0]].colour, shown[nouns[0]].size)
        else:
            assert f" {scene.scene.relation.name} " in pair["sentence2"]
            holds = scene.scene.actor.noun == nouns[0] and scene.scene.patient.noun == nouns[1]
        assert holds == (pair["gold_label"] == "entailment")


def test_a_question_with_one_answer_is_not_asked(drawn: list[Drawn]) -> None:
    asked = [fact for members in draw_questions(drawn, Random(1))["colour"] for fact in members]
    one = [fact for fact in asked if fact.answer == asked[0].answer]
    assert complementary(one, limit=100, random=Random(0)) == []


def test_files_are_written_beside_the_old_ones_and_reproduce(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_scenes(tmp_path / name, numbers={"train": 20, "val": 8, "test": 12}, seed=3, size=32)
    new = sorted(
        path.relative_to(tmp_path / "a").as_posix()
        for folder in ("vqa", "snli_ve", "probes")
        for path in (tmp_path / "a" / folder).iterdir()
    )
    assert len(new) == 12 and "snli_ve/snli_ve_dev.jsonl" in new
    for name in new:
        first, second = ((tmp_path / side / name).read_bytes() for side in ("a", "b"))
        assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    content = json.loads((tmp_path / "a" / "vqa" / "v2_OpenEnded_scenes_test_questions.json").read_text())
    assert content["task_type"] == "Open-Ended" and content["data_subtype"] == "test"
