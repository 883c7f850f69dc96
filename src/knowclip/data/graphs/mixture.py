"""How a batch of triplets is mixed: the share of each source, and how often its entities are images.

Shape legend: S sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from knowclip.console.counts import listed
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

if TYPE_CHECKING:
    from jaxtyping import Float

Modality = Literal["text", "image", "random"]
IMAGE_ODDS = {"text": 0.0, "random": 0.5, "image": 1.0}


def source_shares(
    graph: KnowledgeGraph, *, proportions: Mapping[str, float] | None, temperature: float | None
) -> Float[np.ndarray, " S"]:
    """Share of each source in a batch, summing to 1; see ``TripletSampler`` for the arguments.

    Raises:
        ValueError: Both arguments, a source that the graph does not have or has no triplets of, a negative
            proportion or none above 0, a temperature of 0 or less.
    """
    names = [source.name for source in graph.sources]
    sizes = np.diff(graph.arrays.source_indptr).astype(float)
    if proportions is None:
        power = 1.0 if temperature is None else temperature
        if power <= 0:
            raise ValueError(f"temperature={temperature}: must be above 0")
        weights = np.where(sizes > 0, sizes ** (1 / power), 0.0)
    elif temperature is not None:
        raise ValueError("give proportions or temperature, not both")
    else:
        _check_sources(proportions, names)
        weights = np.array([float(proportions.get(name, 0.0)) for name in names])
        if (weights < 0).any() or not weights.any():
            told = ", ".join(f"{name} {value:g}" for name, value in proportions.items())
            raise ValueError(f"proportions of sources ({told}): none may be negative, one must be positive")
        if empty := [name for name, w, size in zip(names, weights, sizes, strict=True) if w and not size]:
            raise ValueError(
                f"sources without triplets here, which cannot have a proportion: {listed(empty)}"
            )
    return weights / weights.sum()


def image_odds(names: list[str], modality: Modality | Mapping[str, Modality]) -> Float[np.ndarray, " S"]:
    """Of each source, how often an entity that has both words and images is drawn as an image.

    Raises:
        ValueError: A source that is not among ``names``, or an unknown modality.
    """
    if isinstance(modality, Mapping):
        _check_sources(modality, names)
        chosen = [modality.get(name, "random") for name in names]
    else:
        chosen = [modality] * len(names)
    if wrong := set(chosen) - set(IMAGE_ODDS):
        raise ValueError(f"modality {listed(sorted(wrong))}: allowed are {', '.join(IMAGE_ODDS)}")
    return np.array([IMAGE_ODDS[name] for name in chosen])


def _check_sources(given: Mapping[str, object], names: list[str]) -> None:
    if unknown := sorted(set(given) - set(names)):
        raise ValueError(f"the graph has no source {', '.join(unknown)}; it has {', '.join(names)}")
