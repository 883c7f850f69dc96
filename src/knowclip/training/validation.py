"""What chooses the best checkpoint: benchmarks and links of validation data, asked of a model in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from knowclip.data.images.cache import ImageCache
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.images import CachedImages
from knowclip.evaluation.links.prediction import LinkSet, Side, run_link_prediction
from knowclip.evaluation.links.scorers import FusionLinks, PlainClip
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.suites.folder import run_suite

if TYPE_CHECKING:
    from knowclip.models.clip import DualEncoder
    from knowclip.models.with_knowledge import WithKnowledge


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
        images = model if self.cache is None else CachedImages(model, self.cache)
        scorer = Scorer(images, max_missing=self.max_unreadable)
        metrics = self._metrics(scorer)
        if self.enhanced is not None:
            again = self._metrics(scorer.with_texts_of(self.enhanced))
            metrics |= {f"with_kee_{name}": value for name, value in again.items()}
        return metrics if self.links is None else metrics | self.links(scorer)

    def _metrics(self, scorer: Scorer) -> dict[str, float]:
        results = run_suite(self.benchmarks, scorer)
        return {name: value for result in results for name, value in result.metrics.items()}
