"""A timm and a BERT tower as transformers' ``VisionTextDualEncoderModel``, or a refusal that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModel, BertConfig

from knowclip.export.huggingface import save_transformers
from knowclip.export.parity import measure, stock_transformers
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import build
from tiny_models import make, words


def timm_bert(
    folder: Path, *, pooler: str = "cls_pooler", text_proj: str = "linear", **vision: object
) -> DualEncoder:
    torch.manual_seed(0)
    tokenizer = words()
    BertConfig(
        vocab_size=len(tokenizer.tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=24, pad_token_id=0,
    ).save_pretrained(folder / "bert")  # fmt: skip
    tokenizer.save_pretrained(folder / "bert")
    names = dict.fromkeys(("hf_model_name", "hf_tokenizer_name"), str(folder / "bert"))
    kinds = {"hf_model_pretrained": False, "hf_pooler_type": pooler, "hf_proj_type": text_proj}
    text = {"context_length": 24, **names, **kinds}
    tower = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160}
    return build({"embed_dim": 16, "vision_cfg": tower | vision, "text_cfg": text}).eval()


@pytest.mark.parametrize("pool", ["", "avg"])
def test_stock_transformers_agrees(pool: str, tmp_path: Path) -> None:
    model = timm_bert(tmp_path, timm_pool=pool)
    assert save_transformers(model, tmp_path / "hf") == "VisionTextDualEncoderModel"
    found = measure(model, stock_transformers(tmp_path / "hf"))
    assert found.equal_inputs < 1e-6 and found.own_plain_texts < 1e-6
    stock = AutoModel.from_pretrained(tmp_path / "hf")
    assert type(stock).__name__ == "VisionTextDualEncoderModel"
    assert stock.logit_scale.item() == pytest.approx(model.logit_scale.item())


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"pooler": "mean_pooler"}, "hf_pooler_type='mean_pooler'"),
        ({"text_proj": "mlp"}, "hf_proj_type='mlp'"),
        ({"timm_proj": "mlp"}, "timm_proj='mlp'"),
        ({"timm_proj_bias": True}, "one linear map"),
    ],
)
def test_what_has_no_place_there_is_named(changed: dict[str, object], told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"VisionTextDualEncoderModel cannot express .*{told}"):
        save_transformers(timm_bert(tmp_path, **changed), tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_the_model_for_photos_has_no_place_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"timm_pool='rot_attn'.*mean_pooler"):
        save_transformers(make("timm_cnn_bert", tmp_path), tmp_path / "hf")
