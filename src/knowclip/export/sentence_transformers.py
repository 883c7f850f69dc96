"""A DualEncoder as a folder that ``SentenceTransformer(FOLDER)`` loads.

Its ``encode`` takes texts or PIL pictures (not both in one list; a text that names a picture's file is opened
as one). Embeddings are the towers' own, not normalised: ``model.similarity`` takes cosines, a dot product of
one's own needs ``encode(..., normalize_embeddings=True)``.
"""

from __future__ import annotations

import json
from pathlib import Path

from knowclip.export.huggingface import save_clip_model
from knowclip.models.clip import DualEncoder
from knowclip.storage.atomic import atomic_folder

CLIP_FOLDER = "0_CLIPModel"
MODULES = "modules.json"
_MODULES = [{"idx": 0, "name": "0", "path": CLIP_FOLDER, "type": "sentence_transformers.models.CLIPModel"}]


def save_sentence_transformers(model: DualEncoder, folder: str | Path) -> None:
    """Write the folder, whole or not at all.

    Raises:
        ValueError: transformers' ``CLIPModel``, which it is built around, cannot express the towers.
    """
    with atomic_folder(folder) as temporary:
        save_clip_model(model, temporary / CLIP_FOLDER)
        (temporary / MODULES).write_text(json.dumps(_MODULES, indent=2) + "\n", encoding="utf-8")
        settings = {"similarity_fn_name": "cosine"}
        text = json.dumps(settings, indent=2) + "\n"
        (temporary / "config_sentence_transformers.json").write_text(text, encoding="utf-8")
