"""Each loss: the contract of ``cases.py``, and values worked by hand."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil

import open_clip.loss
import pytest
import torch
from cases import (
    LOSSES,
    LossCase,
    in_batch_separation,
    negative_separation,
    own_separation,
    random_inputs,
)
from torch import Tensor

import knowclip.losses
from knowclip.losses.contrastive import clip_loss, siglip_loss
from knowclip.losses.hard_negative import negative_siglip_loss, negclip_loss, own_negative_loss


class TestClipLoss(LossCase):
    loss = clip_loss
    inputs = LOSSES[clip_loss]
    separation = staticmethod(in_batch_separation)


class TestSiglipLoss(LossCase):
    loss = siglip_loss
    inputs = LOSSES[siglip_loss]
    separation = staticmethod(in_batch_separation)


class TestNegclipLoss(LossCase):
    loss = negclip_loss
    inputs = LOSSES[negclip_loss]
    separation = staticmethod(own_separation)


class TestOwnNegativeLoss(LossCase):
    loss = own_negative_loss
    inputs = LOSSES[own_negative_loss]
    separation = staticmethod(own_separation)


class TestNegativeSiglipLoss(LossCase):
    loss = negative_siglip_loss
    inputs = LOSSES[negative_siglip_loss]
    separation = staticmethod(negative_separation)


def test_every_loss_has_a_test() -> None:
    tested = {case.loss for case in LossCase.__subclasses__()}
    modules = [
        importlib.import_module(f"knowclip.losses.{m.name}")
        for m in pkgutil.iter_modules(knowclip.losses.__path__)
    ]
    public = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.endswith("_loss") and not name.startswith("_") and function.__module__ == module.__name__
    }
    assert public == tested == set(LOSSES)


# Worked by hand

EYE = torch.eye(2, dtype=torch.float64)
ONE = torch.tensor(1.0, dtype=torch.float64)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_clip_loss_by_hand() -> None:
    # logits [[1, 0], [0, 1]]: every softmax gives -log(e / (e + 1)) = softplus(-1)
    loss = clip_loss(image_features=EYE, text_features=EYE, logit_scale=ONE)
    assert loss.item() == pytest.approx(softplus(-1))


def test_clip_loss_with_every_other_pair_false_is_zero() -> None:
    mask = ~torch.eye(2, dtype=torch.bool)
    loss = clip_loss(image_features=EYE, text_features=EYE, logit_scale=ONE, false_negatives=mask)
    assert loss.item() == 0


def test_siglip_loss_by_hand() -> None:
    # (2 softplus(-(1 + b)) + 2 softplus(0 + b)) / 2 with b = -1/2
    bias = torch.tensor(-0.5, dtype=torch.float64)
    loss = siglip_loss(image_features=EYE, text_features=EYE, logit_scale=ONE, logit_bias=bias)
    assert loss.item() == pytest.approx(softplus(-0.5) + softplus(-0.5))


def test_negclip_loss_by_hand() -> None:
    # image 0 against its caption (1), the other (0) and negative of caption 0, equal to caption 1 (0)
    negatives = EYE[[1, 0]][:, None]
    usable = torch.zeros(2, 2, 1, dtype=torch.bool)
    usable[0, 0] = True
    loss = negclip_loss(
        image_features=EYE,
        text_features=EYE,
        negative_features=negatives,
        logit_scale=ONE,
        usable_negatives=usable,
    )
    image_to_text = (math.log((math.e + 2) / math.e) + softplus(-1)) / 2
    assert loss.item() == pytest.approx((image_to_text + softplus(-1)) / 2)


def test_own_negative_loss_by_hand() -> None:
    # caption 0 has one negative of similarity 0, caption 1 none: the mean is over caption 0 alone
    loss = own_negative_loss(
        image_features=EYE,
        text_features=EYE,
        negative_features=EYE[[1, 1]][:, None],
        logit_scale=3 * ONE,
        own_negatives=torch.tensor([[True], [False]]),
    )
    assert loss.item() == pytest.approx(softplus(-3))


def test_negative_siglip_loss_by_hand() -> None:
    # one pair of similarity 1 among two images
    usable = torch.zeros(2, 2, 1, dtype=torch.bool)
    usable[0, 1] = True
    loss = negative_siglip_loss(
        image_features=EYE,
        negative_features=EYE[[1, 0]][:, None],
        logit_scale=ONE,
        logit_bias=-2 * ONE,
        usable_negatives=usable,
    )
    assert loss.item() == pytest.approx(softplus(1 - 2) / 2)


# Relations between losses


def test_clip_and_siglip_equal_open_clip() -> None:
    inputs = random_inputs(LOSSES[siglip_loss] - {"false_negatives"})
    bias = inputs.pop("logit_bias")
    torch.testing.assert_close(clip_loss(**inputs), open_clip.loss.ClipLoss()(**inputs))
    inputs["logit_bias"] = bias
    torch.testing.assert_close(siglip_loss(**inputs), open_clip.loss.SigLipLoss()(**inputs))


def without_negatives(name: str) -> Tensor:
    return torch.zeros_like(random_inputs({name})[name])


def test_negclip_without_negatives_is_clip() -> None:
    inputs = random_inputs(LOSSES[negclip_loss])
    inputs["usable_negatives"] = without_negatives("usable_negatives")
    assert negclip_loss(**inputs).item() == clip_loss(**random_inputs(LOSSES[clip_loss])).item()


@pytest.mark.parametrize(
    ("loss", "mask"),
    [(own_negative_loss, "own_negatives"), (negative_siglip_loss, "usable_negatives")],
)
def test_no_negative_at_all_is_zero_with_a_gradient(loss, mask) -> None:
    inputs = random_inputs(LOSSES[loss]) | {mask: without_negatives(mask)}
    for name in ("image_features", "negative_features", "logit_scale"):
        inputs[name] = inputs[name].clone().requires_grad_()
    value = loss(**inputs)
    assert value.item() == 0
    value.backward()
    for name in ("image_features", "negative_features", "logit_scale"):
        assert torch.equal(inputs[name].grad, torch.zeros_like(inputs[name])), name


@pytest.mark.parametrize("loss", [negclip_loss, own_negative_loss, negative_siglip_loss])
def test_an_empty_slot_says_nothing(loss) -> None:
    inputs = random_inputs(LOSSES[loss])
    changed = inputs["negative_features"].clone()
    changed[2] = 7.0  # caption 2 has no negative
    assert loss(**inputs | {"negative_features": changed}).item() == loss(**inputs).item()
    gradient = torch.autograd.grad(loss(**inputs | {"negative_features": changed.requires_grad_()}), changed)[
        0
    ]
    assert torch.equal(gradient[2], torch.zeros_like(gradient[2]))


@pytest.mark.parametrize("loss", [negclip_loss, own_negative_loss, negative_siglip_loss])
def test_no_slots_at_all(loss) -> None:
    inputs = random_inputs(LOSSES[loss])
    inputs["negative_features"] = inputs["negative_features"][:, :0]
    for name in {"own_negatives", "usable_negatives"} & LOSSES[loss]:
        inputs[name] = inputs[name][..., :0]
    assert loss(**inputs).isfinite()
