from __future__ import annotations

import math

import pytest
import torch

from knowclip.models.fusion import FusionEncoder
from knowclip.training.optim import adamw, parameter_groups, warmup_cosine, warmup_steps
from tiny import tiny_model

OPTIONS = {"lr": 1e-3, "weight_decay": 0.2, "lr_multipliers": {}}


def test_biases_norms_positions_and_temperature_are_not_decayed() -> None:
    groups = parameter_groups(tiny_model().model.named_parameters(), **OPTIONS)
    decayed = {name for group in groups if group["weight_decay"] for name in group["names"]}
    free = {name for group in groups if not group["weight_decay"] for name in group["names"]}
    assert {"text_projection", "visual.proj", "token_embedding.weight", "visual.conv1.weight"} <= decayed
    assert {
        "logit_scale", "positional_embedding", "visual.positional_embedding", "visual.class_embedding",
        "ln_final.weight", "transformer.resblocks.0.attn.in_proj_bias",
    } <= free  # fmt: skip
    assert not decayed & free


def test_the_fusion_encoder_s_read_out_and_roles_are_not_decayed() -> None:
    fusion = FusionEncoder(
        text_width=8, image_width=8, relation_width=8, width=8, layers=1, heads=2, drop_path=0.0
    )
    named = [(f"knowledge.triplets.fusion.{name}", value) for name, value in fusion.named_parameters()]
    groups = parameter_groups(named, **OPTIONS)
    free = {
        name.removeprefix("knowledge.triplets.fusion.")
        for g in groups
        if not g["weight_decay"]
        for name in g["names"]
    }
    assert {name for name, value in fusion.named_parameters() if value.ndim > 1 and name in free} == {
        "head_token",
        "roles",
    }


def test_every_trainable_parameter_is_in_one_group_and_frozen_ones_in_none() -> None:
    model = tiny_model().model
    model.visual.requires_grad_(False)
    groups = parameter_groups(model.named_parameters(), **OPTIONS)
    names = [name for group in groups for name in group["names"]]
    assert sorted(names) == sorted(n for n, p in model.named_parameters() if p.requires_grad)
    assert sum(len(group["params"]) for group in groups) == len(names)


def test_longest_prefix_sets_the_learning_rate() -> None:
    groups = parameter_groups(
        tiny_model().model.named_parameters(),
        **OPTIONS | {"lr_multipliers": {"visual.": 0.1, "visual.transformer.": 0.5}},
    )
    rate = {name: group["lr"] for group in groups for name in group["names"]}
    assert rate["visual.proj"] == pytest.approx(1e-4)
    assert rate["visual.transformer.resblocks.0.mlp.c_fc.weight"] == pytest.approx(5e-4)
    assert rate["text_projection"] == 1e-3


def test_a_prefix_without_parameters_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"'vision\.'; they begin with .*visual"):
        parameter_groups(
            tiny_model().model.named_parameters(), **OPTIONS | {"lr_multipliers": {"vision.": 0.1}}
        )


def test_nothing_trainable_is_an_error() -> None:
    with pytest.raises(ValueError, match="no parameter is trainable"):
        parameter_groups(tiny_model().requires_grad_(False).named_parameters(), **OPTIONS)


def test_schedule_by_hand() -> None:
    parameter = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = adamw(
        [("w", parameter)], lr=1.0, weight_decay=0.1, betas=(0.9, 0.98), eps=1e-6, lr_multipliers={}
    )
    schedule = warmup_cosine(optimizer, warmup=4, steps=12, final=0.1)
    rates = []
    for _ in range(13):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert rates[4] == pytest.approx(1.0)
    assert rates[8] == pytest.approx(0.1 + 0.9 / 2)
    assert rates[10] == pytest.approx(0.1 + 0.9 * (1 + math.cos(0.75 * math.pi)) / 2)
    assert rates[12] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("warmup", "steps", "expected"), [(0.1, 200, 20), (0.1, 5, 0), (0.29, 100, 29), (0.99, 2, 1), (4, 12, 4)]
)
def test_a_warmup_below_one_is_a_share_of_the_steps(warmup: float, steps: int, expected: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = warmup_cosine(optimizer, warmup=warmup, steps=steps, final=0.0)
    assert warmup_steps(warmup, steps) == expected
    assert schedule.get_last_lr()[0] == pytest.approx(1 / expected if expected else 1.0)


def test_warmup_must_be_shorter_than_the_run() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    with pytest.raises(ValueError, match=r"schedule\.warmup is 5 steps and the run has 5"):
        warmup_cosine(optimizer, warmup=5, steps=5, final=0.0)
