"""Checkpoint folders: open_clip's, ours, transformers', sentence-transformers' and PEFT's; run folders."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowclip.models.clip import DualEncoder
from knowclip.models.loading import adapters, checkpoints, hub, transformers_clip
from knowclip.models.loading.building import Activation, build, described_in, with_activation
from knowclip.models.loading.names import (
    ADAPTER_CONFIG,
    BEST,
    MODULES,
    NONE_OF_THEM,
    OPEN_CLIP_CONFIGS,
    no_model,
)
from knowclip.models.loading.weight_files import find_weights, read_json
from knowclip.models.preprocessing import complete, tell_unused
from knowclip.models.tokenizers import open_tokenizer
from knowclip.storage.atomic import recover

if TYPE_CHECKING:
    from torch import Tensor


def load_folder(
    folder: Path, activation: Activation | None = None, *, adapter: Path | None = None
) -> DualEncoder:
    """Load a checkpoint folder, or the ``best`` inside a run folder.

    Args:
        folder: Of open_clip, ours, transformers, sentence-transformers, or a PEFT adapter with its base.
        activation: Overrides what the folder says.
        adapter: A PEFT folder to merge into the weights.

    Raises:
        ValueError: If it is none, or its parts are broken or do not fit.
    """
    if (folder / ADAPTER_CONFIG).is_file() and adapter != folder:
        return _load_adapter(folder, activation)
    config_path = _config_in(folder)
    if config_path is not None:
        return _load_open_clip(config_path, activation, adapter)
    if (folder / MODULES).is_file():
        folder = _clip_of_sentence_transformers(folder)
    if transformers_clip.is_transformers_clip(folder):
        return _load_transformers(folder, activation, adapter)
    recover(folder / BEST)
    if (folder / BEST).is_dir():
        return load_folder(folder / BEST, activation, adapter=adapter)
    raise ValueError(f"{folder} {NONE_OF_THEM}{_instead(folder)}")


def holds_config_of(path: Path) -> bool:
    """Whether a file of weights is the one of its folder, whose configuration says what it needs."""
    folder = path.parent
    known = _config_in(folder) is not None or transformers_clip.is_transformers_clip(folder)
    return is_config(path) or (known and find_weights(folder) == path)


def is_config(path: Path) -> bool:
    """Whether a file is the configuration of a checkpoint folder: it stands for the folder's weights."""
    if not path.is_file():
        return False
    named = path.name == "config.json" and transformers_clip.is_transformers_clip(path.parent)
    return named or path.name in OPEN_CLIP_CONFIGS


def _config_in(folder: Path) -> Path | None:
    return next((folder / name for name in OPEN_CLIP_CONFIGS if (folder / name).is_file()), None)


def _load_open_clip(config_path: Path, activation: Activation | None, adapter: Path | None) -> DualEncoder:
    folder = config_path.parent
    config = read_json(config_path)
    if not isinstance(config, dict) or not isinstance(config.get("model_cfg"), dict):
        raise ValueError(f"{config_path} has no 'model_cfg', which says the architecture")
    with described_in(config_path):
        model_cfg = with_activation(config["model_cfg"], activation)
        text_cfg = model_cfg["text_cfg"]
        tokenizer = open_tokenizer(text_cfg, source=folder)
        if "hf_model_name" in text_cfg:
            # the weights of the checkpoint follow: those of the hub would be fetched for nothing
            text_cfg["hf_model_pretrained"] = False
            if config_path.name == "knowclip_config.json":
                text_cfg["hf_model_name"] = str(folder)
            elif (folder / text_cfg["hf_model_name"] / "config.json").is_file():
                text_cfg["hf_model_name"] = str(folder / text_cfg["hf_model_name"])
        # a folder without a preprocess_cfg is read as stock open_clip reads it
        tell_unused(config.get("preprocess_cfg") or {})
        preprocess_cfg = complete(config.get("preprocess_cfg"), None)
        model = build(model_cfg, tokenizer=tokenizer, preprocess_cfg=preprocess_cfg)
    state, path = _read_state(folder, adapter)
    checkpoints.load_state(model.model, checkpoints.to_open_clip(state, path), path)
    return model


def _load_transformers(folder: Path, activation: Activation | None, adapter: Path | None) -> DualEncoder:
    with described_in(folder / "config.json"):
        model_cfg, preprocess_cfg = transformers_clip.read_config(folder)
        tokenizer = open_tokenizer(model_cfg["text_cfg"], source=folder)
        model_cfg = with_activation(model_cfg, activation)
        model = build(model_cfg, tokenizer=tokenizer, preprocess_cfg=preprocess_cfg)
    state, path = _read_state(folder, adapter)
    try:
        checkpoints.load_state(model.model, transformers_clip.weights_to_open_clip(state), path)
    except ValueError as error:
        raise ValueError(f"{path} holds no weights of the CLIPModel in config.json: {error}") from error
    return model


def _read_state(folder: Path, adapter: Path | None) -> tuple[dict[str, Tensor], Path]:
    """The weights of a folder, those of an adapter merged into them; and their file."""
    path = find_weights(folder)
    state = checkpoints.read_state_dict(path)
    return (state if adapter is None else adapters.merge(state, adapter)), path


def _load_adapter(folder: Path, activation: Activation | None) -> DualEncoder:
    base = adapters.base_of(folder)
    if Path(base).is_dir():
        return load_folder(Path(base), activation, adapter=folder)
    if Path(base).exists():
        raise ValueError(f"{folder}: its base {base} is a file; the base of an adapter is a folder")
    try:
        fetched = hub.fetch(base)
    except ValueError as error:
        raise ValueError(
            f"{folder}: a PEFT adapter for {base}, which is no folder here or beside it. {error}; then "
            f"write its path into {ADAPTER_CONFIG} as base_model_name_or_path"
        ) from error
    return load_folder(fetched, activation, adapter=folder)


def _clip_of_sentence_transformers(folder: Path) -> Path:
    """The CLIPModel in a sentence-transformers folder; what else that does must change no cosine."""
    modules: list[dict[str, Any]] = read_json(folder / MODULES)
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    inner = folder / modules[0].get("path", "") if modules else folder
    if not transformers_clip.is_transformers_clip(inner) or any(kind != "Normalize" for kind in kinds[1:]):
        raise ValueError(
            f"{folder}: a sentence-transformers model of {', '.join(kinds) or 'no modules'}; read is a CLIP "
            "alone: a CLIPModel first, nothing but Normalize after it"
        )
    if "Normalize" in kinds:
        warnings.warn(
            f"{folder}: its embeddings are normalised by sentence-transformers, and not by encode_image and "
            "encode_text without normalize=True; cosines are the same",
            stacklevel=2,
        )
    return inner


def _instead(folder: Path) -> str:
    """What an unknown folder seems to hold, and the way to load it."""
    if (folder / "config.json").is_file():
        kind = read_json(folder / "config.json").get("model_type")
        return f"; its config.json is of model_type {kind!r}, which is not read"
    try:
        path = find_weights(folder)
    except ValueError:
        return no_model(folder)
    return f"; it holds weights alone: name their architecture, pretrained={str(path)!r}"
