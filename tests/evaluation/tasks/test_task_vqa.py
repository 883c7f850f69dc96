"""VQA v2: the official normalisation and soft accuracy by hand, the files, a head end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import vqa_picture, vqa_questions

from knowclip.evaluation.benchmarks.probes import semantic_of
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.tasks.objectives import SoftAnswers
from knowclip.evaluation.tasks.vqa import (
    _Vocabulary,
    answer_vocabulary,
    read_vqa,
    soft_accuracies,
)
from knowclip.evaluation.tasks.vqa_answers import CONTRACTIONS, normalise, soft_accuracy


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("A red, big Horse!", "red big horse"),
        ("two", "2"),
        ("none", "0"),
        ("1,000", "1000"),
        ("10.5", "10.5"),
        ("st. louis.", "st louis"),
        ("dont know", "don't know"),
        ("couldntve", "couldntve"),
        ("couldnt've", "couldn't've"),
        ("black/white", "black white"),
        ("black / white", "black white"),
        ("t-shirt", "t shirt"),
        ("somebody'd", "somebodyd"),
    ],
)
def test_normalisation_is_the_official_one(answer: str, expected: str) -> None:
    assert normalise(answer) == expected


def test_contractions_are_those_of_the_official_list() -> None:
    assert CONTRACTIONS["whos"] == "who's" and CONTRACTIONS["y'allll"] == "y'all'll"
    assert CONTRACTIONS["hadn'tve"] == CONTRACTIONS["hadnt've"] == "hadn't've"
    assert "shell" not in CONTRACTIONS and "were" not in CONTRACTIONS


@pytest.mark.parametrize(("said", "expected"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_soft_accuracy_by_how_many_of_ten_said_it(said: int, expected: float) -> None:
    people = ["yes"] * said + [f"other {n}" for n in range(10 - said)]
    assert soft_accuracy("yes", people) == pytest.approx(expected)


@given(
    st.lists(st.sampled_from(["yes", "no", "2", "Two", "a cat"]), min_size=2, max_size=10),
    st.text(max_size=8),
)
def test_soft_accuracy_is_the_literal_official_loop(people: list[str], given_: str) -> None:
    answer, answers = given_.replace("\n", " ").replace("\t", " ").strip(), list(people)
    if len(set(answers)) > 1:
        answer, answers = normalise(answer), [normalise(person) for person in answers]
    each = []
    for left_out in range(len(answers)):
        others = answers[:left_out] + answers[left_out + 1 :]
        each.append(min(1, others.count(answer) / 3))
    assert soft_accuracy(given_, people) == pytest.approx(sum(each) / len(each))


def test_unanimous_answers_are_not_normalised() -> None:
    assert soft_accuracy("2", ["two"] * 10) == 0
    assert soft_accuracy("2", ["two"] * 9 + ["three"]) == 1


def test_vocabulary_is_ordered_by_what_answers_are_worth() -> None:
    answers = [["red"] * 10, ["red"] * 3 + ["dark red"] * 7, ["two"] * 2 + ["blue"] * 8]
    assert answer_vocabulary(answers) == ["red", "blue", "dark red", "2"]
    assert answer_vocabulary(answers, size=2) == ["red", "blue"]
    logits = np.eye(4, dtype=np.float32)[[0, 0, 3]]
    scores = soft_accuracies(logits, ["red", "blue", "dark red", "2"], answers)
    assert scores.tolist() == pytest.approx([1.0, 0.9, 0.6])


def test_official_layout(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        vqa_picture(tmp_path, "train" if number < 3 else "val", number)
    vqa_questions(
        tmp_path, "train", [(1, "What color is it?", "red"), (2, "How many?", "2"), (1, "Is it?", "yes")]
    )
    vqa_questions(tmp_path, "val", [(3, "What color is it?", "a red")])
    task = read_vqa(tmp_path)
    assert task.train.texts == ["What color is it?", "How many?", "Is it?"]
    assert [ref.path.name for ref in task.test.images or ()] == ["COCO_val2014_000000000003.jpg"]
    assert isinstance(task.objective, SoftAnswers) and task.objective.outputs == 3
    assert task.outcomes is not None
    logits = np.zeros((1, 3), dtype=np.float32)
    logits[0, answer_vocabulary([["red"] * 10, ["2"] * 10, ["yes"] * 10]).index("red")] = 1
    assert task.grade(logits, np.array([0]))["vqa_accuracy"] == 0  # all ten said "a red", unnormalised
    assert task.grade(logits, np.array([0]))["vqa_answerable"] == 0  # nor can any answer of train score there


def test_missing_images_are_counted_and_refused(tmp_path: Path) -> None:
    vqa_picture(tmp_path, "train", 1)
    vqa_picture(tmp_path, "val", 3)
    vqa_questions(tmp_path, "train", [(1, "What color is it?", "red"), (2, "How many?", "2")])
    vqa_questions(tmp_path, "val", [(3, "Is it?", "yes")])
    lacking = r"1 of 3 records cannot be used \(1 x question without image \(no file whose name ends in 2\)\)"
    with pytest.raises(ValueError, match=lacking):
        read_vqa(tmp_path)
    assert read_vqa(tmp_path, allow_missing=True).skipped == {"question without image": 1}
    with pytest.raises(NoDataError, match="no \\*_test"):
        read_vqa(tmp_path, split="test")


@pytest.mark.parametrize(
    ("question", "semantic"),
    [
        ("What color is the bus?", "colour"),
        ("Is the dog to the left of the cat?", "position"),
        ("Where is the lamp?", "position"),
        ("How big is the dog?", "size"),
        ("Is there no horse?", "negation"),
        ("Why isn't the man wearing blue?", "negation"),
        ("What is the man eating?", None),
        ("Is it notable?", None),
    ],
)
def test_semantics_of_questions(question: str, semantic: str | None) -> None:
    assert semantic_of(question) == semantic


@pytest.mark.conformance
def test_the_genuine_fixture_is_read(real_data: Path, tmp_path: Path) -> None:
    sample = real_data / "samples" / "vqav2"
    (tmp_path / "images").symlink_to(sample / "images")
    for split in ("train", "val"):
        for kind, name in (("questions", "v2_OpenEnded_mscoco"), ("annotations", "v2_mscoco")):
            (tmp_path / f"{name}_{split}2014_{kind}.json").symlink_to(sample / f"{kind}.json")
    task = read_vqa(tmp_path)
    assert task.test.texts[0] == "What is this photo taken looking through?"
    assert [ref.path.name for ref in task.test.images or ()] == ["COCO_train2014_000000458752.jpg"] * 3
    assert isinstance(task.objective, SoftAnswers)
    best = task.objective.scores.max(1).values.tolist()
    assert best == pytest.approx([1.0, 1.0, 1.0])  # six said "net", more than three agree on the others too


def test_what_all_people_say_alike_is_taught_as_they_say_it() -> None:
    people = [["a bus"] * 10, ["bus"] * 9 + ["van"], ["Yes"] * 10]
    vocabulary = answer_vocabulary(people)
    assert vocabulary == ["Yes", "a bus", "bus", "van"]
    assert soft_accuracies(np.eye(4, dtype=np.float32)[[1, 1, 0]], vocabulary, people).tolist() == [1, 1, 1]
    known = _Vocabulary(vocabulary)
    assert known.targets(people[0]) == [(1, 1.0)] and known.targets(people[2]) == [(0, 1.0)]
    assert known.targets(people[1]) == [(1, 1.0), (2, 1.0), (3, pytest.approx(0.3))]  # "a bus" earns it too
    assert not known.answerable(["the bus"] * 10) and known.answerable(["the bus"] * 9 + ["a tram"])
    assert _Vocabulary(["bus"]).targets(people[0]) == []  # a head of "bus" cannot score there


@pytest.mark.parametrize("given", ["[]", "{}", "null", "1.5"])
def test_a_question_without_a_number_is_named(tmp_path: Path, given: str) -> None:
    vqa_picture(tmp_path, "train", 1)
    vqa_picture(tmp_path, "val", 3)
    vqa_questions(tmp_path, "train", [(1, "What color is it?", "red")])
    vqa_questions(tmp_path, "val", [(3, "What color is it?", "red")])
    path = tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json"
    path.write_text(path.read_text().replace('"question_id": 30', f'"question_id": {given}'))
    with pytest.raises(ValueError, match=f"{path.name}, record 0: 'question_id' is no number"):
        read_vqa(tmp_path)


def test_an_answer_that_is_no_text_makes_a_malformed_record(tmp_path: Path) -> None:
    for number in (1, 2):
        vqa_picture(tmp_path, "train", number)
        vqa_picture(tmp_path, "val", number)
    vqa_questions(tmp_path, "train", [(1, "What color is it?", "red"), (2, "How many?", None)])
    vqa_questions(tmp_path, "val", [(1, "What color is it?", "red")])
    task = read_vqa(tmp_path, allow_missing=True)
    assert task.train.texts == ["What color is it?"] and task.skipped["malformed record"] == 1
