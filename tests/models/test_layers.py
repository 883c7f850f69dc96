"""Layers computed again in the backward pass, or compiled: the same embeddings and gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from knowclip.models.clip import DualEncoder
from knowclip.models.layers import compile_layers, tower_layers
from tiny_models import CAPTIONS, make, pixels

CHECKPOINTED = ("word_level", "siglip", "class_token_text", "timm_cnn_bert", "timm_vit")
LAYERS = {"word_level": (4, 3), "siglip": (2, 2), "resnet": (4, 2), "timm_vit": (6, 2)}
"""Of image and text tower."""


def gradients(model: DualEncoder) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.manual_seed(0)  # dropout draws the same
    texts = model.tokenize(CAPTIONS)
    loss = model.encode_image(pixels(model), normalize=True) @ model.encode_text(texts, normalize=True).T
    loss.exp().sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **found}


def counted_forwards(model: DualEncoder) -> list[int]:
    """How often a part of the last layer of either tower has run since."""
    calls = [0, 0]
    for number, layers in enumerate(tower_layers(model.model)):
        # inside: transformers calls the layer's forward again, without its hooks
        *_, last = (part for part in layers[-1].modules() if type(part) in (nn.Linear, nn.Conv2d))

        def count(*_: object, number: int = number) -> None:
            calls[number] += 1

        last.register_forward_pre_hook(count)
    return calls


@pytest.mark.parametrize("family", CHECKPOINTED)
def test_checkpointed_layers_run_twice_and_give_the_same_gradients(family, tmp_path) -> None:
    model = make(family, tmp_path).train()
    expected = gradients(model)
    model.checkpoint_layers()
    calls = counted_forwards(model)
    torch.testing.assert_close(gradients(model), expected, atol=1e-5, rtol=1e-4)
    assert calls == [2, 2]


def test_a_locked_tower_is_left_as_it_is(tmp_path) -> None:
    model = make("resnet", tmp_path).train()
    with pytest.raises(ValueError, match=r"train\.grad_checkpointing: an open_clip ResNet cannot"):
        model.checkpoint_layers()
    model.lock_image_trunk()
    model.checkpoint_layers()
    calls = counted_forwards(model)
    gradients(model)
    assert calls == [1, 2]


@pytest.mark.parametrize("family", LAYERS)
def test_every_layer_of_both_towers_is_found(family, tmp_path) -> None:
    towers = tower_layers(make(family, tmp_path).model)
    assert tuple(len(layers) for layers in towers) == LAYERS[family]


@pytest.mark.parametrize(("family", "backend"), [("word_level", "aot_eager"), ("timm_vit", "eager")])
def test_compiled_layers_give_the_same_gradients(family, backend, tmp_path) -> None:
    model = make(family, tmp_path).train()
    expected = gradients(model)
    names = list(model.state_dict())
    assert compile_layers(model.model, backend=backend) == sum(LAYERS[family])
    assert list(model.state_dict()) == names
    torch._dynamo.utils.counters.clear()
    torch.testing.assert_close(gradients(model), expected, atol=1e-5, rtol=1e-4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 2
    assert not torch._dynamo.utils.counters["graph_break"]


def test_what_cannot_be_compiled_is_refused(tmp_path: Path) -> None:
    model = make("word_level", tmp_path)
    with pytest.raises(ValueError, match=r"train\.compile=inducter is no backend .*inductor"):
        model.compile_layers("inducter")
    model.lock_text_layers(unlocked=1, cache_bytes=1000)
    with pytest.raises(ValueError, match=r"model\.text_cache passes some by"):
        model.compile_layers("inductor")
