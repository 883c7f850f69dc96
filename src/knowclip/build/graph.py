"""Section ``data.graph`` -> the knowledge graph, and this process's share of the batches of its triplets."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from accelerate import Accelerator

from knowclip.console.progress import Stages
from knowclip.data.graphs.checks import refuse_unreadable
from knowclip.data.graphs.collate import GraphDataset, Neighbours, graph_images, relation_vocabulary
from knowclip.data.graphs.hierarchy import Hierarchy
from knowclip.data.graphs.queries import Queries
from knowclip.data.graphs.sampler import TripletSampler
from knowclip.data.images.cache import PixelCache
from knowclip.data.images.decoding import decode
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.models.clip import DualEncoder
from knowclip.preflight.pairs import tolerated_of_graph
from knowclip.recipe.graph import GraphConfig
from knowclip.storage.caches import cache_folder

_SAMPLER_OPTIONS = (
    "batch_size", "proportions", "temperature", "modality", "context_margin", "same_image", "inverse",
)  # fmt: skip


def build_graph(config: GraphConfig | None) -> KnowledgeGraph | None:
    """Open the knowledge graph; None where the recipe has none."""
    return None if config is None else KnowledgeGraph(config.path, image_roots=dict(config.image_roots))


def relations(config: GraphConfig | None, graph: KnowledgeGraph | None) -> list[str]:
    """The vocabulary of relations that a method learns of a graph; none without one."""
    return [] if config is None else relation_vocabulary(graph, inverse=config.inverse)


def build_triplets(
    config: GraphConfig,
    graph: KnowledgeGraph,
    model: DualEncoder,
    *,
    hops: int,
    sentences: bool,
    queries: tuple[str, ...],
    steps_per_epoch: int | None,
    cache_dir: Path | None,
    max_unreadable: float,
    seed: int,
    accelerator: Accelerator,
    progress: Stages | None = None,
) -> GraphDataset:
    """Build this process's share of the triplets of every step.

    Args:
        config: Section of a recipe.
        graph: Opened.
        model: That reads their texts and images.
        hops: Of the neighbourhood that is drawn for G2E; 0 draws none.
        sentences: Whether each triplet comes as a caption of its head too.
        queries: The ends that plain CLIP is asked for: "tail", "head"; or none.
        steps_per_epoch: As many as the pairs have; None: each triplet once.
        cache_dir: Where images and regions are kept, if the recipe asks for it.
        max_unreadable: Share of the images that may prove unreadable.
        seed: Of what is drawn.
        accelerator: Says which process this is.
        progress: Told of images that are read.
    """
    options = config.model_dump(include=set(_SAMPLER_OPTIONS))
    sampler = TripletSampler(graph, seed=seed, steps_per_epoch=steps_per_epoch, **options)
    load_images, broken = partial(decode, preprocess=model.preprocess), {}
    if config.cache:
        with accelerator.main_process_first():
            cache = build_graph_cache(
                config, graph, model, cache_dir=cache_dir, max_unreadable=max_unreadable, progress=progress
            )
        load_images, broken = cache.batch, cache.unreadable
    return GraphDataset(
        sampler,
        tokenize=model.text_reader,
        load_images=load_images,
        neighbours=Neighbours(hops, config.neighbours, shuffled=config.shuffle_neighbours) if hops else None,
        sentences=sentences,
        queries=Queries(Hierarchy(graph, config.hierarchy), heads="head" in queries) if queries else None,
        unreadable=broken,
        max_unreadable=tolerated_of_graph(max_unreadable, graph),
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )


def build_graph_cache(
    config: GraphConfig,
    graph: KnowledgeGraph,
    model: DualEncoder,
    *,
    cache_dir: Path | None,
    max_unreadable: float,
    progress: Stages | None = None,
) -> PixelCache:
    """Make or open the cache of the graph's images and regions.

    Raises:
        ValueError: An image of an entity of a triplet cannot be read.
    """
    images = graph_images(graph, margin=config.context_margin)
    cache = PixelCache.build(
        images,
        preprocess=model.preprocess,
        folder=cache_folder(cache_dir),
        tolerated=max_unreadable,
        progress=progress and partial(progress, "reading the graph's images"),
    )
    refuse_unreadable(graph, images, cache.unreadable)
    return cache
