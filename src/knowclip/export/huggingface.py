"""A DualEncoder as a folder that transformers loads: a ``CLIPModel``, or a ``VisionTextDualEncoderModel``.

The latter is for a timm image tower beside a Hugging Face text tower (``export.vision_text``).

Equal are the embeddings of equal pixels and equal token ids. What the two libraries make of a file or a text
is not always equal:

- transformers resizes uint8 tensors where open_clip resizes PIL images: a level of difference here and there;
- its centre crop rounds its offset down, open_clip's (torchvision's) to even: a picture whose longer side,
  resized, exceeds the crop by an odd number (640x427 is one) is cropped one column apart;
- open_clip mends texts first (HTML entities, mojibake, curly quotes, ligatures), transformers does not.

``export.parity`` measures what that does to embeddings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from safetensors.torch import save_file

from knowclip.export import vision_text
from knowclip.models.clip import DualEncoder
from knowclip.models.loading import transformers_clip
from knowclip.models.loading.inexpressible import instead
from knowclip.models.loading.transformers_images import write_preprocessing
from knowclip.storage.atomic import atomic_folder

_SPECIAL = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
"""open_clip's names of OpenAI's two special tokens, and OpenAI's own."""


Kind = Literal["CLIPModel", "VisionTextDualEncoderModel"]


def save_transformers(model: DualEncoder, folder: str | Path) -> Kind:
    """Write ``config.json``, ``model.safetensors``, tokenizer and preprocessing, whole or not at all.

    Returns:
        The class that loads the folder.

    Raises:
        ValueError: Neither class can express the towers; nothing is then written.
    """
    if not vision_text.has_such_towers(model):
        save_clip_model(model, folder)
        return "CLIPModel"
    built = vision_text.build_vision_text(model)
    preprocessing = _preprocessing(model)
    with atomic_folder(folder) as temporary:
        built.save_pretrained(temporary)
        write_tokenizer(model, temporary)
        _write_json(temporary / "preprocessor_config.json", preprocessing)
    return "VisionTextDualEncoderModel"


def save_clip_model(model: DualEncoder, folder: str | Path) -> None:
    """``save_transformers`` as a ``CLIPModel``.

    Raises:
        ValueError: It cannot express the towers; nothing is then written.
    """
    config = transformers_clip.write_config(model.config, **_special_ids(model.tokenizer))
    preprocessing = _preprocessing(model)
    state = {key: tensor.detach().cpu().float() for key, tensor in model.weights().items()}
    state = transformers_clip.weights_to_transformers(state)
    with atomic_folder(folder) as temporary:
        tensors = {key: tensor.contiguous().clone() for key, tensor in state.items()}
        save_file(tensors, temporary / "model.safetensors", metadata={"format": "pt"})
        write_tokenizer(model, temporary)
        _write_json(temporary / "config.json", config)
        _write_json(temporary / "preprocessor_config.json", preprocessing)


def _preprocessing(model: DualEncoder) -> dict[str, Any]:
    height, width = model.image_size
    otherwise = instead(model.config)
    if height != width:
        raise ValueError(
            f"transformers' image processors make squares, and the images are {height}x{width}. {otherwise}"
        )
    try:
        return write_preprocessing(model.model.visual.preprocess_cfg, height)
    except ValueError as error:
        raise ValueError(f"{error}. {otherwise}") from error


def _special_ids(tokenizer: Any) -> dict[str, Any]:
    if isinstance(tokenizer, SimpleTokenizer):
        end = tokenizer.eot_token_id  # OpenAI's tokenizer pads with it, and has none behind it
        return {"eos_id": end, "pad_id": end, "highest_id": max(tokenizer.encoder.values())}
    if isinstance(tokenizer, HFTokenizer):
        backend = tokenizer.tokenizer
        highest = max(backend.get_vocab().values())
        return {"eos_id": backend.eos_token_id, "pad_id": backend.pad_token_id, "highest_id": highest}
    raise ValueError(f"a {type(tokenizer).__name__} has no files that transformers could read")


def write_tokenizer(model: DualEncoder, folder: Path) -> None:
    """Write the tokenizer's files as transformers' ``AutoTokenizer`` reads them."""
    if isinstance(model.tokenizer, HFTokenizer):
        model.tokenizer.tokenizer.model_max_length = model.context_length
        model.tokenizer.save_pretrained(str(folder))
        return
    vocabulary = {_SPECIAL.get(token, token): number for token, number in model.tokenizer.encoder.items()}
    merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in model.tokenizer.bpe_ranks), ""])
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    start, end = _SPECIAL.values()
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": model.context_length,
        "bos_token": start,
        **dict.fromkeys(("eos_token", "pad_token", "unk_token"), end),
    }
    _write_json(folder / "tokenizer_config.json", settings)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
