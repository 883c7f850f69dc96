"""Learning rates that fall from layer to layer, in every family of towers."""

from __future__ import annotations

import pytest

from knowclip.models.lora import add_lora
from knowclip.models.towers import output_distances
from knowclip.training.optim import parameter_groups
from tiny_models import FAMILIES, make

IMAGE = {
    "visual.conv1.weight": 3,
    "visual.class_embedding": 3,
    "visual.positional_embedding": 3,
    "visual.ln_pre.weight": 3,
    "visual.transformer.resblocks.0.attn.in_proj_weight": 2,
    "visual.transformer.resblocks.1.mlp.c_fc.bias": 1,
    "visual.ln_post.weight": 0,
    "visual.proj": 0,
}
TEXT = {
    "token_embedding.weight": 3,
    "positional_embedding": 3,
    "transformer.resblocks.0.ln_1.weight": 2,
    "transformer.resblocks.1.attn.out_proj.bias": 1,
    "ln_final.bias": 0,
    "text_projection": 0,
}
DISTANCES = {
    "vit_quickgelu": IMAGE | TEXT,
    "class_token_text": IMAGE | {f"text.{name}": of for name, of in TEXT.items()} | {"text.cls_emb": 3},
    "resnet": {
        "visual.conv1.weight": 5, "visual.bn3.bias": 5, "visual.layer1.0.conv1.weight": 4,
        "visual.layer4.0.downsample.0.weight": 1, "visual.attnpool.q_proj.weight": 0,
    },
    "timm_vit": {"visual.trunk.norm.weight": 1, "visual.head.proj.weight": 0},
    "timm_cnn_bert": {
        "text.transformer.embeddings.word_embeddings.weight": 3,
        "text.transformer.encoder.layer.0.attention.self.query.weight": 2,
        "text.transformer.encoder.layer.1.output.dense.bias": 1,
        "text.proj.weight": 0,
    },
}  # fmt: skip


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_parameter_of_the_towers_has_a_distance_that_falls_towards_the_output(family, tmp_path) -> None:
    model = make(family, tmp_path).model
    found = output_distances(model)
    assert set(found) == {name for name, _ in model.named_parameters() if not name.startswith("logit_")}
    expected = DISTANCES.get(family, {})
    assert {name: found[name] for name in expected} == expected


def test_a_trunk_of_timm_s_is_numbered_as_timm_numbers_it(tmp_path) -> None:
    found = output_distances(make("timm_vit", tmp_path).model)
    blocks = [found[f"visual.trunk.blocks.{number}.norm1.weight"] for number in range(6)]
    assert blocks == [6, 5, 4, 3, 2, 1]
    assert found["visual.trunk.patch_embed.proj.weight"] == found["visual.trunk.pos_embed"] == 7


def test_rates_are_decayed_by_distance_beside_the_multipliers(tmp_path) -> None:
    model = make("vit_quickgelu", tmp_path)
    add_lora(model, r=2, alpha=4, train=["visual.proj", "token_embedding."])
    groups = parameter_groups(
        model.model.named_parameters(), lr=1.0, weight_decay=0.1, lr_multipliers={"visual.": 10},
        layer_decay=0.5, distances=output_distances(model.model),
    )  # fmt: skip
    rates = {name: group["lr"] for group in groups for name in group["names"]}
    assert rates["logit_scale"] == 1
    assert (rates["visual.proj"], rates["token_embedding.weight"]) == (10, 0.125)
    factor = "attn.in_proj.lora_A.default.weight"
    assert rates[f"visual.transformer.resblocks.0.{factor}"] == 2.5
    assert rates[f"transformer.resblocks.1.{factor}"] == 0.5
