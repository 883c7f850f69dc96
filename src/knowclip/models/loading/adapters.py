"""PEFT's LoRA adapters, merged into the weights of their base.

An adapter folder holds ``adapter_config.json`` and the low-rank factors of some layers: each of these
becomes ``W + s B A`` with ``s = alpha / r`` (Hu et al., ICLR 2022), or ``alpha / sqrt(r)`` for
rank-stabilised LoRA. The names are those of the base, so this is done before names are changed. Other kinds
of adapters are refused: ``peft``'s own ``merge_and_unload`` merges them all.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from knowclip.models.loading.names import ADAPTER_CONFIG, may_be_model
from knowclip.models.loading.weight_files import read_content, read_json

State = dict[str, torch.Tensor]

_PREFIX = "base_model.model."
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_FACTOR = re.compile(r"(.+)\.lora_([AB])(?:\.\w+)?\.weight")
_SPECIAL = ("use_dora", "use_qalora", "layer_replication", "trainable_token_indices", "target_parameters",
            "alora_invocation_tokens")  # fmt: skip
"""Settings of LoRA under which ``W + s B A`` is not what was trained."""

_MERGE = (
    "merge it first, with peft: PeftModel.from_pretrained(base, folder).merge_and_unload(), then save that"
)


def base_of(folder: Path) -> str:
    """Name or path of the base that an adapter folder changes; a path is read from here or from the folder.

    Raises:
        ValueError: If the folder does not say, or if its path leads to one base from here and to another from
            the folder.
    """
    name = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not name:
        raise ValueError(
            f"{folder}: a PEFT adapter whose {ADAPTER_CONFIG} does not say its base "
            f"(base_model_name_or_path): write the path of the base's folder there, or {_MERGE}"
        )
    # where training ran, as PEFT reads it, or beside the adapter: a folder of that name may be anything
    places = [path for path in (Path(name).expanduser(), folder / name) if path.exists()]
    bases = {path.resolve(): path for path in places if path.is_file() or may_be_model(path)}
    if len(bases) > 1:
        raise ValueError(
            f"{folder}: its base {name} is {' as well as '.join(map(str, bases))}: write the whole path of "
            f"the right one into {ADAPTER_CONFIG} as base_model_name_or_path"
        )
    return str(next(iter([*bases.values(), *places]), name))


def merge(base: State, folder: Path) -> State:
    """The weights of ``base`` with the adapter of ``folder`` merged in.

    Args:
        base: All weights, by the names that the adapter was trained on.
        folder: With ``adapter_config.json`` and ``adapter_model.safetensors`` or ``.bin``.

    Raises:
        ValueError: If it is no plain LoRA, or changes what the base does not have.
    """
    config = read_json(folder / ADAPTER_CONFIG)
    _refuse_other_kinds(config, folder)
    path = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise ValueError(f"{folder}: a PEFT adapter without {' or '.join(_WEIGHTS)}")
    factors: dict[str, State] = {}
    merged = dict(base)
    for name, tensor in read_content(path).items():
        name = name.removeprefix(_PREFIX)
        if factor := _FACTOR.fullmatch(name):
            factors.setdefault(factor[1], {})[factor[2]] = tensor
        else:  # a bias, or a module that was trained whole
            name = name.replace(".modules_to_save.", ".").replace(".base_layer.", ".")
            merged[_known(name, base, path)] = tensor
    if not factors:
        raise ValueError(f"{path} holds no LoRA factors (lora_A, lora_B)")
    for layer, pair in factors.items():
        name = _known(f"{layer}.weight", base, path)
        if set(pair) != {"A", "B"}:
            raise ValueError(f"{path}: {layer} has only one of the factors lora_A and lora_B")
        merged[name] = base[name] + _update(layer, pair["A"], pair["B"], config, like=base[name], path=path)
    return merged


def _update(
    layer: str, a: torch.Tensor, b: torch.Tensor, config: dict[str, Any], *, like: torch.Tensor, path: Path
) -> torch.Tensor:
    rank = _of_layer(layer, config.get("rank_pattern"), config["r"])
    alpha = _of_layer(layer, config.get("alpha_pattern"), config["lora_alpha"])
    scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
    # float64: the sum is rounded once, to the type of the base
    product = b.flatten(1).double() @ a.flatten(1).double()
    product = product.T if config.get("fan_in_fan_out") else product
    if product.numel() != like.numel() or a.shape[0] != rank:
        raise ValueError(
            f"{path}: {layer} has factors {list(b.shape)} and {list(a.shape)} of rank {rank}, which do not "
            f"make the base's {list(like.shape)}"
        )
    # reshaped, for the factors of a convolution have axes of its kernel
    return (scale * product).reshape(like.shape).to(like.dtype)


def _refuse_other_kinds(config: dict[str, Any], folder: Path) -> None:
    kind = config.get("peft_type")
    special = [key for key in _SPECIAL if config.get(key)]
    if kind != "LORA" or special:
        what = kind if kind != "LORA" else f"LoRA with {', '.join(special)}"
        raise ValueError(f"{folder}: a PEFT adapter of kind {what}, and plain LoRA is read: {_MERGE}")


def _of_layer(layer: str, pattern: dict[str, float] | None, default: float) -> float:
    """A setting that some layers have of their own, by names or ends of names, as PEFT matches them."""
    for key, value in (pattern or {}).items():
        if re.match(rf"(.*\.)?({key})$", layer):
            return value
    return default


def _known(name: str, base: State, path: Path) -> str:
    if name not in base:
        raise ValueError(
            f"{path}: changes {name}, which its base does not have: another base than it was trained on? "
            f"Else {_MERGE}"
        )
    return name
