"""Every command that loads a model or a parser shows that it lives before the first heavy import begins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

HEAVY = ("torch", "spacy", "transformers", "open_clip", "timm", "accelerate")

SCRIPT = """
import json, sys
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import PathFinder
from knowclip.cli import build_app
from knowclip.console import progress

shown = []

@contextmanager
def noted(unit):
    shown.append(None)
    try:
        yield lambda label, done, total: shown.__setitem__(-1, label)
    finally:
        shown.pop()

class Begun(BaseException):
    pass

class Watch(Loader):
    def find_spec(self, name, path=None, target=None):
        if name not in json.loads(sys.argv[2]):
            return None
        spec = PathFinder.find_spec(name, path)
        spec.loader = self
        return spec  # where it lies may be asked for at once

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        raise Begun(f"{name} while {shown[-1]!r} was shown" if shown else f"{name} in silence")

progress._shown = noted
app = build_app()
told = []
sys.meta_path.insert(0, Watch())
for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments, standalone_mode=False)
        told.append("nothing heavy was loaded")
    except BaseException as end:
        told.append(str(end) if isinstance(end, Begun) else f"{type(end).__name__}: {end}")
print("\\n" + json.dumps(told))
"""

DATA = ["--data", "pairs.csv"]
CASES = {
    "train": ["train", "clip", "data.train.path=pairs.csv", "data.val=null", "data.val_images=1",
              "model.pretrained=random", "train.batch_size=2", "schedule.warmup=0"],
    "train with parsing": ["train", "flickr8k-negclip", "data.train.path=pairs.csv", "data.train.split=null",
                           "data.val=null", "data.val_images=1", "train.batch_size=2", "schedule.warmup=0"],
    "align": ["align", "scenes-base", *DATA, "--out", "aligned"],
    "interpolate": ["interpolate", "scenes-base", "scenes-base", "--data", "data", "--out", "mixed"],
    "evaluate": ["evaluate", "scenes-base", *DATA],
    "evaluate on benchmarks": ["evaluate", "scenes-base", "--data", "data"],
    "diagnose": ["diagnose", "scenes-base", *DATA],
    "task": ["task", "vqa", "scenes-base", "--data", "vqa"],
    "parse": ["parse", "pairs.csv"],
    "negatives": ["negatives", "pairs.csv"],
    "prepare": ["prepare", "pairs.csv", "--out", "prepared"],
    "mine": ["mine", "pairs.csv", "--model", "scenes-base", "--out", "mined"],
    "swaps": ["swaps", "pairs.csv", "--out", "test"],
    "select": ["select", "pairs.csv", "--out", "chosen.csv"],
    "audit": ["audit", "pairs.csv", "data"],
    "link-prediction": ["link-prediction", "scenes-base", "kg"],
    "counting links": ["link-prediction", "frequency", "kg"],
    "predict": ["predict", "scenes-base", "kg", "dog", "at"],
    "index": ["index", "photos", "--out", "new.index", "--model", "scenes-base"],
    "search": ["search", "photos.index", "a dog"],
    "search by a photo": ["search", "photos.index", "--image", "photos/0.jpg"],
    "serve": ["serve", "scenes-base"],
    "app": ["app", "scenes-base"],
    "convert": ["convert", "scenes-base", "out"],
    "push": ["push", "checkpoint", "org/name"],
    "doctor": ["doctor"],
    "demo": ["demo"],
}  # fmt: skip
"""Command lines that nothing is wrong with, as far as can be told before anything heavy is loaded."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command line loads first, and what is shown meanwhile; it goes no further."""
    folder = tmp_path_factory.mktemp("signs")
    rows = "".join(f"photos/{number}.jpg,a dog chases a red cat\n" for number in range(4))
    (folder / "pairs.csv").write_text(f"image,caption\n{rows}")
    for name in ("photos", "results", "checkpoint", "kg", "photos.index"):
        (folder / name).mkdir()
    for number in range(4):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(folder / f"photos/{number}.jpg")
    shutil.copytree(folder / "photos", folder / "data/photos")
    splits = ("train", "val", "test", "test")
    rows = [f"photos/{number}.jpg,a dog chases a red cat,{split}" for number, split in enumerate(splits)]
    (folder / "data/captions.csv").write_text("\n".join(["image,caption,split", *rows]))
    write_questions(folder / "vqa")
    write_index(folder / "photos.index")
    command = [sys.executable, "-c", SCRIPT, json.dumps(list(CASES.values())), json.dumps(HEAVY)]
    environment = os.environ | {"KNOWCLIP_CACHE": str(folder / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout.splitlines()[-1]), strict=True))


def write_index(folder: Path) -> None:
    from knowclip.search.store import Store

    Store.create(folder, model="scenes-base", fingerprint="0", width=256).close()


def write_questions(folder: Path) -> None:
    """VQA v2 of two questions about one image."""
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(folder / "images/COCO_x_000000000001.jpg")
    answers = [{"answer": "yes"}] * 10
    for part in ("train", "val"):
        questions = [{"question_id": 1, "image_id": 1, "question": "Is it black?"}]
        told = [{"question_id": 1, "image_id": 1, "multiple_choice_answer": "yes", "answers": answers}]
        (folder / f"v2_{part}_questions.json").write_text(json.dumps({"questions": questions}))
        (folder / f"v2_{part}_annotations.json").write_text(json.dumps({"annotations": told}))


@pytest.mark.parametrize("case", CASES)
def test_it_is_told_what_is_waited_for(case: str, first: dict[str, str]) -> None:
    assert " was shown" in first[case] and "None" not in first[case]
