"""One tiny model of every family of towers that DualEncoder supports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BertConfig

from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import build
from knowclip.models.tokenizers import word_tokenizer

CAPTIONS = [
    "a red horse",
    "the small green horse is riding a big blue astronaut on the left of a house",
    "an astronaut",
]
VIT = {"image_size": 32, "patch_size": 16, "width": 32, "head_width": 16, "layers": 2}
TEXT = {"context_length": 24, "width": 32, "heads": 2, "layers": 2}


def words() -> object:
    return word_tokenizer(CAPTIONS, context_length=24)


def vit_quickgelu(folder: Path) -> DualEncoder:
    text = {**TEXT, "context_length": 77, "vocab_size": 49408}
    return build({"embed_dim": 16, "quick_gelu": True, "vision_cfg": VIT, "text_cfg": text})


def custom_text_eos(folder: Path) -> DualEncoder:
    cfg = {"embed_dim": 16, "custom_text": True, "vision_cfg": VIT, "text_cfg": {**TEXT, "pool_type": "eos"}}
    return build(cfg, tokenizer=words())


def word_level(folder: Path) -> DualEncoder:
    vision = {"image_size": 64, "patch_size": 8, "width": 128, "head_width": 32, "layers": 4}
    text = {"context_length": 48, "width": 128, "heads": 4, "layers": 3, "pool_type": "eos"}
    return build(
        {"embed_dim": 128, "vision_cfg": vision, "text_cfg": text},
        tokenizer=word_tokenizer(CAPTIONS, context_length=48),
        preprocess_cfg={"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)},
    )


def siglip(folder: Path) -> DualEncoder:
    text = {**TEXT, "no_causal_mask": True, "pool_type": "last", "proj_bias": True}
    vision = {**VIT, "pool_type": "avg", "final_ln_after_pool": True}
    cfg = {
        "embed_dim": 16,
        "custom_text": True,
        "init_logit_bias": -10,
        "vision_cfg": vision,
        "text_cfg": text,
    }
    return build(cfg, tokenizer=words())


def class_token_text(folder: Path) -> DualEncoder:
    cfg = {"embed_dim": 16, "custom_text": True, "vision_cfg": VIT, "text_cfg": {**TEXT, "embed_cls": True}}
    return build(cfg, tokenizer=words())


def resnet(folder: Path) -> DualEncoder:
    vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
    cfg = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": {**TEXT, "pool_type": "eos"}}
    return build(cfg, tokenizer=words())


def timm_cnn_bert(folder: Path) -> DualEncoder:
    """A timm CNN under attention pooling and a BERT from a local folder."""
    tokenizer = words()
    config = BertConfig(
        vocab_size=len(tokenizer.tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=24,
        pad_token_id=0,
    )
    config.save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    text = {
        "context_length": 24,
        "hf_model_name": str(folder / "bert"),
        "hf_tokenizer_name": str(folder / "bert"),
        "hf_model_pretrained": False,
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "linear",
    }
    vision = {
        "timm_model_name": "test_efficientnet",
        "timm_pool": "rot_attn",
        "timm_proj": "",
        "image_size": 96,
    }
    return build({"embed_dim": 64, "vision_cfg": vision, "text_cfg": text})


def timm_vit(folder: Path) -> DualEncoder:
    vision = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160}
    cfg = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": {**TEXT, "pool_type": "eos"}}
    return build(cfg, tokenizer=words())


FAMILIES: dict[str, Callable[[Path], DualEncoder]] = {
    make.__name__: make
    for make in (
        vit_quickgelu,
        custom_text_eos,
        word_level,
        siglip,
        class_token_text,
        resnet,
        timm_cnn_bert,
        timm_vit,
    )
}


def make(family: str, folder: Path, *, seed: int = 0) -> DualEncoder:
    """Build a family's model with weights far enough from zero that texts and images differ clearly."""
    torch.manual_seed(seed)
    model = FAMILIES[family](folder)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 or "cls_emb" in name:
                parameter.normal_(std=0.5 * parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.5)
            if "embedding" in name:
                parameter.normal_(std=0.5)
    return model.eval()


def pixels(model: DualEncoder, count: int = 3) -> torch.Tensor:
    """Random preprocessed images of the model's size."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, *model.image_size, generator=generator)
