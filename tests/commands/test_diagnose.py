"""``knowclip diagnose`` from end to end: scenes and the shipped base, by captions and by annotations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from knowclip.commands import diagnose
from knowclip.data.scenes.write import write_scenes

app = typer.Typer()
app.command()(diagnose.command)
pytestmark = pytest.mark.usefixtures("quick_probes")
RUNGS = {"patches", "words", "image", "text", "map", "cosine"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scenes"
    write_scenes(folder, numbers={"train": 800, "val": 0, "test": 300}, size=64)
    return folder


@pytest.mark.slow
def test_the_base_is_asked_about_scenes(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    run = CliRunner().invoke(app, ["scenes-base", "--data", str(scenes), "--out", str(out)])
    assert run.exit_code == 0, run.output
    table = run.stdout[: run.stdout.index("attributes: ")]
    assert max(map(len, table.splitlines())) <= 80
    assert run.stdout[: run.stdout.index("written: ")].endswith("1,100 captions read = 1,100 kept\n")
    assert (out / "ladder.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((out / "diagnosis.json").read_text())
    assert [ladder["kind"] for ladder in found["ladders"]] == ["attributes", "roles"]
    for ladder in found["ladders"]:
        assert set(ladder["rungs"]) == RUNGS
        assert {rung["all"]["n"] for rung in ladder["rungs"].values()} == {ladder["n"]["all"]}
        assert ladder["n"]["all"] == ladder["n"]["seen"] + ladder["n"]["new"]
        assert ladder["text_only"]["all"]["value"] < 0.6
        assert ladder["verdict"] in run.stdout
    attributes = found["ladders"][0]["rungs"]
    assert attributes["image"]["all"]["value"] > 0.6 > attributes["cosine"]["all"]["value"]


@pytest.mark.slow
def test_annotations_ask_in_templates(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    arguments = ["scenes-base", "--data", str(scenes / "visual_genome"), "--images", str(scenes / "images")]
    run = CliRunner().invoke(app, [*arguments, "--json"])
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)
    assert found["questions_from"] == "Visual Genome's annotations"
    assert [ladder["kind"] for ladder in found["ladders"]] == ["attributes", "roles"]
