"""OpenAI's CLIP architecture between open_clip and transformers' ``CLIPModel``: weights and configurations.

Both libraries hold the same towers under different names: a Vision Transformer pooled at its class token,
and a causal Transformer pooled at the end-of-text token, each with a linear projection without bias. Weights
are renamed, the joint query-key-value matrix is split, and projections are transposed: embeddings stay equal.
What ``CLIPModel`` cannot express is refused, never approximated.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from open_clip import CLIPTextCfg, CLIPVisionCfg

from knowclip.models.loading.inexpressible import refusal_of_clip
from knowclip.models.loading.transformers_images import read_preprocessing
from knowclip.models.loading.weight_files import read_json

State = dict[str, torch.Tensor]
Json = dict[str, Any]

_NAMES = {
    "logit_scale": "logit_scale",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",  # sic
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "visual.proj": "visual_projection.weight",
}
_TRANSPOSED = ("text_projection", "visual.proj")
_BLOCKS = {
    "transformer.resblocks": "text_model.encoder.layers",
    "visual.transformer.resblocks": "vision_model.encoder.layers",
}
_PARTS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_BLOCK_KEY = re.compile(rf"({'|'.join(map(re.escape, _BLOCKS))})\.(\d+)\.(.+?)[._](weight|bias)")

_POOLS_AT_HIGHEST = 2
"""``eos_token_id`` of OpenAI's first configurations, for which ``CLIPModel`` pools at the highest id."""

_ACTIVATIONS = {"quick_gelu": True, "gelu": False}
_EXPRESSED = {
    "vision_cfg": {"layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "norm_kwargs"},
    "text_cfg": {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "norm_kwargs"}
    | {"pool_type", "eos_id", "pad_id", "hf_tokenizer_name"},
}
_WITHOUT_EFFECT = {"output_tokens", "patch_dropout", "hf_model_pretrained", "hf_pooler_type", "hf_proj_type"}


def is_transformers_clip(folder: Path) -> bool:
    """Whether ``folder`` holds a transformers ``CLIPModel`` (``config.json`` of model type ``clip``)."""
    path = folder / "config.json"
    return path.is_file() and read_json(path).get("model_type") == "clip"


def weights_to_open_clip(state: State) -> State:
    """Rename the weights of a ``CLIPModel`` to those of open_clip's ``CLIP``.

    Raises:
        ValueError: weights are missing; those left over are told when the state is loaded.
    """
    state = {name: tensor for name, tensor in state.items() if not name.endswith("position_ids")}
    found: State = {}
    try:
        for ours, theirs in _NAMES.items():
            tensor = state.pop(theirs)
            found[ours] = tensor.T.contiguous() if ours in _TRANSPOSED else tensor
        for ours, theirs in _BLOCKS.items():
            layers = {int(name.split(".")[3]) for name in state if name.startswith(f"{theirs}.")}
            for layer in sorted(layers):
                for kind in ("weight", "bias"):
                    source, target = f"{theirs}.{layer}", f"{ours}.{layer}"
                    parts = [state.pop(f"{source}.{part}.{kind}") for part in _QKV]
                    found[f"{target}.attn.in_proj_{kind}"] = torch.cat(parts)
                    for here, there in _PARTS.items():
                        found[f"{target}.{here}.{kind}"] = state.pop(f"{source}.{there}.{kind}")
    except KeyError as error:
        raise ValueError(f"the weights lack {error}, which every CLIPModel has") from error
    return found | state


def weights_to_transformers(state: State) -> State:
    """Rename the weights of open_clip's ``CLIP`` (or ``CustomTextCLIP``) to those of a ``CLIPModel``.

    Raises:
        ValueError: there are weights that ``CLIPModel`` has no place for.
    """
    found: State = {}
    for key, tensor in state.items():
        name = key.removeprefix("text.")
        block = _BLOCK_KEY.fullmatch(name)
        if name in _NAMES:
            found[_NAMES[name]] = tensor.T.contiguous() if name in _TRANSPOSED else tensor
        elif block and block[3] == "attn.in_proj":
            for part, piece in zip(_QKV, tensor.chunk(3), strict=True):
                found[f"{_BLOCKS[block[1]]}.{block[2]}.{part}.{block[4]}"] = piece.clone()
        elif block and block[3] in _PARTS:
            found[f"{_BLOCKS[block[1]]}.{block[2]}.{_PARTS[block[3]]}.{block[4]}"] = tensor
        else:
            raise ValueError(f"transformers' CLIPModel has no place for the weights {key}")
    found["logit_scale"] = found["logit_scale"].reshape(())  # older checkpoints hold a vector of one
    return found


def read_config(folder: Path) -> tuple[Json, Json]:
    """``(model_cfg, preprocess_cfg)`` of open_clip for a ``CLIPModel`` folder.

    Raises:
        ValueError: open_clip cannot express it, or the preprocessing is not there.
    """
    from transformers import CLIPConfig

    path = folder / "config.json"
    config = CLIPConfig.from_dict(read_json(path))  # fills in the defaults
    vision, text = config.vision_config, config.text_config
    if vision.hidden_act != text.hidden_act or vision.hidden_act not in _ACTIVATIONS:
        raise ValueError(
            f"{path}: hidden_act is {vision.hidden_act!r} (vision) and {text.hidden_act!r} (text); open_clip "
            f"has one activation for both towers, one of {', '.join(_ACTIVATIONS)}"
        )
    vision_cfg = _tower(path, vision) | {
        "head_width": vision.hidden_size // vision.num_attention_heads,
        "patch_size": vision.patch_size,
        "image_size": vision.image_size,
    }
    text_cfg = _tower(path, text) | {
        "heads": text.num_attention_heads,
        "context_length": text.max_position_embeddings,
        "vocab_size": text.vocab_size,
        "hf_tokenizer_name": ".",  # the folder's own
    }
    if text.eos_token_id not in (_POOLS_AT_HIGHEST, text.vocab_size - 1):  # else as argmax finds it
        text_cfg |= {"pool_type": "eos", "eos_id": text.eos_token_id}
    model_cfg = {
        "embed_dim": config.projection_dim,
        "quick_gelu": _ACTIVATIONS[vision.hidden_act],
        "vision_cfg": vision_cfg,
        "text_cfg": text_cfg,
    }
    return model_cfg, read_preprocessing(folder, vision.image_size)


def write_config(model_cfg: Json, *, eos_id: int | None, pad_id: int, highest_id: int) -> Json:
    """``config.json`` of a ``CLIPModel`` for an open_clip configuration.

    ``argmax`` pooling reads at the highest id, which is the end of text until tokens are added behind it;
    then ``eos_token_id`` is 2, by which ``CLIPModel`` pools at the highest id too.

    Args:
        model_cfg: open_clip's, of an OpenAI-style architecture.
        eos_id: the tokenizer's end of text.
        pad_id: what the tokenizer pads with.
        highest_id: the highest id that the tokenizer gives.

    Raises:
        ValueError: naming every setting that ``CLIPModel`` cannot express.
    """
    refuse_inexpressible(model_cfg)
    vision = asdict(CLIPVisionCfg(**model_cfg["vision_cfg"]))
    text = asdict(CLIPTextCfg(**model_cfg["text_cfg"]))
    activation = "quick_gelu" if model_cfg.get("quick_gelu", False) else "gelu"
    end_of_text = eos_id if eos_id == highest_id else _POOLS_AT_HIGHEST
    if text["pool_type"] == "eos":
        end_of_text = text["eos_id"]
    towers = [
        {
            "hidden_act": activation,
            "hidden_size": tower["width"],
            "intermediate_size": int(tower["width"] * tower["mlp_ratio"]),
            "layer_norm_eps": (tower["norm_kwargs"] or {}).get("eps", 1e-5),
            "num_hidden_layers": tower["layers"],
            "projection_dim": model_cfg["embed_dim"],
        }
        for tower in (vision, text)
    ]
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": model_cfg["embed_dim"],
        "text_config": towers[1]
        | {
            "model_type": "clip_text_model",
            "num_attention_heads": text["heads"],
            "max_position_embeddings": text["context_length"],
            "vocab_size": text["vocab_size"],
            "eos_token_id": end_of_text,
            "pad_token_id": pad_id,
            "bos_token_id": None,
        },
        "vision_config": towers[0]
        | {
            "model_type": "clip_vision_model",
            "num_attention_heads": vision["width"] // vision["head_width"],
            "patch_size": vision["patch_size"],
            "image_size": vision["image_size"],
        },
    }


def refuse_inexpressible(model_cfg: Json) -> None:
    """Raise ValueError naming the settings of a configuration that ``CLIPModel`` cannot express."""
    found = [f"{key}={model_cfg[key]!r}" for key in ("init_logit_bias",) if model_cfg.get(key) is not None]
    for section, known in (("vision_cfg", CLIPVisionCfg), ("text_cfg", CLIPTextCfg)):
        defaults = asdict(known())
        found += [
            f"{section}.{key}={value!r}"
            for key, value in model_cfg[section].items()
            if key not in _EXPRESSED[section] | _WITHOUT_EFFECT and value != defaults.get(key)
        ]
        if set(model_cfg[section].get("norm_kwargs") or {}) - {"eps"}:
            found.append(f"{section}.norm_kwargs={model_cfg[section]['norm_kwargs']!r}")
    vision, text = model_cfg["vision_cfg"], model_cfg["text_cfg"]
    for key, value in (("layers", vision.get("layers")), ("image_size", vision.get("image_size"))):
        if value is not None and not isinstance(value, int):
            found.append(f"vision_cfg.{key}={value!r}")
    if text.get("pool_type", "argmax") not in ("argmax", "eos"):
        found.append(f"text_cfg.pool_type={text['pool_type']!r}")
    if text.get("pool_type") == "eos" and text.get("eos_id", CLIPTextCfg.eos_id) == _POOLS_AT_HIGHEST:
        found.append("text_cfg.eos_id=2 (CLIPModel would pool at the highest id)")
    if found:
        raise refusal_of_clip(found, model_cfg)


def _tower(path: Path, config: Any) -> Json:
    """The part of an open_clip tower's configuration that both towers share."""
    ratio = config.intermediate_size / config.hidden_size
    if int(config.hidden_size * ratio) != config.intermediate_size:
        ratio = (config.intermediate_size + 0.5) / config.hidden_size  # open_clip rounds down
    tower = {"layers": config.num_hidden_layers, "width": config.hidden_size, "mlp_ratio": ratio}
    if config.layer_norm_eps != 1e-5:
        tower["norm_kwargs"] = {"eps": config.layer_norm_eps}
    return tower
