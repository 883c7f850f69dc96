"""The demo from end to end at the smallest size: scenes, two trainings, reloaded checkpoints, report."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import open_clip
import pytest
import torch
import typer
from accelerate.state import AcceleratorState
from rich.console import Console

from knowclip.commands import demo, demo_base, demo_run, demo_speed, demo_teaching
from knowclip.commands.demo_methods import METHODS
from knowclip.console.screen import Screen
from knowclip.models.loading.load import load
from knowclip.recipe.load import load_recipe
from knowclip.training.checkpoint import Position
from knowclip.training.stopping import TrainingStopped


@pytest.fixture
def fresh_accelerate() -> Iterator[None]:
    """Accelerate keeps one precision a process: the demo's must not outlive its test."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_accelerate")
def test_the_demo_ends_in_numbers_a_page_and_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it was stopped in between, and no second one begins beside it."""
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(demo_run, "NUMBERS", {"train": 64, "val": 40, "test": 40})
    monkeypatch.setattr(demo_run, "TWINS", {"val": 4, "test": 4})
    overrides = [
        "train.steps=2",
        "schedule.warmup=1",
        "train.batch_size=16",
        "train.validate_every=1",
        "selection.metrics=[vg_relation]",
    ]
    asked = [*overrides, "data.negatives.processes=1"]

    def stopped(*_: object) -> None:
        told = r"demo is in use: process \d+ on .* is running a demo there"
        with pytest.raises(ValueError, match=told):  # a second one, while this one runs
            demo.command(asked, out=tmp_path / "demo", full=False, from_scratch=False)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(demo_run, "measure", stopped)
        demo.command(asked, out=tmp_path / "demo", full=False, from_scratch=False)
    trained = [path for method in METHODS for path in (tmp_path / "demo" / method / "last").rglob("*.*")]
    before = [path.stat().st_mtime_ns for path in trained]
    assert any(path.suffix == ".safetensors" for path in trained)
    demo.command(asked, out=tmp_path / "demo", full=False, from_scratch=False)
    assert "a demo was stopped here, and goes on" in capsys.readouterr().out
    assert [path.stat().st_mtime_ns for path in trained] == before  # nothing was trained again
    results = json.loads((tmp_path / "demo/results.json").read_text())
    assert list(results["methods"]) == ["base", "clip", "negclip"]
    for numbers in results["methods"].values():
        for name in ("vg_relation", "scene_twins_group", "image_to_text_R@1", "text_to_image_R@1"):
            assert 0 <= numbers[name] <= 1
    assert (
        results["wall_seconds"] > 0
        and results["seeds"] == [0]
        and set(results["trained"]) == set(METHODS)
        and "torch" in results["versions"]
    )
    assert results["base"]["blake2b"] == demo_run.weights_hash("scenes-base")
    validation = json.loads((tmp_path / "demo/negclip/log.jsonl").read_text().splitlines()[0])
    assert {f"scene_twins_{part}" for part in ("text", "image", "group")} <= validation.keys()
    page = (tmp_path / "demo/report.html").read_text()
    assert "OpenMoji" in page and "data:image" in page and "<script src" not in page
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'demo/negclip/best'}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'demo/negclip/best'}")
    text = ["a red horse riding a blue astronaut"]
    with torch.no_grad():
        ours = load(tmp_path / "demo/negclip").encode_text(text)
        assert torch.allclose(model.eval().encode_text(tokenizer(text)), ours, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_accelerate")
def test_three_seeds_from_a_base_made_from_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(demo_run, "NUMBERS", {"train": 64, "val": 40, "test": 40})
    monkeypatch.setattr(demo_run, "TWINS", {"val": 4, "test": 4})
    monkeypatch.setattr(demo_base, "NUMBERS", {"train": 64, "val": 40, "test": 0})
    monkeypatch.setattr(demo_base, "IMAGE_STEPS", 2)
    monkeypatch.setattr(demo_base, "TEXT_STEPS", 2)
    monkeypatch.setattr(demo_teaching, "BATCH", 16)
    small = ["train.steps=1", "schedule.warmup=0", "train.batch_size=16", "train.validate_every=1"]
    small.append("selection.metrics=[text_to_image_R@1]")
    shipped = demo_run.load_recipe
    monkeypatch.setattr(demo_run, "load_recipe", lambda name, given: shipped(name, [*given, *small]))
    arguments = {"out": tmp_path / "demo", "full": True, "from_scratch": True}
    demo.command(["data.negatives.processes=1"], **arguments)
    results = json.loads((tmp_path / "demo/results.json").read_text())
    assert results["seeds"] == [0, 1, 2]
    assert results["base"]["checkpoint"] == str(tmp_path / "demo/scenes-base/best")
    assert results["base"]["blake2b"] != demo_run.weights_hash("scenes-base")
    seeds = json.loads((tmp_path / "demo/seeds.json").read_text())
    assert "vg_relation" in json.dumps(seeds)
    logs = [tmp_path / "demo" / part / "log.jsonl" for part in ("clip", "seed-1/clip", "seed-2/negclip")]
    lines = [log.read_text().splitlines() for log in logs]
    demo_run.train(load_recipe(tmp_path / "demo/clip/recipe.yaml"), Console(quiet=True))
    assert len(logs[0].read_text().splitlines()) == len(lines[0])  # in place of the earlier run's


def test_how_each_method_is_trained_is_told() -> None:
    told = demo_run.told_trained([])
    assert told["clip"] == "200 steps of 256 pairs"
    assert told["negclip"] == "800 steps of 64 pairs: as many pairs as clip, in batches that serve it better"
    same = demo_run.told_trained(["train.steps=60", "train.batch_size=16"])
    assert same["negclip"] == "60 steps of 16 pairs: as many pairs as clip"
    assert demo_run.told_trained(["train.steps=60"])["negclip"] == "60 steps of 64 pairs"
    epochs = demo_run.told_trained(["train.steps=null", "train.epochs=2"])
    assert epochs["negclip"] == "2 epochs in batches of 64 pairs"


def test_how_long_it_takes_follows_the_step_that_is_timed() -> None:
    recipes = [load_recipe(f"scenes-{method}") for method in METHODS]
    scenes = sum(demo_run.NUMBERS.values())
    seen = demo_speed.expected_minutes(0.27, recipes, seeds=1, scenes=scenes)
    assert 7 < seen < 8  # 7.3 on two quiet cores with bf16
    assert demo_speed.expected_minutes(0.81, recipes, seeds=1, scenes=scenes) > 2 * seen
    assert 2 * seen < demo_speed.expected_minutes(0.27, recipes, seeds=3, scenes=scenes) < 3 * seen
    half = [load_recipe(f"scenes-{method}", ["train.steps=75"]) for method in METHODS]
    assert demo_speed.expected_minutes(0.27, half, seeds=1, scenes=scenes) < seen
    assert 0 < demo_speed.step_seconds("scenes-base", precision="fp32", timed=0) < 60


def test_the_estimate_says_if_other_programs_are_at_work() -> None:
    assert demo_speed.others_work(0.2) == ""
    assert "load 512.0 on" in demo_speed.others_work(512.0)


def test_a_stopped_demo_says_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def stop(*_, **__) -> None:
        raise TrainingStopped(Position(step=7), signal.SIGINT)

    monkeypatch.setattr(demo_run, "expectation", lambda *_, **__: "About a minute")
    monkeypatch.setattr(demo_run, "make_scenes", lambda *_: tmp_path)
    monkeypatch.setattr(demo_run, "train_methods", stop)
    with pytest.raises(typer.Exit) as ended:
        demo.command([], out=tmp_path / "demo", full=False, from_scratch=False)
    assert ended.value.exit_code == 130
    assert "stopped after step 7; the same command goes on from there" in capsys.readouterr().out


def test_a_finished_demo_stays_and_a_stopped_one_goes_on_or_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def go(*overrides: str, full: bool = False) -> str:
        demo.command(list(overrides), out=out, full=full, from_scratch=False)
        return capsys.readouterr().out

    class TrainsError(Exception):
        """The demo got as far as to time this processor."""

    def expectation(*_, begun: bool, **__) -> None:
        raise TrainsError(f"begun: {begun}")

    monkeypatch.setattr(demo_run, "expectation", expectation)
    out = tmp_path / "demo"
    with pytest.raises(TrainsError, match="begun: False"):
        go()
    assert "stopped" not in capsys.readouterr().out
    (out / "clip").mkdir()
    with pytest.raises(TrainsError, match="begun: True"):
        go()
    assert f"a demo was stopped here, and goes on: {out / 'clip'}" in capsys.readouterr().out
    (out / "seed-1").mkdir()
    with pytest.raises(
        ValueError, match=r"holds a stopped demo of other settings.*give --out another folder"
    ):
        go("train.steps=2")
    assert (out / "clip").exists() and (out / "seed-1").exists()
    with pytest.raises(TrainsError):
        go()
    (out / "results.json").write_text("{}")
    assert f"already done: open {out / 'report.html'}; delete {out} to train again" in go()
    with pytest.raises(ValueError, match="holds a finished demo of other settings"):
        go("train.steps=2")
    with pytest.raises(ValueError, match="holds a finished demo of other settings"):
        go(full=True)
    (out / "demo.json").unlink()
    with pytest.raises(ValueError, match=r"which would be replaced \(clip, results.json, seed-1\)"):
        go()


def test_what_a_method_is_trained_on_breaks_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_run, "train", lambda recipe, console: None)
    screen = Screen(force_terminal=True, width=80)
    settings = {"seed": 0, "overrides": [], "console": screen}
    demo_run.train_methods(tmp_path, "scenes-base", tmp_path, **settings)
    told = capsys.readouterr().out
    assert "negclip from scenes-base" in told and max(map(len, told.splitlines())) <= 80


def test_scenes_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path))
    drawn = {"numbers": {"train": 4, "val": 4, "test": 4}, "twins": {"test": 2}}
    first = demo_run.make_scenes(Console(quiet=True), **drawn)
    assert len([*(first / "twins" / "images").iterdir()]) == 4
    monkeypatch.setattr(demo_run, "write_scenes", lambda *_, **__: pytest.fail("drawn again"))
    assert demo_run.make_scenes(Console(quiet=True), **drawn) == first
    monkeypatch.undo()
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path))
    assert demo_run.make_scenes(Console(quiet=True), **drawn, seed=1) != first
    assert demo_run.make_scenes(Console(quiet=True), **drawn | {"twins": {}}) != first
