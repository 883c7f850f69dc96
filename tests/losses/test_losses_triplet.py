"""Knowledge-CLIP's losses: values worked by hand, and batches with nothing to choose."""

from __future__ import annotations

import math

import pytest
import torch
from cases import LOSSES, random_inputs
from torch import Tensor
from torch.nn import functional as F

from knowclip.losses import blocks
from knowclip.losses.blocks import ranked_first
from knowclip.losses.contrastive import clip_loss
from knowclip.losses.knowledge_distillation import distillation_loss
from knowclip.losses.pooled import pooled_loss
from knowclip.losses.triplet import e2e_loss, e2r_loss, g2e_loss

EYE = torch.eye(2, dtype=torch.float64)
ONE = torch.tensor(1.0, dtype=torch.float64)
NONE = torch.zeros(2, 2, dtype=torch.bool)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_e2e_by_hand_and_as_clip() -> None:
    # logits [[1, 0], [0, 1]], both ways: softplus(-1)
    loss = e2e_loss(query_features=EYE, candidate_features=EYE, logit_scale=ONE, known_true=NONE)
    assert loss.item() == pytest.approx(softplus(-1))
    inputs = random_inputs(LOSSES[e2e_loss])
    names = ("image_features", "text_features", "logit_scale", "false_negatives")
    order = ("query_features", "candidate_features", "logit_scale", "known_true")
    same = clip_loss(**{name: inputs[mine] for name, mine in zip(names, order, strict=True)})
    assert e2e_loss(**inputs).item() == same.item()


def test_pooled_is_e2e_where_nothing_is_related_and_leaves_kin_out() -> None:
    inputs = random_inputs(LOSSES[pooled_loss])
    plain = {name: value for name, value in inputs.items() if name != "related"}
    alone = pooled_loss(**plain, related=torch.zeros(6, 6, dtype=torch.bool))
    assert alone.item() == e2e_loss(**plain).item()
    # queries (1, 0), (0, 1) and tails alike: the second tail is kin of the first, and not the other way
    related = torch.tensor([[False, True], [False, False]])
    loss = pooled_loss(
        query_features=EYE, candidate_features=EYE, logit_scale=ONE, known_true=NONE, related=related
    )
    # rows: 0 and softplus(-1); columns: softplus(-1) and 0
    assert loss.item() == pytest.approx(softplus(-1) / 2)


def test_a_query_is_told_from_the_end_that_it_says_and_from_no_other_query_s() -> None:
    plain = {
        "query_features": EYE,
        "candidate_features": EYE,
        "logit_scale": ONE,
        "known_true": NONE,
        "related": NONE,
    }
    # the heads are what the queries say; rows: -log(e / (e + 1 + e)), or without the second's, a loop,
    # softplus(-1); columns as ever
    loss = pooled_loss(**plain, given_features=EYE, given_true=torch.tensor([False, True]))
    row = math.log(2 + math.exp(-1))
    assert loss.item() == pytest.approx((row + 3 * softplus(-1)) / 4)
    nowhere = pooled_loss(**plain, given_features=EYE)
    assert nowhere.item() == pytest.approx((2 * row + 2 * softplus(-1)) / 4)
    loops = pooled_loss(**plain, given_features=EYE, given_true=torch.tensor([True, True]))
    assert loops.item() == pytest.approx(pooled_loss(**plain).item())


@pytest.mark.parametrize("size", [1, 2, 4])
def test_one_tail_for_all_or_one_triplet_gives_zero(size) -> None:
    """Every other tail is the own one, so there is nothing to choose: 0 with gradient 0, never NaN."""
    features = F.normalize(torch.randn(size, 3), dim=-1).requires_grad_()
    known = ~torch.eye(size, dtype=torch.bool)
    common = {"logit_scale": torch.tensor(5.0), "known_true": known}
    loss = e2e_loss(query_features=features, candidate_features=features, **common)
    graph = g2e_loss(
        entity_features=features, graph_features=features, has_graph=torch.ones(size).bool(), **common
    )
    (loss + graph).backward()
    assert loss.item() == graph.item() == 0
    assert torch.equal(features.grad, torch.zeros(size, 3))


def test_e2r_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]], dtype=torch.float64)
    loss = e2r_loss(relation_logits=logits, relation_labels=torch.tensor([1, 0]))
    assert loss.item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_g2e_leaves_out_what_has_no_graph() -> None:
    """Rows and columns without a neighbour change nothing, whatever they hold."""
    inputs = random_inputs(LOSSES[g2e_loss])
    kept = inputs["has_graph"]
    alone = {name: value[kept] if value.ndim else value for name, value in inputs.items()}
    alone["known_true"] = alone["known_true"][:, kept]
    expected = g2e_loss(**alone)
    torch.testing.assert_close(g2e_loss(**inputs), expected)
    torch.testing.assert_close(expected, e2e_loss(
        query_features=alone["entity_features"], candidate_features=alone["graph_features"],
        logit_scale=alone["logit_scale"], known_true=alone["known_true"],
    ))  # fmt: skip


def test_g2e_without_any_graph_is_zero() -> None:
    inputs = random_inputs(LOSSES[g2e_loss]) | {"has_graph": torch.zeros(6, dtype=torch.bool)}
    assert g2e_loss(**inputs).item() == 0


def test_distillation_by_hand() -> None:
    """Teacher logits [[ln 3, 0], [0, ln 3]], model's all 0: each KL is 3/4 ln 3/2 + 1/4 ln 1/2."""
    loss = distillation_loss(
        image_features=torch.zeros(2, 2, dtype=torch.float64),
        text_features=EYE,
        logit_scale=ONE,
        teacher_image_features=EYE,
        teacher_text_features=EYE,
        teacher_logit_scale=math.log(3) * ONE,
    )
    assert loss.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


def test_distillation_from_itself_is_zero_with_no_gradient() -> None:
    own = random_inputs({"image_features", "text_features", "logit_scale"})
    teacher = {f"teacher_{name}": value.clone() for name, value in own.items()}
    leaves = {name: value.requires_grad_() for name, value in own.items()}
    loss = distillation_loss(**leaves, **teacher)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    for leaf in leaves.values():
        torch.testing.assert_close(leaf.grad, torch.zeros_like(leaf), atol=1e-12, rtol=0)


def test_the_teacher_s_direction_of_kl() -> None:
    """KL(teacher || model), not the other way: a model that rules out what its teacher allows pays."""
    sure, unsure = 20 * ONE, 0 * ONE

    def loss(teacher: Tensor, model: Tensor) -> float:
        return distillation_loss(
            image_features=EYE, text_features=EYE, logit_scale=model,
            teacher_image_features=EYE, teacher_text_features=EYE, teacher_logit_scale=teacher,
        ).item()  # fmt: skip

    assert loss(unsure, sure) > 9
    assert loss(sure, unsure) == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("largest", [3, 2**21])
def test_ranked_first_is_strict_and_counts_only_choices(monkeypatch, largest) -> None:
    monkeypatch.setattr(blocks, "LARGEST", largest)
    similarities = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 5.0, 1.0]])
    logits = (similarities, torch.eye(3))
    left_out = torch.zeros(3, 3, dtype=torch.bool)
    right, choice = ranked_first(*logits, left_out)
    assert right.tolist() == [False, True, False] and choice.all()
    left_out[2, 1] = left_out[0] = True
    right, choice = ranked_first(*logits, left_out)
    assert right.tolist()[1:] == [True, True] and choice.tolist() == [False, True, True]
