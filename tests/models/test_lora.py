"""Adapters: attention that is opened for them, what has one, what learns, and what they merge into."""

from __future__ import annotations

import open_clip
import pytest
import torch
from open_clip.transformer import ResidualAttentionBlock
from peft.tuners.lora import LoraLayer
from torch import nn

from knowclip.export.open_clip import save_pretrained
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import load
from knowclip.models.lora import add_lora
from knowclip.models.open_attention import OpenAttention
from tiny import tiny_model
from tiny_models import CAPTIONS, make, pixels


def layers(model: DualEncoder) -> dict[str, LoraLayer]:
    return {name: part for name, part in model.model.named_modules() if isinstance(part, LoraLayer)}


def stir(model: DualEncoder) -> None:
    """Give every update a value, as training would."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))


def embeddings(model: nn.Module, images: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        parts = (model.encode_image(images), model.encode_text(ids))
        return torch.stack([nn.functional.normalize(part, dim=-1) for part in parts])


@pytest.mark.parametrize("mask", ["none", "causal", "of each head"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_opened_attention_is_the_stock_one(mask, batch_first) -> None:
    torch.manual_seed(0)
    block = ResidualAttentionBlock(8, 2, batch_first=batch_first)
    nn.init.normal_(block.attn.in_proj_bias)
    opened = OpenAttention(block.attn)
    x = torch.randn(3, 5, 8)
    masks = {
        "none": None,
        "causal": torch.full((5, 5), float("-inf")).triu(1),
        "of each head": torch.randn(6, 5, 5),
    }
    given = x if batch_first else x.transpose(0, 1)
    outputs, gradients = [], []
    for attention in (block.attn, opened):
        output, _ = attention(given, given, given, need_weights=False, attn_mask=masks[mask])
        outputs.append(output)
        gradients.append(torch.autograd.grad(output.square().sum(), block.attn.in_proj_weight)[0])
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*gradients)
    with pytest.raises(ValueError, match="attends from tokens to themselves"):
        opened(given, given + 1, given)


FAMILIES = {
    "vit_quickgelu": {},
    "custom_text_eos": {"dora": True},
    "siglip": {"rslora": True},
    "class_token_text": {},
    "timm_vit": {"dora": True},
    "timm_cnn_bert": {"targets": ["visual.trunk", "text.transformer"]},
    "resnet": {"targets": ["visual", "transformer"], "dora": True},
}


@pytest.mark.parametrize("family", list(FAMILIES))
def test_adapters_learn_and_merge_into_weights_that_stock_open_clip_loads(family, tmp_path) -> None:
    model = make(family, tmp_path)
    for name, parameter in model.named_parameters():
        if name.endswith("bn3.weight"):  # fresh ResNets begin with blocks that give nothing
            nn.init.ones_(parameter)
    images, ids = pixels(model), model.tokenizer(CAPTIONS)
    names = set(model.weights())
    before = embeddings(model, images, ids)
    add_lora(model, **({"r": 2, "alpha": 4} | FAMILIES[family]))
    torch.testing.assert_close(embeddings(model, images, ids), before, atol=1e-5, rtol=1e-5)
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    stir(model)
    changed = embeddings(model, images, ids)
    assert all((changed[tower] - before[tower]).abs().max() > 1e-4 for tower in (0, 1))

    loss = (model.encode_image(images).sin() + model.encode_text(ids).cos()).sum() * model.logit_scale
    loss.backward()
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all("lora_" in name or name.endswith(("logit_scale", "logit_bias")) for name in learning)
    assert all(p.grad.abs().max() > 0 for name, p in learning.items() if "lora_" in name)

    kind = save_pretrained(model, tmp_path / "saved")
    assert set(model.weights()) == names
    plain = load(tmp_path / "saved")
    assert plain.adapters is None
    torch.testing.assert_close(embeddings(plain, images, ids), changed, atol=1e-5, rtol=1e-5)
    if kind == "open_clip":
        stock, *_ = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'saved'}")
        torch.testing.assert_close(embeddings(stock.eval(), images, ids), changed, atol=1e-5, rtol=1e-5)
    after = dict(model.named_parameters())
    assert all(torch.equal(value, after[name]) for name, value in frozen.items())


def test_every_linear_layer_of_both_towers_has_one_attention_included() -> None:
    model = tiny_model()
    add_lora(model, r=2, alpha=4)
    block = "transformer.resblocks.0."
    parts = ("attn.in_proj", "attn.out_proj", "mlp.c_fc", "mlp.c_proj")
    assert set(layers(model)) == {f"{tower}{block}{part}" for tower in ("", "visual.") for part in parts}
    assert model.adapters.told() == "adapters: 4 in the image tower, 4 in the text tower"


def test_options_reach_the_adapters() -> None:
    model = tiny_model()
    add_lora(model, r=4, alpha=6, dropout=0.25, dora=True, rslora=True, targets=["attn"])
    found = layers(model)
    assert {name.rsplit(".", 1)[1] for name in found} == {"in_proj", "out_proj"} and len(found) == 4
    for layer in found.values():
        assert layer.lora_A["default"].weight.shape[0] == 4
        assert layer.scaling["default"] == 6 / 4**0.5
        assert layer.lora_dropout["default"].p == 0.25
        assert layer.use_dora["default"]


def test_what_is_locked_has_none_and_what_is_named_learns_whole() -> None:
    model = make("vit_quickgelu", None)
    model.lock_image_trunk()
    model.lock_text_layers(unlocked=1)
    add_lora(model, r=2, alpha=4, train=["ln_final.", "transformer.resblocks.1.mlp.c_fc."])
    parts = ("attn.in_proj", "attn.out_proj", "mlp.c_proj")
    assert list(layers(model)) == [f"transformer.resblocks.1.{part}" for part in parts]
    whole = {name for name, p in model.model.named_parameters() if p.requires_grad and "lora_" not in name}
    named = ("ln_final", "transformer.resblocks.1.mlp.c_fc")
    assert whole == {"logit_scale", *(f"{part}.{kind}" for part in named for kind in ("weight", "bias"))}


def test_layers_that_no_forward_calls_are_told(tmp_path) -> None:
    model = make("resnet", tmp_path)
    add_lora(model, r=2, alpha=4, targets=["visual", "mlp"])
    assert "visual.attnpool.q_proj" in model.adapters.unreached
    assert "4 layers have none, being read without a call: visual.attnpool.k_proj, " in model.adapters.told()


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("vit_quickgelu", {"targets": ["c_fcc"]}, r"has 'c_fcc' in its name; did you mean 'c_fc'\?"),
        (
            "vit_quickgelu",
            {"train": ["ln_finall."]},
            r"no trainable parameter begins with 'ln_finall\.'; did",
        ),
        ("resnet", {}, "the image tower has no linear layer that is called: name its convolutions"),
    ],
)
def test_what_would_not_learn_is_refused(family, options, message, tmp_path) -> None:
    with pytest.raises(ValueError, match=message):
        add_lora(make(family, tmp_path), r=2, alpha=4, **options)
