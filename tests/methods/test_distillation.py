"""Distillation beside a contrastive method: what it keeps, of what, and for how long."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import nn

from knowclip.export.method import SETTINGS, own_tensors, save_method
from knowclip.methods.clip import Clip
from knowclip.methods.distillation import Distillation
from knowclip.methods.method import Method
from knowclip.methods.negclip import NegClip
from knowclip.methods.teacher import Teacher
from knowclip.types import Batch
from tiny import tiny_batch, tiny_model

TERMS = ("pair_distillation_loss", "object_distillation_loss")


def distilled(
    *, pairs: float = 0.0, objects: float = 0.0, crops: float = 0.0, method: Method | None = None
) -> Method:
    method = method or NegClip(tiny_model(), own_negative_weight=0.5)
    term = Distillation(method.model, pairs_weight=pairs, objects_weight=objects, crops=crops)
    method.terms.append(term)
    return method


def named(method: Method, batch: Batch) -> torch.Tensor:
    """Each image's softmax over the names of objects."""
    with torch.no_grad():
        images, objects = method.encode_images(batch), method.encode_texts(batch.objects.texts)
        return (method.model.logit_scale.exp() * images @ objects.T).softmax(dim=1)


def test_a_model_that_has_not_moved_costs_nothing() -> None:
    method = distilled(pairs=1.0, objects=1.0)
    losses, report = method.objective(method(tiny_batch(6)))
    for term in TERMS:
        assert losses[term].item() == pytest.approx(0, abs=1e-6)
    assert report["distilled_objects"] == 5


@pytest.mark.parametrize(("weights", "terms"), [((2.0, 0.0), TERMS[:1]), ((0.0, 2.0), TERMS[1:])])
def test_each_weight_is_of_its_own_term(weights, terms) -> None:
    losses = []
    for factor in (1, 2):
        method = distilled(pairs=weights[0] * factor, objects=weights[1] * factor)
        with torch.no_grad():
            method.model.model.visual.proj.mul_(torch.linspace(0.5, 2, 8))
        losses.append(method.objective(method(tiny_batch(6)))[0])
    assert losses[0].keys() == {"contrastive_loss", "own_negative_loss", *terms}
    for term in terms:
        assert losses[0][term].item() > 0
        assert losses[1][term].item() == pytest.approx(2 * losses[0][term].item())


def test_naming_is_kept_while_the_pairs_are_learned() -> None:
    batch = tiny_batch(6, distinct=True)
    moved = {}
    for weight in (0.0, 20.0):
        method = Clip(tiny_model())
        before = named(method, batch)
        if weight:
            distilled(objects=weight, method=method)
        optimizer = torch.optim.Adam(method.parameters(), lr=3e-3)
        first = last = None
        for _ in range(15):
            losses, _ = method.objective(method(batch))
            last = losses["contrastive_loss"].item()
            first = first or last
            optimizer.zero_grad()
            sum(losses.values()).backward()
            optimizer.step()
        assert last < first
        moved[weight] = (named(method, batch) - before).abs().mean().item()
    assert moved[20.0] < moved[0.0] / 2


def test_crops_are_named_as_the_teacher_names_them_and_shift_no_statistics() -> None:
    method = distilled(objects=1.0, crops=0.5, method=Clip(tiny_model()))
    visual = method.model.model.visual
    visual.conv1 = nn.Sequential(nn.BatchNorm2d(3, momentum=0.0), visual.conv1)
    method.terms[0] = Distillation(method.model, pairs_weight=0.0, objects_weight=1.0, crops=0.5)
    norm = visual.conv1[0]
    method.train()
    features = method(tiny_batch(6))
    assert features.crop_features.shape == features.teacher_crop_features.shape == (3, 8)
    # in training the whole images are seen by their own statistics, crops as the teacher sees them
    torch.testing.assert_close(features.crop_features, features.teacher_crop_features)
    assert norm.num_batches_tracked == 1 and norm.training
    losses, _ = method.objective(features)
    sum(losses.values()).backward()
    assert norm.weight.grad.isfinite().all()


def test_the_teacher_is_frozen_and_no_part_of_a_checkpoint(tmp_path) -> None:
    method = distilled(pairs=1.0, objects=1.0)
    assert not own_tensors(method) and method.terms[0].state_dict() == {}
    teacher = method.terms[0].teacher.model
    assert not any(p.requires_grad for p in teacher.parameters())
    losses, _ = method.objective(method(tiny_batch(6)))
    sum(losses.values()).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())
    save_method(method.train(), tmp_path / "out", name="negclip")
    assert not (tmp_path / "out" / SETTINGS).exists() and not teacher.training


def test_a_phrase_is_encoded_once_and_alike_whatever_it_comes_with(monkeypatch) -> None:
    teacher = Teacher(tiny_model())
    phrases = tiny_batch(6, distinct=True).objects
    some = dataclasses.replace(phrases, texts=phrases.texts[2:4], ids=phrases.ids[2:4])
    alone = teacher.phrases(some)
    torch.testing.assert_close(alone, teacher.texts(some.texts))
    encoded = []
    monkeypatch.setattr(teacher.model, "encode_text", spied(teacher.model.encode_text, encoded))
    together = teacher.phrases(phrases)
    assert torch.equal(together[2:4], alone) and torch.equal(together, Teacher(tiny_model()).phrases(phrases))
    assert len(encoded) == len(phrases.ids) - 2
    teacher.phrases(phrases)
    assert len(encoded) == len(phrases.ids) - 2


def test_no_more_phrases_are_kept_than_fit(monkeypatch) -> None:
    monkeypatch.setattr("knowclip.methods.teacher._REMEMBERED", 3)
    teacher = Teacher(tiny_model())
    phrases = tiny_batch(6, distinct=True).objects
    assert len(phrases.ids) > 3
    assert torch.equal(teacher.phrases(phrases), teacher.phrases(phrases))
    assert len(teacher._phrases) == 3


def spied(function: Callable, calls: list) -> Callable:
    def call(*arguments, **options):
        calls.append(arguments)
        return function(*arguments, **options)

    return call


def test_trunk_features_and_captions_without_objects() -> None:
    method = distilled(pairs=1.0, objects=1.0, method=Clip(tiny_model()))
    batch = tiny_batch(4)
    none = dataclasses.replace(
        batch.objects, texts=torch.zeros(0, 1, dtype=torch.long), ids=torch.zeros(0, dtype=torch.long)
    )
    with torch.no_grad():
        cached = method.model.trunk_features(batch.images)
    batch = dataclasses.replace(batch, images=None, trunk_features=cached, objects=none)
    losses, report = method.objective(method(batch))
    assert losses["object_distillation_loss"].item() == 0 and report["distilled_objects"] == 0
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in method.parameters())
