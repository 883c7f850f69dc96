"""A DualEncoder as a folder that stock open_clip loads, where open_clip can express its towers.

An ``open_clip`` folder holds ``open_clip_config.json``, ``open_clip_model.safetensors`` and the tokenizer's
files, and loads with ``open_clip.create_model_and_transforms("local-dir:FOLDER")``.

A Hugging Face text tower from a local folder is what open_clip cannot express: it looks ``hf_model_name`` up
on the hub or from the working directory, never in the checkpoint. Such a model becomes a ``knowclip`` folder,
with the text tower's configuration, a ``README.md`` that says so, and ``knowclip_config.json`` in place of
``open_clip_config.json``, so that open_clip refuses it clearly.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

from open_clip.tokenizer import HFTokenizer
from safetensors import SafetensorError
from safetensors.torch import save_file

from knowclip.models.clip import DualEncoder
from knowclip.models.loading.inexpressible import has_local_text_tower
from knowclip.storage.atomic import atomic_folder

Kind = Literal["open_clip", "knowclip"]
MODEL_FILE = "open_clip_model.safetensors"

_README = """\
This checkpoint is loaded by `knowclip.load("PATH OF THIS FOLDER")`.

Stock open_clip cannot load it: its text tower is a Hugging Face model that was built from a local folder, and
open_clip finds such towers only by their name on the hub.
"""


def save_pretrained(model: DualEncoder, folder: str | Path) -> Kind:
    """Write a checkpoint folder, whole or not at all; an older folder is replaced in one step.

    Returns:
        ``"open_clip"`` if stock open_clip loads the folder, ``"knowclip"`` if only ``knowclip.load`` does.

    Raises:
        OSError: If it cannot be written (for example a full disk); an older folder is then untouched.
    """
    folder = Path(folder)
    kind: Kind = "knowclip" if has_local_text_tower(model.config) else "open_clip"
    try:
        with atomic_folder(folder) as temporary:
            save_file(_tensors(model), temporary / MODEL_FILE, metadata={"format": "pt"})
            if isinstance(model.tokenizer, HFTokenizer):
                model.tokenizer.save_pretrained(str(temporary))
            if kind == "knowclip":
                model.model.text.config.save_pretrained(temporary)
                (temporary / "README.md").write_text(_README, encoding="utf-8")
            config = {
                "model_cfg": _model_cfg(model, kind),
                "preprocess_cfg": model.model.visual.preprocess_cfg,
            }
            text = json.dumps(config, indent=2) + "\n"
            (temporary / f"{kind}_config.json").write_text(text, encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"saving the checkpoint {folder} failed: {error}. What stood there before is untouched; "
            "free space on its disk, or save elsewhere"
        ) from error
    return kind


def _model_cfg(model: DualEncoder, kind: Kind) -> dict[str, Any]:
    config = deepcopy(model.config)
    if isinstance(model.tokenizer, HFTokenizer):
        config["text_cfg"]["hf_tokenizer_name"] = (
            "."  # any true value: open_clip takes the checkpoint's folder
        )
    if kind == "knowclip":
        config["text_cfg"]["hf_model_name"] = "."  # knowclip.load puts the folder here
    if model.logit_bias is not None:
        config.setdefault("init_logit_bias", 0.0)
    return config


def _tensors(model: DualEncoder) -> dict[str, Any]:
    """Copy the weights to the CPU one by one: safetensors takes no tensors that share memory."""
    return {key: tensor.detach().cpu().clone() for key, tensor in model.weights().items()}
