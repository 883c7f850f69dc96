"""What transformers' classes surely have no place for, by an architecture's settings alone: torch stays shut.

``transformers_clip`` and ``export.vision_text`` refuse what only the built model tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def has_local_text_tower(model_cfg: dict[str, Any]) -> bool:
    """Whether the text tower is a Hugging Face one from a local folder, which open_clip cannot express."""
    name = model_cfg["text_cfg"].get("hf_model_name")
    return bool(name) and (name.startswith("package:") or Path(name).is_absolute() or Path(name).exists())


def instead(model_cfg: dict[str, Any]) -> str:
    """The formats that take any model, in words."""
    local = has_local_text_tower(model_cfg)
    return f"Export to onnx instead, or to open_clip{' for knowclip.load alone' if local else ''}"


def refusal_of_clip(found: Sequence[str], model_cfg: dict[str, Any]) -> ValueError:
    """The error that names what a ``CLIPModel`` has no place for, and the formats that have one."""
    return ValueError(
        f"transformers' CLIPModel cannot express {', '.join(found)}: it is OpenAI's architecture alone "
        "(a Vision Transformer pooled at its class token, a causal text Transformer pooled at the end of "
        f"text). {instead(model_cfg)}"
    )


def refusal_of_vision_text(found: Sequence[str], model_cfg: dict[str, Any]) -> ValueError:
    """Likewise for a ``VisionTextDualEncoderModel``."""
    return ValueError(
        f"transformers' VisionTextDualEncoderModel cannot express {'; '.join(found)}. {instead(model_cfg)}"
    )


def has_foreign_towers(model_cfg: dict[str, Any]) -> bool:
    """Whether a timm network stands beside a Hugging Face text model."""
    named = model_cfg["vision_cfg"].get("timm_model_name"), model_cfg["text_cfg"].get("hf_model_name")
    return all(named)


def not_in_clip(model_cfg: dict[str, Any]) -> list[str]:
    """Settings that no ``CLIPModel`` has."""
    vision, text = model_cfg["vision_cfg"], model_cfg["text_cfg"]
    found = [f"vision_cfg.{key}={vision[key]!r}" for key in ("timm_model_name",) if vision.get(key)]
    if not isinstance(vision.get("layers", 12), int):
        found.append(f"vision_cfg.layers={vision['layers']!r}")
    return found + [f"text_cfg.{key}={text[key]!r}" for key in ("hf_model_name",) if text.get(key)]


def not_in_vision_text(model_cfg: dict[str, Any]) -> list[str]:
    """Settings of a timm and a Hugging Face tower that no ``VisionTextDualEncoderModel`` has."""
    vision, text = model_cfg["vision_cfg"], model_cfg["text_cfg"]
    found = []
    # what open_clip takes where nothing is said
    pool, projection = vision.get("timm_pool", "avg"), vision.get("timm_proj", "linear")
    if pool.endswith("_attn") or projection != "linear" or vision.get("timm_proj_bias"):
        told = f"timm_pool={pool!r}, timm_proj={projection!r}"
        found.append(f"an image head other than the network's own pooling and one linear map ({told})")
    if (pooler := text.get("hf_pooler_type", "mean_pooler")) not in ("cls_pooler", None):
        found.append(f"hf_pooler_type={pooler!r} (it has cls_pooler alone)")
    if text.get("hf_proj_type", "mlp") == "mlp":
        found.append("hf_proj_type='mlp' (it has linear alone)")
    return found
