"""Structure-CLIP: which features enter which term, the KEE's own negatives, folding, and saving."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from knowclip.build.method import load_method
from knowclip.export.method import save_method
from knowclip.losses.distillation import folding_loss
from knowclip.losses.hinge import batch_hard_loss, hinge_loss
from knowclip.methods.negclip import NegClip, contrastive_loss, masks, own_choice
from knowclip.methods.structure_clip import MEAN_STEPS, StructureClip, _views
from knowclip.models.loading.load import load
from knowclip.recipe.methods.structure_clip import KnowledgeEncoderConfig, StructureClipConfig
from tiny import tiny_batch, tiny_model
from tiny_models import make

SETTINGS = StructureClipConfig(name="structure_clip").arguments() | {"parser": "spacy"}
KEE = KnowledgeEncoderConfig(layers=1).model_dump()


def structure_clip(*, siglip: bool = False, **changed: object) -> StructureClip:
    settings = SETTINGS | {"kee": KEE} | changed
    return StructureClip(tiny_model(siglip=siglip), **settings)


VARIANTS = [
    {},
    {"siglip": True},
    {"kee": None},
    {"contrastive": "batch_hard", "hinge_features": "plain", "hinge_weight": 5.0},
    {
        "contrastive_features": "both",
        "hinge_features": "both",
        "fold_weight": 1.0,
        "own_negative_weight": 1.0,
    },
    {"fold": "similarities", "fold_weight": 1.0, "negatives_in_softmax": True},
    {"fold": "own", "fold_weight": 1.0},
    {"hinge_weight": 0.0},
]


@pytest.mark.parametrize("changed", VARIANTS)
@pytest.mark.parametrize("triples", [True, False])
def test_contract(changed, triples) -> None:
    """Finite losses, and a gradient for every parameter, without triples in the batch too."""
    method, batch = structure_clip(**changed), tiny_batch(6)
    if not triples:
        none = {name: torch.full_like(getattr(batch, name), -1) for name in ("triples", "negative_triples")}
        batch = dataclasses.replace(batch, **none)
    losses, report = method.losses(method(batch))
    assert all(
        name.endswith("_loss") and loss.shape == () and loss.isfinite() for name, loss in losses.items()
    )
    assert all(isinstance(value, float) and math.isfinite(value) for value in report.values())
    sum(losses.values()).backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    moved = [n for n, p in method.named_parameters() if n.startswith("kee.") and p.grad.abs().sum() > 0]
    assert bool(moved) == (triples and method.kee is not None)


def test_captions_without_triples_are_plain_exactly() -> None:
    method, batch = structure_clip().eval(), tiny_batch(6)
    features = method.encode(batch)
    without = (batch.triples < 0).flatten(1).all(dim=1)
    assert 0 < without.sum() < 6
    assert torch.equal(features.enhanced_text_features[without], features.text_features[without])
    changed = (features.enhanced_text_features != features.text_features).any(dim=1)
    assert torch.equal(changed, ~without)
    empty = ~batch.negative_mask
    assert torch.equal(features.enhanced_negative_features[empty], features.negative_features[empty])


def test_negatives_get_the_triples_of_their_own_graphs() -> None:
    method, batch = structure_clip().eval(), tiny_batch(6)
    before = method.encode(batch)
    other = batch.negative_triples.where(batch.negative_triples < 0, 7)
    after = method.encode(dataclasses.replace(batch, negative_triples=other))
    assert torch.equal(after.enhanced_text_features, before.enhanced_text_features)
    there = batch.negative_mask & (batch.negative_triples >= 0).flatten(2).any(dim=2)
    assert (after.enhanced_negative_features != before.enhanced_negative_features)[there].any(dim=-1).all()


def test_each_tower_runs_once() -> None:
    method, calls = structure_clip(), []
    for name in ("encode_image", "encode_text"):
        encode = getattr(method.model, name)
        counted = lambda x, encode=encode, name=name, **o: calls.append(name) or encode(x, **o)  # noqa: E731
        setattr(method.model, name, counted)
    method.kee.register_forward_hook(lambda *_: calls.append("kee"))
    method(tiny_batch(6))
    assert sorted(calls) == ["encode_image", "encode_text", "kee"]


@pytest.mark.parametrize("which", ["plain", "with_kee", "both"])
def test_terms_by_features(which) -> None:
    method = structure_clip(
        contrastive_features=which, hinge_features=which, hinge_weight=2.0, fold_weight=3.0
    )
    features = method(tiny_batch(6))
    losses, _ = method.losses(features)
    false, usable, own = masks(features)
    views = _views(features, which)
    itc = [contrastive_loss(view, false, torch.zeros_like(usable)) for view in views]
    hinge = [hinge_loss(**own_choice(view, own), margin=0.1) for view in views]
    assert losses["contrastive_loss"].item() == pytest.approx(torch.stack(itc).mean().item())
    assert losses["hinge_loss"].item() == pytest.approx(2 * torch.stack(hinge).mean().item())
    mask = features.negative_mask
    plain = torch.cat([features.text_features, features.negative_features[mask]])
    enhanced = torch.cat([features.enhanced_text_features, features.enhanced_negative_features[mask]])
    folding = folding_loss(text_features=plain, teacher_text_features=enhanced)
    assert losses["folding_loss"].item() == pytest.approx(3 * folding.item())


def test_folding_teaches_the_plain_tower_alone() -> None:
    for fold in ("features", "own", "similarities"):
        method = structure_clip(fold=fold, fold_weight=1.0)
        losses, _ = method.losses(method(tiny_batch(6)))
        losses["folding_loss"].backward()
        assert all(p.grad.abs().sum() == 0 for p in method.kee.parameters())
        assert method.model.model.text_projection.grad.abs().sum() > 0
        learnt = [p for p in method.model.model.visual.parameters() if p.grad is not None]
        assert all(p.grad.abs().sum() == 0 for p in learnt), f"{fold}: the images only judge"


def test_without_kee_and_hinge_it_is_negclip() -> None:
    settings = {"kee": None, "hinge_weight": 0.0, "negatives_in_softmax": True, "own_negative_weight": 0.5}
    method, other = structure_clip(**settings), NegClip(tiny_model(), own_negative_weight=0.5)
    batch = tiny_batch(6)
    ours, theirs = method.losses(method(batch)), other.losses(other(batch))
    torch.testing.assert_close(ours[0], theirs[0])
    assert ours[1] == pytest.approx(theirs[1])


def test_batch_hard_begins_with_the_mean() -> None:
    method = structure_clip(contrastive="batch_hard")
    features = method(tiny_batch(6))
    false, _, _ = masks(features)
    inputs = {"image_features": features.image_features, "text_features": features.enhanced_text_features}
    for mean in (True, False):
        expected = batch_hard_loss(**inputs, false_negatives=false, margin=0.2, mean_of_images=mean)
        assert method.losses(features)[0]["contrastive_loss"].item() == pytest.approx(expected.item())
        assert method.state_dict()["steps"] == (1 if mean else MEAN_STEPS + 1)
        method.steps.fill_(MEAN_STEPS)
    method.eval().losses(features)
    assert method.steps == MEAN_STEPS


def test_saved_beside_a_drop_in_checkpoint(tmp_path) -> None:
    """The folder loads as a CLIP without the KEE, and as the method with it; it holds no word twice."""
    model = make("word_level", tmp_path)
    method = StructureClip(model, **SETTINGS | {"kee": KEE, "fold_weight": 0.5}).eval()
    save_method(method, tmp_path / "best", name="structure_clip")
    texts = ["a red horse", "an astronaut"]
    with torch.no_grad():
        expected = method.with_knowledge().encode_text(texts)
        again = load_method(tmp_path / "best")
        torch.testing.assert_close(again.with_knowledge().encode_text(texts), expected)
        plain = load(tmp_path / "best").eval().encode_text(texts, normalize=True)
        torch.testing.assert_close(plain, model.encode_text(texts, normalize=True))
    assert again.settings() == method.settings()
    size = sum(p.numel() for p in method.kee.parameters())
    assert (tmp_path / "best" / "method.safetensors").stat().st_size < 4 * size + 10_000


def test_no_kee_saves_a_clip_alone(tmp_path) -> None:
    method = StructureClip(make("word_level", tmp_path), **SETTINGS | {"kee": None})
    save_method(method, tmp_path / "best", name="structure_clip")
    assert not list((tmp_path / "best").glob("method.*"))
    assert method.with_knowledge() is None and method.phrase_ids is None
