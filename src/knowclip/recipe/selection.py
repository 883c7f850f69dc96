"""Section ``selection``: which checkpoint is ``best``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from knowclip.recipe.section import Section

Shown = Literal["text", "image"]
"""How an entity that has words and images is shown where nothing is drawn."""
LinkSide = Literal["tail", "head", "relation"]
Among = Literal["all", "split"]


class LinksConfig(Section):
    """Link prediction on validation triplets; the test triplets of the graph are never opened."""

    path: Path
    """Folder that ``knowclip graph split`` made; train on its ``train``."""
    sides: tuple[LinkSide, ...] = Field(("tail",), min_length=1)
    """What is to be found; each gives metrics of its own: ``link_tail_mrr``, ``link_head_hits@10``."""
    modality: Shown = "text"
    """How entities that have words and images are shown."""
    among: Among = "all"
    """Rank all entities of train and val, or those of val alone: sooner done, and an easier question."""
    limit: PositiveInt | None = None
    """At most so many triplets, always the same ones."""


class SelectionConfig(Section):
    """Which checkpoint is ``best``."""

    metrics: tuple[str, ...] = Field(("text_to_image_R@1",), min_length=1)
    """Validation metrics; the highest mean of them wins."""
    suite: Path | None = None
    """Folder of benchmarks whose validation split is measured beside the validation pairs."""
    links: LinksConfig | None = None
    """Triplets that the model has to complete, by the method's fusion encoder where it has one."""
    patience: PositiveInt | None = None
    """Validations without a better one after which training ends; null: it goes on to the last step."""
