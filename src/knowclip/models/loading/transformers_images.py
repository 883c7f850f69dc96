"""Preprocessing between open_clip's ``preprocess_cfg`` and transformers' ``preprocessor_config.json``.

open_clip resizes to the model's size and crops there, or squashes. What a processor does beyond that is
refused. Even then pixels are not always equal: see ``docs/weights.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from knowclip.models.loading.weight_files import read_json

Json = dict[str, Any]

_RESAMPLING = {2: "bilinear", 3: "bicubic"}
_DECIDING = ("size", "crop_size", "do_center_crop", "do_resize", "do_pad", "do_rescale", "rescale_factor")
_DEFAULTS: Json = {
    "size": {"shortest_edge": 224},
    "crop_size": 224,
    "resample": 3,
    "rescale_factor": 1 / 255,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    **dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize"), True),
}
"""What transformers' ``CLIPImageProcessor`` does where its file leaves something out."""


def read_preprocessing(folder: Path, image_size: int) -> Json:
    """open_clip's ``preprocess_cfg`` for the processor of a ``CLIPModel`` folder.

    Raises:
        ValueError: There is none, or open_clip cannot express it.
    """
    old, new = folder / "preprocessor_config.json", folder / "processor_config.json"
    path = old if old.is_file() else new
    if not path.is_file():
        raise ValueError(
            f"{folder} holds no {old.name}: without it the pixels' mean, std and crop are unknown"
        )
    content = read_json(path)
    config = _completed(path, content.get("image_processor", content))
    mode = _resize_mode(config, image_size)
    if mode is None:
        raise ValueError(
            f"{path}: open_clip resizes to the model's {image_size} pixels and crops there, or squashes; got "
            + ", ".join(f"{key}={config[key]}" for key in _DECIDING if key in config)
        )
    if config["resample"] not in _RESAMPLING:
        raise ValueError(f"{path}: resample={config['resample']}; known are {_RESAMPLING}")
    normalized = config["do_normalize"]
    return {
        "mean": _channels(config["image_mean"]) if normalized else (0.0,) * 3,
        "std": _channels(config["image_std"]) if normalized else (1.0,) * 3,
        "interpolation": _RESAMPLING[config["resample"]],
        "resize_mode": mode,
    }


def write_preprocessing(preprocess_cfg: Json, image_size: int) -> Json:
    """``preprocessor_config.json`` for open_clip's ``preprocess_cfg``.

    Raises:
        ValueError: the resize mode has no counterpart.
    """
    modes = {name: number for number, name in _RESAMPLING.items()}
    mode, interpolation = preprocess_cfg["resize_mode"], preprocess_cfg["interpolation"]
    if mode not in ("shortest", "squash") or interpolation not in modes:
        raise ValueError(
            f"CLIPImageProcessor has no counterpart of resize_mode={mode!r}, interpolation={interpolation!r}"
            f"; it has 'shortest' and 'squash', {', '.join(modes)}"
        )
    square = {"height": image_size, "width": image_size}
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": image_size} if mode == "shortest" else square,
        "resample": modes[interpolation],
        "do_center_crop": mode == "shortest",
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preprocess_cfg["mean"]),
        "image_std": list(preprocess_cfg["std"]),
    }


def _completed(path: Path, config: Json) -> Json:
    """A processor's settings with its class's defaults, which are known of CLIP's alone."""
    given = {key: value for key, value in config.items() if value is not None}
    kind = str(given.get("image_processor_type", given.get("feature_extractor_type", "CLIP")))
    lacking = [key for key in _DEFAULTS if key not in given]
    if given.get("do_center_crop") is False:
        lacking = [key for key in lacking if key != "crop_size"]
    if not kind.startswith("CLIP") and lacking:
        raise ValueError(
            f"{path}: a {kind}, whose defaults are unknown here: write {', '.join(lacking)} into it"
        )
    if not kind.startswith("CLIP") and isinstance(
        given["size"], int
    ):  # a number is a square to all but CLIP's
        given["size"] = {"height": given["size"], "width": given["size"]}
    return {**_DEFAULTS, **given}


def _resize_mode(config: Json, image_size: int) -> str | None:
    """``shortest`` or ``squash``, as the settings come to; None if they come to neither."""
    steps = config["do_resize"] and config["do_rescale"] and not config.get("do_pad")
    # files round 1/255 to a few digits
    if not steps or abs(config["rescale_factor"] * 255 - 1) > 1e-3:
        return None
    square = [image_size, image_size]
    cropped = bool(config["do_center_crop"])
    if cropped and _square(config["crop_size"]) != square:
        return None
    if _square(config["size"]) == square and not isinstance(config["size"], int):
        return "squash"  # a crop of what has its size already does nothing
    shortest = config["size"] if isinstance(config["size"], int) else None
    if isinstance(config["size"], dict) and set(_said(config["size"])) == {"shortest_edge"}:
        shortest = config["size"]["shortest_edge"]
    return "shortest" if shortest == image_size and cropped else None


def _square(size: Any) -> list[int] | None:
    """Height and width, of a mapping, a pair or a number; None for anything else."""
    if isinstance(size, int):
        return [size, size]
    if isinstance(size, dict):
        size = _said(size)
        return [size["height"], size["width"]] if set(size) == {"height", "width"} else None
    return list(size) if isinstance(size, list | tuple) and len(size) == 2 else None


def _said(size: Json) -> Json:
    return {key: value for key, value in size.items() if value is not None}


def _channels(values: Any) -> tuple[float, ...]:
    return tuple(values) if isinstance(values, list | tuple) else (float(values),) * 3
