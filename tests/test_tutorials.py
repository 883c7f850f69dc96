"""Tutorials and examples of commands run as they are written, on tiny data.

What they would download has a stand-in. Trainings and fits are shortened by options that are put behind those
of the page: the last of one name counts.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from documents import ROOT, SHELLS, blocks, fenced, lines, run, write_photos, write_sugarcrepe
from knowclip.cli import GROUPS
from knowclip.models.loading.load import SHIPPED

DOCS = ROOT / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the wheel has no documents")

STAND_INS = {"ViT-B-32/openai": "scenes-base", "negclip.pt": "runs/mine"}
"""What a page names and a test has not -> what it has."""
TINY_KNOWLEDGE = "data.graph.batch_size=4 method.fusion.width=16 method.fusion.layers=1 method.fusion.heads=2"
TINY_TRAINING = (
    "model.name=scenes-base model.pretrained=null train.epochs=null train.steps=2 train.batch_size=4 "
    "train.validate_every=2 train.num_workers=0 train.precision=fp32 schedule.warmup=0 "
    "data.negatives.processes=1 data.cache=none data.group_share=0 "
    "selection.metrics=[text_to_image_R@1]"
)
SHORTER = {
    "scenes": "--train 1000 --val 40 --test 100 --train-twins 0 --val-twins 4 --test-twins 4 --workers 1",
    "train": TINY_TRAINING,
    "align": "--steps 2 --batch-size 8",
    "diagnose": "--most 300",
    "interpolate": "--alphas 0,1 --benchmark vg_relation --benchmark zero_shot_objects",
    "task snli_ve": "epochs=1",
    "link-prediction": "--limit 4",
}
"""Command, maybe with its first argument -> what is put behind its line."""
LEFT_OUT = {
    "demo": "minutes of training",
    "ablate": "minutes of training",
    "serve": "runs until it is stopped",
    "app": "runs until it is stopped",
    "push": "writes to the hub",
    "doctor": "what it says, and how it ends, is the machine's",
}
"""Command -> why its lines are not run; that they are sound is tested in test_docs.py."""
ANIMALS = (
    "cat cow horse pig lion whale owl fox goat hen bear wolf deer frog crab duck swan mouse rabbit zebra"
)
FACTS = [f"{animal},{fact}" for animal in ANIMALS.split() for fact in ("is a,animal", "used for,watching")]
FACTS += [
    f"{thing},used for,{use}" for thing, use in (("cup", "drinking"), ("bike", "riding"), ("pen", "writing"))
]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a few scenes, drawn once."""
    folder = tmp_path_factory.mktemp("drawn")
    run(f"knowclip scenes {folder / 'scenes'} {SHORTER['scenes']}")
    return folder / "scenes"


@pytest.fixture
def world(tmp_path: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch, quick_probes: None) -> Path:
    """The working directory: photos, captions, facts, scenes, a benchmark, a tuned model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    (table,) = blocks([DOCS / "tutorials/captions.md"], "csv")
    more = [
        f"photos/{split}{number}.jpg,A {colour} dog chases a white cat on a {place},{split}\n"
        for split in ("train", "val", "test")
        for number, (colour, place) in enumerate((("black", "beach"), ("brown", "road"), ("gray", "lawn")))
    ]
    write_photos(tmp_path, table + "".join(more))
    (facts,) = blocks([DOCS / "tutorials/knowledge_graph.md"], "csv")
    (tmp_path / "facts.csv").write_text("\n".join([facts.strip(), *FACTS, ""]), encoding="utf-8")
    write_sugarcrepe(tmp_path / "benchmarks", monkeypatch)
    (tmp_path / "scenes").symlink_to(drawn)
    tuned = shutil.copytree(SHIPPED / "scenes-base", tmp_path / "runs/mine")
    weights = load_file(tuned / "open_clip_model.safetensors")
    near = {key: value * 1.0001 if value.is_floating_point() else value for key, value in weights.items()}
    save_file(near, tuned / "open_clip_model.safetensors")
    return tmp_path


def follow(page: Path, names: dict[str, Any] | None = None) -> None:
    """Run the blocks of a page in order: command lines and Python."""
    names = {} if names is None else names
    for language, block in fenced(page):
        for name, stand_in in STAND_INS.items():
            block = block.replace(name, stand_in)
        if language == "python":
            exec(compile(block, page.name, "exec"), names)
        elif language in SHELLS:
            for line in lines(block):
                follow_line(line)


def follow_line(line: str) -> None:
    """Run a command line of a page, shortened; what stands where it writes makes way."""
    words = shlex.split(line)
    assert words[0] == "knowclip", f"{line!r} is no command of knowclip: it is not tested"
    command = words[1]
    if command in LEFT_OUT or (command == "data" and "--out" in words):
        return
    if command == "scenes":  # drawn by this very line, once for all pages
        return
    for word in words:
        if word.startswith("output.folder="):
            shutil.rmtree(word.partition("=")[2], ignore_errors=True)
    shorter = SHORTER.get(command) or SHORTER.get(" ".join(words[1:3]), "")
    if words[1:3] == ["train", "knowledge-clip"]:
        shorter += " " + TINY_KNOWLEDGE
    run(f"{line} {shorter}".strip())


def made_captions() -> None:
    assert Path("runs/mine/best").is_dir() and Path("out/open_clip/open_clip_config.json").is_file()
    assert "chases" in Path("negatives.html").read_text(encoding="utf-8")
    assert len(list(Path("runs/measured").glob("*/swaps@*.parquet"))) == 2


def made_knowledge_graph() -> None:
    assert Path("runs/kg/best/method.safetensors").is_file()
    assert list(Path("runs/links").iterdir())


def made_measure() -> None:
    assert Path("runs/page/report.html").is_file()
    assert len(list(Path("runs/measured").glob("*/sugarcrepe@*.parquet"))) == 2


def made_search() -> None:
    assert Path("photos.index/photos.db").is_file()


def made_zero_shot() -> None:
    assert Path("runs/mixed/curve.json").is_file() and Path("runs/checked/results.json").is_file()


def made_diagnose() -> None:
    assert Path("runs/aligned/align.json").is_file()
    assert all(Path(f"runs/diagnosis{name}/ladder.png").is_file() for name in ("", "-aligned", "-mine"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "made", [made_captions, made_knowledge_graph, made_measure, made_zero_shot, made_diagnose]
)
def test_a_tutorial_runs_as_it_is_written(made: Callable[[], None], world: Path) -> None:
    follow(DOCS / "tutorials" / f"{made.__name__.removeprefix('made_')}.md")
    made()


def test_the_tutorial_on_search_runs_as_it_is_written(world: Path) -> None:
    names: dict[str, Any] = {}
    follow(DOCS / "tutorials/search.md", names)
    made_search()
    assert 0 < len(list(names["found"])) <= 3


def test_every_tutorial_is_followed() -> None:
    checks = {name.removeprefix("made_") for name in globals() if name.startswith("made_")}
    assert checks == {page.stem for page in (DOCS / "tutorials").glob("*.md")}


@pytest.mark.slow
def test_the_examples_of_commands_run_one_after_the_other(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of the help page: what one writes the next reads."""
    for command in (name for commands in GROUPS.values() for name in commands):
        page = DOCS / "commands" / f"{'indexing' if command == 'index' else command}.md"
        capsys.readouterr()
        follow(page)
        assert command in (*LEFT_OUT, "scenes") or "".join(capsys.readouterr()), f"{command} says nothing"
    assert Path("runs/page/report.md").is_file() and Path("kg/parts").is_dir() and Path("swaps").is_dir()
    assert not list(Path("cache").glob("features/*"))
