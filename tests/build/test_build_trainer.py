"""From recipe to run: every shipped recipe builds, every field has an effect, mistakes are told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from open_clip.tokenizer import SimpleTokenizer
from typer.testing import CliRunner

from knowclip.api.runs import open_run
from knowclip.build.accelerator import build_accelerator
from knowclip.build.method import build_method
from knowclip.build.model import build_model
from knowclip.build.optimizer import build_optimizer
from knowclip.build.pairs import add_negatives, build_pairs, hold_out
from knowclip.build.trainer import build_trainer
from knowclip.build.validation import build_suite, build_validation
from knowclip.commands.train import command
from knowclip.data.captions.negatives import Prepared
from knowclip.evaluation.images import images_shown
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import load
from knowclip.preflight.recipes import read_source, read_sources
from knowclip.recipe.load import RECIPES, load_recipe
from knowclip.recipe.recipe import Recipe
from knowclip.training.validation import Validation
from knowclip.types import Example, ImageRef

SHIPPED = sorted(path.stem for path in RECIPES.glob("*.yaml"))
WITHOUT_PAIRS = {"cn100k", "cn100k-pooled"}
"""Tested in test_build_knowledge.py."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in WITHOUT_PAIRS])
def test_every_shipped_recipe_builds_and_trains(name, stand_in, graph_stand_in, tmp_path) -> None:
    recipe = load_recipe(name, [*stand_in, *graph_stand_in(name)])
    trainer, pairs = build_trainer(recipe)
    assert (len(pairs.train), len(pairs.val)) == (24, 12)
    open_run(recipe, resume=False)
    position = trainer.fit()
    assert position.step == trainer.steps
    assert 0 <= position.best <= 1
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert ('"swaps":' in log) == bool(recipe.data.negatives.per_caption)
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {
        "recipe.yaml",
        "log.jsonl",
        "tensorboard",
        "best",
        "last",
    }
    for part in ("best", "last"):
        assert load(run / part).encode_text(["a dog"]).shape == (1, 8)
    last = load(run / "last").state_dict()
    assert all(torch.equal(value, last[key]) for key, value in trainer.method.model.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flickr8k", "flickr8k-negclip"])
def test_learning_rates_of_the_photo_recipes_fit_their_towers(name) -> None:
    recipe = load_recipe(name)
    method = build_method(recipe.method, build_model(recipe.model))
    groups = build_optimizer(recipe.optimizer, method).param_groups
    assert {group["lr"] / recipe.optimizer.lr for group in groups} == {1, 5, 10}
    assert not any(p.requires_grad for p in method.model.model.visual.trunk.parameters())


@pytest.mark.parametrize(("trained", "best"), [(0.5, 0), (0.6, 2)])
def test_train_says_when_the_best_is_the_start(stand_in, trained, best, capsys, monkeypatch) -> None:
    scores = iter([0.5, trained])
    monkeypatch.setattr(Validation, "__call__", lambda self, model: {"text_to_image_R@1": next(scores)})
    command("clip", [*stand_in, "train.epochs=null", "train.steps=2", "train.validate_every=2"])
    told = capsys.readouterr().err
    assert f"at step {best}" in told
    assert ("that is the start: training raised none of it" in told) == (best == 0)


@pytest.mark.parametrize("metric", ["swaps", "with_kee_swaps_macro"])
def test_swaps_that_no_caption_gives_are_refused_before_training(stand_in, world, tmp_path, metric) -> None:
    path = tmp_path / "val.csv"
    path.write_text("image,caption\nval000.png,A dog.\nval001.png,Here and now.\n")
    overrides = [f"data.val={{path: {path}, images: {world / 'images'}}}", f"selection.metrics=[{metric}]"]
    with pytest.raises(ValueError, match=f"'{metric}' cannot be measured: none of 2 validation captions has"):
        built(stand_in, *overrides)
    assert built(stand_in, *overrides[:1], "selection.metrics=[text_to_image_R@1]").pairs.val


@pytest.fixture
def base(stand_in) -> list[str]:
    return stand_in


def built(overrides: list[str], *more: str) -> Any:
    trainer, pairs = build_trainer(load_recipe("negclip", [*overrides, *more]))
    trainer.pairs = pairs
    return trainer


def first_batch(trainer: Any) -> Any:
    return next(trainer.batches.epoch(0))


def groups(trainer: Any) -> list:
    keys = ("lr", "weight_decay", "betas", "eps", "initial_lr")
    return [{key: group[key] for key in keys} for group in trainer.optimizer.param_groups]


EFFECTS: dict[str, tuple[tuple[str, ...], Callable[[Any], Any]]] = {
    "model.lock_image": (("true",), lambda t: sum(p.requires_grad for p in t.method.parameters())),
    "model.unlocked_text_layers": (
        ("0",),
        lambda t: sum(p.requires_grad for p in t.method.parameters()),
    ),
    "model.lora": (("{r: 2}",), lambda t: sum(p.requires_grad for p in t.method.parameters())),
    "model.lock_text": (("true",), lambda t: sum(p.requires_grad for p in t.method.parameters())),
    "model.freeze_batch_norm": (("true",), lambda t: t.method.model._batch_norm_frozen),
    "data.max_unreadable": (("0.2",), lambda t: (t.max_unreadable, t.validate.max_unreadable)),
    "data.captions_per_image": (("one",), lambda t: len(t.batches.dataset)),
    "data.negatives.per_caption": (("2",), lambda t: first_batch(t).negatives.shape),
    "data.negatives.kinds": (
        ("[attribute_swap]",),
        lambda t: {n.kind for e in t.pairs.train for n in e.negatives},
    ),
    "data.group_share": (("1",), lambda t: t.batches.sampler._group_slots),
    "data.cache": (("pixels",), lambda t: type(t.batches.dataset._load_image)),
    "method.own_negative_weight": (("0.5",), lambda t: t.method.own_negative_weight),
    "optimizer.lr": (("0.1",), groups),
    "optimizer.weight_decay": (("0.5",), groups),
    "optimizer.betas": (("[0.5, 0.6]",), groups),
    "optimizer.eps": (("0.5",), groups),
    "optimizer.lr_multipliers": (("{visual.: 0.5}",), groups),
    "optimizer.layer_decay": (("0.5",), groups),
    "schedule.warmup": (("3",), lambda t: t.scheduler.lr_lambdas[0](0)),
    "schedule.final": (("0.5",), lambda t: t.scheduler.lr_lambdas[0](100)),
    "train.epochs": (("3",), lambda t: t.steps),
    "train.batch_size": (("4",), lambda t: len(first_batch(t).keys)),
    "train.accumulate": (("2",), lambda t: t.accumulate),
    "train.grad_checkpointing": (
        ("true",),
        lambda t: t.method.model.model.visual.transformer.grad_checkpointing,
    ),
    "train.compile": (("eager",), lambda t: t.compile),
    "train.clip_grad": (("2", "null"), lambda t: t.clip_grad),
    "train.ema": (("0.9",), lambda t: t.ema),
    "train.num_workers": (("1",), lambda t: t.batches.num_workers),
    "train.log_every": (("7",), lambda t: t.monitor._every),
    "train.validate_every": (("7",), lambda t: t.validate_every),
    "train.validate_start": (("false",), lambda t: t.validate_start),
    "train.save_every": (("7",), lambda t: t.save_every),
    "train.max_nonfinite": (("7",), lambda t: t.max_nonfinite),
    "selection.metrics": (("[a]",), lambda t: t.selection),
    "selection.patience": (("2",), lambda t: t.patience),
    "output.folder": (("elsewhere",), lambda t: t.checkpointer.run),
    "output.keep_last": (("2",), lambda t: t.checkpointer.keep_last),
    "output.wandb": (("project",), lambda t: t.monitor._open_log.keywords["wandb_project"]),
    "seed": (("5",), lambda t: t.method.model.model.text_projection.sum().item()),
}
"""Field -> other values, and what of the built run must then differ."""

ELSEWHERE = {
    "model.name", "model.pretrained", "model.activation", "model.preprocess", "data.train", "data.graph",
    "data.val", "data.val_images", "data.negatives.parser", "data.negatives.graphs",
    "data.negatives.processes", "data.cache_dir", "data.max_overlap", "data.shard_window", "method.name",
    "train.steps", "train.precision",
    "selection.suite", "selection.links", "model.trunk_dropout", "model.text_cache", "losses",
}  # fmt: skip
"""Passed on as they are to functions with tests of their own, or tested below."""


def fields(model: type, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if prefix + name == "method":
            found |= {"method.name", "method.own_negative_weight"}
        elif hasattr(annotation, "model_fields"):
            found |= fields(annotation, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def test_every_field_is_accounted_for() -> None:
    assert fields(Recipe) == set(EFFECTS) | ELSEWHERE


@pytest.mark.parametrize("key", list(EFFECTS))
def test_every_field_changes_what_is_built(key, base) -> None:
    values, look = EFFECTS[key]
    before = look(built(base))
    for value in values:
        assert look(built(base, f"{key}={value}")) != before


def test_precision_reaches_accelerate(base) -> None:
    from accelerate.state import AcceleratorState

    try:
        for precision, expected in (("fp32", "no"), ("bf16", "bf16")):
            AcceleratorState._reset_state()
            recipe = load_recipe("negclip", [*base, f"train.precision={precision}"])
            assert build_accelerator(recipe.train).mixed_precision == expected
        trainer, _ = build_trainer(recipe)
        open_run(recipe, resume=False)
        assert trainer.fit().best is not None
    finally:
        AcceleratorState._reset_state()


def test_steps_in_place_of_epochs(base) -> None:
    assert built(base, "train.epochs=null", "train.steps=11").steps == 11


def test_trunk_cache_trains_and_validates_as_without(base, tmp_path) -> None:
    """A locked tower's cached features lead to nearly the same weights and numbers (they are float16)."""
    logs = []
    for cache in ("none", "trunk", "pixels"):
        folder = tmp_path / cache
        recipe = load_recipe(
            "negclip", [*base, "model.lock_image=true", f"data.cache={cache}", f"output.folder={folder}"]
        )
        trainer, _ = build_trainer(recipe)
        open_run(recipe, resume=False)
        trainer.fit()
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        logs.append([line.get("loss", line.get("selection")) for line in lines])
    assert logs[1] == pytest.approx(logs[0], abs=2e-2)
    assert logs[2] == pytest.approx(logs[0], abs=2e-2)


@pytest.mark.parametrize("cache", ["pixels", "trunk"])
def test_validation_decodes_no_image_of_its_suite_anew(base, world, tmp_path, monkeypatch, cache) -> None:
    own = tmp_path / "suite"
    own.mkdir()
    shutil.copytree(world / "images", own / "images")
    shutil.copy(world / "captions_val.json", own)
    trainer = built(
        base, f"selection.suite={own}", f"data.cache={cache}", "model.lock_image=true", "data.max_overlap=1"
    )
    shown = images_shown(trainer.validate.benchmarks)
    assert {ref.path.is_relative_to(own) for ref in shown} == {True, False}
    given, plain = [], DualEncoder.encode_image

    def told(model, images, **options):
        given.append(images)
        return plain(model, images, **options)

    monkeypatch.setattr(DualEncoder, "encode_image", told)
    trainer.validate(trainer.method.model)
    assert all(isinstance(images, torch.Tensor) for images in given)
    assert bool(given) == (cache == "pixels")  # trunk features need no image at all


def test_a_broken_image_of_a_suite_is_no_pair_that_is_left_out(base, world, tmp_path) -> None:
    own = tmp_path / "suite"
    shutil.copytree(world / "images", own / "images")
    captions = json.loads((world / "captions_val.json").read_text())
    (own / "images" / captions["images"][0]["file_name"]).write_bytes(b"no image")
    (own / "captions_val.json").write_text(json.dumps(captions))
    settings = f"selection.suite={own}", "data.cache=pixels", "data.max_overlap=1", "data.max_unreadable=0.2"
    pairs = built(base, *settings).pairs
    assert not pairs.unreadable and not pairs.skipped["unreadable image"]


def test_dropout_of_cached_trunk_features_in_training_alone(base) -> None:
    locked = ("model.lock_image=true", "data.cache=trunk")
    model = built(base, *locked, "model.trunk_dropout=0.9").method.model
    plain = built(base, *locked).method.model
    features = torch.randn(64, 8)
    assert torch.equal(plain.train().encode_trunk(features), features)  # an unsplit tower has no head
    dropped = model.train().encode_trunk(features)
    assert 0.8 < (dropped == 0).float().mean() < 0.99
    assert torch.equal(model.eval().encode_trunk(features), features)


def test_held_out_images_are_the_same_whatever_the_order() -> None:
    examples = [
        Example(f"{i}#{k}", str(i), ImageRef(Path(f"{i}.jpg")), f"caption {i} {k}")
        for i in range(9)
        for k in (0, 1)
    ]
    train, val = hold_out(examples, images=3)
    _, val_again = hold_out(examples[::-1], images=3)
    assert {e.key for e in val} == {e.key for e in val_again}
    assert len(val) == 6 and len(train) == 12
    assert not {e.image_id for e in train} & {e.image_id for e in val}
    assert hold_out(examples, images=0) == (examples, [])
    with pytest.raises(ValueError, match=r"data\.val_images=9 holds out all of the 9 images"):
        hold_out(examples, images=9)


def test_copies_of_an_image_stay_in_one_part(tmp_path, caplog) -> None:
    examples = [Example(f"{i}#0", str(i), ImageRef(tmp_path / f"{i}.jpg"), "caption") for i in range(12)]
    for i, example in enumerate(examples):
        example.image.path.write_bytes(bytes([i]) * 9)
    plain = [example.image_id for example in hold_out(examples, images=4)[1]]
    copied = [*examples, Example("copy#0", "copy", ImageRef(tmp_path / "copy.jpg"), "caption")]
    for original in (e for e in examples if e.image_id in plain):  # beside one that would be held out
        copied[-1].image.path.write_bytes(original.image.path.read_bytes())
        train, val = hold_out(copied, images=4)
        where = [{e.image_id for e in part} & {original.image_id, "copy"} for part in (train, val)]
        assert sorted(map(len, where)) == [0, 2] and len(val) == 4 and len(train) == 9
        assert len({*plain} & {e.image_id for e in val}) >= 3
        assert [e.image_id for e in hold_out(copied[::-1], images=4)[1]] == [e.image_id for e in val[::-1]]
    for i, example in enumerate(examples):
        example.image.path.write_bytes(bytes([i // 2]) * 9)
    with pytest.raises(ValueError, match=r"data\.val_images=1 can hold none out"):
        hold_out(examples, images=1)
    with caplog.at_level("INFO"):
        val = hold_out(examples, images=6)[1]
    assert f"data.val_images=6: {len(val)} images are held out" in caplog.text and 0 < len(val) < 6


def test_two_things_to_validate_on_are_refused_with_what_to_set(base) -> None:
    with pytest.raises(ValueError, match=r"set data\.val=null to hold out .*or data\.val_images=0"):
        built(base, "data.val_images=4")


def test_val_images_are_taken_from_the_training_set(base) -> None:
    trainer = built(base, "data.val=null", "data.val_images=4")
    assert (len(trainer.pairs.train), len(trainer.pairs.val)) == (16, 8)


def test_every_option_of_a_source_reaches_its_reader(base, monkeypatch) -> None:
    options = {"format": "csv", "images": "i", "split": "s"}
    options |= {"image_column": "a", "caption_column": "b", "split_column": "c"}
    recipe = load_recipe(
        "clip", [f"data.train={{path: p, {', '.join(f'{k}: {v}' for k, v in options.items())}}}"]
    )
    seen = {}
    monkeypatch.setattr(
        "knowclip.preflight.recipes.read_captions", lambda path, **given: seen.update(path=path, **given)
    )
    read_source(recipe.data.train, 0.5)
    assert seen == options | {"path": Path("p"), "images": Path("i"), "max_missing": 0.5}


def test_every_option_of_the_model_reaches_its_loader(base, monkeypatch) -> None:
    seen = {}
    monkeypatch.setattr("knowclip.build.model.load", lambda name, **given: seen.update(name=name, **given))
    build_model(
        load_recipe("clip", ["model={name: n, pretrained: p, activation: gelu, preprocess: t}"]).model
    )
    # drawn by the run's seed, which the trainer sets: no other
    assert seen == {"name": "n", "pretrained": "p", "activation": "gelu", "preprocess": "t", "seed": None}


def test_every_option_of_negatives_reaches_their_maker(base, monkeypatch, tmp_path) -> None:
    seen = {}
    monkeypatch.setattr("knowclip.build.pairs.negatives_for", lambda examples, **given: seen.update(given))
    options = "{per_caption: 3, kinds: [a], parser: p, graphs: g.jsonl, processes: 2}"
    config = load_recipe("negclip", [*base, f"data.negatives={options}"]).data.negatives
    add_negatives(config, [], cache_dir=tmp_path / "cache")
    assert seen.pop("progress") is None
    assert seen == {
        "parser": "p", "graphs": Path("g.jsonl"), "kinds": ("a",), "processes": 2,
        "cache": tmp_path / "cache", "parse_negatives": False,
    }  # fmt: skip


def test_a_validation_reads_one_negative_a_caption(base) -> None:
    recipe = load_recipe("negclip", base)
    tokenizer = SimpleTokenizer(context_length=24)
    pairs = build_pairs(recipe.data, read_sources(recipe), tokenizer=tokenizer)
    examples = read_source(recipe.data.val).examples
    every = add_negatives(recipe.data.negatives, examples, cache_dir=recipe.data.cache_dir).examples
    assert max(len(example.negatives) for example in every) > 1
    assert [len(e.negatives) for e in pairs.val] == [min(len(e.negatives), 1) for e in every]
    again = build_pairs(recipe.data, read_sources(recipe), tokenizer=tokenizer)
    assert [e.negatives for e in again.val] == [e.negatives for e in pairs.val]
    assert max(len(example.negatives) for example in pairs.train) > 1


def test_negatives_are_parsed_for_a_kee(base, monkeypatch) -> None:
    seen = {}
    monkeypatch.setattr(
        "knowclip.build.pairs.negatives_for",
        lambda examples, **given: seen.update(given) or Prepared([], Counter(), Counter()),
    )
    for method, parsed in (
        ("method.kee.layers=1", True),
        ("method={name: structure_clip, kee: null}", False),
    ):
        recipe = load_recipe("structure-clip", [*base, method])
        triples = recipe.method.reads_triples
        build_pairs(recipe.data, read_sources(recipe), tokenizer=SimpleTokenizer(), triples=triples)
        assert seen["parse_negatives"] == parsed


def test_benchmarks_of_a_suite_are_measured_beside_the_pairs(base, monkeypatch) -> None:
    monkeypatch.setattr(
        "knowclip.build.validation.read_suite", lambda folder, split: ([f"{folder} {split}"], {})
    )
    recipe = load_recipe("clip", [*base, "selection.suite=scenes"])
    assert build_suite(recipe.selection) == ["scenes val"]
    assert build_suite(load_recipe("clip", base).selection) == []
    assert build_validation([], None, suite=["scenes val"]).benchmarks == ["scenes val"]
    assert build_validation([], None) is None


def test_missing_data_file_is_named(base) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.json"):
        built(base, "data.train.path=nowhere.json")


def test_batch_larger_than_the_data(base) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        built(base, "train.batch_size=1000")


def test_unreadable_image_is_left_out_and_counted_by_a_cache(base, world, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(world, copy)
    shutil.copy(copy / "images" / "train000.png", copy / "images" / "sound.png")
    captions = json.loads((copy / "captions_train.json").read_text())
    for index in range(200):  # one broken image of many: more than 1% would be refused
        captions["images"].append({"id": 100 + index, "file_name": f"more{index}.png"})
        captions["annotations"].append(
            {"id": 1000 + index, "image_id": 100 + index, "caption": "A red dog runs."}
        )
        shutil.copy(copy / "images" / "sound.png", copy / "images" / f"more{index}.png")
    (copy / "captions_train.json").write_text(json.dumps(captions))
    (copy / "images" / "more7.png").write_bytes(b"no image")
    trainer = built(
        base, f"data.train={{path: {copy}/captions_train.json, images: {copy}/images}}", "data.cache=pixels"
    )
    assert trainer.pairs.skipped["unreadable image"] == 1
    assert not any(example.image.path.name == "more7.png" for example in trainer.pairs.train)


def run_cli(*arguments: str):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments))


def test_command_trains_then_refuses_then_resumes(base, tmp_path, monkeypatch) -> None:
    result = run_cli("negclip", *base, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "24 pairs to train on, 12 to validate on; 3 batches an epoch, 6 steps" in result.output
    assert not (tmp_path / "run").exists()

    result = run_cli("negclip", *base)
    assert result.exit_code == 0, result.output
    assert "best: text_to_image_R@1" in result.output

    result = run_cli("negclip", *base)
    assert "holds a run already" in str(result.exception)

    result = run_cli("negclip", *base, "optimizer.lr=0.5", "--resume")
    assert "optimizer.lr 5e-06 -> 0.5" in str(result.exception)

    monkeypatch.setattr("knowclip.api.train.prepare", lambda *_, **__: pytest.fail("nothing is left to do"))
    result = run_cli("negclip", *base, "train.log_every=1", "--resume")
    assert result.exit_code == 0, result.output
    assert f"{tmp_path / 'run'} is finished: all 6 steps are done" in " ".join(result.output.split())
    assert f"knowclip evaluate {tmp_path / 'run'} --data" in result.output


def test_resumed_run_equals_an_uninterrupted_one(base, tmp_path, monkeypatch) -> None:
    """Through the real data, sampler and model: interrupted in the second epoch, equal in the end."""
    whole, _ = build_trainer(load_recipe("negclip", [*base, f"output.folder={tmp_path / 'whole'}"]))
    (tmp_path / "whole").mkdir()
    whole.fit()

    options = [*base, "train.save_every=1"]
    cut, _ = build_trainer(load_recipe("negclip", options))
    (tmp_path / "run").mkdir()
    step = type(cut)._step

    def interrupt(self, wrapped, batch, position):
        if position.step == 4:
            raise KeyboardInterrupt
        return step(self, wrapped, batch, position)

    monkeypatch.setattr(type(cut), "_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cut.fit()
    monkeypatch.undo()
    resumed, _ = build_trainer(load_recipe("negclip", options))
    resumed.fit(resume=True)
    for name, value in whole.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[name]), name


@pytest.mark.slow
def test_command_in_two_processes(base, tmp_path) -> None:
    """As `accelerate launch` starts them: the numbers of one process; one log, checkpoint and summary."""
    assert run_cli("negclip", *base, f"output.folder={tmp_path / 'one'}").exit_code == 0
    script = tmp_path / "train.py"  # the command alone: the others are none of this test's business
    script.write_text("import typer; from knowclip.commands.train import command; typer.run(command)")
    result = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"),
            *(str(script), "negclip", *base, f"output.folder={tmp_path / 'two'}"),
        ],
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("pairs to train on") == 1
    one, two = (
        [json.loads(line) for line in (tmp_path / folder / "log.jsonl").read_text().splitlines()]
        for folder in ("one", "two")
    )
    assert len(one) == len(two)
    for theirs, ours in zip(one, two, strict=True):
        both = theirs.keys() - {"pairs_per_second", "kind"}
        assert {k: ours[k] for k in both} == pytest.approx({k: theirs[k] for k in both}, rel=1e-3, abs=1e-4)
    assert load(tmp_path / "two" / "best").encode_text(["a dog"]).shape == (1, 8)
