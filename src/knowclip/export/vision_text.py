"""A DualEncoder of a timm and a Hugging Face tower as transformers' ``VisionTextDualEncoderModel``.

That model knows a pooled timm network and a text model with a pooler of its own (BERT's), each under a linear
map without bias. open_clip's attention pooling over a timm network, its mean pooling over tokens and its
multi-layer heads have no place there.
"""

from __future__ import annotations

from typing import Any

import torch
from open_clip.hf_model import ClsPooler, HFTextEncoder
from open_clip.timm_model import TimmModel
from torch import nn

from knowclip.models.clip import DualEncoder
from knowclip.models.loading.inexpressible import refusal_of_vision_text


def has_such_towers(model: DualEncoder) -> bool:
    """Whether the towers are of the kinds that ``VisionTextDualEncoderModel`` is for."""
    return isinstance(model.model.visual, TimmModel) and isinstance(
        getattr(model.model, "text", None), HFTextEncoder
    )


def refuse_inexpressible(model: DualEncoder) -> None:
    """Raise ValueError naming what of the two towers ``VisionTextDualEncoderModel`` has no place for."""
    vision, text = model.config["vision_cfg"], model.config["text_cfg"]
    found = []
    if model.logit_bias is not None:
        found.append("a logit_bias")
    if not _is_bare_linear(getattr(model.model.visual.head, "proj", None)) or len(_heads(model)) > 1:
        told = (
            f"timm_pool={vision.get('timm_pool', 'avg')!r}, timm_proj={vision.get('timm_proj', 'linear')!r}"
        )
        found.append(f"an image head other than the network's own pooling and one linear map ({told})")
    if not isinstance(model.model.text.pooler, ClsPooler) or model.model.text.transformer.pooler is None:
        found.append(f"hf_pooler_type={text.get('hf_pooler_type')!r} (it has cls_pooler alone)")
    if not isinstance(model.model.text.proj, nn.Identity) and not _is_bare_linear(model.model.text.proj):
        found.append(f"hf_proj_type={text.get('hf_proj_type')!r} (it has linear alone)")
    if found:
        raise refusal_of_vision_text(found, model.config)


def build_vision_text(model: DualEncoder) -> nn.Module:
    """The transformers model, with the weights of both towers.

    Raises:
        ValueError: It cannot express them.
    """
    from transformers import TimmWrapperConfig, VisionTextDualEncoderConfig, VisionTextDualEncoderModel

    refuse_inexpressible(model)
    visual, text = model.model.visual, model.model.text
    vision_config = TimmWrapperConfig(
        architecture=model.config["vision_cfg"]["timm_model_name"],
        model_args=_model_args(visual.trunk, model.config["vision_cfg"].get("timm_pool", "avg")),
    )
    vision_config.hidden_size = visual.head.proj.in_features
    config = VisionTextDualEncoderConfig.from_vision_text_configs(
        vision_config, text.transformer.config, projection_dim=model.embed_dim
    )
    built = VisionTextDualEncoderModel(config).float()
    with torch.no_grad():
        _load(built.vision_model.timm_model, visual.trunk)
        _load(built.text_model, text.transformer)
        built.visual_projection.weight.copy_(visual.head.proj.weight)
        width = text.transformer.config.hidden_size
        eye = torch.eye(width, device=model.device)
        built.text_projection.weight.copy_(eye if isinstance(text.proj, nn.Identity) else text.proj.weight)
        built.logit_scale.copy_(model.logit_scale.reshape(()))
    return built.eval()


def _model_args(trunk: nn.Module, pool: str) -> dict[str, Any]:
    """Arguments that make the network anew as it is: open_clip changes the pooling of one that is made."""
    if not pool:
        return {}
    made = {"global_pool": pool}
    # a Vision Transformer made with such a pooling would move its norm behind it
    return (
        made | {"fc_norm": not isinstance(trunk.fc_norm, nn.Identity)} if hasattr(trunk, "fc_norm") else made
    )


def _load(there: nn.Module, tower: nn.Module) -> None:
    try:
        there.load_state_dict(tower.state_dict())
    except RuntimeError as error:
        raise ValueError(
            f"transformers builds another {type(tower).__name__} than open_clip did ({error}): export to "
            "onnx instead"
        ) from error


def _is_bare_linear(module: nn.Module | None) -> bool:
    return isinstance(module, nn.Linear) and module.bias is None


def _heads(model: DualEncoder) -> list[nn.Module]:
    return [part for part in model.model.visual.head if not isinstance(part, nn.Dropout)]
