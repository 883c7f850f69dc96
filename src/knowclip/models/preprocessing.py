"""Preprocessing of weights that do not bring any: the published one, the tower's own, or a question.

Mean, deviation, interpolation and resize mode are part of a checkpoint's meaning, as the activation is; a
bare file of weights says nothing of them. Where all published checkpoints of its architecture agree, theirs
is taken; where they do not, the caller is asked.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict
from typing import Any

import open_clip
from open_clip.transform import PreprocessCfg, merge_preprocess_dict

Preprocessing = dict[str, Any]
"""open_clip's ``preprocess_cfg``: ``mean``, ``std``, ``interpolation``, ``resize_mode``, ``fill_color``."""

_KEYS = ("mean", "std", "interpolation", "resize_mode", "fill_color")


def complete(preprocess_cfg: Preprocessing | None, size: Any) -> Preprocessing:
    """A whole ``preprocess_cfg``: open_clip's defaults where it leaves something out, at the model's size."""
    return {**merge_preprocess_dict(asdict(PreprocessCfg()), preprocess_cfg or {}), "size": size}


def same(one: Preprocessing, other: Preprocessing) -> bool:
    """Whether two configurations make the same pixels, whatever their sequences are made of."""
    return _plain(one) == _plain(other)


def published(name: str, *, quick_gelu: bool) -> dict[str, list[str]]:
    """The tags of an open_clip architecture with that activation by their preprocessing, told in words."""
    found: dict[str, list[str]] = {}
    for tag, tag_cfg in _tags(name, quick_gelu=quick_gelu).items():
        found.setdefault(told(tag_cfg), []).append(tag)
    return found


def agreed(name: str, *, quick_gelu: bool) -> Preprocessing | None:
    """The preprocessing of the published checkpoints with that activation; None if they differ."""
    tags = _tags(name, quick_gelu=quick_gelu)
    return next(iter(tags.values())) if len({told(tag_cfg) for tag_cfg in tags.values()}) == 1 else None


def of_tag(name: str, tag: str) -> Preprocessing:
    """The preprocessing of one published checkpoint."""
    return {key: value for key, value in open_clip.get_pretrained_cfg(name, tag).items() if key in _KEYS}


def chosen(
    name: str, given: str | Preprocessing | None, origin: object, *, quick_gelu: bool
) -> Preprocessing | None:
    """The preprocessing of a bare file of weights of an architecture.

    Args:
        name: open_clip's name of the architecture.
        given: A tag of it, or ``mean``, ``std``, ``interpolation``, ``resize_mode``; None: not said.
        origin: The file, for messages.
        quick_gelu: The activation of the weights: they descend from a checkpoint with the same.

    Returns:
        None where nothing is published: then the tower's own or open_clip's default holds.

    Raises:
        ValueError: If the published ones differ and none is given, or what is given is unknown.
    """
    if isinstance(given, dict):
        return checked(given)
    if given is not None:
        tags = _tags(name, quick_gelu=True) | _tags(name, quick_gelu=False)
        if given not in tags:
            raise ValueError(
                f"preprocess={given!r} is no tag of {name}; its tags are {', '.join(tags) or 'none'}"
            )
        return tags[given]
    found = published(name, quick_gelu=quick_gelu)
    if len(found) > 1:
        first = next(iter(found.values()))[0]
        listed = "; ".join(f"{words}: {', '.join(tags)}" for words, tags in found.items())
        raise ValueError(
            f"{origin}: the published checkpoints of {name} differ in preprocessing, and the file does not "
            f"say which it was trained with ({listed}). Name the tag that yours descends from: "
            f"preprocess={first!r}; in a recipe: model.preprocess={first}; for other commands: knowclip "
            f"convert {origin} FOLDER --preprocess {first}, then give FOLDER"
        )
    return agreed(name, quick_gelu=quick_gelu)


def checked(given: Preprocessing) -> Preprocessing:
    """A preprocessing that a person gave.

    Raises:
        ValueError: If a key or value is unknown.
    """
    if unknown := sorted(set(given) - set(_KEYS)):
        raise ValueError(f"preprocess has the keys {', '.join(_KEYS)}, got {', '.join(unknown)}")
    refuse_impossible(given)
    return given


def refuse_impossible(preprocess_cfg: Preprocessing) -> None:
    """Raise ValueError where values are none that pixels between 0 and 1 can be prepared with."""
    allowed = {
        "interpolation": ("bicubic", "bilinear", "random"),  # random: of training, here bicubic
        "resize_mode": ("shortest", "longest", "squash"),
    }
    for key, values in allowed.items():
        if (value := preprocess_cfg.get(key)) is not None and value not in values:
            raise ValueError(f"preprocess: {key} is one of {', '.join(values[:3])}, got {value!r}")
    for key in ("mean", "std"):
        if (value := preprocess_cfg.get(key)) is None:
            continue
        numbers = list(value) if hasattr(value, "__len__") else [value]
        if len(numbers) not in (1, 3) or not all(isinstance(one, int | float) for one in numbers):
            raise ValueError(f"preprocess: {key} has one number a channel, three, got {value!r}")
        if not all(0 <= one <= 1 and (one > 0 or key == "mean") for one in numbers):
            raise ValueError(
                f"preprocess: {key} is that of pixels between 0 and 1, got {value!r}"
                + (": divide it by 255" if max(numbers) > 1 else "")
            )


def tell_unused(preprocess_cfg: Preprocessing) -> None:
    """Warn of keys that no preprocessing has: a misspelt one would be left out in silence."""
    if unknown := sorted(set(preprocess_cfg) - set(asdict(PreprocessCfg()))):
        warnings.warn(
            f"preprocess_cfg: {', '.join(unknown)} is no part of it and not used; it has {', '.join(_KEYS)}",
            stacklevel=2,
        )


def of_timm_tower(model_cfg: dict[str, Any], given: Preprocessing | None) -> Preprocessing | None:
    """Fill in what is not given by a timm image tower's own default, and say so; others stay as they are."""
    tower = model_cfg["vision_cfg"].get("timm_model_name")
    lacking = [key for key in ("mean", "std", "interpolation") if (given or {}).get(key) is None]
    if not tower or not lacking:
        return given
    from timm import get_pretrained_cfg

    default = get_pretrained_cfg(tower)
    if default is None:
        return given
    own = {key: getattr(default, key) for key in lacking}
    if own.get("interpolation") not in (None, "bicubic", "bilinear"):
        own["interpolation"] = "bicubic"
    warnings.warn(
        f"the architecture names no preprocessing ({', '.join(lacking)}): its image tower's own is taken, "
        f"{told(own)}, as timm gives it for {tower}; preprocess_cfg in the architecture says another",
        stacklevel=2,
    )
    return {**(given or {}), **own}


def told(preprocess_cfg: Preprocessing) -> str:
    """A preprocessing in words, alike for alike ones."""
    mean, std = (
        "/".join(f"{value:.3g}" for value in preprocess_cfg[key]) if key in preprocess_cfg else None
        for key in ("mean", "std")
    )
    named = {"mean": mean, "std": std, "interpolation": preprocess_cfg.get("interpolation"),
             "resize": preprocess_cfg.get("resize_mode")}  # fmt: skip
    return ", ".join(f"{key} {value}" for key, value in named.items() if value is not None)


def _plain(preprocess_cfg: Preprocessing) -> Preprocessing:
    whole = complete(preprocess_cfg, preprocess_cfg.get("size"))
    for key in ("mean", "std", "size"):
        value = whole[key]
        count = 2 if key == "size" else 3
        # tuples of floats: JSON brings lists, and one number for three channels
        whole[key] = (
            tuple(float(v) for v in value) if hasattr(value, "__len__") else (float(value or 0),) * count
        )
    if whole["resize_mode"] != "longest":  # nothing else is filled
        whole["fill_color"] = 0
    return whole


def _tags(name: str, *, quick_gelu: bool) -> dict[str, Preprocessing]:
    """Tags of an architecture and its twin with their preprocessing: those of this activation, else all."""
    plain = name.removesuffix("-quickgelu")
    every = [
        (owner, tag)
        for owner in (plain, f"{plain}-quickgelu")
        for tag in open_clip.list_pretrained_tags_by_model(owner)
    ]
    alike = [
        pair for pair in every if bool(open_clip.get_pretrained_cfg(*pair).get("quick_gelu")) == quick_gelu
    ]
    return {tag: of_tag(owner, tag) for owner, tag in alike or every}
