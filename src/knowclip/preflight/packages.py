"""Which packages are installed: versions of what knowclip stands on, extras with the command that adds them.

Nothing is imported: a package that is broken is listed too.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from knowclip.preflight.machine import EXTRAS

CORE = (
    "torch", "torchvision", "open_clip_torch", "transformers", "timm", "accelerate", "spacy", "numpy",
    "pyarrow", "pydantic", "safetensors",
)  # fmt: skip
"""Packages whose versions explain most of what differs between two machines."""

PURPOSES = {
    "parser": "parsing captions: negatives, graphs, the KEE",
    "scenes": "the demo, knowclip scenes",
    "photos": "the model lite0-minilm",
    "graph": "knowledge graphs",
    "search": "knowclip index, knowclip search, knowclip.Index",
    "datasets": "captions from a saved data set or hf-hub:NAME",
    "glue": "knowclip task glue without files of your own",
    "export": "knowclip convert to ONNX and to sentence-transformers",
    "serve": "knowclip serve",
    "app": "knowclip app",
    "lora": "model.lora of a recipe",
    "ray": "knowclip prepare --engine ray",
    "remote": "shards at URLs (s3://...)",
    "wandb": "output.wandb of a recipe",
    "docs": "make docs",
}
"""Extra -> what needs it."""


def versions() -> dict[str, str]:
    """Version of each of :data:`CORE`, or ``not installed``."""
    found = {}
    for name in CORE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def missing() -> dict[str, str]:
    """Each extra of :data:`PURPOSES` -> the modules it lacks, or nothing where it is complete."""
    from knowclip.knowledge.parsing.spacy_parser import MODELS

    absent = {
        extra: ", ".join(m for m in EXTRAS.get(extra, ()) if find_spec(m) is None) for extra in PURPOSES
    }
    if not any(find_spec(name) for name in MODELS):
        absent["parser"] = "an English pipeline of spaCy"
    return absent
