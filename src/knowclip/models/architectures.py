"""Architectures: ours and open_clip's by name, the module of a configuration, the name of a state dict."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.model import set_model_preprocess_cfg
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from torch import nn

_FOLDER = Path(__file__).parent / "architectures"
_QUICK = "-quickgelu"

Architecture = dict[str, Any]
"""``model_cfg`` and ``preprocess_cfg`` as in ``open_clip_config.json``; ours may add ``image_weights``."""


def own_names() -> list[str]:
    """Name the architectures that ship with knowclip."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def names() -> list[str]:
    """Name the architectures that ship with knowclip, then open_clip's."""
    return [*own_names(), *open_clip.list_models()]


def architecture(name: str) -> Architecture:
    """Return the architecture of that name, ours or open_clip's.

    Raises:
        ValueError: If there is none; close names are suggested.
    """
    if name in own_names():
        return json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if name not in names():
        near = get_close_matches(name.partition("/")[0], names(), n=4)
        hint = f"did you mean {', '.join(near)}?" if near else "open_clip.list_models() has the names"
        raise ValueError(f"{name!r} is no file, no folder and no architecture; {hint}")
    return {"model_cfg": open_clip.get_model_config(name)}


def construct(model_cfg: dict[str, Any], preprocess_cfg: dict[str, Any] | None = None) -> nn.Module:
    """Build the open_clip module of a configuration, with its preprocessing attached.

    As ``open_clip.create_model`` does from a registered name; that one reads no configuration from memory.

    Raises:
        ValueError: If the configuration is of a model with a decoder.
    """
    if "multimodal_cfg" in model_cfg:
        raise ValueError(
            "models with a decoder (CoCa, 'multimodal_cfg') are not supported: remove 'multimodal_cfg'"
        )
    options = deepcopy(model_cfg)
    custom_text = options.pop("custom_text", False) or "hf_model_name" in options["text_cfg"]
    model = (open_clip.CustomTextCLIP if custom_text else open_clip.CLIP)(**options)
    preprocess = merge_preprocess_dict(asdict(PreprocessCfg()), preprocess_cfg or {})
    set_model_preprocess_cfg(model, {**preprocess, "size": model.visual.image_size})
    return model


def matching_names(state: dict[str, torch.Tensor]) -> list[str]:
    """Name open_clip's architectures whose parameters have exactly the names and shapes of a state dict."""
    return [
        name
        for name in open_clip.list_models()
        if _may_match(model_cfg := open_clip.get_model_config(name), state)
        and _shapes(_without_weights(model_cfg)) == _shapes(state)
    ]


def has_quick_twin(name: str) -> bool:
    """Whether weights of this shape exist with QuickGELU and with GELU, so that shapes cannot tell."""
    return f"{name.removesuffix(_QUICK)}{_QUICK}" in open_clip.list_models()


def _may_match(model_cfg: dict[str, Any], state: dict[str, torch.Tensor]) -> bool:
    """Exclude cheaply what would be slow to build, or needs files to be built."""
    vision, text = model_cfg["vision_cfg"], model_cfg["text_cfg"]
    embedding = state.get("token_embedding.weight", state.get("text.token_embedding.weight"))
    return (
        not {"timm_model_name", "eva_model_name"} & set(vision)
        and "hf_model_name" not in text
        and "multimodal_cfg" not in model_cfg
        and embedding is not None
        and tuple(embedding.shape) == (text["vocab_size"], text["width"])
        and any(vision["width"] in tensor.shape for key, tensor in state.items() if key.startswith("visual."))
    )


def _without_weights(model_cfg: dict[str, Any]) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return construct(model_cfg).state_dict()


def _shapes(state: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    """Shapes without the temperature, which older files hold as a vector."""
    return {key: tensor.shape for key, tensor in state.items() if key not in ("logit_scale", "logit_bias")}
