"""What a recipe adds to a contrastive method: every option has an effect, contradictions are told."""

from __future__ import annotations

import pytest
import torch

from knowclip.build.trainer import build_trainer
from knowclip.export.open_clip import save_pretrained
from knowclip.knowledge.negatives.subgraphs import KINDS
from knowclip.models.loading.load import load
from knowclip.recipe.load import load_recipe
from knowclip.recipe.methods.terms import DistillationConfig, ReadoutConfig, SubgraphsConfig
from knowclip.recipe.recipe import Recipe

EFFECTS = {
    "distillation.pairs_weight": "2",
    "distillation.objects_weight": "2",
    "distillation.crops": "0.5",
    "distillation.prompt": "a photo of {a} {name}",
    "distillation.teacher": "null",
    "subgraphs.weight": "2",
    "subgraphs.positives": "3",
    "subgraphs.negatives": "1",
    "subgraphs.kinds": "[pair, relation]",
    "subgraphs.against": "own",
    "subgraphs.shared": "false",
    "subgraphs.curriculum": "5",
    "readout.weight": "2",
    "readout.width": "8",
}


def losses(recipe: Recipe) -> dict[str, float]:
    trainer, _ = build_trainer(recipe)
    with torch.no_grad():  # else it is its teacher still
        trainer.method.model.model.visual.proj.mul_(torch.linspace(0.5, 2, 8))
        features = trainer.method(next(trainer.batches.epoch(0)))
    return {name: loss.item() for name, loss in trainer.method.objective(features)[0].items()}


def test_every_option_changes_the_losses(stand_in, world, tmp_path) -> None:
    save_pretrained(load(world / "tiny.json", seed=1), tmp_path / "teacher")  # not what the run starts from
    terms = "{pairs_weight: 1, objects_weight: 1, teacher: %s}" % (tmp_path / "teacher")
    base = [*stand_in, f"method.distillation={terms}", "method.subgraphs={}", "method.readout={}"]
    before = losses(load_recipe("negclip", base))
    for key, value in EFFECTS.items():
        assert losses(load_recipe("negclip", [*base, f"method.{key}={value}"])) != before, key
    sections = {"distillation": DistillationConfig, "subgraphs": SubgraphsConfig, "readout": ReadoutConfig}
    assert set(EFFECTS) == {
        f"{key}.{name}" for key, section in sections.items() for name in section.model_fields
    }
    assert SubgraphsConfig().kinds == KINDS


@pytest.mark.parametrize("recipe", ["clip", "structure-clip", "scenes-joint"])
def test_other_methods_have_the_terms_too(recipe, stand_in, graph_stand_in) -> None:
    """Plain CLIP parses its captions for their objects, though it learns from no negatives."""
    kee = ["method.kee.layers=1"] if recipe != "clip" else []
    options = [*stand_in, *graph_stand_in(recipe), *kee, "method.distillation.objects_weight=1"]
    options += ["method.subgraphs.positives=1", "method.readout.width=8"]
    recipe = load_recipe(recipe, options)
    trainer, pairs = build_trainer(recipe)
    assert all(example.graph is not None for example in pairs.train)
    batch = next(trainer.batches.epoch(0))
    assert 1 < len(batch.objects.ids) <= 4
    losses, _ = trainer.method.objective(trainer.method(batch))
    assert {"object_distillation_loss", "subgraph_loss", "readout_loss"} < losses.keys()


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("negclip", "{against: own, negatives: 0}", "set negatives to 1 or more"),
        ("negclip", "{positives: 1, negatives: 1, curriculum: 9}", "ask for more"),
        ("negclip", "{kinds: [noun]}", "'object', 'attribute', 'pair' or 'relation'"),
        ("negclip", "{}", "so nothing is distilled"),
        ("negclip", "{pairs_weight: 1, prompt: 'the {name}'}", "leave it out with objects_weight=0"),
        ("negclip", "{objects_weight: 1, prompt: a dog}", "it has no {name}"),
        ("negclip", "{objects_weight: 1, prompt: '{noun} {name}'}", "placeholders other than"),
        ("negclip", "{pairs_weight: 1, crops: 0.5}", "give an objects_weight, or set crops=0"),
        ("negclip", "{objects_weight: -1}", "objects_weight: got -1"),
        ("scenes-joint", "{pairs_weight: 1}", "joint distils on pairs by knowledge.kd_weight"),
    ],
)
def test_contradictions_are_told(recipe, options, message) -> None:
    section = "subgraphs" if "negatives" in options or "kinds" in options else "distillation"
    with pytest.raises(ValueError, match=message):
        load_recipe(recipe, [f"method.{section}={options}"])


def test_crops_are_cut_out_of_images() -> None:
    options = [
        "model.lock_image=true",
        "data.cache=trunk",
        "method.distillation={objects_weight: 1, crops: 0.5}",
    ]
    with pytest.raises(ValueError, match=r"set data\.cache=pixels, or crops=0"):
        load_recipe("negclip", options)
