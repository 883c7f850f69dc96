"""Small files of tasks in their official layouts: classes of coloured pictures, VQA v2, SNLI-VE."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (10, 20, 200), "green": (20, 180, 30), "red": (220, 20, 10)}


def shade(name: str, number: int) -> Image.Image:
    noise = np.random.default_rng(number).integers(-10, 10, 3)
    return Image.new(
        "RGB", (8, 8), tuple(int(np.clip(c + n, 0, 255)) for c, n in zip(COLOURS[name], noise, strict=True))
    )


def class_folders(root: Path, split: str, n: int = 4) -> None:
    for name in COLOURS:
        (root / split / name).mkdir(parents=True)
        for number in range(n):
            shade(name, number).save(root / split / name / f"{number}.png")


def vqa_questions(folder: Path, split: str, questions: list[tuple[int, str, str]]) -> None:
    """Questions and annotations of (image, question, the answer of all ten people)."""
    asked = [
        {"image_id": i, "question_id": 10 * i + n, "question": q} for n, (i, q, _) in enumerate(questions)
    ]
    people = [
        {
            "question_id": record["question_id"],
            "image_id": record["image_id"],
            "answers": [{"answer": answer, "answer_id": n, "answer_confidence": "yes"} for n in range(10)],
        }
        for record, (_, _, answer) in zip(asked, questions, strict=True)
    ]
    (folder / f"v2_OpenEnded_mscoco_{split}2014_questions.json").write_text(json.dumps({"questions": asked}))
    (folder / f"v2_mscoco_{split}2014_annotations.json").write_text(json.dumps({"annotations": people}))


def vqa_picture(folder: Path, split: str, number: int) -> None:
    (folder / f"{split}2014").mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(folder / f"{split}2014" / f"COCO_{split}2014_{number:012d}.jpg")


def snli_ve_pictures(folder: Path, *stems: str) -> None:
    (folder / "flickr30k_images").mkdir(parents=True, exist_ok=True)
    for stem in stems:
        Image.new("RGB", (8, 8)).save(folder / "flickr30k_images" / f"{stem}.jpg")


def snli_ve_line(image: str, label: str, number: int, **other: str) -> str:
    record = {"Flickr30K_ID": image, "gold_label": label, "pairID": f"{image}.jpg#0r{number}{label[0]}"}
    return (
        json.dumps({**record, "sentence1": "A premise.", "sentence2": f"Hypothesis {number}.", **other})
        + "\n"
    )
