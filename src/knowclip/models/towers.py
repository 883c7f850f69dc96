"""Towers split where they can be locked, how far their layers are from the output, tokens before pooling.

Shape legend: B batch, N tokens, D embedding width, W tower width.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from open_clip.hf_model import HFTextEncoder
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from timm.models import group_parameters
from torch import nn

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def image_trunk(visual: nn.Module) -> nn.Module:
    """Return the part of an image tower that is locked: a timm tower's trunk, any other tower as a whole."""
    return visual.trunk if isinstance(visual, TimmModel) else visual


def encode_trunk(visual: nn.Module, features: Float[Tensor, "B ..."]) -> Float[Tensor, "B D"]:
    """Apply what follows ``image_trunk``: a timm tower's head, nothing for any other tower."""
    return visual.head(features) if isinstance(visual, TimmModel) else features


def image_tokens(
    visual: nn.Module, images: Float[Tensor, "B 3 H W"]
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B N W"]]:
    """Return the pooled embedding and the spatial tokens after the last block (class tokens left out).

    Tokens are in row order, of the tower's width and normalised by its final norm where it has one; they are
    not projected, because a pooled tower's projection is not trained on them.
    """
    if isinstance(visual, TimmModel):
        trunk = visual.trunk
        features = trunk.forward_features(images)
        return visual.head(trunk.forward_head(features)), _timm_tokens(trunk, features)
    if isinstance(visual, ModifiedResNet):
        output = visual.forward_intermediates(images, indices=1)
        return output["image_features"], output["image_intermediates"][-1].flatten(2).transpose(1, 2)
    # ln_post has the width of the blocks except behind an attention pooler
    norm = visual.attn_pool is None
    output = visual.forward_intermediates(
        images, indices=1, normalize_intermediates=norm, output_fmt="NLC"
    )  # fmt: skip
    return output["image_features"], output["image_intermediates"][-1]


def trunk_tokens(visual: nn.Module, features: Float[Tensor, "B ..."]) -> Float[Tensor, "B N W"]:
    """Return the spatial tokens in what ``image_trunk`` gave: a timm trunk's, as far as it does not pool.

    Raises:
        ValueError: The features are pooled.
    """
    if not isinstance(visual, TimmModel) or features.ndim < 3:
        raise ValueError(
            "the image trunk's cached features are pooled, and triplets need its tokens: "
            "set data.cache=pixels, or method.captions_as_triplets=false"
        )
    return _timm_tokens(visual.trunk, features)


def lock_text_layers(model: nn.Module, *, unlocked: int) -> list[nn.Module]:
    """Freeze the embeddings of an open_clip model's text tower and all its layers but the last ``unlocked``.

    open_clip's own ``lock_text_tower`` counts norm and projection as layers in some towers and fails on BERT.

    Returns:
        The layers that are locked.

    Raises:
        ValueError: If the tower has fewer layers.
    """
    text = getattr(model, "text", model)
    layers = _text_layers(text)
    if unlocked > len(layers):
        raise ValueError(f"unlocked_text_layers={unlocked}, but the text tower has {len(layers)} layers")
    if isinstance(text, HFTextEncoder):
        text.transformer.requires_grad_(False)
        layers[len(layers) - unlocked :].requires_grad_(True)
        return list(layers[: len(layers) - unlocked])
    for name in ("token_embedding", "positional_embedding", "cls_emb"):
        if getattr(text, name, None) is not None:
            getattr(text, name).requires_grad_(False)
    return list(layers[: len(layers) - unlocked].requires_grad_(False))


def text_parts(model: nn.Module) -> list[nn.Module | nn.Parameter]:
    """Return all that a text tower is made of: one module, or the parts that open_clip's CLIP holds."""
    if hasattr(model, "text"):
        return [model.text]
    names = ("transformer", "token_embedding", "positional_embedding", "ln_final", "text_projection")
    return [part for name in names if (part := getattr(model, name)) is not None]


def still_text_layers(model: nn.Module, locked: Sequence[nn.Module]) -> None:
    """Put locked layers of the text tower in eval mode, and the embeddings before them."""
    text = getattr(model, "text", model)
    for layer in locked:
        layer.eval()
    if isinstance(text, HFTextEncoder):
        for name, part in text.transformer.named_children():
            if "embed" in name:
                part.eval()


def output_distances(model: nn.Module) -> dict[str, int]:
    """Layers between each parameter of an open_clip model's towers and their output, by parameter name.

    0: what follows the blocks (norm, projection, head); 1: the last block; and on to the embeddings, the
    patches or the stem. A trunk of timm's is cut as timm cuts it: its last norm counts as its last block.
    Parameters of neither tower have no distance.
    """
    visual, text = model.visual, getattr(model, "text", model)
    if isinstance(visual, TimmModel):
        distances = _timm_distances(visual)
    elif isinstance(visual, ModifiedResNet):
        distances = _distances(visual, "visual.", stem=r"(conv|bn)\d", block=r"layer(\d)")
    else:
        stem = "conv1|class_embedding|positional_embedding|patchnorm_pre_ln|ln_pre"
        distances = _distances(visual, "visual.", stem=stem, block=r"transformer\.resblocks\.(\d+)")
    layers = _text_layers(text)
    place = re.escape(next(name for name, part in text.named_modules() if part is layers))
    # T5 calls its embeddings "shared"; open_clip's CLIP holds the parts of its text tower beside the image's
    stem, block = r"(?!visual\.).*(emb|shared)", rf"{place}\.(\d+)"
    texts = _distances(text, "" if text is model else "text.", stem=stem, block=block)
    apart = ("visual.", "logit_")
    return distances | {name: value for name, value in texts.items() if not name.startswith(apart)}


def _distances(tower: nn.Module, prefix: str, *, stem: str, block: str) -> dict[str, int]:
    """Distances in a tower whose parameters have one beginning before the blocks, and one in each block."""
    names = [name for name, _ in tower.named_parameters()]
    numbers = {name: int(match[1]) for name in names if (match := re.match(block, name))}
    first, last = min(numbers.values()), max(numbers.values())
    before = last - first + 2
    return {
        prefix + name: 1 + last - numbers[name] if name in numbers else before * bool(re.match(stem, name))
        for name in names
    }


def _timm_distances(visual: TimmModel) -> dict[str, int]:
    numbers = group_parameters(visual.trunk, visual.trunk.group_matcher(), reverse=True)
    after = max(numbers.values()) + 1
    trunk = {f"visual.trunk.{name}": after - number for name, number in numbers.items()}
    return trunk | {f"visual.head.{name}": 0 for name, _ in visual.head.named_parameters()}


def _text_layers(text: nn.Module) -> nn.ModuleList:
    return next(module for module in text.transformer.modules() if isinstance(module, nn.ModuleList))


def _timm_tokens(trunk: nn.Module, features: Float[Tensor, "B ..."]) -> Float[Tensor, "B N W"]:
    if features.ndim == 3:
        return features[:, getattr(trunk, "num_prefix_tokens", 0) :]
    if getattr(trunk, "output_fmt", "NCHW") == "NHWC":
        return features.flatten(1, 2)
    return features.flatten(2).transpose(1, 2)
