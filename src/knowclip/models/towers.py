"""Image towers split where they can be locked, and their tokens before pooling.

Shape legend: B batch, N tokens, D embedding width, W tower width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from open_clip.hf_model import HFTextEncoder
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
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


def still_text_layers(model: nn.Module, locked: Sequence[nn.Module]) -> None:
    """Put locked layers of the text tower in eval mode, and the embeddings before them."""
    text = getattr(model, "text", model)
    for layer in locked:
        layer.eval()
    if isinstance(text, HFTextEncoder):
        for name, part in text.transformer.named_children():
            if "embed" in name:
                part.eval()


def _text_layers(text: nn.Module) -> nn.ModuleList:
    return next(module for module in text.transformer.modules() if isinstance(module, nn.ModuleList))


def _timm_tokens(trunk: nn.Module, features: Float[Tensor, "B ..."]) -> Float[Tensor, "B N W"]:
    if features.ndim == 3:
        return features[:, getattr(trunk, "num_prefix_tokens", 0) :]
    if getattr(trunk, "output_fmt", "NCHW") == "NHWC":
        return features.flatten(1, 2)
    return features.flatten(2).transpose(1, 2)
