"""Weights from files of every trainer: wrappers and prefixes off, shapes compared, then loaded.

A *wrapper* is a mapping around the weights: ``state_dict`` beside optimizer and epoch (open_clip,
Lightning), ``model_state_dict`` (the torch tutorials), ``model`` (timm, BLIP), ``module`` (DeepSpeed), and a
moving average under ``model_ema`` and its like. A *prefix* stands before every name: ``module.``,
``_orig_mod.``, ``model.``, in any order. Where weights and their moving average are both there, the average
is taken, as timm does, and a warning says so.

Nothing is adapted in silence: a weight of another shape is an error, never resized.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from knowclip.models import transformers_clip
from knowclip.models.weight_files import read_content

State = dict[str, torch.Tensor]

_AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model_state_dict",
             "ema_model", "ema", "averaged_model", "shadow")  # fmt: skip
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "module", "weights", "params", "net",
             "network", "clip", "clip_model", "checkpoint")  # fmt: skip
"""Keys of mappings around the weights, in the order in which they are looked for."""

_WRAPPING_MODULES = {
    "module",
    "_orig_mod",
    "_forward_module",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
}
"""Modules that hold another one: of DataParallel, torch.compile, Fabric, FSDP, activation checkpointing."""

_IMAGE_PARTS = ("visual", "vision_model", "image_encoder")
_TEXT_PARTS = ("token_embedding", "text", "text_model", "text_encoder", "transformer")
_AVERAGED_ROOTS = ("ema", "ema_model", "model_ema", "averaged_model")
_FACTS = {"input_resolution", "context_length", "vocab_size", "n_averaged", "initted", "step"}
"""Numbers beside the weights: OpenAI's three, and counters of moving averages."""

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
    content = read_content(path)
    found = _unwrap(content, path)
    if found is None:
        keys = f" with keys {list(content)[:8]}" if isinstance(content, Mapping) else ""
        raise ValueError(
            f"{path}: expected a state dict of tensors, bare or under one of {', '.join(_WRAPPERS)}, got a "
            f"{type(content).__name__}{keys}"
        )
    return without_prefixes(found, path)


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a whole open_clip model in place, from open_clip's, OpenAI's or transformers' names.

    Raises:
        ValueError: If the file cannot be read, or parameters are missing, left over or of another shape.
    """
    load_state(model, to_open_clip(read_state_dict(path), path), path)


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
        raise ValueError(
            f"{origin} holds no weights of this architecture: {'; '.join(differing[:5])}{more}. Weights are "
            "not resized: build the architecture with the sizes of the weights"
        )
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
    if scale < 0:
        warnings.warn(
            f"{origin}: logit_scale is {scale:g}, so that cosines are multiplied by {math.exp(scale):.3g}; "
            "it is the logarithm of the inverse temperature: a negative one is often that of the "
            "temperature itself",
            stacklevel=2,
        )
    bias = float(state["logit_bias"]) if "logit_bias" in state else 0.0
    if abs(bias) > LARGEST_SCALE:
        raise ValueError(
            f"{origin}: logit_bias is {bias:g}, which no sigmoid loss learns (SigLIP's are near -15)"
        )


def without_prefixes(state: State, origin: object) -> State:
    """Take off what stands before every name, the modules that only wrap, and numbers that are no weights.

    Raises:
        ValueError: If several models are in the state dict.
    """
    found: State = {}
    for name, tensor in state.items():
        parts = [part for part in name.split(".") if part not in _WRAPPING_MODULES]
        found[".".join(parts)] = tensor.detach()
    if len(found) != len(state):
        raise ValueError(f"{origin}: two weights have one name without the modules that wrap them")
    found = {name: tensor for name, tensor in found.items() if name not in _FACTS}
    while (prefix := _common_prefix(found)) is not None:
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return _model_among(found, origin)


def _unwrap(content: Any, origin: Path, depth: int = 0) -> State | None:
    """The state dict in nested mappings: bare, under a known key, or the only one under unknown keys."""
    if not isinstance(content, Mapping) or depth > 4:
        return None
    found = {key: _unwrap(content[key], origin, depth + 1) for key in _AVERAGES + _WRAPPERS if key in content}
    states = {key: state for key, state in found.items() if state is not None}
    if states:
        chosen = next(iter(states))
        if chosen in _AVERAGES and len(states) > 1:
            _tell_average(origin, chosen, [key for key in states if key != chosen])
        return states[chosen]
    tensors = {
        key: value for key, value in content.items() if isinstance(key, str) and torch.is_tensor(value)
    }
    if any(tensor.ndim > 1 for tensor in tensors.values()):
        return tensors
    others = {
        key: state
        for key, value in content.items()
        if not str(key).startswith(("optim", "sched")) and (state := _bare(value)) is not None
    }
    if len(others) > 1:
        raise ValueError(
            f"{origin}: holds several state dicts, under {', '.join(map(repr, others))}: save the one to "
            "load alone"
        )
    return next(iter(others.values()), None)


def _bare(value: Any) -> State | None:
    """A mapping of names to tensors, or None."""
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and torch.is_tensor(t) for k, t in value.items()
    ):
        return None
    return dict(value) if any(t.ndim > 1 and t.is_floating_point() for t in value.values()) else None


def _tell_average(origin: object, chosen: str, others: Iterable[str]) -> None:
    warnings.warn(
        f"{origin}: holds weights ({', '.join(others)}) and their moving average ({chosen}): the average is "
        "taken, as timm does; to load the others, save them alone",
        stacklevel=2,
    )


def _common_prefix(state: State) -> str | None:
    """The first part of every name with its dot, if all have the same and more follows."""
    firsts = {name.partition(".")[0] for name in state if "." in name}
    if len(firsts) != 1 or not all("." in name for name in state):
        return None
    return f"{firsts.pop()}."


def _model_among(state: State, origin: object) -> State:
    """The one CLIP in a state dict that also holds a trainer's own modules (losses, metrics)."""
    roots = _roots(state)
    if "" in roots or not roots:
        return state
    averages = [root for root in roots if root.split(".")[-1] in _AVERAGED_ROOTS]
    if len(roots) > 1 and len(averages) != 1:
        raise ValueError(
            f"{origin}: holds several models, under {', '.join(map(repr, roots))}: save the one to load alone"
        )
    chosen = averages[0] if averages else roots[0]
    if len(roots) > 1:
        _tell_average(origin, chosen, [root for root in roots if root != chosen])
    inner = {name.removeprefix(f"{chosen}."): t for name, t in state.items() if name.startswith(f"{chosen}.")}
    if "logit_scale" not in inner and "logit_scale" in state:  # held by the module around the towers
        inner |= {name: state[name] for name in ("logit_scale", "logit_bias") if name in state}
    left = [
        name for name in state if name not in inner and not any(name.startswith(f"{root}.") for root in roots)
    ]
    if left:
        warnings.warn(
            f"{origin}: {len(left)} tensors beside the model ({chosen}.) are left out, the first is "
            f"{left[0]}",
            stacklevel=2,
        )
    return inner


def _roots(state: State) -> list[str]:
    """Dotted names under which both an image and a text tower stand; "" for the state dict itself."""
    found: dict[str, set[str]] = {}
    for name in state:
        parts = name.split(".")
        for place, part in enumerate(parts[:-1]):
            if part in _IMAGE_PARTS or part in _TEXT_PARTS:
                kind = "image" if part in _IMAGE_PARTS else "text"
                found.setdefault(".".join(parts[:place]), set()).add(kind)
                break
    return [root for root, kinds in found.items() if len(kinds) == 2]


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
        f"{key} holds {state[key].dtype}, no floating-point numbers"
        for key in wanted
        if key in state and wanted[key].is_floating_point() and not state[key].is_floating_point()
    ]
    return [*shapes, *missing, *unknown, *kinds]
