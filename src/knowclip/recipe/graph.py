"""Section ``data.graph``: the knowledge graph to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from knowclip.recipe.section import Section

Modality = Literal["text", "image", "random"]


class GraphConfig(Section):
    """Triplets of a knowledge graph (``data/graphs``), beside the pairs of each step or alone."""

    path: Path
    """Folder that ``knowclip graph import`` made."""
    batch_size: PositiveInt
    """Triplets of one optimiser step, over all processes."""
    proportions: dict[str, NonNegativeFloat] | None = None
    """Source -> share of a batch; null: by number of triplets."""
    temperature: PositiveFloat | None = None
    """Shares by triplets^(1 / temperature): above 1 is more even."""
    modality: Modality | dict[str, Modality] = "random"
    """Words or images of entities that have both; for all, or source -> modality."""
    context_margin: NonNegativeFloat = 0.0
    """Share of its size by which a region grows on every side."""
    same_image: PositiveInt = 4
    """Triplets of one image that come together: else a shared background gives the tail away."""
    inverse: bool = False
    """Turn half of the triplets around."""
    hierarchy: tuple[str, ...] | None = None
    """Relations that lead upwards, by words or id: the ancestors and descendants that they give are no
    negatives of the pooled term; null: the usual ones of the graph, as "is a"; [] leaves out none."""
    neighbours: PositiveInt = 3
    """Triplets drawn, for each entity of G2E's neighbourhood, of those that end in it."""
    shuffle_neighbours: bool = False
    """G2E's control: neighbours that are not the entity's own."""
    image_roots: dict[str, Path] = Field(default_factory=dict)
    """Source -> folder of its images, where they are not where the import found them."""
    cache: bool = False
    """Keep its images and regions, preprocessed, in ``data.cache_dir``."""

    @model_validator(mode="after")
    def _one_mixture(self) -> GraphConfig:
        if self.proportions and self.temperature:
            raise ValueError("give proportions or temperature, not both")
        return self
