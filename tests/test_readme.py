"""What README and docs/installation.md say: snippets run, commands, options, extras and models exist."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from PIL import Image

import knowclip
from knowclip.cli import build_app
from knowclip.evaluation.benchmarks import sugarcrepe
from knowclip.preflight.machine import EXTRAS, open_clip_architectures, own_architectures, shipped_models
from knowclip.recipe.load import load_recipe

ROOT = Path(knowclip.__file__).parents[2]
PAGES = [page for page in (ROOT / "README.md", ROOT / "docs/installation.md") if page.is_file()]
pytestmark = pytest.mark.skipif(not PAGES, reason="the wheel has no README")


def blocks(language: str) -> Iterator[str]:
    """The fenced blocks of a language, over all pages."""
    for page in PAGES:
        yield from re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands() -> list[str]:
    """Every command line that begins with ``knowclip``, in blocks and in backticks."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    inline = [line for line in re.findall(r"`([^`\n]+)`", text) if line.startswith("knowclip ")]
    return [
        *inline,
        *(line for block in blocks("sh") for line in block.splitlines() if "knowclip " in line[:9]),
    ]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table that README shows, and its images; the working directory of the snippets."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (table,) = blocks("csv")
    (tmp_path / "captions.csv").write_text(table, encoding="utf-8")
    for number, line in enumerate(table.splitlines()[1:]):
        noise = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / line.partition(",")[0])
    Image.new("RGB", (64, 48), (200, 30, 30)).save(tmp_path / "photo.jpg")
    return tmp_path


@pytest.fixture
def benchmarks(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SugarCrepe in its layout, a record a file; the real one has its count checked."""
    record = {"filename": "1.jpg", "caption": "A dog sleeps.", "negative_caption": "A dog barks."}
    (photos / "benchmarks/sugarcrepe").mkdir(parents=True)
    (photos / "benchmarks/coco/val2017").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(photos / "benchmarks/coco/val2017/1.jpg")
    for name in sugarcrepe.SPLITS:
        (photos / f"benchmarks/sugarcrepe/{name}.json").write_text(json.dumps({"0": record}))
    card = dataclasses.replace(sugarcrepe.SUGARCREPE, n=len(sugarcrepe.SPLITS))
    monkeypatch.setattr(sugarcrepe, "SUGARCREPE", card)


def test_python_snippets_run(photos: Path, benchmarks: None, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert names["run"].step == 4 and names["run"].checkpoint.is_dir()
    assert [len(found) > 0 for found in names["negatives"]] == [True, True]
    assert [len(graph.relations) for graph in names["graphs"]] == [1, 1]
    assert names["image_features"].shape == names["text_features"].shape == (2, 384)
    assert len(list(names["found"])) == 3
    assert set(names["own"]) >= {"image_to_text", "text_to_image"} and (photos / "runs/measured").is_dir()
    assert float(capsys.readouterr().out.splitlines()[-1]) in (0.0, 1.0)


def test_shell_snippets_run(photos: Path) -> None:
    ran = []
    for line in commands():
        words = shlex.split(line)
        if words[1] in ("parse", "negatives") and (photos / words[2]).is_file():
            build_app()(words[1:], standalone_mode=False)
            ran.append(words[1])
    assert set(ran) == {"parse", "negatives"}
    assert len((photos / "graphs.jsonl").read_text().splitlines()) == 3
    assert "chases a brown dog" in (photos / "negatives.jsonl").read_text()


def test_recipes_of_the_snippets_are_sound() -> None:
    lines = [
        line for block in blocks("sh") for line in block.splitlines() if line.startswith("knowclip train")
    ]
    for line in lines:
        _, _, name, *overrides = shlex.split(line)
        load_recipe(name, [word for word in overrides if not word.startswith("--")])
    assert lines


def test_commands_and_options_exist() -> None:
    root = typer.main.get_command(build_app())
    for line in commands():
        words = line.split()
        command: Any = root
        for word in words[1:3]:
            command = getattr(command, "commands", {}).get(word, command)
        assert words[1].startswith("--") or command is not root, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
    assert len(commands()) > 15


def test_targets_of_make_exist() -> None:
    told = {
        line.split()[1] for block in blocks("sh") for line in block.splitlines() if line.startswith("make ")
    }
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert told and told <= targets


def test_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = set(project["optional-dependencies"])
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    asked = {
        extra for each in re.findall(r"pip install[^`]*?\[([a-z,]+)\]", text) for extra in each.split(",")
    }
    assert asked and asked <= optional
    page = (ROOT / "docs/installation.md").read_text(encoding="utf-8")
    tabled = set(re.findall(r"^\| `([a-z]+)` \|.*\|.*\|$", page, re.MULTILINE))
    assert {*EXTRAS, "parser"} <= tabled
    assert set(EXTRAS) <= optional


def test_models_that_are_named_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {*own_architectures(), *shipped_models(), *open_clip_architectures()}
    told = re.findall(r"^\| `([\w-]+)(?:/\w+)?`", text, re.MULTILINE)
    assert "lite0-minilm" in told
    assert set(told) - {"runs"} <= named


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]*)", page.read_text(encoding="utf-8")):
            assert not target or (page.parent / target).exists(), target
