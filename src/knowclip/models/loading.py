"""From a name, a folder, a file or a configuration to a DualEncoder.

======================================  ==================================================================
``load("ViT-B-32/openai")``             an open_clip architecture and pretrained tag, downloaded
``load("ViT-B-32", pretrained=...)``    the same; ``pretrained`` may be a file of weights, or ``"random"``
``load("negclip.pt", activation=...)``  a file of weights whose architecture is told by its shapes
``load("hf-hub:org/name")``             an open_clip or transformers ``CLIPModel`` on the Hugging Face hub
``load("runs/demo/negclip")``           a run folder (its ``best``) or any open_clip folder
``load("clip-vit-base-patch32")``       a folder of transformers' ``CLIPModel`` with its processor
``load("lite0-minilm")``                an architecture of ours, or a ``.json``, with the weights it names
``load("scenes-base")``                 a checkpoint that ships with knowclip
======================================  ==================================================================

The activation is part of a checkpoint's meaning: OpenAI's weights and all that descend from them (NegCLIP,
CE-CLIP) need QuickGELU and are silently wrong with GELU. Tags and folders say it; for a file of weights of an
architecture that exists with both, it must be given.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import open_clip
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import EntryNotFoundError
from open_clip.pretrained import download_pretrained, get_pretrained_cfg, list_pretrained_tags_by_model

from knowclip.atomic import recover
from knowclip.models import architectures, checkpoints, packages, transformers_clip
from knowclip.models.clip import DualEncoder
from knowclip.models.tokenizers import Tokenizer, fit_text_cfg, open_tokenizer

Activation = Literal["gelu", "quick_gelu"]

CONFIG_NAMES = ("open_clip_config.json", "knowclip_config.json")
"""Configurations of a checkpoint folder: one that stock open_clip loads, one that only ``load`` does."""

RANDOM = "random"
SHIPPED = Path(__file__).parent / "shipped"
"""Folder of the checkpoints that ship with knowclip."""


def load(
    name_or_path: str | Path,
    *,
    device: str | torch.device | None = None,
    pretrained: str | Path | None = None,
    activation: Activation | None = None,
) -> DualEncoder:
    """Load a model in eval mode.

    Args:
        name_or_path: See the table at the top of this module.
        device: Where to put it; the CPU by default.
        pretrained: Tag, file of weights, or ``"random"``, for an architecture's name.
        activation: Overrides what the checkpoint says of its activation, or says it where it does not.

    Raises:
        ValueError: If the source is unknown, unreadable, does not fit or holds NaN; or if the activation
            cannot be known, or has no effect (no tower is open_clip's own).
    """
    if activation not in (None, "gelu", "quick_gelu"):
        raise ValueError(f"activation is 'gelu' or 'quick_gelu', got {activation!r}")
    name, path = str(name_or_path), Path(name_or_path)
    recover(path)
    if isinstance(name_or_path, str) and name in architectures.names():  # a folder of that name is ./NAME
        model = _from_name(name, pretrained, activation)
    elif isinstance(name_or_path, str) and name in shipped_names():
        model = _from_folder(SHIPPED / name, activation)
    elif path.exists() and pretrained is not None:
        raise ValueError(
            f"pretrained={str(pretrained)!r} is for architecture names; {path} has its own weights"
        )
    elif path.is_dir():
        model = _from_folder(path, activation)
    elif path.suffix == ".json" and path.is_file():
        model = _from_architecture(json.loads(path.read_text(encoding="utf-8")), activation)
    elif path.is_file():
        model = _from_weights(_architecture_of(path), path, activation)
    elif name.startswith("hf-hub:"):
        model = _from_hub(name, activation)
    else:
        model = _from_name(name, pretrained, activation)
    origin = name if pretrained is None else f"{name} ({pretrained})"
    checkpoints.refuse_not_finite(model.model, origin)
    return model.to(device).eval()


def shipped_names() -> list[str]:
    """Name the checkpoints that ship with knowclip."""
    return sorted(path.name for path in SHIPPED.glob("*") if path.is_dir())


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
        preprocess_cfg: Mean, std, interpolation and resize mode; open_clip's defaults where left out.
        image_weights: File or ``package:NAME`` of ImageNet weights for the trunk of a timm image tower.

    Raises:
        ValueError: If the configuration and tokenizer do not fit, or weights do not fit the tower.
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
    model = architectures.construct(config, preprocess_cfg)
    if image_weights is not None:
        if "timm_model_name" not in config["vision_cfg"]:
            raise ValueError(
                f"image_weights={str(image_weights)!r} need a timm image tower ('timm_model_name')"
            )
        packages.load_timm_weights(model.visual.trunk, packages.resolve(str(image_weights)))
    return DualEncoder(model, config=config, tokenizer=tokenizer)


def _from_name(name: str, pretrained: str | Path | None, activation: Activation | None) -> DualEncoder:
    head, _, tag = name.rpartition("/")
    if pretrained is None and head in architectures.names():
        name, pretrained = head, tag
    architecture = architectures.architecture(name)
    if pretrained == RANDOM:
        return _from_architecture(_without_pretrained(architecture), activation)
    if pretrained is not None and Path(pretrained).is_file():
        return _from_weights(name, Path(pretrained), activation)
    if pretrained is None and name in architectures.own_names():
        return _from_architecture(architecture, activation)
    tag_cfg = get_pretrained_cfg(name, str(pretrained)) if pretrained is not None else None
    if not tag_cfg:
        tags = ", ".join([*list_pretrained_tags_by_model(name), RANDOM])
        got = f"pretrained={str(pretrained)!r} is no tag of it and no file" if pretrained else "got none"
        raise ValueError(f"{name} needs weights, {got}: load('{name}/TAG') with TAG one of {tags}")
    architecture = {
        "model_cfg": {**architecture["model_cfg"], "quick_gelu": tag_cfg.get("quick_gelu", False)},
        "preprocess_cfg": tag_cfg,
    }
    model = _from_architecture(_without_pretrained(architecture), activation)
    checkpoints.load_weights(model.model, Path(download_pretrained(tag_cfg)))
    return model


def _from_architecture(architecture: dict[str, Any], activation: Activation | None) -> DualEncoder:
    if not {"embed_dim", "vision_cfg", "text_cfg"} <= set(architecture.get("model_cfg", {})):
        raise ValueError(
            "an architecture is {'model_cfg': {'embed_dim', 'vision_cfg', 'text_cfg'}, 'preprocess_cfg', "
            f"'image_weights'}}, got keys {sorted(architecture)}"
        )
    return build(
        _with_activation(architecture["model_cfg"], activation),
        preprocess_cfg=architecture.get("preprocess_cfg"),
        image_weights=architecture.get("image_weights"),
    )


def _from_weights(name: str, path: Path, activation: Activation | None) -> DualEncoder:
    """Load a bare file of weights, whose activation must be given where its architecture exists with both."""
    if activation is None and architectures.has_quick_twin(name) and not name.endswith("-quickgelu"):
        raise ValueError(
            f"{path}: {name} exists with both activations and the file does not say which. Pass "
            "activation='quick_gelu' if the weights descend from OpenAI's (NegCLIP, CE-CLIP, ...), "
            "activation='gelu' if from LAION's or DataComp's; the wrong one gives silently wrong embeddings"
        )
    model = _from_architecture(_without_pretrained(architectures.architecture(name)), activation)
    checkpoints.load_weights(model.model, path)
    return model


def _architecture_of(path: Path) -> str:
    if path.suffix not in checkpoints.SUFFIXES:
        raise ValueError(f"{path}: weights are in files {', '.join(checkpoints.SUFFIXES)}")
    names = architectures.matching_names(checkpoints.read_state_dict(path))
    plain = {name.removesuffix("-quickgelu") for name in names}
    if len(plain) != 1:
        found = f"several fit: {', '.join(sorted(plain))}" if plain else "no native one of open_clip's fits"
        raise ValueError(
            f"{path}: cannot tell the architecture from the shapes ({found}): "
            f"name it, as in load('ViT-B-32', pretrained={str(path)!r})"
        )
    return plain.pop()


def _from_folder(folder: Path, activation: Activation | None) -> DualEncoder:
    """Load a folder of open_clip, of ours or of transformers, or the ``best`` inside a run folder."""
    config_path = next((folder / name for name in CONFIG_NAMES if (folder / name).is_file()), None)
    if config_path is None:
        if transformers_clip.is_transformers_clip(folder):
            return _from_transformers(folder, activation)
        recover(folder / "best")
        if (folder / "best").is_dir():
            return _from_folder(folder / "best", activation)
        raise ValueError(
            f"{folder} holds no {' or '.join(CONFIG_NAMES)}, no config.json of a transformers CLIPModel, and "
            "no folder 'best' that does"
        )
    config = json.loads(config_path.read_text(encoding="utf-8"))
    model_cfg = _with_activation(config["model_cfg"], activation)
    text_cfg = model_cfg["text_cfg"]
    tokenizer = open_tokenizer(text_cfg, source=folder)
    if "hf_model_name" in text_cfg:
        text_cfg["hf_model_pretrained"] = False
        if config_path.name == "knowclip_config.json":
            text_cfg["hf_model_name"] = str(folder)
    model = build(model_cfg, tokenizer=tokenizer, preprocess_cfg=config.get("preprocess_cfg"))
    checkpoints.load_weights(model.model, checkpoints.find_weights(folder))
    return model


def _from_transformers(folder: Path, activation: Activation | None) -> DualEncoder:
    model_cfg, preprocess_cfg = transformers_clip.read_config(folder)
    try:
        tokenizer = open_tokenizer(model_cfg["text_cfg"], source=folder)
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: its tokenizer cannot be read: {error}") from error
    model = build(_with_activation(model_cfg, activation), tokenizer=tokenizer, preprocess_cfg=preprocess_cfg)
    path = checkpoints.find_weights(folder)
    try:
        state = transformers_clip.weights_to_open_clip(checkpoints.read_state_dict(path))
        model.model.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path} holds no weights of the CLIPModel in config.json: {error}") from error
    return model


def _from_hub(name: str, activation: Activation | None) -> DualEncoder:
    try:
        config = {"quick_gelu": False, **open_clip.get_model_config(name)}
    except EntryNotFoundError:  # no open_clip_config.json: transformers' own format
        files = ["*.json", "*.txt", "model.safetensors", "pytorch_model.bin"]
        return _from_folder(
            Path(snapshot_download(name.removeprefix("hf-hub:"), allow_patterns=files)), activation
        )
    if activation is not None and config["quick_gelu"] != (activation == "quick_gelu"):
        raise ValueError(
            f"{name} says quick_gelu={config['quick_gelu']}: to override it, download it and load the folder"
        )
    model = open_clip.create_model(name, require_pretrained=True)
    return DualEncoder(model, config=config, tokenizer=open_clip.get_tokenizer(name))


def _with_activation(model_cfg: dict[str, Any], activation: Activation | None) -> dict[str, Any]:
    model_cfg = deepcopy(model_cfg)
    if activation is not None:
        if "timm_model_name" in model_cfg["vision_cfg"] and "hf_model_name" in model_cfg["text_cfg"]:
            raise ValueError(
                f"activation={activation!r} has no effect on timm and Hugging Face towers: omit it"
            )
        model_cfg["quick_gelu"] = activation == "quick_gelu"
    return model_cfg


def _without_pretrained(architecture: dict[str, Any]) -> dict[str, Any]:
    """Take out what loads weights into single towers."""
    architecture = deepcopy(architecture)
    architecture.pop("image_weights", None)
    if "hf_model_name" in architecture["model_cfg"]["text_cfg"]:
        architecture["model_cfg"]["text_cfg"]["hf_model_pretrained"] = False
    return architecture
