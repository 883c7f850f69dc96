"""Wrappers and prefixes that trainers put around a state dict, taken off.

A *wrapper* is a mapping around the weights: ``state_dict`` beside optimizer and epoch (open_clip,
Lightning), ``model_state_dict`` (the torch tutorials), ``model`` (timm, BLIP), ``module`` (DeepSpeed), and a
moving average under ``model_ema`` and its like. A *prefix* stands before every name: ``module.``,
``_orig_mod.``, ``model.``, in any order. Where weights and their moving average are both there, the average
is taken, as timm does, and a warning says so.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from knowclip.console.counts import some

State = dict[str, torch.Tensor]

_AVERAGE = re.compile(r"(?:.*_)?(?:ema|swa|avg|averaged?|shadow)(?:_.*)?", re.IGNORECASE)
"""Key of a moving average: ``ema``, ``model_ema``, ``swa_state_dict``, ``averaged_model`` and their like."""
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
_FACTS = {"input_resolution", "context_length", "vocab_size", "n_averaged", "initted", "step"}
"""Numbers beside the weights: OpenAI's three, and counters of moving averages."""


def unwrap(content: Any, origin: object) -> State:
    """The state dict in what a file holds: bare, under a known key, or the only one under unknown keys.

    Raises:
        ValueError: If there is none, or several of which no key says which is the model's.
    """
    found = _unwrap(content, origin)
    if found is None:
        keys = f" with keys {some([*content], most=8)}" if isinstance(content, Mapping) else ""
        raise ValueError(
            f"{origin}: expected a state dict of tensors, bare or under one of {', '.join(_WRAPPERS)}, got a "
            f"{type(content).__name__}{keys}"
        )
    return found


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
    found = {
        name: tensor
        for name, tensor in found.items()
        if tensor.numel() != 1 or name.rpartition(".")[2] not in _FACTS
    }
    while (prefix := _common_prefix(found)) is not None:
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return _model_among(found, origin)


def _unwrap(content: Any, origin: object, depth: int = 0) -> State | None:
    # deeper than trainers wrap; a pickle may hold itself
    if not isinstance(content, Mapping) or depth > 4:
        return None
    averages = _states(content, origin, depth, filter(_AVERAGE.fullmatch, filter(_is_text, content)))
    plain = _states(content, origin, depth, (key for key in _WRAPPERS if key in content))
    if averages or plain:
        _refuse_several(list(averages or plain), origin)
        chosen, state = next(iter((averages or plain).items()))
        if averages and plain:
            _tell_average(origin, chosen, plain)
        _tell_left_out(content, {*averages, *plain}, chosen, state, origin)
        return state
    tensors = {
        key: value for key, value in content.items() if isinstance(key, str) and torch.is_tensor(value)
    }
    # a matrix, for optimizers and logs hold mappings of numbers too
    if any(tensor.ndim > 1 for tensor in tensors.values()):
        return tensors
    others = {
        key: state
        for key, value in content.items()
        if not str(key).startswith(("optim", "sched")) and (state := _bare(value)) is not None
    }
    _refuse_several(list(others), origin)
    return next(iter(others.values()), None)


def _is_text(key: Any) -> bool:
    return isinstance(key, str)


def _states(content: Mapping[str, Any], origin: object, depth: int, keys: Iterable[str]) -> dict[str, State]:
    found = {key: _unwrap(content[key], origin, depth + 1) for key in keys}
    return {key: state for key, state in found.items() if state is not None}


def _bare(value: Any) -> State | None:
    """A mapping of names to tensors, or None."""
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and torch.is_tensor(t) for k, t in value.items()
    ):
        return None
    return dict(value) if any(t.ndim > 1 and t.is_floating_point() for t in value.values()) else None


def _refuse_several(keys: list[str], origin: object) -> None:
    if len(keys) > 1:
        named = ", ".join(map(repr, keys))
        raise ValueError(f"{origin}: holds several state dicts, under {named}: save the one to load alone")


def _tell_average(origin: object, chosen: str, others: Iterable[str]) -> None:
    warnings.warn(
        f"{origin}: holds weights ({', '.join(others)}) and their moving average ({chosen}): the average is "
        "taken, as timm does; to load the others, save them alone",
        stacklevel=2,
    )


def _tell_left_out(
    content: Mapping[str, Any], known: set[str], chosen: str, state: State, origin: object
) -> None:
    """Warn of further weights of the same model under keys that say nothing (``best``, ``teacher``)."""
    others = [
        str(key)
        for key, value in content.items()
        if key not in known and (other := _bare(value)) is not None and len(other) == len(state)
    ]
    if others:
        warnings.warn(
            f"{origin}: the weights under {chosen!r} are taken; those under "
            f"{', '.join(map(repr, others))} are not: to load them, save them alone",
            stacklevel=2,
        )


def _common_prefix(state: State) -> str | None:
    """The first part of every name with its dot, if all have the same and more follows."""
    firsts = {name.partition(".")[0] for name in state if "." in name}
    if len(firsts) != 1 or not all("." in name for name in state) or firsts & {*_IMAGE_PARTS, *_TEXT_PARTS}:
        return None  # a tower alone is told by its name
    return f"{firsts.pop()}."


def _model_among(state: State, origin: object) -> State:
    """The one CLIP in a state dict that also holds a trainer's own modules (losses, metrics)."""
    roots = _roots(state)
    if "" in roots or not roots:
        return state
    averages = [root for root in roots if _AVERAGE.fullmatch(root.split(".")[-1])]
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
