"""What a recipe's data must fit before training: held-out images kept apart, what may be unreadable."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from knowclip.console.screen import Screen
from knowclip.data.captions.fingerprint import graphs_content
from knowclip.data.images.identity import ImageFiles
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.recipe.recipe import Recipe
from knowclip.types import Example

SWAPS = "swaps"
"""Benchmark of validation captions against their negatives, and the beginning of its metrics' names."""


def refuse_shared_images(graph: KnowledgeGraph, images: Sequence[Path]) -> None:
    """Raise ValueError if the graph to learn from shows images of validation pairs or benchmarks.

    A data set's graph often covers its val and test images alike, so this tells of both; images are compared
    as files, by their place on disk and their content.
    """
    shared = sorted(ImageFiles(images).shared_with(ImageFiles(graph.image_paths()))) if images else []
    if shared:
        raise ValueError(
            f"data.graph.path={graph.path} shows {len(shared)} validation images, such as {shared[0]}, "
            "and would tell what they show: leave out what is no training image with 'knowclip graph filter "
            "GRAPH --without-images FILE', FILE a Karpathy split or a benchmark's file"
        )


def refuse_unmeasured(metrics: Sequence[str], examples: Sequence[Example], suite: Sequence[str]) -> None:
    """Raise ValueError if swaps are to select, and no validation caption has a negative.

    Args:
        metrics: Of ``selection.metrics``.
        examples: Validation pairs, with their negatives.
        suite: Names of the benchmarks of ``selection.suite``.
    """
    wanted = [name for name in metrics if name.removeprefix("with_kee_").startswith(SWAPS)]
    if not wanted or SWAPS in suite or any(example.negatives for example in examples):
        return
    raise ValueError(
        f"selection.metrics: {wanted[0]!r} cannot be measured: none of {len(examples):,} validation captions "
        "has a negative, for they name nothing that surely becomes false when it is swapped or replaced. "
        "Bring other captions (data.val), or select by retrieval: selection.metrics=[text_to_image_R@1]"
    )


def tolerated_of_graph(share: float, graph: KnowledgeGraph | None) -> int:
    """Images and regions of the graph that may prove unreadable."""
    return 0 if graph is None else int(share * len(graph.arrays.image_source))


def data_files(recipe: Recipe, graph: KnowledgeGraph | None) -> dict[str, str]:
    """What a run depends on beside its pairs, and what tells the content."""
    files = {} if graph is None else {"knowledge graph": graph.key}
    if recipe.selection.links is not None:
        files["graph of selection.links"] = KnowledgeGraph(recipe.selection.links.path / "val").key
    if recipe.data.negatives.graphs is not None:
        files["file of data.negatives.graphs"] = graphs_content(recipe.data.negatives.graphs)
    return files


def tell_workers(workers: int, *, processes: int) -> None:
    """Say, once, if more processes are to load data than there are processors."""
    processors = os.cpu_count() or 1
    if workers * processes > processors:
        each = f" for each of {processes} training processes" if processes > 1 else ""
        Screen(stderr=True).print(
            f"train.num_workers={workers}{each}: this machine has {processors} processors, so fewer would be "
            "faster"
        )
