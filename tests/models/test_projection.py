"""A map folded into the text tower's projection: of every kind, the tower embeds what the map would give."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
from torch import nn

from knowclip.export.open_clip import save_pretrained
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import build
from knowclip.models.projection import LinearMap, fold_text_map, text_projection
from tiny_models import CAPTIONS, FAMILIES, TEXT, VIT, make, words


def random_map(width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.eye(width) + 0.5 * torch.randn(width, width, generator=generator)


def mlp_bert(folder: Path) -> DualEncoder:
    """The tiny BERT with open_clip's two-layer projection."""
    config = make("timm_cnn_bert", folder).config
    return build({**config, "text_cfg": {**config["text_cfg"], "hf_proj_type": "mlp"}}).eval()


def without_projection() -> DualEncoder:
    text = {**TEXT, "pool_type": "eos", "proj_type": "none"}
    cfg = {"embed_dim": 32, "custom_text": True, "vision_cfg": VIT, "text_cfg": text}
    return build(cfg, tokenizer=words())


@pytest.mark.parametrize("family", [*FAMILIES, "mlp_bert"])
@torch.no_grad()
def test_the_folded_tower_embeds_what_the_map_gives(family: str, tmp_path: Path) -> None:
    model = mlp_bert(tmp_path) if family == "mlp_bert" else make(family, tmp_path)
    projection = text_projection(model)
    if isinstance(projection, nn.Linear) and projection.bias is not None:
        projection.bias.normal_()
    mapped = LinearMap(model.embed_dim)
    mapped.matrix.copy_(random_map(model.embed_dim))
    before = model.encode_text(CAPTIONS)
    fold_text_map(model, mapped.matrix)
    after = model.encode_text(CAPTIONS)
    torch.testing.assert_close(after, before @ mapped.matrix, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(nn.functional.normalize(after, dim=-1), mapped(before), atol=1e-5, rtol=0)
    assert (mapped(before) - nn.functional.normalize(before, dim=-1)).abs().max() > 0.01


def test_families_have_every_kind_of_projection(tmp_path: Path) -> None:
    kinds = set()
    for number, family in enumerate((*FAMILIES, "mlp_bert")):
        (folder := tmp_path / str(number)).mkdir()
        projection = text_projection(mlp_bert(folder) if family == "mlp_bert" else make(family, folder))
        kinds.add((type(projection), getattr(projection, "bias", None) is not None))
    assert kinds == {(nn.Parameter, False), (nn.Linear, False), (nn.Linear, True)}


@torch.no_grad()
def test_stock_open_clip_reads_the_folded_tower(tmp_path: Path) -> None:
    model = make("custom_text_eos", tmp_path)
    expected = model.encode_text(CAPTIONS) @ random_map(16)
    fold_text_map(model, random_map(16))
    save_pretrained(model, tmp_path / "folded")
    stock, _, _ = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'folded'}")
    found = stock.eval().encode_text(model.tokenizer(CAPTIONS))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_tower_without_projection_is_refused() -> None:
    with pytest.raises(ValueError, match=r"TextTransformer.*without a linear projection.*proj_type"):
        fold_text_map(without_projection(), torch.eye(32))


def test_a_map_of_another_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"16 wide.*\[8, 8\]"):
        fold_text_map(make("siglip", tmp_path), torch.eye(8))
