"""Locked text layers whose outputs are kept: the same numbers, each text once."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from knowclip.models.clip import DualEncoder
from knowclip.models.text_trunk import TextTrunk
from tiny_models import CAPTIONS, make

TEXTS = [*CAPTIONS, "a red house", "a red horse", "a house"]
FAMILIES = ["vit_quickgelu", "custom_text_eos", "siglip", "class_token_text", "timm_cnn_bert"]


def pair(family: str, folder: Path, *, unlocked: int = 1, gigabytes: float = 1) -> tuple[DualEncoder, ...]:
    """A model that computes every layer, its locked ones in eval mode, and one with a cache; in training."""
    plain = make(family, folder)
    cached = copy.deepcopy(plain)
    cached.lock_text_layers(unlocked=unlocked, cache_bytes=int(gigabytes * 1e9))
    plain.lock_text_layers(unlocked=unlocked)
    plain.train()
    for name, part in plain.named_modules():
        part.training = dict(cached.train().named_modules())[name].training
    return plain, cached


def said(model: DualEncoder, texts: list[str]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Pooled texts, their tokens without padding, and gradients."""
    torch.manual_seed(0)  # of dropout
    model.zero_grad()
    pooled, tokens, mask = model.encode_text_tokens(texts)
    (pooled.square().sum() + (tokens * mask[..., None]).pow(3).sum()).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return pooled.detach(), tokens.detach()[mask], gradients


@pytest.mark.parametrize("unlocked", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_numbers_and_gradients_are_those_without_the_cache(family, unlocked, tmp_path) -> None:
    # in double precision: batches of another shape round otherwise
    plain, cached = (model.double() for model in pair(family, tmp_path, unlocked=unlocked))
    trunk = cached.text_trunk
    # the last one in groups of like length
    for texts in (TEXTS, TEXTS[::-1], ["a horse", *TEXTS[:2]], 20 * TEXTS):
        torch.testing.assert_close(said(cached, texts), said(plain, texts), atol=1e-11, rtol=1e-11)
    assert trunk.computed == len({*TEXTS, "a horse"})
    assert trunk.bytes > 0 and all(p.grad is None for layer in trunk.layers for p in layer.parameters())
    assert not any("forward" in vars(layer) for layer in trunk.layers)


def test_what_is_locked_stands_still_in_training_and_the_rest_has_its_dropout(tmp_path) -> None:
    _, cached = pair("timm_cnn_bert", tmp_path)
    bert = cached.model.text.transformer
    assert not any(part.training for part in [*bert.embeddings.modules(), *bert.encoder.layer[0].modules()])
    assert all(part.training for part in bert.encoder.layer[1].modules())
    one, other = cached.encode_text(TEXTS), cached.encode_text(TEXTS)
    assert not torch.equal(one, other)
    cached.text_trunk.layers[0].train()
    with pytest.raises(ValueError, match="in eval mode alone"):
        cached.encode_text(TEXTS)


def test_beyond_its_memory_texts_are_computed_each_time(tmp_path) -> None:
    plain, cached = pair("word_level", tmp_path, gigabytes=3e-6)
    for _ in range(2):
        torch.testing.assert_close(said(cached, TEXTS), said(plain, TEXTS), atol=1e-5, rtol=1e-5)
    distinct = len(set(TEXTS))
    assert distinct < cached.text_trunk.computed < 2 * distinct and 0 < cached.text_trunk.bytes <= 3000


def test_other_weights_and_another_precision_are_computed_anew(tmp_path) -> None:
    plain, cached = pair("timm_cnn_bert", tmp_path)
    said(cached, TEXTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(said(cached, TEXTS), said(plain, TEXTS), atol=2e-2, rtol=2e-2)
        assert cached.text_trunk.computed == 2 * len(set(TEXTS))
    state = {name: value + 0.1 for name, value in plain.state_dict().items() if value.is_floating_point()}
    for model in (plain, cached):
        model.load_state_dict(state, strict=False)
    torch.testing.assert_close(said(cached, TEXTS), said(plain, TEXTS), atol=1e-5, rtol=1e-5)
    assert cached.text_trunk.computed == 3 * len(set(TEXTS))


def test_what_was_kept_while_evaluating_serves_training_and_a_copy_has_its_own(tmp_path) -> None:
    plain, cached = pair("timm_cnn_bert", tmp_path)
    with torch.inference_mode():
        cached.eval().encode_text(TEXTS)
    torch.testing.assert_close(said(cached.train(), TEXTS), said(plain, TEXTS), atol=1e-5, rtol=1e-5)
    again = copy.deepcopy(cached)
    assert again.text_trunk.layers[0] is again.model.text.transformer.encoder.layer[0]
    torch.testing.assert_close(said(again, TEXTS), said(plain, TEXTS), atol=1e-5, rtol=1e-5)


def test_towers_that_it_cannot_serve_are_told(tmp_path) -> None:
    model = make("timm_cnn_bert", tmp_path)
    with pytest.raises(ValueError, match=r"none is locked: lower model\.unlocked_text_layers"):
        model.lock_text_layers(unlocked=2, cache_bytes=1)
    model.lock_text_layers(unlocked=1, cache_bytes=1)
    # as T5's layers hand on their position bias
    layer = model.text_trunk.layers[0]
    hook = layer.register_forward_hook(lambda layer, given, output: (output, torch.ones(1)))
    with pytest.raises(ValueError, match="hand on more than hidden states"):
        model.encode_text(TEXTS)
    hook.remove()
    assert model.encode_text(TEXTS).isfinite().all()


class Doubling(nn.Module):
    """A layer that hands on a tuple, as some of Transformers' do."""

    def forward(self, hidden: Tensor, mask: None = None) -> tuple[Tensor, None]:
        self.ran = True
        return 2 * hidden, mask


def test_layers_keep_the_form_of_what_they_hand_on() -> None:
    layers = [Doubling().eval() for _ in range(3)]

    def encode(ids: Tensor) -> Tensor:
        hidden = ids[..., None].float()
        for layer in layers:
            hidden, _ = layer(hidden, None)
        return hidden

    trunk, ids = TextTrunk(layers[:2], most_bytes=1000), torch.tensor([[1, 2, 3], [4, 5, 0]])
    for _ in range(2):
        with trunk.passed_by(ids, torch.tensor([3, 2]), encode):
            assert encode(ids).equal(8 * ids[..., None].float())
    assert trunk.computed == 2 and trunk.bytes == 5 * 4
    del layers[0].ran, layers[1].ran
    with trunk.passed_by(ids[:1, :2], torch.tensor([2]), encode):
        assert encode(ids[:1, :2]).flatten().tolist() == [8, 16]
    assert trunk.computed == 3 and layers[0].ran
