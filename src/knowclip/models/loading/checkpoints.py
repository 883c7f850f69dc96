"""Weights from files into models: shapes compared, then loaded.

Nothing is adapted in silence: a weight of another shape is an error, never resized.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import torch
from torch import nn

from knowclip.models.loading import transformers_clip
from knowclip.models.loading.weight_files import read_content
from knowclip.models.loading.wrappers import State, unwrap, without_prefixes

_ADAPTER_MARKS = (".lora_", ".base_layer.", ".hada_", ".lokr_", ".ia3_", ".oft_")
"""Parts of the names that PEFT gives to the weights of its adapters."""

_KEPT_POSITIONS = 20
"""Positions that Long-CLIP leaves as they were."""

COMPUTED = ("attn_mask", "position_ids")
"""Endings of buffers that every module computes for itself, and some files hold."""

LARGEST_SCALE = 1000.0
"""Factor of the cosines above which no temperature is believed; CLIP clips its own at 100."""


def read_state_dict(path: Path) -> State:
    """Read a state dict, without its wrappers and prefixes (see the top of this module).

    Raises:
        ValueError: If the file is broken, holds more than tensors and plain values, or no state dict, or
            several.
    """
    return without_prefixes(unwrap(read_content(path), path), path)


def to_open_clip(state: State, origin: object) -> State:
    """Give the weights of a transformers ``CLIPModel`` their names in open_clip; others are as they were.

    Raises:
        ValueError: If they are an adapter, or one tower alone.
    """
    if any(mark in name for name in state for mark in _ADAPTER_MARKS):
        raise ValueError(
            f"{origin}: a PEFT adapter, which changes a base and is no model: load its folder (with "
            "adapter_config.json), or merge it first (peft's merge_and_unload) and save the whole model"
        )
    if not any(name.startswith(("vision_model.", "text_model.")) for name in state):
        return _with_one_positional_embedding(state)
    try:
        return transformers_clip.weights_to_open_clip(state)
    except ValueError as error:
        raise ValueError(f"{origin} holds no weights of a CLIPModel: {error}") from error


def _with_one_positional_embedding(state: State) -> State:
    """Long-CLIP's two positional embeddings as the one that they add up to.

    It keeps CLIP's first 20 positions and takes the others from ``positional_embedding_res``, by two masks
    (Zhang et al., ECCV 2024; ``CLIP.encode_text`` of its released code).
    """
    kept, others = state.get("positional_embedding"), state.get("positional_embedding_res")
    if kept is None or others is None or kept.shape != others.shape:
        return state
    state = {**state, "positional_embedding": torch.cat([kept[:_KEPT_POSITIONS], others[_KEPT_POSITIONS:]])}
    del state["positional_embedding_res"]
    return state


def load_state(model: nn.Module, state: State, origin: object) -> None:
    """Load a state dict of open_clip's names in place, after its shapes were compared.

    Adapted are only names and forms that say the same: MobileCLIP's own names, text towers with and without
    the prefix ``text.``, a temperature as a vector of one, buffers that are computed anyway.

    Raises:
        ValueError: If parameters are missing, left over, of another shape or no floating-point numbers; or
            the temperature is none.
    """
    from open_clip.convert import convert_state_dict

    wanted = model.state_dict()
    state = _as_towers(convert_state_dict(model, dict(state)), wanted)
    for name in ("logit_scale", "logit_bias"):
        if name in state and name in wanted and state[name].numel() == wanted[name].numel():
            state[name] = state[name].reshape(wanted[name].shape)
    state = {key: tensor for key, tensor in state.items() if key in wanted or not key.endswith(COMPUTED)}
    if differing := _differences(state, wanted):
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        sizes = (
            ". Weights are not resized: build the architecture with their sizes"
            if "is [" in differing[0]
            else ""
        )
        raise ValueError(
            f"{origin} holds no weights of this architecture: {'; '.join(differing[:5])}{more}{sizes}"
        )
    # after the shapes: before them it may be missing
    refuse_no_temperature(state, origin)
    model.load_state_dict(state)


def refuse_not_finite(model: nn.Module, origin: str) -> None:
    """Raise ValueError naming the tensors that hold NaN or infinity."""
    broken = [
        key for key, t in model.state_dict().items() if t.is_floating_point() and not t.isfinite().all()
    ]
    if broken:
        raise ValueError(
            f"{origin}: {len(broken)} tensors hold NaN or infinity ({', '.join(broken[:3])}...): "
            "the training that wrote them diverged; take an earlier checkpoint"
        )


def refuse_no_temperature(state: State, origin: object) -> None:
    """Raise ValueError if ``logit_scale`` or ``logit_bias`` cannot be what open_clip takes them for."""
    scale, limit = float(state["logit_scale"]), math.log(LARGEST_SCALE)
    if abs(scale) > limit:
        right = f"logit_scale = log({scale:g}) = {math.log(scale):.4f}" if scale > 0 else "its logarithm"
        raise ValueError(
            f"{origin}: logit_scale is {scale:g}, and cosines would be multiplied by exp({scale:g}); it is "
            f"the logarithm of the inverse temperature, between {-limit:.1f} and {limit:.1f} (OpenAI's is "
            f"4.6052). If the file holds the factor itself, save {right} in its place"
        )
    if scale < 1:
        warnings.warn(
            f"{origin}: logit_scale is {scale:g}, so that cosines are multiplied by {math.exp(scale):.3g}; "
            "it is the logarithm of the inverse temperature (CLIP begins at 2.6593): one near 0.07 is often "
            "the temperature itself, a negative one its logarithm",
            stacklevel=2,
        )
    bias = float(state["logit_bias"]) if "logit_bias" in state else 0.0
    if abs(bias) > LARGEST_SCALE:
        raise ValueError(
            f"{origin}: logit_bias is {bias:g}, which no sigmoid loss learns (SigLIP's are near -15)"
        )


def _as_towers(state: State, wanted: State) -> State:
    """Put the text tower under ``text.``, or take it from there, as the model has it."""
    if "text_projection" in state and "text_projection" not in wanted:
        text = ("text_projection", "positional_embedding", "token_embedding.", "transformer.", "ln_final.")
        return {f"text.{k}" if k.startswith(text) else k: tensor for k, tensor in state.items()}
    if "text_projection" in wanted and "text_projection" not in state:
        return {k.removeprefix("text."): tensor for k, tensor in state.items()}
    return state


def _differences(state: State, wanted: State) -> list[str]:
    shapes = [
        f"{key} is {list(state[key].shape)}, the architecture's {list(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    missing = [f"{key} is missing" for key in wanted if key not in state]
    unknown = [f"{key} is unknown to it" for key in state if key not in wanted]
    kinds = [
        f"{key} holds {_kind(state[key])}, no floating-point numbers"
        for key in wanted
        if key in state and wanted[key].is_floating_point() and _kind(state[key])
    ]
    return [*shapes, *missing, *unknown, *kinds]


def _kind(tensor: torch.Tensor) -> str:
    """What a tensor holds that is no plain array of floating-point numbers, "" if it is one."""
    if tensor.is_meta:
        return "a shape alone (device meta)"
    if tensor.is_quantized or tensor.layout != torch.strided:
        return f"a {'quantised' if tensor.is_quantized else 'sparse'} tensor"
    return "" if tensor.is_floating_point() else str(tensor.dtype)
