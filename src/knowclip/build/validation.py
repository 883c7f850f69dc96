"""Section ``selection`` and its ``links`` -> what measures a model while it is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from knowclip.data.images.cache import ImageCache
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.benchmarks.retrieval import Retrieval
from knowclip.evaluation.benchmarks.swaps import swaps
from knowclip.evaluation.links.prediction import also_in, answered_sides, read_links
from knowclip.evaluation.links.scorers import TAUGHT, FusionLinks
from knowclip.evaluation.suites.folder import read_suite
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.methods.method import Method
from knowclip.models.triplet_encoder import LinkPredictor
from knowclip.models.with_knowledge import WithKnowledge
from knowclip.recipe.selection import LinksConfig, SelectionConfig
from knowclip.training.validation import LinkValidation, Validation
from knowclip.types import Example


def build_suite(config: SelectionConfig) -> list[Benchmark]:
    """Read the validation benchmarks beside the pairs' own; none where the recipe has no suite."""
    return [] if config.suite is None else read_suite(config.suite, split="val")[0]


def build_validation(
    examples: Sequence[Example],
    cache: ImageCache | None,
    *,
    suite: Sequence[Benchmark] = (),
    enhanced: WithKnowledge | None = None,
    links: LinkValidation | None = None,
    max_unreadable: float = 0.01,
) -> Validation | None:
    """Build what measures a model, and the same with its KEE, on validation data; None without any."""
    benchmarks: list[Benchmark] = []
    if examples:
        benchmarks += [Retrieval("image_to_text", examples), Retrieval("text_to_image", examples)]
    if any(example.negatives for example in examples):
        benchmarks.append(swaps(examples))
    benchmarks += suite
    if not benchmarks and not links:
        return None
    return Validation(benchmarks, cache, enhanced, links, max_unreadable)


def build_link_validation(
    config: LinksConfig | None,
    method: Method,
    graph: KnowledgeGraph | None,
    *,
    image_roots: Mapping[str, Path],
) -> LinkValidation | None:
    """Build what asks a model for missing links of validation triplets; None where the recipe does not.

    Raises:
        ValueError: A triplet to complete is in the graph that the method learns from, or a side is none that
            the method learns to answer.
    """
    if config is None:
        return None
    options = config.model_dump(include={"modality", "among", "limit"})
    links = read_links(config.path, split="val", known=("train", "val"), image_roots=image_roots, **options)
    if graph is not None and (seen := also_in(links, graph)):
        raise ValueError(
            f"{len(seen)} of {len(links.rows)} validation triplets of selection.links.path={config.path} are "
            f"in data.graph.path={graph.path}, such as {seen[0]}: train on {config.path / 'train'}"
        )
    fusion = fusion_links(method)
    for side in config.sides if fusion else ():
        if side not in answered_sides(links, fusion):
            raise ValueError(
                f"selection.links.sides has {side!r}, which the method does not learn to answer: {TAUGHT}"
            )
    return LinkValidation(links, config.sides, fusion)


def fusion_links(method: Method) -> FusionLinks | None:
    """Build what asks a method's fusion encoder for missing links; None where it has none."""
    knowledge = getattr(method, "knowledge", None)
    if knowledge is None or knowledge.triplets is None:
        return None
    predictor = LinkPredictor(method.model, knowledge.triplets)
    return FusionLinks(predictor, knowledge.vocabulary, head_side=knowledge.head_side)
