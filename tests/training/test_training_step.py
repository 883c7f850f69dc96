"""Accumulation gives the gradients of the whole batch."""

from __future__ import annotations

import copy

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from knowclip.methods.clip import Clip
from knowclip.methods.distillation import Distillation
from knowclip.methods.negclip import NegClip
from knowclip.methods.readout import Readout
from knowclip.methods.subgraphs import Subgraphs
from knowclip.training.batches import split
from knowclip.training.step import backward
from knowclip.types import Features
from tiny import tiny_batch, tiny_model


def gradients(method: nn.Module, *, accumulate: int, size: int = 7) -> tuple[dict, dict]:
    method = copy.deepcopy(method).train()
    torch.manual_seed(0)
    losses, _ = backward(method, tiny_batch(size), accelerator=Accelerator(), accumulate=accumulate)
    return losses, {name: p.grad for name, p in method.named_parameters()}


@pytest.mark.parametrize("siglip", [False, True])
@pytest.mark.parametrize("accumulate", [2, 3, 7, 20])
def test_micro_batches_give_the_gradients_of_the_batch(accumulate, siglip) -> None:
    method = NegClip(tiny_model(siglip=siglip), own_negative_weight=0.5)
    losses, whole = gradients(method, accumulate=1)
    micro_losses, micro = gradients(method, accumulate=accumulate)
    assert losses.keys() == {"contrastive_loss", "own_negative_loss"}
    torch.testing.assert_close(micro_losses, losses)
    assert all(gradient is not None for gradient in whole.values())
    torch.testing.assert_close(micro, whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("accumulate", [3, 7])
def test_micro_batches_share_the_texts_of_the_batch(accumulate) -> None:
    method = NegClip(tiny_model(), own_negative_weight=0.0)
    method.terms.append(Distillation(tiny_model(seed=7), pairs_weight=0.5, objects_weight=2.0))
    method.terms.append(Subgraphs(weight=1.5, against="batch", shared=True, curriculum=1))
    method.terms.append(Readout(method.model, weight=0.5, width=8))
    losses, whole = gradients(method, accumulate=1)
    micro_losses, micro = gradients(method, accumulate=accumulate)
    assert {
        "pair_distillation_loss",
        "object_distillation_loss",
        "subgraph_loss",
        "readout_loss",
    } < losses.keys()
    torch.testing.assert_close(micro_losses, losses)
    torch.testing.assert_close(micro, whole, atol=1e-5, rtol=1e-4)


def test_locked_image_tower() -> None:
    model = tiny_model()
    model.lock_image_trunk()
    _, whole = gradients(Clip(model), accumulate=1)
    _, micro = gradients(Clip(model), accumulate=3)
    assert whole["model.model.visual.proj"] is None
    torch.testing.assert_close(micro, whole, atol=1e-5, rtol=1e-4)


class Noisy(Clip):
    """Adds dropout to the text features."""

    def encode_texts(self, tokens):
        return nn.functional.dropout(super().encode_texts(tokens), 0.5, training=self.training)


def test_dropout_draws_the_same_in_both_forwards() -> None:
    method, size = Noisy(tiny_model()), 6
    reference = copy.deepcopy(method).train()
    torch.manual_seed(0)
    parts = [reference(part) for part in split(tiny_batch(size), size)]
    rows = ("image_features", "text_features", "image_ids", "caption_ids")
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in rows}
    losses, _ = reference.losses(Features(**joined, logit_scale=parts[0].logit_scale))
    losses["contrastive_loss"].backward()
    expected = {name: p.grad for name, p in reference.named_parameters()}

    micro_losses, micro = gradients(method, accumulate=size, size=size)
    torch.testing.assert_close(micro_losses["contrastive_loss"], losses["contrastive_loss"].detach())
    torch.testing.assert_close(micro, expected, atol=1e-5, rtol=1e-4)
