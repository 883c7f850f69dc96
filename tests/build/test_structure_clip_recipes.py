"""Recipes of structure_clip: every option has an effect, contradictions are told, the paper's sizes step."""

from __future__ import annotations

import json

import pytest
import torch
from accelerate import Accelerator

from knowclip.build.method import build_method, load_method
from knowclip.build.trainer import build_trainer
from knowclip.data.captions.collate import Collator
from knowclip.data.captions.dataset import Item
from knowclip.data.captions.negatives import negatives_for
from knowclip.data.captions.read import read_captions
from knowclip.models.loading.load import load
from knowclip.recipe.load import load_recipe
from knowclip.recipe.methods.contrastive import TERMS
from knowclip.recipe.methods.structure_clip import StructureClipConfig
from knowclip.training.optim import adamw
from knowclip.training.step import backward

EFFECTS = {
    "kee": "{layers: 2}",
    "kee.layers": "3",
    "kee.composition": "sum",
    "kee.scale": "0.4",
    "kee.renormalize": "false",
    "contrastive": "batch_hard",
    "contrastive_features": "plain",
    "negatives_in_softmax": "true",
    "hinge_weight": "0.5",
    "hinge_margin": "0.3",
    "hinge_features": "plain",
    "own_negative_weight": "0.5",
    "fold_weight": "0.5",
}


def losses(overrides: list[str], *more: str) -> dict[str, float]:
    trainer, _ = build_trainer(load_recipe("structure-clip", [*overrides, *more]))
    features = trainer.method(next(trainer.batches.epoch(0)))
    return {name: loss.item() for name, loss in trainer.method.losses(features)[0].items()}


@pytest.mark.parametrize("key", list(EFFECTS))
def test_every_option_changes_the_losses(key, stand_in) -> None:
    base = [*stand_in, "method={name: structure_clip, kee: {layers: 1}}"]
    assert losses(base, f"method.{key}={EFFECTS[key]}") != losses(base)


def test_fold_changes_the_losses(stand_in) -> None:
    base = [*stand_in, "method={name: structure_clip, kee: {layers: 1}, fold_weight: 1}"]
    assert losses(base, "method.fold=similarities") != losses(base)


def test_every_option_is_tested_above() -> None:
    fields = set(StructureClipConfig.model_fields) - {"name", "fold", *TERMS}
    kee = StructureClipConfig.model_fields["kee"].default
    nested = {f"kee.{name}" for name in type(kee).model_fields} - {"kee.pretrained"}  # tests/models
    assert fields | nested == set(EFFECTS)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method={name: structure_clip, kee: null, fold_weight: 1}", "kee=null leaves no features"),
        ("method={name: structure_clip, kee: null, hinge_features: both}", "kee=null leaves no features"),
        (
            "method={name: structure_clip, contrastive_features: plain, hinge_features: plain}",
            "it learns nothing: set kee=null",
        ),
        (
            "method={name: structure_clip, contrastive: batch_hard, negatives_in_softmax: true}",
            "set negatives_in_softmax=false",
        ),
        ("data.negatives.per_caption=0", "has a term that learns from negatives"),
        ("method={name: structure_clip, hinge_weight: 0}", "has no term that learns from negatives"),
        ("data.negatives.graphs=graphs.jsonl", "triples that no parser gives later"),
    ],
)
def test_contradictions_are_told(override, message) -> None:
    with pytest.raises(ValueError, match=message):
        load_recipe("structure-clip", [override])


def test_kee_alone_parses_captions_and_measures_swaps(stand_in) -> None:
    """The row "KEE only" of the paper's table: no negative is trained on, but all have graphs."""
    alone = "method={name: structure_clip, kee: {layers: 1}, hinge_weight: 0}"
    trainer, pairs = build_trainer(load_recipe("structure-clip", [*stand_in, alone, "data.negatives={}"]))
    batch = next(trainer.batches.epoch(0))
    assert batch.negatives.shape[1] == 0 and (batch.triples >= 0).any()
    assert any(example.negatives for example in pairs.val)


def test_validation_and_checkpoint_with_and_without_kee(stand_in, tmp_path) -> None:
    trainer, _ = build_trainer(load_recipe("structure-clip", stand_in))
    (tmp_path / "run").mkdir()
    trainer.fit()
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    measured = next(line for line in lines if line["kind"] == "validation")
    assert {"swaps", "with_kee_swaps", "text_to_image_R@1", "with_kee_text_to_image_R@1"} <= measured.keys()
    method = load_method(tmp_path / "run" / "last")
    live = trainer.method.eval()
    texts = ["A red dog chases a blue cat.", "a cat"]
    with torch.no_grad():
        expected = live.with_knowledge().encode_text(texts)
        torch.testing.assert_close(method.with_knowledge().encode_text(texts), expected)
        assert not torch.allclose(live.model.encode_text(texts, normalize=True)[0], expected[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["structure-clip-vit-b-32", "structure-clip-vit-l-14"])
def test_paper_sizes_take_two_steps(name, world, shallow) -> None:
    """Random weights, the recipes' own methods and learning rates, two pairs with a negative each."""
    recipe = load_recipe(name)
    model = load(str(shallow(f"{recipe.model.name}-quickgelu"))).train()
    method = build_method(recipe.method, model).train()
    assert len(method.kee.transformer.layers.layers) == 6
    examples = read_captions(world / "captions_train.json", images=world / "images").examples[:4:2]
    examples = negatives_for(examples).examples
    collate = Collator(
        tokenizer=model.tokenizer, negatives_per_caption=1, phrase_ids=method.phrase_ids
    )  # fmt: skip
    image = torch.randn(3, *model.image_size, generator=torch.Generator().manual_seed(0))
    batch = collate([Item(example, image, example.negatives[:1]) for example in examples])
    assert batch.negative_mask.all() and (batch.triples >= 0).any()
    named = [(n.removeprefix("model.model."), p) for n, p in method.named_parameters()]
    optimizer = adamw(named, **recipe.optimizer.model_dump())
    before = method.kee.proj.weight.detach().clone()
    for _ in range(2):
        taken, _ = backward(method, batch, accelerator=Accelerator(), accumulate=1)
        assert all(loss.isfinite() for loss in taken.values())
        optimizer.step()
        optimizer.zero_grad()
    assert not torch.equal(method.kee.proj.weight, before)
