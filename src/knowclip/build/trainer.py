"""A recipe -> a training run: its sections in the order in which they need each other."""

from __future__ import annotations

from dataclasses import replace

from accelerate import Accelerator
from accelerate.utils import set_seed

from knowclip.build.accelerator import build_accelerator, build_sharding
from knowclip.build.batches import build_batches
from knowclip.build.graph import build_graph, build_triplets, relations
from knowclip.build.images import build_cache, unreadable
from knowclip.build.losses import build_losses
from knowclip.build.method import build_method
from knowclip.build.model import build_model
from knowclip.build.optimizer import build_optimizer, build_scheduler
from knowclip.build.output import build_checkpointer, build_monitor
from knowclip.build.pairs import Pairs, build_pairs
from knowclip.build.validation import build_link_validation, build_suite, build_validation
from knowclip.console.progress import Stages
from knowclip.data.captions.fingerprint import DataFingerprint
from knowclip.data.images.cache import ImageCache
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.images import images_shown
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.methods.method import Method
from knowclip.models.clip import DualEncoder
from knowclip.preflight.overlap import refuse_overlap, remedy_of
from knowclip.preflight.pairs import (
    data_files,
    refuse_shared_images,
    refuse_unmeasured,
    tell_workers,
    tolerated_of_graph,
)
from knowclip.preflight.recipes import Sources, read_sources
from knowclip.recipe.recipe import Recipe
from knowclip.training.batches import Epochs
from knowclip.training.loop import Trainer
from knowclip.training.mixed import MixedLoader
from knowclip.training.monitor import Monitor

_OF_THE_LOOP = {
    *("accumulate", "clip_grad", "compile", "ema"),
    *("validate_every", "validate_start", "save_every", "max_nonfinite"),
}
"""Keys of ``train`` that the loop takes as they are."""


def build_trainer(
    recipe: Recipe, *, sources: Sources | None = None, progress: Stages | None = None
) -> tuple[Trainer, Pairs]:
    """Build a training run; nothing is trained, but caches are made where the recipe asks for them.

    Args:
        recipe: What to build.
        sources: Its image-caption pairs, where they were read already.
        progress: Told of what is done while captions are parsed and images decoded.

    Raises:
        ValueError: If files, models and options do not fit together.
    """
    sources = sources or read_sources(recipe)
    accelerator = build_accelerator(recipe.train)
    model = _model(recipe, accelerator)
    with accelerator.main_process_first():  # it parses and fills caches, the others read them
        graph = build_graph(recipe.data.graph)
        method = build_method(
            recipe.method,
            model,
            parser=recipe.data.negatives.parser,
            cache=recipe.data.cache,
            relations=relations(recipe.data.graph, graph),
        )
        method.extra_losses = build_losses(recipe.losses)
        pairs, suite, cache = _data(recipe, method, sources, graph, progress=progress)
    batches = _batches(recipe, method, pairs, cache, graph, accelerator=accelerator, progress=progress)
    roots = recipe.data.graph.image_roots if recipe.data.graph else {}
    validate = build_validation(
        pairs.val,
        cache,
        suite=suite,
        enhanced=method.with_knowledge(),
        links=build_link_validation(recipe.selection.links, method, graph, image_roots=roots),
        max_unreadable=recipe.data.max_unreadable,
    )
    set_seed(recipe.seed + accelerator.process_index)  # other dropout on every process
    steps = recipe.train.steps or recipe.train.epochs * len(batches)
    optimizer = build_optimizer(recipe.optimizer, method)
    data = DataFingerprint(
        {"training pairs": pairs.train, "validation pairs": pairs.val}, data_files(recipe, graph)
    )
    trainer = Trainer(
        method=method,
        batches=batches,
        optimizer=optimizer,
        scheduler=build_scheduler(recipe.schedule, optimizer, steps=steps),
        steps=steps,
        accelerator=accelerator,
        checkpointer=build_checkpointer(recipe.output, data, method=recipe.method.name),
        monitor=_monitor(recipe, steps=steps, accelerator=accelerator),
        validate=validate,
        selection=recipe.selection.metrics,
        patience=recipe.selection.patience,
        max_unreadable=_tolerated(recipe, pairs) + tolerated_of_graph(recipe.data.max_unreadable, graph),
        sharding=build_sharding(recipe.train),
        **recipe.train.model_dump(include=_OF_THE_LOOP),
    )
    return trainer, pairs


def _model(recipe: Recipe, accelerator: Accelerator) -> DualEncoder:
    set_seed(recipe.seed)  # the same weights on every process
    model = build_model(recipe.model).to(accelerator.device)
    if recipe.train.grad_checkpointing:
        model.checkpoint_layers()
    return model


def _data(
    recipe: Recipe,
    method: Method,
    sources: Sources,
    graph: KnowledgeGraph | None,
    *,
    progress: Stages | None,
) -> tuple[Pairs, list[Benchmark], ImageCache | None]:
    """Pairs, benchmarks of validation and the images of both; what is learned from kept out of the latter."""
    model, data = method.model, recipe.data
    reads = {"triples": recipe.method.reads_triples, "graphs": recipe.method.reads_graphs}
    pairs = build_pairs(data, sources, tokenizer=model.tokenizer, **reads, progress=progress)
    suite = build_suite(recipe.selection)
    refuse_unmeasured(recipe.selection.metrics, pairs.val, [each.card.name for each in suite])
    shown = images_shown(suite)
    measured = [*(e.image.path for e in pairs.val), *(ref.path for ref in shown)]
    if graph is not None:
        refuse_shared_images(graph, measured)
    told = {"share": data.max_overlap, "remedy": remedy_of(data)}
    pairs = replace(pairs, overlap=refuse_overlap(pairs.train, measured, **told))
    cache = build_cache(data, model, pairs, measured=shown, progress=progress)
    return pairs.without_images(unreadable(data, pairs, cache, progress=progress)), suite, cache


def _batches(
    recipe: Recipe,
    method: Method,
    read: Pairs,
    cache: ImageCache | None,
    graph: KnowledgeGraph | None,
    *,
    accelerator: Accelerator,
    progress: Stages | None,
) -> Epochs:
    """Batches of pairs, steps of triplets, or both side by side."""
    data, train = recipe.data, recipe.train
    if accelerator.is_main_process:
        tell_workers(train.num_workers, processes=accelerator.num_processes)
    shared = {"seed": recipe.seed, "accelerator": accelerator}
    pairs = None
    if read.train:
        options = {"batch_size": train.batch_size, "num_workers": train.num_workers}
        options["max_unreadable"] = _tolerated(recipe, read)
        texts = {"object_prompt": recipe.method.object_prompt, "subgraphs": recipe.method.subgraph_texts}
        pairs = build_batches(data, method, read.train, cache, **options, **texts, **shared)
    if graph is None:
        return pairs
    triplets = build_triplets(
        data.graph,
        graph,
        method.model,
        hops=recipe.method.knowledge_terms.hops,
        sentences=bool(recipe.method.knowledge_terms.sentence_weight),
        queries=recipe.method.knowledge_terms.pooled_sides,
        steps_per_epoch=None if pairs is None else len(pairs),
        cache_dir=data.cache_dir,
        max_unreadable=data.max_unreadable,
        progress=progress,
        **shared,
    )
    return MixedLoader(pairs, triplets, num_workers=train.num_workers)


def _monitor(recipe: Recipe, *, steps: int, accelerator: Accelerator) -> Monitor:
    values, silent = recipe.model_dump(mode="json"), not accelerator.is_main_process
    return build_monitor(recipe.output, values, steps=steps, log_every=recipe.train.log_every, silent=silent)


def _tolerated(recipe: Recipe, pairs: Pairs) -> int:
    """Images that may prove unreadable: of all that were read, not of the part that is trained on."""
    return int(recipe.data.max_unreadable * pairs.images)
