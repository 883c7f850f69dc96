"""Low-rank adapters of PEFT's on both towers, attention included."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import torch
from torch import nn

from knowclip.models.adapters import Adapters
from knowclip.models.modes import evaluating
from knowclip.models.open_attention import open_attention
from knowclip.models.text_length import text_tower
from knowclip.models.towers import image_trunk

if TYPE_CHECKING:
    from knowclip.models.clip import DualEncoder


def add_lora(
    model: DualEncoder,
    *,
    r: int,
    alpha: float,
    dropout: float = 0.0,
    dora: bool = False,
    rslora: bool = False,
    targets: Sequence[str] | None = None,
    train: Sequence[str] = (),
) -> None:
    """Freeze a model, and put adapters on the layers that were trainable: what is locked gets none.

    The model computes what it did before, since an adapter begins with an update of zero. Temperature and
    bias learn as before. LoRA: Hu et al., ICLR 2022.

    Args:
        model: Changed in place.
        r: Rank of each update.
        alpha: Updates count ``alpha / r``-fold.
        dropout: Share of an adapter's inputs zeroed in training.
        dora: Whether norms of the weights learn apart from their directions (DoRA, Liu et al., ICML 2024).
        rslora: ``alpha / sqrt(r)`` in place of ``alpha / r`` (rsLoRA, Kalajdzievski 2023).
        targets: Parts of names of layers, ``attn`` or ``mlp.c_fc``, convolutions too; None: all linear ones.
        train: Prefixes of names of parameters that learn whole.

    Raises:
        ValueError: Nothing that learns has such a name, or the image tower would silently not learn.
        ImportError: PEFT is not installed.
    """
    import peft

    towers = model.model
    whole = _whole(towers, train)
    open_attention(towers)
    layers = _layers(towers, targets, whole)
    called = _called(model, layers)
    reached = {name: layer for name, layer in layers.items() if name in called}
    _refuse_unknown(targets, towers, reached)
    _refuse_dead_trunk(image_trunk(towers.visual), reached, whole)
    config = peft.LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        use_dora=dora,
        use_rslora=rslora,
        # a pattern of whole names: listed ones are ends of names, which the other tower may share
        target_modules="|".join(map(re.escape, reached)),
    )
    peft.inject_adapter_in_model(config, towers)
    bias = [] if model.logit_bias is None else [model.logit_bias]
    for parameter in (model.logit_scale, *bias, *whole):
        parameter.requires_grad_(True)
    model.adapters = Adapters(tuple(reached), tuple(name for name in layers if name not in reached))


def _whole(towers: nn.Module, prefixes: Sequence[str]) -> list[nn.Parameter]:
    named = {name: p for name, p in towers.named_parameters() if p.requires_grad}
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in named):
            raise ValueError(
                f"model.lora.train: no trainable parameter begins with {prefix!r}; "
                f"{_hint(prefix, named)}they begin with {_list(name.split('.')[0] for name in named)}"
            )
    return [p for name, p in named.items() if name.startswith(tuple(prefixes))] if prefixes else []


def _layers(
    towers: nn.Module, targets: Sequence[str] | None, whole: Sequence[nn.Parameter]
) -> dict[str, nn.Module]:
    """Trainable layers that adapters are wanted on. PEFT has none for grouped convolutions of a low rank."""
    kinds = nn.Linear if targets is None else (nn.Linear, nn.Conv2d)
    apart = {id(parameter) for parameter in whole}
    # open_clip asks for the type of this one, which an adapter changes; in other towers it is a bare matrix
    projection = getattr(text_tower(towers), "text_projection", None)
    return {
        name: layer
        for name, layer in towers.named_modules()
        if isinstance(layer, kinds)
        and layer is not projection
        and layer.weight.requires_grad
        and id(layer.weight) not in apart
        and getattr(layer, "groups", 1) == 1
        and (targets is None or any(_has_part(name, target) for target in targets))
    }


def _called(model: DualEncoder, layers: Mapping[str, nn.Module]) -> set[str]:
    """Names of the layers that encoding calls: in others (EVA's qkv), read by weight, none would count."""
    called: set[str] = set()
    hooks = [
        layer.register_forward_hook(lambda *_, name=name: called.add(name)) for name, layer in layers.items()
    ]
    # with gradients: without, torch's fast path in eval mode calls no layer of a stock Transformer's
    with evaluating(model):
        model.encode_image(torch.zeros(1, 3, *model.image_size, device=model.device))
        model.encode_text("a")
    for hook in hooks:
        hook.remove()
    return called


def _refuse_unknown(
    targets: Sequence[str] | None, towers: nn.Module, reached: Mapping[str, nn.Module]
) -> None:
    for target in targets or ():
        if not any(_has_part(name, target) for name in reached):
            parts = {part for name, _ in towers.named_modules() for part in name.split(".")}
            raise ValueError(
                f"model.lora.targets: no layer that learns and is called has {target!r} in its name; "
                f"{_hint(target, parts)}without targets these have adapters: every trainable linear layer"
            )
    if not reached:
        raise ValueError("model.lora: no linear layer learns; unlock a tower, or name layers in lora.targets")


def _refuse_dead_trunk(
    trunk: nn.Module, reached: Mapping[str, nn.Module], whole: Sequence[nn.Parameter]
) -> None:
    """A convolutional image tower has no linear layer, and would stay as it is without a word."""
    inside = {id(part) for part in (*trunk.modules(), *trunk.parameters())}
    learns = any(id(part) in inside for part in (*reached.values(), *whole))
    if not learns and any(parameter.requires_grad for parameter in trunk.parameters()):
        raise ValueError(
            "model.lora: the image tower has no linear layer that is called: name its convolutions in "
            "model.lora.targets, its parts in model.lora.train, or lock it with model.lock_image=true"
        )


def _has_part(name: str, target: str) -> bool:
    return f".{target}." in f".{name}."


def _hint(name: str, known: Mapping[str, object] | set[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}? " if near else ""


def _list(names: object) -> str:
    return ", ".join(sorted(set(names)))
