"""What chooses the best checkpoint: benchmarks and links of validation data, asked of a model in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from knowclip.data.images.cache import ImageCache, PixelCache
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.links.prediction import LinkSet, Side, run_link_prediction
from knowclip.evaluation.links.scorers import FusionLinks, PlainClip
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.suites.folder import run_suite

if TYPE_CHECKING:
    from torch import Tensor

    from knowclip.models.clip import DualEncoder
    from knowclip.models.with_knowledge import WithKnowledge
    from knowclip.types import ImageRef


@dataclass(frozen=True)
class LinkValidation:
    """Completes validation triplets of a knowledge graph.

    Args:
        links: The triplets, and the entities among which.
        sides: What is left out of them.
        fusion: The method's fusion encoder; None: it has none, and is asked as plain CLIP is.
    """

    links: LinkSet
    sides: Sequence[Side]
    fusion: FusionLinks | None

    def __call__(self, scorer: Scorer) -> dict[str, float]:
        """Measure every side."""
        results = run_link_prediction(self.links, self.fusion or PlainClip(scorer), sides=self.sides)
        return {name: value for result in results for name, value in result.metrics.items()}


@dataclass(frozen=True)
class Validation:
    """Runs benchmarks and link prediction: ``validation(model) -> {metric: value}``.

    Args:
        benchmarks: On validation data.
        cache: Images that need no decoding, or whose trunk features are kept; None: all are decoded.
        enhanced: The same model with its KEE, whose metrics are named ``with_kee_...``; None: it has none.
        links: Triplets to complete; None: none.
        max_unreadable: Share of the images that may have become unreadable; their items count as wrong.
    """

    benchmarks: Sequence[Benchmark]
    cache: ImageCache | None
    enhanced: WithKnowledge | None = None
    links: LinkValidation | None = None
    max_unreadable: float = 0.01

    def __call__(self, model: DualEncoder) -> dict[str, float]:
        """Measure every benchmark, and the links."""
        images = model if self.cache is None else _CachedImages(model, self.cache)
        scorer = Scorer(images, max_missing=self.max_unreadable)
        metrics = self._metrics(scorer)
        if self.enhanced is not None:
            again = self._metrics(scorer.with_texts_of(self.enhanced))
            metrics |= {f"with_kee_{name}": value for name, value in again.items()}
        return metrics if self.links is None else metrics | self.links(scorer)

    def _metrics(self, scorer: Scorer) -> dict[str, float]:
        results = run_suite(self.benchmarks, scorer)
        return {name: value for result in results for name, value in result.metrics.items()}


@dataclass(frozen=True)
class _CachedImages:
    """A model that takes its images from a cache, and decodes those that are not in it."""

    model: DualEncoder
    cache: ImageCache

    def encode_image(self, images: list[ImageRef], *, normalize: bool = False) -> Tensor:
        if not all(self.cache.usable(images)):
            return self.model.encode_image(images, normalize=normalize)
        load = self.cache.loader(images)
        rows = torch.stack([load(index) for index in range(len(images))]).to(self.model.device)
        if isinstance(self.cache, PixelCache):
            return self.model.encode_image(self.cache.normalize(rows), normalize=normalize)
        return self.model.encode_trunk(rows.float(), normalize=normalize)

    def encode_text(self, texts: list[str], *, normalize: bool = False) -> Tensor:
        return self.model.encode_text(texts, normalize=normalize)
