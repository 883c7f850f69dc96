"""What README and docs/installation.md say: snippets run, commands, options, extras and models exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from documents import ROOT, blocks, commands, run, write_photos, write_sugarcrepe
from knowclip.preflight.machine import EXTRAS
from knowclip.preflight.models import open_clip_architectures, own_architectures, shipped_models

PAGES = [page for page in (ROOT / "README.md", ROOT / "docs/installation.md") if page.is_file()]
pytestmark = pytest.mark.skipif(not PAGES, reason="the wheel has no README")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table that README shows, and its images; the working directory of the snippets."""
    monkeypatch.chdir(tmp_path)
    (table,) = blocks(PAGES, "csv")
    write_photos(tmp_path, table)
    write_sugarcrepe(tmp_path / "published", monkeypatch)
    return tmp_path


def test_python_snippets_run(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks(PAGES, "python"):
        exec(compile(block, "README.md", "exec"), names)
    assert names["run"].step == 4 and names["run"].checkpoint.is_dir()
    assert [len(found) > 0 for found in names["negatives"]] == [True, True]
    assert [len(graph.relations) for graph in names["graphs"]] == [1, 1]
    assert names["image_features"].shape == names["text_features"].shape == (2, 384)
    assert len(list(names["found"])) == 3
    assert set(names["own"]) >= {"image_to_text", "text_to_image"} and (photos / "runs/kept").is_dir()
    assert float(capsys.readouterr().out.splitlines()[-1]) in (0.0, 1.0)


def test_shell_snippets_run(photos: Path) -> None:
    ran = []
    for line in commands(PAGES):
        words = shlex.split(line)
        if words[1] in ("parse", "negatives") and (photos / words[2]).is_file():
            run(line)
            ran.append(words[1])
    assert set(ran) == {"parse", "negatives"}
    assert len((photos / "graphs.jsonl").read_text().splitlines()) == 3
    assert "chases a brown dog" in (photos / "negatives.jsonl").read_text()


def test_targets_of_make_exist() -> None:
    shell = [line for block in blocks(PAGES, "sh") for line in block.splitlines()]
    told = {line.split()[1] for line in shell if line.startswith("make ")}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert told and told <= targets


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_installing_what_is_installed_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / ".installed").touch()
    asked = ["make", "--silent", "--old-file=pyproject.toml", "--old-file=constraints.txt"]
    done = subprocess.run(
        [*asked, f"VENV={tmp_path}", "install"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (line,) = done.stdout.splitlines()
    assert f"source {tmp_path}/bin/activate" in line


def test_disk_is_told_alike_wherever_it_is_told() -> None:
    told = re.findall(r"([\d.]+) GB of disk on Linux", PAGES[0].read_text(encoding="utf-8"))
    told += re.findall(r"once: ([\d.]+) GB on Linux", (ROOT / "Makefile").read_text(encoding="utf-8"))
    told += re.findall(r"4\.2 of the ([\d.]+) GB", PAGES[1].read_text(encoding="utf-8"))
    assert len(told) == 3 and len(set(told)) == 1


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
