"""Questions in VQA v2's two files, and choices between statements for the semantics probes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from knowclip.data.scenes.facts import KINDS, Fact, complementary, facts
from knowclip.data.scenes.formats import Drawn, Json
from knowclip.data.scenes.sprites import LICENCE

Sets = dict[str, list[list[Fact]]]
ANSWERS = 10
"""Answers that VQA v2 has for every question; here they agree."""
SHARE = 0.25
"""Questions of each kind over scenes."""
PROBED = ("colour", "position", "relation", "size", "negation")


def draw_questions(drawn: Sequence[Drawn], random: Random) -> Sets:
    """Complementary sets of facts by kind, about a quarter as many facts of each kind as there are scenes."""
    asked: dict[str, list[Fact]] = {kind: [] for kind in KINDS}
    for scene in drawn:
        for fact in facts(scene, random):
            asked[fact.kind].append(fact)
    limit = round(SHARE * len(drawn))
    return {kind: complementary(asked[kind], limit=limit, random=random) for kind in KINDS}


def vqa(sets: Sets, *, split: str) -> tuple[Json, Json]:
    """VQA v2's questions file and annotations file; ``question_type`` is the kind of question."""
    header: Json = {
        "info": {"description": "knowclip OpenMoji scenes", "version": "1"},
        "data_type": "scenes",
        "data_subtype": split,
        "license": {"name": LICENCE, "url": "https://creativecommons.org/licenses/by-sa/4.0/"},
    }
    questions: list[Json] = []
    annotations: list[Json] = []
    asked: dict[int, int] = {}
    for fact in (fact for kind in KINDS for members in sets[kind] for fact in members):
        image = fact.drawn.image_id
        number = asked[image] = asked.get(image, -1) + 1
        ids = {"image_id": image, "question_id": 1000 * image + number}
        questions.append({**ids, "question": fact.question})
        annotations.append({**ids, **_answers(fact)})
    return (
        {**header, "task_type": "Open-Ended", "questions": questions},
        {**header, "annotations": annotations},
    )


def _answers(fact: Fact) -> Json:
    yes_no = "yes/no" if fact.answer in ("yes", "no") else "other"
    return {
        "question_type": fact.kind,
        "answer_type": "number" if fact.kind == "count" else yes_no,
        "multiple_choice_answer": fact.answer,
        "answers": [
            {"answer": fact.answer, "answer_confidence": "yes", "answer_id": number}
            for number in range(1, ANSWERS + 1)
        ],
    }


def probes(sets: Sets) -> list[Json]:
    """Choices: a statement true of the image against that of the next image of its complementary set.

    So every text is true exactly as often as it is false.
    """
    return [item for kind in PROBED for members in sets[kind] for item in _choices(kind, members)]


def _choices(kind: str, members: Sequence[Fact]) -> Iterable[Json]:
    for fact, other in zip(members, [*members[1:], members[0]], strict=True):
        yield {
            "image_id": fact.drawn.image_id,
            "image_path": fact.drawn.file_name,
            "semantic": kind,
            "true_caption": fact.statement,
            "false_caption": other.statement,
        }
