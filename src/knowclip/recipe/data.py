"""Section ``data``: pairs, their negatives, a graph; what is validated on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from knowclip.plugins import known
from knowclip.recipe.graph import GraphConfig
from knowclip.recipe.section import Section

CAPTION_FORMATS = (
    "coco", "karpathy", "flickr8k", "csv", "lavis", "imagefolder", "jsonl", "parquet", "folder", "webdataset",
    "huggingface",
)  # fmt: skip
"""Those of ``data.formats.registry`` that name images."""


def _known_format(name: str) -> str:
    """Refuse a format that is neither knowclip's nor a plug-in's, which is not imported here."""
    known("caption format", name, CAPTION_FORMATS)
    return name


class SourceConfig(Section):
    """Image-caption pairs (``data/captions/read.py``)."""

    path: Path
    """Captions file, a folder that holds one, or ``hf-hub:`` and the name of a data set."""
    format: Annotated[str, AfterValidator(_known_format)] | None = None
    """Found out from the file when null."""
    images: Path | None = None
    """Folder that image names are relative to; looked for beside the file when null."""
    split: str | None = None
    """All splits when null."""
    image_column: str | None = None
    """Column of image names, in a table that leaves it open."""
    caption_column: str | None = None
    """Column of captions, likewise."""
    split_column: str | None = None
    """Column that says the split, where it is not called ``split``."""


class NegativesConfig(Section):
    """Hard negatives of the training captions, made by parsing them."""

    per_caption: NonNegativeInt = 0
    """Drawn anew for each caption in each epoch; 0 makes none."""
    kinds: tuple[str, ...] | None = None
    """Which kinds of ``knowclip.knowledge.negatives.generate.KINDS`` to make; null: the paper's swaps."""
    parser: str = "spacy"
    """Parser of the captions: ``spacy``, ``factual`` (a T5) or a plug-in's; ``:MODEL`` for another model."""
    graphs: Path | None = None
    """Your own scene graphs (``graphs.jsonl``), or a folder of ``knowclip prepare``, in place of parsing."""
    processes: PositiveInt = 1
    """Local processes that parse."""


class DataConfig(Section):
    """What to train on, and what to select on."""

    train: SourceConfig | None = None
    """Image-caption pairs; knowledge_clip can do without, on a graph alone."""
    graph: GraphConfig | None = None
    """Knowledge graph; null: none."""
    val: SourceConfig | None = None
    """Validation pairs; nothing is selected on anything else."""
    val_images: NonNegativeInt = 0
    """Without ``val``: so many training images, always the same ones, are held out for it."""
    captions_per_image: Literal["all", "one"] = "all"
    """In an epoch: every caption of an image, or one of them drawn anew."""
    negatives: NegativesConfig = NegativesConfig()
    group_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of each batch made of captions that name the same objects: in-batch hard negatives."""
    shard_window: PositiveInt | None = None
    """Shards (``.tar``) shuffled together and, at a URL, copied here while they are read; null: all."""
    cache: Literal["none", "pixels", "trunk"] = "none"
    """Keep decoded images, or the outputs of a locked image trunk, on disk."""
    cache_dir: Path | None = None
    """Of images, graphs and negatives; null: ``$KNOWCLIP_CACHE``, else ``~/.cache/knowclip``."""
    max_unreadable: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Share of the images that may be missing, and that may be unreadable: they are left out and named."""
    max_overlap: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the validation images that may be among those of training: more are refused."""
