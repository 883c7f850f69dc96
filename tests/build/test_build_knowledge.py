"""Recipes with a knowledge graph: every option has an effect, mistakes are told, a run can be asked."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from knowclip.api.runs import open_run
from knowclip.build.method import load_method
from knowclip.build.trainer import build_trainer
from knowclip.build.validation import fusion_links
from knowclip.evaluation.links.prediction import read_links, run_link_prediction
from knowclip.evaluation.links.scorers import PlainClip
from knowclip.evaluation.scoring import Scorer
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.models.fusion import GraphPropagation
from knowclip.models.loading.load import load
from knowclip.models.triplet_encoder import LinkPredictor
from knowclip.recipe.graph import GraphConfig
from knowclip.recipe.load import load_recipe
from knowclip.recipe.methods.knowledge_clip import KnowledgeClipConfig
from knowclip.recipe.methods.knowledge_terms import FusionConfig
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
    "data.graph.hierarchy": ("[]", lambda t: t.batches.graph.queries.hierarchy.upward.tolist()),
    "data.graph.neighbours": ("1", lambda t: t.batches.graph.neighbours.fanout),
    "data.graph.shuffle_neighbours": ("true", lambda t: t.batches.graph.neighbours.shuffled),
    "data.graph.image_roots": ("{regions: elsewhere}", lambda t: sampler(t).graph._roots),
    "data.graph.cache": ("true", lambda t: getattr(t.batches.graph._load_images, "__name__", None)),
    "method.e2e_weight": ("0", parameters),
    "method.e2r_weight": ("0", parameters),
    "method.g2e_weight": ("0", parameters),
    "method.sentence_weight": ("1", lambda t: first(t).sentences is None),
    "method.pooled_weight": ("1", lambda t: first(t).tail_phrases is None),
    "method.self_negatives": ("true", lambda t: t.method.knowledge.pooled.self_negatives),
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

OF_THE_POOLED_TERM = ("data.graph.hierarchy", "method.self_negatives")
"""Fields that nothing else reads."""


def test_every_field_is_accounted_for() -> None:
    fields = {f"data.graph.{name}" for name in GraphConfig.model_fields} - {"data.graph.path"}
    fields |= {f"method.{name}" for name in KnowledgeClipConfig.model_fields}
    fields -= {"method.name", "method.fusion", "method.teacher"}
    assert fields | {f"method.fusion.{name}" for name in FusionConfig.model_fields} == set(EFFECTS)


@pytest.mark.slow
def test_every_field_changes_what_is_built(base) -> None:
    plain, pooled = built(base), built(base, "method.pooled_weight=1")
    for key, (value, look) in EFFECTS.items():
        read_by = ["method.pooled_weight=1"] if key in OF_THE_POOLED_TERM else []
        before = pooled if read_by else plain
        assert look(built(base, *read_by, f"{key}={value}")) != look(before), key


def test_a_named_teacher_is_loaded(base, world, monkeypatch) -> None:
    names = []
    for module in ("model", "method"):
        monkeypatch.setattr(
            f"knowclip.build.{module}.load",
            lambda name, **options: names.append(str(name)) or load(name, **options),
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


def test_graph_alone(kg_parts, world, tmp_path) -> None:
    """The recipe without pairs: it trains, and selects by link prediction."""
    graph = f"{{batch_size: 4, neighbours: 2, modality: text, same_image: 1, path: {kg_parts / 'train'}}}"
    options = [
        f"selection.links.path={kg_parts}",
        f"model={{name: {world / 'tiny.json'}}}", f"data.graph={graph}",
        "method.fusion={width: 16, layers: 1, heads: 2}", "optimizer.lr_multipliers={}", "schedule.warmup=1",
        "train.steps=3", f"output.folder={tmp_path / 'run'}",
    ]  # fmt: skip
    recipe = load_recipe("cn100k", options)
    trainer, pairs = build_trainer(recipe)
    assert not pairs.train
    open_run(recipe, resume=False)
    position = trainer.fit()
    links = trainer.validate.links.links
    method = load_method(tmp_path / "run" / "best")
    again = run_link_prediction(links, fusion_links(method), sides=("tail", "head"))
    assert position.best == pytest.approx(np.mean([r.metrics[r.main] for r in again]), abs=1e-6)

    trainer, _ = build_trainer(load_recipe("cn100k", [*options, "selection.links=null"]))
    assert trainer.validate is None


def test_pooled_graph_alone_with_and_without_kept_text_layers(kg_parts, world, tmp_path) -> None:
    """It selects by plain CLIP's answers, and trains to the same weights from what its locked layers gave."""
    graph = f"{{batch_size: 4, modality: text, same_image: 1, path: {kg_parts / 'train'}}}"
    options = [
        f"selection.links.path={kg_parts}", f"data.graph={graph}", "schedule.warmup=1", "train.steps=3",
        "train.validate_every=null", "train.save_every=null",
    ]  # fmt: skip
    trained = []
    for gigabytes in (0, 1):
        model = f"{{name: {world / 'tiny.json'}, unlocked_text_layers: 0, text_cache: {gigabytes}}}"
        run = tmp_path / str(gigabytes)
        recipe = load_recipe("cn100k-pooled", [*options, f"model={model}", f"output.folder={run}"])
        trainer, _ = build_trainer(recipe)
        open_run(recipe, resume=False)
        position = trainer.fit()
        trunk = trainer.method.model.text_trunk
        assert (trunk is not None) == bool(gigabytes) and (trunk is None or trunk.computed > 0)
        trained.append(trainer.method.state_dict())
        assert (run / "best" / "method.safetensors").is_file()
        plain = PlainClip(Scorer(load(run / "best")))
        asked = run_link_prediction(trainer.validate.links.links, plain, sides=("tail", "head"))
        assert position.best == pytest.approx(np.mean([r.metrics[r.main] for r in asked]), abs=1e-6)
    for name, value in trained[0].items():
        torch.testing.assert_close(value, trained[1][name], atol=1e-5, rtol=1e-4, msg=name)


def test_links_of_validation_are_those_of_val_and_nothing_of_test_is_opened(kg_parts, base, tmp_path) -> None:
    parts = tmp_path / "parts"
    shutil.copytree(kg_parts, parts)
    shutil.rmtree(parts / "test")
    seen = (f"selection.links.path={parts}", f"data.graph.path={parts / 'train'}")
    links = built(base, *seen).validate.links.links
    read = read_links(kg_parts, split="val", known=("train", "val"))
    assert (
        [graph.path.name for graph in links.parts]
        == [graph.path.name for graph in read.parts]
        == ["train", "val"]
    )
    assert len(links.rows) == links.graph.counts["triplets"] and links.views == read.views


def test_every_option_of_links_has_an_effect(kg_parts, base) -> None:
    seen = (f"selection.links.path={kg_parts}", f"data.graph.path={kg_parts / 'train'}")
    plain = built(base, *seen).validate.links
    for key, value, look in (
        ("sides", "[tail, relation]", lambda v: v.sides),
        ("modality", "image", lambda v: sum(isinstance(view, str) for view in v.links.views)),
        ("among", "split", lambda v: len(v.links.candidates)),
        ("limit", "2", lambda v: len(v.links.rows)),
    ):
        assert look(built(base, *seen, f"selection.links.{key}={value}").validate.links) != look(plain), key


@pytest.mark.parametrize(
    ("side", "without"), [("tail", "e2e_weight"), ("head", None), ("relation", "e2r_weight")]
)
def test_selection_asks_only_for_what_the_method_learns(kg_parts, base, side, without) -> None:
    asked = [
        f"selection.links={{path: {kg_parts}, sides: [{side}]}}",
        f"data.graph.path={kg_parts / 'train'}",
    ]
    with pytest.raises(
        ValueError, match=f"selection.links.sides has '{side}', which the method does not learn"
    ):
        built(base, *asked, *([f"method.{without}=0"] if without else []))


def test_plain_clip_is_asked_where_no_fusion_encoder_is(kg_parts, stand_in) -> None:
    links = f"selection={{links: {{path: {kg_parts}, limit: 3}}, metrics: [link_tail_mrr]}}"
    trainer, _ = build_trainer(load_recipe("clip", [*stand_in, links]))
    assert trainer.validate.links.fusion is None
    metrics = trainer.validate(trainer.method.model)
    assert {"link_tail_mrr", "text_to_image_R@1"} < set(metrics)


def test_links_that_training_sees_and_whole_graphs_are_refused(kg, kg_parts, base) -> None:
    with pytest.raises(ValueError, match=r"validation triplets of selection\.links.*: train on .*train"):
        built(base, f"selection.links.path={kg_parts}")
    with pytest.raises(ValueError, match="is a whole graph"):
        built(base, f"selection.links.path={kg}")


def test_a_graph_that_shows_validation_images_is_refused(kg, kg_parts, base) -> None:
    graph = KnowledgeGraph(kg)
    shown = f"data.val={{path: {kg.parent / 'pictures'}, format: folder}}"
    picture = sorted(graph.image_paths())[0]
    picture.with_suffix(".txt").write_text("a dog")
    try:
        with pytest.raises(ValueError, match=r"shows 1 validation images.*--without-images"):
            built(base, shown)
    finally:
        picture.with_suffix(".txt").unlink()
    parts = [KnowledgeGraph(kg_parts / part).image_paths() for part in ("train", "val", "test")]
    assert set.union(*parts) == graph.image_paths() and not set.intersection(*parts)


def test_a_wrong_metric_of_links_is_told_with_the_nearest(kg_parts, base, tmp_path) -> None:
    seen = (f"selection.links.path={kg_parts}", f"data.graph.path={kg_parts / 'train'}")
    trainer = built(base, *seen, "selection.metrics=[link_mrr]", "selection.links.limit=2")
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="'link_mrr' is not measured; did you mean 'link_tail_mrr'"):
        trainer.fit()


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
def test_paper_sizes_take_a_step(name, kg, tmp_path, shallow) -> None:
    """The papers' sizes with random weights on WebDataset shards."""
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for number in range(4):
            picture = io.BytesIO()
            Image.new("RGB", (32, 32), (60 * number, 0, 0)).save(picture, "png")
            for suffix, content in (("png", picture.getvalue()), ("txt", f"picture {number}".encode())):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    overrides = [
        f"model={{name: {shallow(load_recipe(name).model.name)}}}", "data.val=null",
        f"data.train={{path: {tmp_path}, format: webdataset}}",
        f"data.graph={{batch_size: 2, neighbours: 1, same_image: 1, path: {kg}}}", "train.batch_size=2",
        "train.accumulate=1", "train.steps=1", "train.precision=fp32", "train.num_workers=0",
        "schedule.warmup=0", f"output.folder={tmp_path / 'run'}",
    ]  # fmt: skip
    trainer, _ = build_trainer(load_recipe(name, overrides))
    width = {"knowledge-clip-vit-b-32": 768, "knowledge-clip-vit-l-14": 1024}[name]
    assert trainer.method.knowledge.triplets.fusion.image_projection[1].weight.shape == (1024, width)
    groups = {group["lr"] for group in trainer.optimizer.param_groups}
    assert sorted(groups) == pytest.approx([1e-5, 1e-3])
    method, batch = trainer.method.train(), next(trainer.batches.epoch(0))
    losses, _ = backward(method, batch, accelerator=Accelerator(), accumulate=1)
    assert losses.keys() == {"e2e_loss", "e2r_loss", "g2e_loss", "kd_loss"}
    assert all(loss.isfinite() for loss in losses.values())
    for parameter in method.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
