"""VQA v2: open-ended questions on images; a head over the answers of the training set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.collect import MALFORMED
from knowclip.evaluation.benchmarks.locating import matching, only
from knowclip.evaluation.benchmarks.probes import semantic_of
from knowclip.evaluation.metrics import NoDataError, NotHereError, macro_average
from knowclip.evaluation.tasks.image_folders import find_images
from knowclip.evaluation.tasks.objectives import SoftAnswers
from knowclip.evaluation.tasks.task import Logits, Rows, Task, TaskItems, Unusable, refuse_gaps
from knowclip.evaluation.tasks.vqa_answers import normalise, soft_accuracy, tidy
from knowclip.storage.text_files import read_json
from knowclip.types import ImageRef

VQA = Card(
    name="vqa",
    title="VQA v2",
    paper="Goyal et al., Making the V in VQA matter",
    address="https://visualqa.org",
    licence="CC BY 4.0 (annotations); COCO's terms (images)",
    main="vqa_accuracy",
    protocol="Official soft accuracy (each of the ten people left out in turn), micro average over "
    "questions; answers: the most frequent of the training set, as they stand where all people agree; "
    "frozen towers, head selected on held-out "
    "images of train.",
    layout="*_<split>*questions.json, *_<split>*annotations.json, here or in vqa/; images by COCO id below",
    flaws="The question alone answers much of it: see the text-only control. Test answers are not public: "
    "reported on val, as most papers' ablations.",
)
MAX_ANSWERS = 3129
"""Size of the answer vocabulary, the usual one (Anderson et al. 2018)."""


@dataclass(frozen=True)
class _Questions:
    """The questions of one split: keys, texts, images, the people's answers, kinds."""

    keys: list[str]
    texts: list[str]
    images: list[ImageRef]
    answers: list[list[str]]
    kinds: list[str]

    def items(self) -> TaskItems:
        groups = [ref.path.name for ref in self.images]
        return TaskItems(self.keys, self.texts, self.images, groups=groups, kinds=self.kinds)


def read_vqa(folder: Path, *, split: str | None = None, allow_missing: bool = False) -> Task:
    """Read VQA v2's files under ``folder``; train on train, measure on ``split``.

    Args:
        folder: holds the files, or has them in ``vqa/``.
        split: default: test if its answers are there, else val.
        allow_missing: go on where more than 1% of the questions lack their image or answers.

    Raises:
        NoDataError: the files of a split are not there.
        ValueError: a file is broken, or too many questions cannot be used.
    """
    home = folder / "vqa" if (folder / "vqa").is_dir() else folder
    images = _images_by_id(folder)
    skipped = Unusable()
    name = split or ("test" if _find(home, "test", "annotations") else "val")
    train, test = (_read_split(home, part, images, skipped) for part in ("train", name))
    total = len(train.keys) + len(test.keys) + sum(skipped.values())
    refuse_gaps(VQA, skipped, total=total, allow_missing=allow_missing)
    vocabulary = answer_vocabulary(train.answers)
    return Task(
        card=VQA,
        train=train.items(),
        test=test.items(),
        objective=_objective(train.answers, vocabulary),
        grade=_Grader(test, vocabulary),
        outcomes=lambda logits: soft_accuracies(logits, vocabulary, test.answers),
        skipped=skipped,
    )


def answer_vocabulary(answers: Sequence[Sequence[str]], *, size: int = MAX_ANSWERS) -> list[str]:
    """The ``size`` answers with the largest soft accuracy summed over questions, as they are to be given.

    Where all people agree the official evaluation compares answers as they stand, so that "a bus" by all ten
    is another answer than "bus"; where they do not, all are normalised. Both forms may be in the vocabulary.
    """
    worth: dict[str, float] = defaultdict(float)
    for people in answers:
        for answer, score in _targets(people).items():
            worth[answer] += score
    # of equal worth by name, so that every process has the same vocabulary
    return [answer for answer, _ in sorted(worth.items(), key=lambda item: (-item[1], item[0]))[:size]]


def soft_accuracies(
    logits: Logits, vocabulary: Sequence[str], answers: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """Official soft accuracy of the best answer of each question, ``[n]``."""
    given = [vocabulary[index] for index in np.argmax(logits, axis=1)]
    return np.array([soft_accuracy(answer, people) for answer, people in zip(given, answers, strict=True)])


@dataclass(frozen=True)
class _Grader:
    test: _Questions
    vocabulary: list[str]

    def __call__(self, logits: Logits, rows: Rows) -> Mapping[str, float]:
        scores = soft_accuracies(logits, self.vocabulary, [self.test.answers[row] for row in rows])
        semantics = np.array([semantic_of(self.test.texts[row]) or "other" for row in rows])
        by_semantic = macro_average(scores, semantics.tolist()).accuracies
        answerable = np.mean([self._known.answerable(self.test.answers[row]) for row in rows])
        metrics = {"vqa_accuracy": float(scores.mean()), "vqa_answerable": float(answerable)}
        return metrics | {f"vqa_{name}": value for name, value in by_semantic.items()}

    @cached_property
    def _known(self) -> _Vocabulary:
        return _Vocabulary(self.vocabulary)


class _Vocabulary:
    """Which answers of a vocabulary earn something on a question."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.position = {answer: index for index, answer in enumerate(answers)}
        self.normalised: dict[str, list[int]] = defaultdict(list)
        for index, answer in enumerate(answers):
            self.normalised[normalise(answer)].append(index)

    def targets(self, people: Sequence[str]) -> list[tuple[int, float]]:
        """Index and soft accuracy of every answer of the vocabulary that scores above 0."""
        found = _targets(people)
        if _agree(people):
            return [
                (self.position[answer], score) for answer, score in found.items() if answer in self.position
            ]
        return [(i, score) for answer, score in found.items() for i in self.normalised.get(answer, ())]

    def answerable(self, people: Sequence[str]) -> bool:
        """Whether any answer of the vocabulary scores above 0."""
        return bool(self.targets(people))


def _agree(people: Sequence[str]) -> bool:
    return len({tidy(answer) for answer in people}) == 1


def _targets(people: Sequence[str]) -> dict[str, float]:
    """Every answer that was given with its soft accuracy: normalised, unless all people agree."""
    given = [tidy(answer) for answer in people]
    forms = given if _agree(people) else [normalise(answer) for answer in given]
    return {answer: soft_accuracy(answer, people) for answer in dict.fromkeys(forms) if answer}


def _objective(answers: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> SoftAnswers:
    import torch

    known = _Vocabulary(vocabulary)
    targets = [known.targets(people) for people in answers]
    width = max(1, *(len(found) for found in targets))
    index = torch.zeros(len(targets), width, dtype=torch.long)
    scores = torch.zeros(len(targets), width)
    for row, found in enumerate(targets):
        for column, (answer, score) in enumerate(found):
            index[row, column] = answer
            scores[row, column] = score
    return SoftAnswers(index, scores, len(vocabulary))


def _find(home: Path, split: str, kind: str) -> Path | None:
    """The file of a split: ``v2_mscoco_val2014_annotations.json``, ``v2_OpenEnded_..._questions.json``."""
    found = matching(home, f"*_{split}*_{kind}.json")
    return only(VQA, found) if found else None


def _read_split(home: Path, split: str, images: Mapping[int, Path], skipped: Unusable) -> _Questions:
    paths = [_find(home, split, kind) for kind in ("questions", "annotations")]
    if paths[0] is None or paths[1] is None:
        raise NotHereError(f"vqa: no *_{split}*_questions.json with *_{split}*_annotations.json in {home}")
    return _read(paths[0], paths[1], images, skipped)


def _read(
    questions_path: Path, annotations_path: Path, images: Mapping[int, Path], skipped: Unusable
) -> _Questions:
    if not annotations_path.is_file():
        raise NoDataError(f"vqa: {questions_path} has no {annotations_path.name} beside it")
    asked: dict[Any, dict[str, Any]] = {}
    annotated: dict[Any, dict[str, Any]] = {}
    for path, key, found in (
        (questions_path, "questions", asked),
        (annotations_path, "annotations", annotated),
    ):
        content = read_json(path)
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{path} has no list under the key {key!r}, as VQA v2's files have")
        for number, record in enumerate(content[key]):
            if not isinstance(record, dict) or not isinstance(record.get("question_id"), int | str):
                raise ValueError(
                    f"{path}, record {number}: 'question_id' is no number; expected VQA v2's {key}"
                )
            if record["question_id"] in found and key == "questions":
                skipped.add("question asked twice")
            found[record["question_id"]] = record
    result = _Questions([], [], [], [], [])
    for id, question in asked.items():
        try:
            image, wording = images.get(int(question["image_id"])), question["question"].strip()
            people = [_said(answer) for answer in annotated.get(id, {}).get("answers", ())]
        except MALFORMED:
            skipped.add("malformed record")
            continue
        if not wording:
            skipped.add("empty question")
        elif not people:
            skipped.add("question without answers")
        elif image is None:
            skipped.add("question without image", f"no file whose name ends in {question['image_id']}")
        else:
            result.keys.append(str(id))
            result.texts.append(wording)
            result.images.append(ImageRef(image))
            result.answers.append(people)
            result.kinds.append(str(annotated[id].get("question_type", "")))
    if not result.keys:
        raise NoDataError(
            f"vqa: none of {len(asked)} questions of {questions_path} has answers and an image: "
            f"{skipped.told()}"
        )
    return result


def _said(answer: Mapping[str, Any]) -> str:
    said = answer["answer"]
    if not isinstance(said, str):
        raise TypeError(f"{said!r} is no answer")
    return said


def _images_by_id(folder: Path) -> dict[int, Path]:
    """Images below ``folder`` by the number their names end in (``COCO_val2014_000000262148.jpg``)."""
    found = {}
    for path in find_images(folder):
        number = path.stem.rsplit("_", 1)[-1]
        if number.isdecimal():
            found[int(number)] = path
    return found
