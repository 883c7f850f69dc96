"""Architectures: ours and open_clip's by name, the module of a configuration, the name of a state dict."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import nn

from knowclip.console.quiet import quiet_transformers
from knowclip.models import preprocessing
from knowclip.models.loading.checkpoints import COMPUTED
from knowclip.models.loading.names import of_package, unknown
from knowclip.models.loading.weight_files import read_json

SHIPPED = Path(__file__).parent / "shipped"
"""Folder of the checkpoints that ship with knowclip."""
_FOLDER = Path(__file__).parent / "architectures"
_QUICK = "-quickgelu"
_PARTS = {"embed_dim", "vision_cfg", "text_cfg"}
_FREE = {"positional_embedding", "text.positional_embedding", "visual.positional_embedding",
         "visual.attnpool.positional_embedding", "logit_scale", "logit_bias"}  # fmt: skip
"""Weights whose shapes say how long texts and how large images are, not which architecture it is."""

Architecture = dict[str, Any]
"""``model_cfg`` and ``preprocess_cfg`` as in ``open_clip_config.json``; ours may add ``image_weights``."""


def own_names() -> list[str]:
    """Name the architectures that ship with knowclip."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def names() -> list[str]:
    """Name the architectures that ship with knowclip, then open_clip's."""
    return [*own_names(), *open_clip.list_models()]


def shipped_names() -> list[str]:
    """Name the checkpoints that ship with knowclip."""
    return sorted(path.name for path in SHIPPED.glob("*") if path.is_dir())


def offline_names() -> list[str]:
    """Name the models whose weights need no download: of checkpoints here and of packages."""
    return [*shipped_names(), *(name for name in own_names() if of_package(_FOLDER / f"{name}.json"))]


def architecture(name: str) -> Architecture:
    """Return the architecture of that name, ours or open_clip's.

    Raises:
        ValueError: If there is none, and close names are suggested; or it is no image-text model.
    """
    if name in own_names():
        return read_json(_FOLDER / f"{name}.json")
    if name not in names():
        raise unknown(repr(name), name, [*shipped_names(), *names()])
    model_cfg = open_clip.get_model_config(name)
    if lacking := sorted(_PARTS - set(model_cfg)):
        raise ValueError(
            f"{name} is no model of images and texts: its configuration has no {', '.join(lacking)}"
        )
    return {"model_cfg": model_cfg}


def construct(model_cfg: dict[str, Any], preprocess_cfg: dict[str, Any] | None = None) -> nn.Module:
    """Build the open_clip module of a configuration, with its preprocessing attached.

    As ``open_clip.create_model`` does from a registered name; that one reads no configuration from memory.

    Raises:
        ValueError: If the configuration is of a model with a decoder or has unknown keys, or the text tower
            that it names cannot be found.
    """
    if "multimodal_cfg" in model_cfg:
        raise ValueError(
            "models with a decoder (CoCa, 'multimodal_cfg') are not supported: remove 'multimodal_cfg'"
        )
    options = deepcopy(model_cfg)
    tower = options["text_cfg"].get("hf_model_name")
    custom_text = options.pop("custom_text", False) or tower is not None
    try:
        with quiet_transformers() if tower is not None else nullcontext():
            model = (open_clip.CustomTextCLIP if custom_text else open_clip.CLIP)(**options)
    except TypeError as error:
        raise ValueError(
            f"open_clip {open_clip.__version__} does not know this configuration ({error})"
        ) from error
    except OSError as error:  # what transformers raises for a name that it can neither find nor fetch
        raise ValueError(
            f"the text tower {tower!r} (text_cfg.hf_model_name) is no folder here and the Hugging Face hub "
            "does not give it: download its config.json (and its weights, if these are not in the "
            "checkpoint) into a folder, and name that folder as hf_model_name. "
            f"({str(error).strip().splitlines()[0]})"
        ) from error
    open_clip.set_model_preprocess_cfg(model, preprocessing.complete(preprocess_cfg, model.visual.image_size))
    return model


def matching_names(state: dict[str, torch.Tensor]) -> list[str]:
    """Name open_clip's architectures that a state dict fits, whatever its image size and text length.

    Those whose own sizes fit too, if there are any; otherwise, of those that come to the same at the sizes of
    the weights, the first.
    """
    exact, resized = [], {}
    for name in open_clip.list_models():
        model_cfg = open_clip.get_model_config(name)
        if not _may_match(model_cfg, state):
            continue
        sized = with_sizes_of(model_cfg, state, name)
        if _shapes(_without_weights(sized)) != _shapes(state):
            continue
        if sized == model_cfg:
            exact.append(name)
        else:
            resized.setdefault(json.dumps(_without_sizes(model_cfg), sort_keys=True), name)
    return exact or list(resized.values())


def with_sizes_of(
    model_cfg: dict[str, Any], state: dict[str, torch.Tensor], origin: object
) -> dict[str, Any]:
    """A configuration with the image size and text length of a state dict, and a bias if it has one.

    Raises:
        ValueError: If the positions of the images are no square.
    """
    sized = deepcopy(model_cfg)
    vision, text = sized["vision_cfg"], sized["text_cfg"]
    if (positions := _positions(state, "positional_embedding", "text.positional_embedding")) is not None:
        length = positions - bool(text.get("embed_cls"))
        if text.get("context_length", open_clip.CLIPTextCfg.context_length) != length:
            text["context_length"] = length
    size = vision.get("image_size", open_clip.CLIPVisionCfg.image_size)
    if (pixels := _pixels_a_position(vision)) is not None:
        positions = _positions(state, "visual.positional_embedding", "visual.attnpool.positional_embedding")
        if positions is not None and positions != _grid(size, pixels) + 1:
            vision["image_size"] = _side(positions - 1, origin) * pixels
    if "logit_bias" in state and sized.get("init_logit_bias") is None:
        sized["init_logit_bias"] = 0.0  # only says that there is one; the weights say which
    return sized


def has_quick_twin(name: str) -> bool:
    """Whether open_clip has this architecture with QuickGELU and with GELU: the name does not say which."""
    return f"{name.removesuffix(_QUICK)}{_QUICK}" in open_clip.list_models()


def has_quick_relative(name: str) -> bool:
    """Whether this architecture, of whatever image size, exists with QuickGELU: shapes do not say which."""
    wanted = _without_sizes(open_clip.get_model_config(name))
    quick = (other for other in open_clip.list_models() if other.endswith(_QUICK))
    return any(_without_sizes(open_clip.get_model_config(other)) == wanted for other in quick)


def _may_match(model_cfg: dict[str, Any], state: dict[str, torch.Tensor]) -> bool:
    """Exclude cheaply what would be slow to build, or needs files to be built."""
    vision, text = model_cfg.get("vision_cfg", {}), model_cfg.get("text_cfg", {})
    embedding = state.get("token_embedding.weight", state.get("text.token_embedding.weight"))
    return (
        "width" in vision
        and not {"timm_model_name", "eva_model_name"} & set(vision)
        and "width" in text
        and "hf_model_name" not in text
        and "multimodal_cfg" not in model_cfg
        and embedding is not None
        and tuple(embedding.shape) == (text["vocab_size"], text["width"])
        and any(vision["width"] in tensor.shape for key, tensor in state.items() if key.startswith("visual."))
    )


def _without_sizes(model_cfg: dict[str, Any]) -> dict[str, Any]:
    """A configuration without what may differ between weights of one architecture."""
    left = {key: value for key, value in model_cfg.items() if key != "quick_gelu"}
    for part, size in (("vision_cfg", "image_size"), ("text_cfg", "context_length")):
        left[part] = {key: value for key, value in model_cfg.get(part, {}).items() if key != size}
    return left


def _positions(state: dict[str, torch.Tensor], *names: str) -> int | None:
    """How many positions the first of these weights holds that is there."""
    return next((state[name].shape[0] for name in names if name in state and state[name].ndim == 2), None)


def _pixels_a_position(vision: dict[str, Any]) -> int | None:
    """The side of the patch that a position stands for; None where positions are not learned for each."""
    if vision.get("timm_model_name"):
        return None
    if isinstance(vision.get("layers"), list | tuple):
        return 32  # a ResNet's last feature map
    return vision.get("patch_size", open_clip.CLIPVisionCfg.patch_size)


def _grid(size: int | list[int] | tuple[int, int], pixels: int) -> int:
    height, width = (size, size) if isinstance(size, int) else size
    return (height // pixels) * (width // pixels)


def _side(positions: int, origin: object) -> int:
    side = math.isqrt(positions)
    if side * side != positions:
        raise ValueError(
            f"{origin}: {positions} image positions are those of no square image: give the architecture as a "
            "JSON file whose vision_cfg says image_size as [height, width]"
        )
    return side


def _without_weights(model_cfg: dict[str, Any]) -> dict[str, torch.Tensor]:
    # meta: shapes are all that is asked, and some architectures have billions of weights
    with torch.device("meta"):
        return construct(model_cfg).state_dict()


def _shapes(state: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    """Shapes without the temperature, which older files hold as a vector, and without what sizes decide."""
    return {
        key.removeprefix("text."): tensor.shape
        for key, tensor in state.items()
        if key not in _FREE and not key.endswith(COMPUTED)
    }
