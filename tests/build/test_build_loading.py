"""What processes that load data are given: picklable and small, however they are started."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from rich.console import Console

import knowclip
from knowclip.api.lost import tell_unreadable
from knowclip.build.trainer import build_trainer
from knowclip.commands.train import summary
from knowclip.commands.train_report import plan
from knowclip.recipe.load import load_recipe
from knowclip.training.mixed import MixedLoader

METHODS = ("clip", "negclip", "structure-clip", "knowledge-clip", "scenes-joint")


@pytest.fixture(params=METHODS)
def trainer(request, stand_in, graph_stand_in) -> Any:
    overrides = [*stand_in, *graph_stand_in(request.param), "train.steps=2", "train.epochs=null"]
    if request.param == "scenes-joint":
        overrides.append("selection.suite=null")
    return build_trainer(load_recipe(request.param, overrides))[0]


def test_loaders_pickle_no_weights_and_no_arrays_of_the_graph(trainer) -> None:
    batches = trainer.batches
    pairs, graph = (batches.pairs, batches.graph) if isinstance(batches, MixedLoader) else (batches, None)
    before = next(batches.epoch(0))
    for part in filter(None, (pairs.dataset, pairs.collate, graph)):
        packed = pickle.dumps(part)
        assert b"torch.nn" not in packed and b"_rebuild_parameter" not in packed
        part.__dict__.update(pickle.loads(packed).__dict__)
    after = next(batches.epoch(0))
    assert torch.equal(before.texts, after.texts) and torch.equal(before.images, after.images)
    assert before.graph is None or torch.equal(before.graph.triplets, after.graph.triplets)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_training_where_processes_are_not_forked(stand_in, graph_stand_in, method) -> None:
    overrides = [*stand_in, *graph_stand_in("knowledge-clip"), "train.steps=1", "train.epochs=null"]
    trainer, _ = build_trainer(
        load_recipe("knowledge-clip", [*overrides, "train.num_workers=1", "schedule.warmup=0"])
    )
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(method, force=True)
    try:
        assert trainer.fit().step == 1
    finally:
        multiprocessing.set_start_method(before, force=True)


def many(world: Path, folder: Path, *, count: int = 120) -> list[str]:
    """Overrides for ``count`` images of which one is cut to half its bytes."""
    rows = ["image,caption"]
    folder.mkdir()
    for number in range(count):
        name = f"{number}.jpg"
        shutil.copy(world / "images" / "train000.png", folder / name)
        Image.effect_noise((24, 24), 10 + number).convert("RGB").save(folder / name)
        rows.append(f"{name},a red dog chases a blue cat {number}")
    whole = (folder / "7.jpg").read_bytes()
    (folder / "7.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "captions.csv").write_text("\n".join(rows) + "\n")
    return [f"data.train={{path: {folder / 'captions.csv'}}}", "data.val=null", "train.epochs=1"]


@pytest.mark.parametrize("cache", ["none", "pixels"])
@pytest.mark.parametrize("workers", [0, 1])
def test_one_broken_image_is_skipped_and_named_with_and_without_a_cache(
    world, stand_in, tmp_path, cache, workers
) -> None:
    overrides = [
        *stand_in,
        *many(world, tmp_path / "data"),
        f"data.cache={cache}",
        f"train.num_workers={workers}",
    ]
    trainer, pairs = build_trainer(load_recipe("clip", overrides))
    position = trainer.fit()
    named = {**pairs.unreadable, **position.unreadable}
    assert list(named) == [str(tmp_path / "data" / "7.jpg")] and "cannot be decoded" in named.popitem()[1]
    assert pairs.skipped["unreadable image"] == (cache == "pixels")
    tell_unreadable(Console(file=(told := StringIO()), width=400), pairs, position.unreadable, tmp_path)
    assert told.getvalue().startswith("120 pairs = 119 used + 1 skipped (unreadable image); 1 unreadable")
    with pytest.raises(ValueError, match=r"unreadable.*7\.jpg cannot be decoded.*raise data\.max_unreadable"):
        build_trainer(load_recipe("clip", [*overrides, "data.max_unreadable=0"]))[0].fit()


def test_a_broken_validation_image_is_left_out_without_a_cache(world, stand_in, tmp_path) -> None:
    path = many(world, tmp_path / "data")[0].removeprefix("data.train=")
    with pytest.raises(ValueError, match=r"1 of 120 validation images are unreadable, more than 0%"):
        build_trainer(load_recipe("clip", [*stand_in, f"data.val={path}", "data.max_unreadable=0"]))
    _, pairs = build_trainer(load_recipe("clip", [*stand_in, f"data.val={path}"]))
    assert (len(pairs.val), pairs.skipped["unreadable image"]) == (119, 1)


def test_a_table_that_is_learned_from_whole_and_validated_on_in_part_is_told_the_split(
    stand_in, world
) -> None:
    (world / "one.csv").write_text(
        "image,caption,split\n"
        + "".join(
            f"{p},a red dog {i},{'val' if i % 3 == 0 else 'train'}\n"
            for i, p in enumerate(sorted((world / "images").iterdir()))
        )
    )
    table = [
        f"data.train={{path: {world / 'one.csv'}}}",
        f"data.val={{path: {world / 'one.csv'}, split: val}}",
    ]
    with pytest.raises(ValueError, match=r"its split 'val' too: .* as with data\.train\.split=train"):
        build_trainer(load_recipe("clip", [*stand_in, *table]))
    build_trainer(load_recipe("clip", [*stand_in, *table, "data.train.split=train"]))
    with pytest.raises(ValueError, match=r"^data\.val\.split: .*has no split 'test'; it has: train, val"):
        build_trainer(
            load_recipe("clip", [*stand_in, *table, "data.train.split=train", "data.val.split=test"])
        )


def test_images_that_training_and_validation_share_are_counted_by_content(world, stand_in, tmp_path) -> None:
    shutil.copytree(world, tmp_path / "copy")
    copied = f"data.val={{path: {tmp_path}/copy/captions_train.json, images: {tmp_path}/copy/images}}"
    with pytest.raises(
        ValueError, match=r"12 of 12 validation images are training images too.*max_overlap=1"
    ):
        build_trainer(load_recipe("clip", [*stand_in, copied]))
    _, pairs = build_trainer(load_recipe("clip", [*stand_in, copied, "data.max_overlap=1"]))
    assert len(pairs.overlap) == 12 and pairs.overlap[0].is_file()
    assert build_trainer(load_recipe("clip", stand_in))[1].overlap == []


LONG = "very " * 30 + "a red cube on a blue ball"


@pytest.mark.parametrize("name", ["negclip", "structure-clip"])
def test_negatives_beyond_the_context_length_are_left_out_and_counted(
    world, stand_in, tmp_path, name
) -> None:
    table = tmp_path / "captions.csv"
    rows = [
        f"{world}/images/train{n:03}.png,{LONG if n % 2 else 'a red dog chases a blue cat'}"
        for n in range(12)
    ]
    table.write_text("\n".join(["image,caption", *rows]) + "\n")
    recipe = load_recipe(name, [*stand_in, f"data.train={{path: {table}}}"])
    _, pairs = build_trainer(recipe)
    assert pairs.alike >= 6
    assert [bool(example.negatives) for example in pairs.train] == [n % 2 == 0 for n in range(12)]
    assert pairs.without["its negatives read like it in the model's 24 tokens"] == 6


def test_missing_and_broken_photos_are_named_and_the_counts_tell_one_story(world, stand_in, tmp_path) -> None:
    overrides = [*stand_in, *many(world, tmp_path / "data"), "data.cache=pixels"]
    (tmp_path / "data" / "9.jpg").unlink()
    trainer, pairs = build_trainer(load_recipe("clip", overrides))
    reasons = "2 skipped (image not found: 1, unreadable image: 1)"
    lines = summary(trainer, pairs)
    assert f"120 captions read = 118 kept + {reasons}" in lines
    gone = tmp_path / "data" / "9.jpg"
    assert f"skipped: image {gone} does not exist" in lines and "7.jpg cannot be decoded" in " ".join(lines)
    tell_unreadable(Console(file=(told := StringIO()), width=400), pairs, {}, tmp_path)
    assert told.getvalue().startswith(
        f"120 pairs = 118 used + {reasons}; 2 missing or unreadable images in all"
    )
    kept = json.loads((tmp_path / "unreadable.json").read_text())
    assert set(kept) == {str(gone), str(tmp_path / "data" / "7.jpg")}


def test_python_is_told_as_the_command_is(world, stand_in, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = [*stand_in, *many(world, tmp_path / "data"), f"output.folder={tmp_path / 'run'}"]
    (tmp_path / "data" / "9.jpg").unlink()
    given = dict(override.split("=", 1) for override in overrides) | {"model.pretrained": "null"}
    run = knowclip.train("clip", **{key: yaml.safe_load(value) for key, value in given.items()})
    told = capsys.readouterr().err
    gone, broken = (str(tmp_path / "data" / name) for name in ("9.jpg", "7.jpg"))
    assert "120 captions read = 119 kept + 1 skipped (image not found: 1)" in told
    assert f"skipped: image {gone} does not exist" in told
    assert "120 pairs = 118 used + 2 skipped (image not found: 1, unreadable image: 1)" in told
    assert json.loads((run.folder / "unreadable.json").read_text()).keys() == {gone, broken}


def test_the_share_of_broken_photos_is_of_all_that_were_read(world, stand_in, tmp_path) -> None:
    """One broken of 60 to validate on is one of 120: no more than with a cache, which reads all of them."""
    many(world, tmp_path / "data")
    table = tmp_path / "data" / "captions.csv"
    header, *rows = table.read_text().splitlines()
    rows = [f"{row},{'val' if number < 60 else 'train'}" for number, row in enumerate(rows)]
    table.write_text("\n".join([f"{header},split", *rows]) + "\n")
    halves = [f"data.{part}={{path: {table}, split: {part}}}" for part in ("train", "val")]
    for cache in ("none", "pixels"):
        _, pairs = build_trainer(load_recipe("clip", [*stand_in, *halves, f"data.cache={cache}"]))
        assert (len(pairs.train), len(pairs.val), pairs.images) == (60, 59, 120)


def test_what_a_recipe_leaves_open_is_told_before_training(world, stand_in, tmp_path) -> None:
    shares = ["schedule.warmup=0.5", "train.epochs=null", "train.steps=4"]
    captions = [
        f"{n}.png,{text}" for n, text in enumerate(["a red dog chases a blue cat"] * 11 + ["a red hat"])
    ]
    for number in range(12):
        shutil.copy(world / "images" / "train000.png", tmp_path / f"{number}.png")
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption", *captions]) + "\n")
    data = [f"data.train.path={world}/captions_train.json", f"data.val={{path: {tmp_path}/captions.csv}}"]
    recipe = load_recipe("negclip", [*stand_in, *data, *shares, "data.max_overlap=1"])
    trainer, pairs = build_trainer(recipe)
    lines = plan(recipe, trainer, pairs)
    assert lines[0] == "warm-up: 2 steps of 4"
    assert lines[1].startswith("validation's swaps, one negative a caption: mean over ")
    assert "'knowclip evaluate' draws from all negatives of every kind" in lines[1]
    images = len({example.image for example in pairs.train})
    one = recipe.model_copy(update={"data": recipe.data.model_copy(update={"captions_per_image": "one"})})
    assert plan(one, trainer, pairs)[0].startswith(f"an epoch shows each of {images} images once, with one")
