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
    nearness_in_naming,
    nearness_to_choice,
    nearness_to_enhanced,
    nearness_to_teacher,
    negative_separation,
    own_separation,
    random_inputs,
    readout_separation,
    subgraph_separation,
    triplet_separation,
)
from torch import Tensor
from torch.nn import functional as F

import knowclip.losses
from knowclip.losses.contrastive import clip_loss, siglip_loss
from knowclip.losses.distillation import folding_loss, own_folding_loss
from knowclip.losses.hard_negative import negative_siglip_loss, negclip_loss, own_negative_loss
from knowclip.losses.hinge import batch_hard_loss, hinge_loss
from knowclip.losses.knowledge_distillation import distillation_loss, object_distillation_loss
from knowclip.losses.pooled import pooled_loss
from knowclip.losses.readout import readout_loss
from knowclip.losses.subgraphs import subgraph_loss
from knowclip.losses.triplet import e2e_loss, e2r_loss, g2e_loss


class TestClipLoss(LossCase):
    loss = clip_loss
    separation = staticmethod(in_batch_separation)


class TestSiglipLoss(LossCase):
    loss = siglip_loss
    separation = staticmethod(in_batch_separation)


class TestNegclipLoss(LossCase):
    loss = negclip_loss
    separation = staticmethod(own_separation)


class TestOwnNegativeLoss(LossCase):
    loss = own_negative_loss
    separation = staticmethod(own_separation)


class TestNegativeSiglipLoss(LossCase):
    loss = negative_siglip_loss
    separation = staticmethod(negative_separation)


class TestE2ELoss(LossCase):
    loss = e2e_loss
    learnt = ("query_features", "candidate_features")
    separation = staticmethod(triplet_separation)


class TestPooledLoss(LossCase):
    loss = pooled_loss
    learnt = ("query_features", "candidate_features")
    separation = staticmethod(triplet_separation)


class TestE2RLoss(LossCase):
    loss = e2r_loss
    learnt = ("relation_logits",)

    def margins(self, *, steps: int) -> Tensor:
        logits = random_inputs(self.inputs)["relation_logits"].requires_grad_()
        labels = random_inputs(self.inputs)["relation_labels"]
        optimizer = torch.optim.Adam([logits], lr=0.1)
        for _ in range(steps):
            optimizer.zero_grad()
            self.call(relation_logits=logits).backward()
            optimizer.step()
        return F.log_softmax(logits.detach(), dim=1).gather(1, labels[:, None])


class TestG2ELoss(LossCase):
    loss = g2e_loss
    learnt = ("entity_features", "graph_features")
    separation = staticmethod(triplet_separation)


class TestDistillationLoss(LossCase):
    loss = distillation_loss
    separation = staticmethod(nearness_to_teacher)


class TestObjectDistillationLoss(LossCase):
    loss = object_distillation_loss
    learnt = ("image_features", "object_features")
    separation = staticmethod(nearness_in_naming)


class TestSubgraphLoss(LossCase):
    loss = subgraph_loss
    learnt = ("image_features", "subgraph_features")
    separation = staticmethod(subgraph_separation)


class TestReadoutLoss(LossCase):
    loss = readout_loss
    learnt = ("query_features", "tail_features")
    separation = staticmethod(readout_separation)

    def test_order_of_the_batch_does_not_matter(self) -> None:
        """Of triples; tails are numbered by their labels."""
        order, inputs = torch.tensor([3, 0, 5, 1, 4, 2]), random_inputs(self.inputs)
        permuted = {name: inputs[name][order] for name in ("query_features", "tail_labels", "known_tails")}
        torch.testing.assert_close(self.call(**permuted), self.call())


class TestHingeLoss(LossCase):
    loss = hinge_loss
    separation = staticmethod(own_separation)

    def margins(self, *, steps: int) -> Tensor:
        """Pairs beyond the margin are left alone: only the others must move."""
        behind = own_separation(random_inputs(self.inputs)) < random_inputs({"margin"})["margin"]
        return super().margins(steps=steps)[behind]


class TestBatchHardLoss(LossCase):
    loss = batch_hard_loss
    separation = staticmethod(in_batch_separation)


class TestFoldingLoss(LossCase):
    loss = folding_loss
    learnt = ("text_features",)
    separation = staticmethod(nearness_to_enhanced)


class TestOwnFoldingLoss(LossCase):
    loss = own_folding_loss
    learnt = ("text_features", "negative_features")
    separation = staticmethod(nearness_to_choice)


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


@pytest.mark.parametrize("loss", [own_negative_loss, own_folding_loss, hinge_loss])
def test_a_batch_with_one_negative_is_that_of_its_caption_alone(loss) -> None:
    inputs = random_inputs(LOSSES[loss])
    inputs["own_negatives"] = inputs["own_negatives"] & False
    inputs["own_negatives"][3, 1] = True
    alone = {name: value[3:4] if value.ndim else value for name, value in inputs.items()}
    torch.testing.assert_close(loss(**inputs), loss(**alone))
    assert loss(**alone) > 0
    slot = {n: v[:, 1:] for n, v in alone.items() if n.endswith(("negative_features", "own_negatives"))}
    torch.testing.assert_close(loss(**alone | slot), loss(**alone))


@pytest.mark.parametrize("loss", [negclip_loss, own_negative_loss, negative_siglip_loss])
def test_no_slots_at_all(loss) -> None:
    inputs = random_inputs(LOSSES[loss])
    inputs["negative_features"] = inputs["negative_features"][:, :0]
    for name in {"own_negatives", "usable_negatives"} & LOSSES[loss]:
        inputs[name] = inputs[name][..., :0]
    assert loss(**inputs).isfinite()


def test_own_folding_of_one_negative_by_hand() -> None:
    """The teacher says half and half, the model e to 1; the second caption has no negative."""
    loss = own_folding_loss(
        image_features=EYE,
        text_features=EYE,
        negative_features=EYE.flip(0)[:, None],
        teacher_text_features=EYE.flip(0),
        teacher_negative_features=EYE.flip(0)[:, None],
        logit_scale=ONE,
        own_negatives=torch.tensor([[True], [False]]),
    )
    assert loss.item() == pytest.approx((softplus(-1) + softplus(1)) / 2 - math.log(2))


def test_object_distillation_by_hand() -> None:
    """The teacher says half and half, the model e to 1: KL is -ln 2 - (log q + log(1 - q)) / 2."""
    loss = object_distillation_loss(
        image_features=EYE,
        object_features=EYE,
        logit_scale=ONE,
        teacher_image_features=torch.zeros(2, 3, dtype=torch.float64),
        teacher_object_features=torch.ones(2, 3, dtype=torch.float64),
        teacher_logit_scale=ONE,
    )
    assert loss.item() == pytest.approx((softplus(-1) + softplus(1)) / 2 - math.log(2))


@pytest.mark.parametrize("names", [0, 1])
def test_objects_without_another_name_distil_nothing(names) -> None:
    inputs = random_inputs(LOSSES[object_distillation_loss])
    for side in ("object_features", "teacher_object_features"):
        inputs[side] = inputs[side][:names].clone().requires_grad_()
    loss = object_distillation_loss(**inputs)
    loss.backward()
    assert loss.item() == 0 and inputs["object_features"].grad.abs().sum() == 0


@pytest.mark.parametrize("shared", [True, False])
def test_subgraph_loss_by_hand(shared) -> None:
    """Image 0 has texts 0 and 1 (logits 2 and 1), text 2 is false of it (0); image 1 has none."""
    inputs = {
        "image_features": torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        "subgraph_features": torch.eye(3),
        "logit_scale": ONE.float(),
        "positives": torch.tensor([[True, True, False], [False, False, False]]),
        "false_texts": torch.tensor([[False, False, True], [True, True, True]]),
        "false_images": torch.tensor([[False, False, True], [False, True, True]]),
    }
    if shared:
        to_text = [math.log(math.exp(2) + math.e + 1) - logit for logit in (2, 1)]
    else:
        to_text = [softplus(-2), softplus(-1)]
    # image 1 may show text 0 as well, so text 0 has no other image; text 1 has image 1, of logit 0
    to_image = [0, softplus(-1)]
    loss = subgraph_loss(**inputs, shared=shared)
    assert loss.item() == pytest.approx((sum(to_text) + sum(to_image)) / 2 / 2)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("none", ["positives", "false", "texts"])
def test_nothing_to_choose_from_is_zero_with_a_gradient(none, shared) -> None:
    inputs = random_inputs(LOSSES[subgraph_loss]) | {"shared": shared}
    if none == "positives":
        inputs["positives"] = torch.zeros_like(inputs["positives"])
    if none == "false":  # one positive each, and nothing against it
        inputs["positives"] = torch.eye(len(inputs["positives"]), dtype=torch.bool)
        inputs |= {name: torch.zeros_like(inputs[name]) for name in ("false_texts", "false_images")}
    if none == "texts":
        inputs["subgraph_features"] = inputs["subgraph_features"][:0]
        inputs |= {n: inputs[n][:, :0] for n in ("positives", "false_texts", "false_images")}
    inputs["image_features"] = inputs["image_features"].clone().requires_grad_()
    loss = subgraph_loss(**inputs)
    loss.backward()
    assert loss.item() == pytest.approx(0)
    assert inputs["image_features"].grad.abs().sum().item() == pytest.approx(0)


def test_readout_by_hand() -> None:
    """Tail 0 of logits (1, 0, 0), of which the last is true as well: softplus(-1). No triple: 0."""
    inputs = {
        "query_features": torch.eye(3)[:1],
        "tail_features": torch.eye(3),
        "logit_scale": ONE.float(),
        "tail_labels": torch.tensor([0]),
        "known_tails": torch.tensor([[False, False, True]]),
    }
    assert readout_loss(**inputs).item() == pytest.approx(softplus(-1))
    none = {name: inputs[name][:0] for name in ("query_features", "tail_labels", "known_tails")}
    assert readout_loss(**inputs | none).item() == 0


def test_hinge_by_hand() -> None:
    """Cosines of (caption, negatives): (1, [0.95, -]), (0, [1, 0.5]), (1, [0, -]); margin 0.1.

    Costs 0.1 - 1 + 0.95 = 0.05; 1.1 and 0.6; 0 beyond the margin; so 1.75 over 4 filled slots.
    """
    image = torch.tensor([[1.0, 0.0]]).repeat(3, 1)
    text = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    negatives = torch.tensor([[0.95, 9.0], [1.0, 0.5], [0.0, 9.0]])  # their first coordinate
    features = {"image_features": image, "text_features": text}
    own = torch.tensor([[True, False], [True, True], [True, False]])
    negative = torch.stack([negatives, torch.zeros(3, 2)], dim=-1)
    loss = hinge_loss(**features, negative_features=negative, own_negatives=own, margin=0.1)
    assert loss.item() == pytest.approx(1.75 / 4)
    none = hinge_loss(**features, negative_features=negative, own_negatives=own & False, margin=0.1)
    assert none.item() == 0
    one = torch.zeros_like(own).index_put((torch.tensor(1), torch.tensor(0)), torch.tensor(True))
    single = hinge_loss(**features, negative_features=negative, own_negatives=one, margin=0.1)
    assert single.item() == pytest.approx(1.1)


def test_batch_hard_by_hand() -> None:
    """Cosines [[0.9, 0.8, 0.1], [0.2, 0.5, 0.6], [0.0, 0.7, 0.3]], margin 0.2, pair (1, 2) left out.

    Hardest caption 0.8, 0.2, 0.7, so 0.1 + 0 + 0.6; hardest image 0.2, 0.8, 0.1, so 0 + 0.5 + 0: 1.2 / 3.
    With the mean over images (1.1/3, 2.0/3, 0.4/2) in the second term: 0 + 0.3667 + 0.1 in place of 0.5.
    """
    scores = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.5, 0.6], [0.0, 0.7, 0.3]])
    false = torch.zeros(3, 3, dtype=torch.bool)
    false[1, 2] = True
    inputs = {"image_features": scores, "text_features": torch.eye(3), "false_negatives": false}
    assert batch_hard_loss(**inputs, margin=0.2).item() == pytest.approx(1.2 / 3)
    mean = batch_hard_loss(**inputs, margin=0.2, mean_of_images=True)
    assert mean.item() == pytest.approx((0.7 + 0.2 + 2 / 3 - 0.5 + 0.2 + 0.2 - 0.3) / 3)


def test_batch_hard_of_one_pair_is_zero() -> None:
    one = torch.ones(1, 2, requires_grad=True)
    false = torch.zeros(1, 1, dtype=torch.bool)
    loss = batch_hard_loss(image_features=one, text_features=one, false_negatives=false, margin=0.2)
    loss.backward()
    assert loss.item() == 0 and torch.equal(one.grad, torch.zeros(1, 2))
