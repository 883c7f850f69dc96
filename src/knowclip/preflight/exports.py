"""A model against the format it is to be written in, by the settings on disk: before torch and weights."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from knowclip.models.loading.inexpressible import (
    has_foreign_towers,
    not_in_clip,
    not_in_vision_text,
    refusal_of_clip,
    refusal_of_vision_text,
)
from knowclip.preflight import models

CONFIGS = ("open_clip_config.json", "knowclip_config.json")


def check_export(name: str, to: str) -> None:
    """Refuse a format that surely cannot express a model.

    Args:
        name: Of the model or of its architecture, as ``models.loading.load`` takes it.
        to: Format, as ``convert --to`` takes it.

    Raises:
        ValueError: Naming the settings, and the formats that can.
    """
    if to not in ("transformers", "sentence-transformers"):
        return
    settings = settings_of(name)
    if settings is None:
        return
    if to == "transformers" and has_foreign_towers(settings):
        if found := not_in_vision_text(settings):
            raise refusal_of_vision_text(found, settings)
    elif found := not_in_clip(settings):
        raise refusal_of_clip(found, settings)


def settings_of(name: str) -> dict[str, Any] | None:
    """open_clip's ``model_cfg`` of a model; None where no file here says it."""
    head = name.rpartition("/")[0]
    for architecture in (name, head):
        if architecture in models.own_architectures():
            return _settings_in(models.MODELS / "architectures" / f"{architecture}.json")
        if architecture in models.open_clip_architectures():
            return _settings_in(_open_clip() / f"{architecture}.json")
    folder = models.MODELS / "shipped" / name if name in models.shipped_models() else Path(name)
    places = (folder / part / config for part in ("", "best") for config in CONFIGS)
    path = next((each for each in (*places, folder) if each.is_file() and each.suffix == ".json"), None)
    return None if path is None else _settings_in(path)


def _open_clip() -> Path:
    spec = find_spec("open_clip")
    assert spec is not None and spec.origin is not None  # its architectures are known by name
    return Path(spec.origin).parent / "model_configs"


def _settings_in(path: Path) -> dict[str, Any] | None:
    """The ``model_cfg`` that a file holds, or is; None where it is broken, which loading tells best."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = content.get("model_cfg", content) if isinstance(content, dict) else None
    known = isinstance(found, dict) and all(
        isinstance(found.get(part), dict) for part in ("vision_cfg", "text_cfg")
    )
    return found if known else None
