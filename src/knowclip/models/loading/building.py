"""From a configuration to a DualEncoder, with the weights that it names for single towers or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import torch

from knowclip.models import preprocessing
from knowclip.models.clip import DualEncoder
from knowclip.models.loading import architectures, packages
from knowclip.models.tokenizers import Tokenizer, fit_text_cfg, open_tokenizer

Activation = Literal["gelu", "quick_gelu"]


def build(
    model_cfg: dict[str, Any],
    *,
    tokenizer: Tokenizer | None = None,
    preprocess_cfg: dict[str, Any] | None = None,
    image_weights: str | Path | None = None,
) -> DualEncoder:
    """Build a model from an open_clip configuration, with random weights but for what it names.

    Args:
        model_cfg: open_clip's ``model_cfg``. A ``hf_model_name`` may be a folder or ``package:NAME``, whose
            weights are loaded unless ``hf_model_pretrained`` is false.
        tokenizer: Decides ``vocab_size``, ``pad_id`` and ``eos_id`` where the configuration has no
            ``vocab_size``; by default the tokenizer that the configuration names.
        preprocess_cfg: Mean, std, interpolation and resize mode. Where left out, a timm image tower's own,
            with a warning that says so; open_clip's defaults for every other.
        image_weights: File or ``package:NAME`` of ImageNet weights for the trunk of a timm image tower.

    Raises:
        ValueError: If the configuration and tokenizer do not fit, weights do not fit the tower, or pixels
            cannot be prepared so.
    """
    config = {"quick_gelu": False, **deepcopy(model_cfg)}
    text_cfg = config["text_cfg"]
    for key in ("hf_model_name", "hf_tokenizer_name"):
        if text_cfg.get(key):
            text_cfg[key] = packages.resolve(text_cfg[key])
    if tokenizer is None:
        if "vocab_size" not in text_cfg and "hf_model_name" not in text_cfg:
            raise ValueError(
                "text_cfg has no 'vocab_size': the architecture takes any vocabulary, "
                "so pass tokenizer=word_tokenizer(captions, context_length=...)"
            )
        tokenizer = open_tokenizer(text_cfg)
    config["text_cfg"] = fit_text_cfg(text_cfg, tokenizer)
    if "timm_model_name" in config["vision_cfg"]:
        config["vision_cfg"]["timm_model_pretrained"] = False  # would be fetched from a hub
    preprocess_cfg = preprocessing.of_timm_tower(config, preprocess_cfg)
    if preprocess_cfg is not None:
        preprocessing.refuse_impossible(preprocess_cfg)
    model = architectures.construct(config, preprocess_cfg)
    if image_weights is not None:
        if "timm_model_name" not in config["vision_cfg"]:
            raise ValueError(
                f"image_weights={str(image_weights)!r} need a timm image tower ('timm_model_name')"
            )
        packages.load_timm_weights(model.visual.trunk, packages.resolve(str(image_weights)))
    return DualEncoder(model, config=config, tokenizer=tokenizer)


@contextmanager
def drawn_with(seed: int | None) -> Iterator[None]:
    """Draw weights with this seed inside, and leave torch's generator as it was; with None change nothing."""
    if seed is None:
        yield
        return
    before = torch.get_rng_state()  # models are built on the CPU
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)


@contextmanager
def described_in(path: Path) -> Iterator[None]:
    """Name the configuration from which a model cannot be built, be it by a value of another type."""
    try:
        yield
    except ValueError as error:
        raise error if str(path) in str(error) else ValueError(f"{path}: {error}") from error
    except (TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError, AssertionError) as error:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ValueError(
            f"{path} describes no model that can be built: {said}; is a section "
            "missing, or a value of another kind than the library that wrote it gives?"
        ) from error


def build_architecture(
    architecture: architectures.Architecture, activation: Activation | None = None
) -> DualEncoder:
    """Build what a JSON file of ours describes, with the weights of single towers that it names.

    Raises:
        ValueError: If it is none, or as ``build``.
    """
    parts = architecture.get("model_cfg") if isinstance(architecture, dict) else None
    if not isinstance(parts, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= set(parts):
        keys = sorted(architecture) if isinstance(architecture, dict) else type(architecture).__name__
        raise ValueError(
            "an architecture is {'model_cfg': {'embed_dim', 'vision_cfg', 'text_cfg'}, 'preprocess_cfg', "
            f"'image_weights'}}, got keys {keys}"
        )
    return build(
        with_activation(parts, activation),
        preprocess_cfg=architecture.get("preprocess_cfg"),
        image_weights=architecture.get("image_weights"),
    )


def with_activation(model_cfg: dict[str, Any], activation: Activation | None) -> dict[str, Any]:
    """A configuration with that activation, or as it is.

    Raises:
        ValueError: If no tower has one to choose.
    """
    model_cfg = deepcopy(model_cfg)
    if activation is not None:
        if "timm_model_name" in model_cfg["vision_cfg"] and "hf_model_name" in model_cfg["text_cfg"]:
            raise ValueError(
                f"activation={activation!r} has no effect on timm and Hugging Face towers: omit it"
            )
        model_cfg["quick_gelu"] = activation == "quick_gelu"
    return model_cfg


def without_pretrained(architecture: architectures.Architecture) -> architectures.Architecture:
    """Take out what loads weights into single towers."""
    architecture = deepcopy(architecture)
    architecture.pop("image_weights", None)
    if "hf_model_name" in architecture["model_cfg"]["text_cfg"]:
        architecture["model_cfg"]["text_cfg"]["hf_model_pretrained"] = False
    return architecture
