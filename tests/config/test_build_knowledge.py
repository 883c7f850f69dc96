"""Recipes with a knowledge graph: every option has an effect, mistakes are told, a run can be asked."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import open_clip
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from knowclip.build import build_trainer, load_method
from knowclip.commands.train import open_run
from knowclip.config import FusionConfig, GraphConfig, KnowledgeClipConfig, load_recipe
from knowclip.models.fusion import GraphPropagation
from knowclip.models.triplet_encoder import LinkPredictor
from knowclip.training.step import backward


@pytest.fixture
def base(stand_in, graph_stand_in) -> list[str]:
    return [*stand_in, *graph_stand_in("knowledge-clip"), "train.steps=2", "train.epochs=null"]


def built(base: list[str], *more: str) -> Any:
    return build_trainer(load_recipe("knowledge-clip", [*base, *more]))[0]


def parameters(trainer: Any) -> int:
    return sum(p.numel() for p in trainer.method.parameters())


def first(trainer: Any) -> Any:
    return next(trainer.batches.epoch(0)).graph


def sampler(trainer: Any) -> Any:
    return trainer.batches.graph.sampler


EFFECTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "data.graph.batch_size": ("5", lambda t: len(first(t).keys)),
    "data.graph.proportions": ("{words: 1}", lambda t: sampler(t).shares.tolist()),
    "data.graph.temperature": ("9", lambda t: sampler(t).shares.tolist()),
    "data.graph.modality": ("image", lambda t: sampler(t).image_odds.tolist()),
    "data.graph.context_margin": ("0.5", lambda t: sampler(t).context_margin),
    "data.graph.same_image": ("3", lambda t: sampler(t).same_image),
    "data.graph.inverse": ("true", lambda t: len(t.method.knowledge.vocabulary)),
    "data.graph.neighbours": ("1", lambda t: t.batches.graph.neighbours.fanout),
    "data.graph.shuffle_neighbours": ("true", lambda t: t.batches.graph.neighbours.shuffled),
    "data.graph.image_roots": ("{regions: elsewhere}", lambda t: sampler(t).graph._roots),
    "data.graph.cache": ("true", lambda t: getattr(t.batches.graph._load_images, "__name__", None)),
    "method.e2e_weight": ("0", parameters),
    "method.e2r_weight": ("0", parameters),
    "method.g2e_weight": ("0", parameters),
    "method.kd_weight": ("0", lambda t: t.method.knowledge._teacher is None),
    "method.head_side": ("true", lambda t: t.method.knowledge.head_side),
    "method.captions_as_triplets": ("false", lambda t: len(t.method.knowledge.vocabulary)),
    "method.graph_layers": (
        "1",
        lambda t: (
            [len(m.layers) for m in t.method.modules() if isinstance(m, GraphPropagation)]
            + [t.batches.graph.neighbours.hops]
        ),
    ),
    "method.fusion.width": ("8", parameters),
    "method.fusion.layers": ("2", parameters),
    "method.fusion.heads": ("4", lambda t: t.method.knowledge.triplets.fusion.blocks[0].attn.num_heads),
    "method.fusion.drop_path": ("0.5", lambda t: t.method.settings()["fusion"]["drop_path"]),
}


def test_every_field_is_accounted_for() -> None:
    fields = {f"data.graph.{name}" for name in GraphConfig.model_fields} - {"data.graph.path"}
    fields |= {f"method.{name}" for name in KnowledgeClipConfig.model_fields}
    fields -= {"method.name", "method.fusion", "method.teacher"}
    assert fields | {f"method.fusion.{name}" for name in FusionConfig.model_fields} == set(EFFECTS)


def test_every_field_changes_what_is_built(base) -> None:
    plain = built(base)
    for key, (value, look) in EFFECTS.items():
        assert look(built(base, f"{key}={value}")) != look(plain), key


def test_a_named_teacher_is_loaded(base, world, monkeypatch) -> None:
    from knowclip import build

    names = []
    load = build.load
    monkeypatch.setattr(
        build, "load", lambda name, **options: names.append(str(name)) or load(name, **options)
    )
    built(base, f"method.teacher={world / 'tiny.json'}")
    assert names == [str(world / "tiny.json")] * 2


def test_run_is_a_drop_in_clip_that_can_be_asked(base, tmp_path) -> None:
    recipe = load_recipe("knowledge-clip", [*base, "train.steps=6"])
    trainer, _ = build_trainer(recipe)
    open_run(recipe, resume=False)
    trainer.fit()
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"e2e_loss", "e2r_loss", "g2e_loss", "kd_loss"} <= {key for line in log for key in line}
    for folder in ("best", "last"):
        open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'run' / folder}")
    method = load_method(tmp_path / "run" / "last")
    trained = trainer.method.state_dict()
    assert all(torch.equal(value, trained[key]) for key, value in method.state_dict().items())
    ask = LinkPredictor(method.model, method.knowledge.triplets)
    entities = ask.encode_entities(["dog", "living thing", "house"])
    relations = ask.encode_relations(["is a"])
    queries = ask.tail_queries(entities, relations, heads=torch.tensor([0]), relation=torch.tensor([0]))
    assert (queries @ ask.tail_candidates(entities).T).shape == (1, 3)


def test_graph_alone(kg, world, tmp_path) -> None:
    """The recipe without pairs: it trains, keeps `last` alone, and resumes."""
    graph = "{batch_size: 4, neighbours: 2, modality: text, same_image: 1, path: " + str(kg) + "}"
    options = [
        f"model={{name: {world / 'tiny.json'}}}", f"data.graph={graph}",
        "method.fusion={width: 16, layers: 1, heads: 2}", "optimizer.lr_multipliers={}", "schedule.warmup=1",
        "train.steps=3", f"output.folder={tmp_path / 'run'}",
    ]  # fmt: skip
    recipe = load_recipe("cn100k", options)
    trainer, pairs = build_trainer(recipe)
    assert not pairs.train and trainer.validate is None
    open_run(recipe, resume=False)
    assert trainer.fit().best is None
    assert not (tmp_path / "run" / "best").exists()
    assert load_method(tmp_path / "run" / "last").knowledge.triplets is not None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.graph=null", r"learns from a knowledge graph: set data\.graph\.path"),
        ("method={name: clip}", r"method clip learns from no triplets: leave data\.graph out"),
        (
            "method={name: knowledge_clip, e2e_weight: 0, e2r_weight: 0, g2e_weight: 0}",
            "learns from no triplets",
        ),
        ("data.train=null", r"data\.train is missing.*kd_weight=0"),
        ("train.batch_size=null", r"train\.batch_size counts pairs"),
        ("data.graph.neighbors=2", "did you mean 'neighbours'"),
    ],
)
def test_mistakes_in_a_recipe_are_told(base, override, message) -> None:
    with pytest.raises(ValueError, match=message):
        load_recipe("knowledge-clip", [*base, override])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["knowledge-clip-vit-b-32", "knowledge-clip-vit-l-14"])
def test_paper_sizes_take_two_steps(name, kg, tmp_path) -> None:
    """The papers' sizes with random weights on WebDataset shards; by SGD: AdamW's state is 4 GB more."""
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for number in range(4):
            picture = io.BytesIO()
            Image.new("RGB", (32, 32), (60 * number, 0, 0)).save(picture, "png")
            for suffix, content in (("png", picture.getvalue()), ("txt", f"picture {number}".encode())):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    overrides = [
        "model.pretrained=random", f"data.train={{path: {tmp_path}, format: webdataset}}", "data.val=null",
        f"data.graph={{batch_size: 2, neighbours: 1, same_image: 1, path: {kg}}}", "train.batch_size=2",
        "train.accumulate=1", "train.steps=2", "train.precision=fp32", "train.num_workers=0",
        "schedule.warmup=1", f"output.folder={tmp_path / 'run'}",
    ]  # fmt: skip
    trainer, _ = build_trainer(load_recipe(name, overrides))
    width = {"knowledge-clip-vit-b-32": 768, "knowledge-clip-vit-l-14": 1024}[name]
    assert trainer.method.knowledge.triplets.fusion.image_projection[1].weight.shape == (1024, width)
    groups = {group["lr"] for group in trainer.optimizer.param_groups}
    assert sorted(groups) == pytest.approx([1e-5, 1e-3])
    accelerator, method = Accelerator(), trainer.method.train()
    for batch in trainer.batches.epoch(0):
        losses, _ = backward(method, batch, accelerator=accelerator, accumulate=1)
        assert losses.keys() == {"e2e_loss", "e2r_loss", "g2e_loss", "kd_loss"}
        assert all(loss.isfinite() for loss in losses.values())
        with torch.no_grad():
            for parameter in method.parameters():
                assert parameter.grad is not None and parameter.grad.isfinite().all()
                parameter.sub_(1e-4 * parameter.grad)
                parameter.grad = None
