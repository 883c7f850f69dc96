"""Recipe -> objects: the only place where configuration meets constructors."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, set_seed
from torch.optim import AdamW

from knowclip.config import (
    DataConfig,
    GraphConfig,
    JointConfig,
    KnowledgeConfig,
    MethodConfig,
    ModelConfig,
    Recipe,
    StructureClipConfig,
)
from knowclip.data.captions.collate import Collator
from knowclip.data.captions.dataset import CaptionDataset, draw_negatives
from knowclip.data.captions.fingerprint import DataFingerprint
from knowclip.data.captions.negatives import Prepared, group_ids, negatives_for, told_apart
from knowclip.data.captions.sampler import GlobalBatchSampler
from knowclip.data.graphs.checks import refuse_unreadable
from knowclip.data.graphs.collate import GraphDataset, Neighbours, graph_images, relation_vocabulary
from knowclip.data.graphs.sampler import TripletSampler
from knowclip.data.images.cache import ImageCache, PixelCache, TrunkCache
from knowclip.data.images.decoding import ImageDecoder, decode, image_name, refuse_many, unreadable_images
from knowclip.evaluation.benchmarks.base import Benchmark
from knowclip.evaluation.benchmarks.retrieval import Retrieval
from knowclip.evaluation.benchmarks.swaps import swaps
from knowclip.evaluation.controls.leak_audit import images_of
from knowclip.evaluation.links.prediction import also_in, answered_sides, read_links
from knowclip.evaluation.links.scorers import TAUGHT, FusionLinks
from knowclip.evaluation.suites.folder import read_suite
from knowclip.export.method import load_own_tensors, read_settings, save_method
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.methods.base import Method
from knowclip.methods.clip import Clip
from knowclip.methods.joint import Joint
from knowclip.methods.knowledge_clip import KnowledgeClip
from knowclip.methods.negclip import NegClip
from knowclip.methods.structure_clip import StructureClip
from knowclip.methods.teacher import different_inputs
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import load
from knowclip.models.text_length import LengthRule
from knowclip.models.tokenizers import Tokenizer
from knowclip.models.towers import image_trunk
from knowclip.models.triplet_encoder import LinkPredictor
from knowclip.models.with_knowledge import WithKnowledge
from knowclip.preflight.pairs import (
    data_files,
    refuse_overlap,
    refuse_shared_images,
    tell_workers,
    tolerated,
    tolerated_of_graph,
)
from knowclip.preflight.recipes import Sources, read_sources
from knowclip.storage.caches import cache_folder
from knowclip.training.batches import EpochLoader
from knowclip.training.checkpoint import Checkpointer
from knowclip.training.loop import Trainer
from knowclip.training.mixed import MixedLoader
from knowclip.training.monitor import Monitor
from knowclip.training.optim import adamw, warmup_cosine
from knowclip.training.runlog import RunLog
from knowclip.training.validation import LinkValidation, Validation
from knowclip.types import Example, ImageRef

Progress = Callable[[str, int, int], None]

METHODS: dict[str, type[Method]] = {
    "clip": Clip,
    "negclip": NegClip,
    "structure_clip": StructureClip,
    "knowledge_clip": KnowledgeClip,
    "joint": Joint,
}


@dataclass(frozen=True)
class Pairs:
    """Training and validation pairs, and what became of the records.

    ``skipped`` counts records that were left out, by reason; ``kinds`` training captions that have a negative
    of each kind; ``without`` training captions that have none, by reason; ``alike`` negatives that were left
    out because the model reads their caption in them. ``unreadable`` says why images are left out,
    ``overlap`` counts validation images that are training images too.
    """

    train: list[Example]
    val: list[Example]
    skipped: Counter[str]
    kinds: Counter[str] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    alike: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    overlap: int = 0


def build_trainer(
    recipe: Recipe, *, sources: Sources | None = None, progress: Progress | None = None
) -> tuple[Trainer, Pairs]:
    """Build a training run; nothing is trained, but caches are made where the recipe asks for them.

    Args:
        recipe: What to build.
        sources: Its image-caption pairs, where they were read already.
        progress: Called with a label, things done and things in all, while captions are parsed and images
            decoded.

    Raises:
        ValueError: If files, models and options do not fit together.
    """
    sources = sources or read_sources(recipe)
    accelerator = build_accelerator(recipe)
    set_seed(recipe.seed)  # the same weights on every process
    model = build_model(recipe.model).to(accelerator.device)
    with accelerator.main_process_first():  # it parses and fills caches, the others read them
        graph = build_graph(recipe.data.graph)
        method = build_method(
            recipe.method,
            model,
            parser=recipe.data.negatives.parser,
            cache=recipe.data.cache,
            **_reads(recipe, graph),
        )
        pairs = build_pairs(recipe, sources, tokenizer=model.tokenizer, progress=progress)
        suite = build_suite(recipe)
        measured = [*(e.image.path for e in pairs.val), *(p for b in suite for p in images_of(b))]
        if graph is not None:
            refuse_shared_images(graph, measured)
        overlap = refuse_overlap(pairs.train, measured, share=recipe.data.max_overlap)
        cache = build_cache(recipe.data, model, [*pairs.train, *pairs.val], progress=progress)
        pairs = _readable(pairs, unreadable(recipe.data, pairs, cache, progress=progress))
    pairs = replace(pairs, overlap=overlap)
    if accelerator.is_main_process:
        tell_workers(recipe.train.num_workers, processes=accelerator.num_processes)
    batches = None
    if pairs.train:
        batches = build_batches(recipe, method, pairs.train, cache, accelerator=accelerator)
    if graph is not None:
        batches = build_mixed(recipe, model, graph, batches, accelerator=accelerator, progress=progress)
    validate = build_validation(
        pairs.val,
        cache,
        suite=suite,
        enhanced=method.with_knowledge(),
        links=build_link_validation(recipe, method, graph),
        max_unreadable=recipe.data.max_unreadable,
    )
    parts = {"training pairs": pairs.train, "validation pairs": pairs.val}
    data = DataFingerprint(parts, data_files(recipe, graph))
    set_seed(recipe.seed + accelerator.process_index)  # other dropout on every process
    steps = recipe.train.steps or recipe.train.epochs * len(batches)
    optimizer = build_optimizer(recipe, method)
    trainer = Trainer(
        method=method,
        batches=batches,
        optimizer=optimizer,
        scheduler=warmup_cosine(optimizer, steps=steps, **recipe.schedule.model_dump()),
        steps=steps,
        accelerator=accelerator,
        checkpointer=Checkpointer(recipe.output.folder, partial(save_method, name=recipe.method.name), data),
        monitor=build_monitor(recipe, steps=steps, silent=not accelerator.is_main_process),
        accumulate=recipe.train.accumulate,
        clip_grad=recipe.train.clip_grad,
        validate=validate,
        selection=recipe.selection.metrics,
        validate_every=recipe.train.validate_every,
        save_every=recipe.train.save_every,
        max_unreadable=tolerated(recipe, pairs.train) + tolerated_of_graph(recipe, graph),
    )
    return trainer, pairs


def unreadable(
    data: DataConfig, pairs: Pairs, cache: ImageCache | None, *, progress: Progress | None = None
) -> dict[ImageRef, str]:
    """Images that cannot be read, and why: those the cache met, or without one those of validation.

    Training without a cache meets its own on the way; validation would have to begin again.

    Raises:
        ValueError: They are too many.
    """
    if cache is not None:
        return cache.unreadable
    images = {example.image for example in pairs.val}
    told = progress and partial(progress, "checking the validation images")
    found = unreadable_images([example.image for example in pairs.val], progress=told)
    refuse_many([*found.values()], len(images), tolerated=data.max_unreadable, what="validation images")
    return found


def build_accelerator(recipe: Recipe) -> Accelerator:
    """Build what knows devices, processes and precision."""
    return Accelerator(
        mixed_precision="no" if recipe.train.precision == "fp32" else recipe.train.precision,
        # the others wait while one process parses, fills caches or validates
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=12))],
    )


def build_model(config: ModelConfig) -> DualEncoder:
    """Load the model to train."""
    model = load(
        config.name,
        pretrained=config.pretrained,
        activation=config.activation,
        preprocess=config.preprocess,
    )
    if config.lock_image:
        model.lock_image_trunk(dropout=config.trunk_dropout)
    if config.freeze_batch_norm:
        model.freeze_batch_norm()
    if config.unlocked_text_layers is not None:
        model.lock_text_layers(unlocked=config.unlocked_text_layers)
    return model


def build_method(
    config: MethodConfig,
    model: DualEncoder,
    *,
    parser: str = "spacy",
    cache: str = "none",
    relations: Sequence[str] = (),
) -> Method:
    """Build a method around a model; the other keys of its section are its arguments.

    Args:
        config: Section of a recipe.
        model: To train.
        parser: Name of the parser of its captions, for a method that reads their triples.
        cache: What images come as, for a method with a teacher: ``none``, ``pixels`` or ``trunk``.
        relations: Vocabulary of the knowledge graph, for a method that reads one.

    Raises:
        ValueError: A teacher that would misread what is prepared for ``model``.
    """
    options = config.model_dump(exclude={"name"})
    if isinstance(config, StructureClipConfig):
        options["parser"] = parser
    if isinstance(config, JointConfig):
        captions = {"captions_as_triplets": False}
        teacher = build_teacher(config.knowledge, model, cache=cache, key="method.knowledge.teacher")
        options["knowledge"] = _knowledge_options(config.knowledge, relations, teacher) | captions
    if isinstance(config, KnowledgeConfig):
        teacher = build_teacher(config, model, cache=cache, key="method.teacher")
        options |= _knowledge_options(config, relations, teacher)
    return METHODS[config.name](model, **options)


def _knowledge_options(
    config: KnowledgeConfig, relations: Sequence[str], teacher: DualEncoder
) -> dict[str, Any]:
    return config.model_dump(exclude={"name"}) | {"relations": relations, "teacher": teacher}


def build_teacher(config: KnowledgeConfig, model: DualEncoder, *, cache: str, key: str) -> DualEncoder:
    """Load the model to distil: the one at ``key`` of the recipe, or that which the run starts from.

    Raises:
        ValueError: It would misread what is prepared for ``model``.
    """
    if config.teacher is None:
        return model
    teacher = load(config.teacher, device=model.device)
    if differs := different_inputs(teacher, model, cache=cache):
        raise ValueError(
            f"{key}={config.teacher} has another {differs} than the model that learns, and is given what is "
            f"prepared for that one: name a teacher that shares it, or leave {key} out to distil the model "
            "that the run starts from"
        )
    return teacher


def load_method(folder: str | Path) -> Method:
    """Load a method with weights of its own from a checkpoint folder, to ask or evaluate it, in eval mode.

    Raises:
        ValueError: The folder holds a CLIP alone, or weights that do not fit.
    """
    folder = Path(folder)
    name, settings = read_settings(folder)
    method = METHODS[name](load(folder), **settings)
    load_own_tensors(method, folder)
    return method.eval()


def build_graph(config: GraphConfig | None) -> KnowledgeGraph | None:
    """Open the knowledge graph; None where the recipe has none."""
    return None if config is None else KnowledgeGraph(config.path, image_roots=dict(config.image_roots))


def _reads(recipe: Recipe, graph: KnowledgeGraph | None) -> dict[str, list[str]]:
    if graph is None:
        return {}
    return {"relations": relation_vocabulary(graph, inverse=recipe.data.graph.inverse)}


def build_optimizer(recipe: Recipe, method: Method) -> AdamW:
    """Build AdamW over a method; its parameters are named as in open_clip, whatever wraps the model."""
    named = ((name.removeprefix("model.model."), p) for name, p in method.named_parameters())
    return adamw(named, **recipe.optimizer.model_dump())


def build_monitor(recipe: Recipe, *, steps: int, silent: bool) -> Monitor:
    """Build the progress bar and the log."""
    output = recipe.output
    config = recipe.model_dump(mode="json")
    open_log = partial(RunLog, output.folder, wandb_project=output.wandb, config=config)
    return Monitor(None if silent else open_log, steps=steps, every=recipe.train.log_every)


def build_pairs(
    recipe: Recipe, sources: Sources, *, tokenizer: Tokenizer, progress: Progress | None = None
) -> Pairs:
    """Make the negatives of training and validation pairs, which are held out here if the recipe says so.

    Those that read like their caption for ``tokenizer`` are left out.
    """
    data = recipe.data
    if sources.train is None:
        return Pairs([], sources.val.examples if sources.val else [], Counter())
    train, skipped = sources.train.examples, Counter(sources.train.skipped)
    if sources.val is not None:
        val, skipped = sources.val.examples, skipped + sources.val.skipped
    else:
        train, val = hold_out(train, images=data.val_images)
    if not data.negatives.per_caption and not reads_triples(recipe):
        return Pairs(train, val, skipped)
    prepared = told_apart(add_negatives(train, recipe, progress=progress), tokenizer)
    if val:
        parsed = told_apart(add_negatives(val, recipe, progress=progress), tokenizer)
        val = [one_negative(example) for example in parsed.examples]
    return Pairs(prepared.examples, val, skipped, prepared.kinds, prepared.without, prepared.alike)


def one_negative(example: Example) -> Example:
    """Keep one negative, always the same: a caption may have twenty, too many for each validation."""
    return replace(example, negatives=draw_negatives(example.negatives, 1, random.Random(example.key)))


def reads_triples(recipe: Recipe) -> bool:
    """Whether the method has a KEE, which reads the triples of captions and negatives."""
    return isinstance(recipe.method, StructureClipConfig) and recipe.method.kee is not None


def hold_out(examples: Sequence[Example], *, images: int) -> tuple[list[Example], list[Example]]:
    """Split off the pairs of so many images: the same ones for every seed, machine and order of the file.

    Raises:
        ValueError: If nothing would be left to train on.
    """
    ids = sorted({e.image_id for e in examples}, key=lambda i: hashlib.blake2b(i.encode()).digest())
    if images >= len(ids):
        raise ValueError(f"data.val_images={images} of {len(ids)} images leaves none to train on")
    chosen = set(ids[:images])
    train = [example for example in examples if example.image_id not in chosen]
    return train, [example for example in examples if example.image_id in chosen]


def add_negatives(
    examples: Sequence[Example], recipe: Recipe, *, progress: Progress | None = None
) -> Prepared:
    """Give each example its scene graph, parsed or the user's own, and its hard negatives.

    These are the same for every ``seed``, which decides what is drawn of them: several seeds parse once.
    """
    return negatives_for(
        examples,
        parser=recipe.data.negatives.parser,
        graphs=recipe.data.negatives.graphs,
        kinds=recipe.data.negatives.kinds,
        parse_negatives=reads_triples(recipe),
        processes=recipe.data.negatives.processes,
        cache=cache_folder(recipe.data.cache_dir),
        progress=progress and partial(progress, "parsing captions"),
    )


def build_cache(
    data: DataConfig,
    model: DualEncoder,
    examples: Sequence[Example],
    *,
    progress: Progress | None = None,
) -> ImageCache | None:
    """Make or open the image cache the recipe asks for."""
    refs = [example.image for example in examples]
    common = {
        "preprocess": model.preprocess,
        "folder": cache_folder(data.cache_dir),
        "tolerated": data.max_unreadable,
        "progress": progress and partial(progress, "reading images"),
    }
    if data.cache == "pixels":
        return PixelCache.build(refs, **common)
    if data.cache == "trunk":
        module = image_trunk(model.model.visual)
        return TrunkCache.build(refs, trunk=model.trunk_features, module=module, **common)
    return None


def build_batches(
    recipe: Recipe,
    method: Method,
    examples: Sequence[Example],
    cache: ImageCache | None,
    *,
    accelerator: Accelerator,
) -> EpochLoader:
    """Build this process's share of the batches."""
    model = method.model
    refs = [example.image for example in examples]
    slots = recipe.data.negatives.per_caption
    dataset = CaptionDataset(
        examples,
        load_image=ImageDecoder(refs, model.preprocess) if cache is None else cache.loader(refs),
        negatives_per_caption=slots,
        captions_per_image=recipe.data.captions_per_image,
        max_unreadable=tolerated(recipe, examples),
        seed=recipe.seed,
    )
    groups = None
    if recipe.data.group_share:
        numbers = group_ids(examples)
        groups = [numbers[positions[0]] for positions in dataset.choices]
    sampler = GlobalBatchSampler(
        len(dataset),
        batch_size=recipe.train.batch_size,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        seed=recipe.seed,
        groups=groups,
        group_share=recipe.data.group_share,
    )
    collate = Collator(
        tokenizer=model.tokenizer,
        trim=LengthRule.of(model.model).trim,
        negatives_per_caption=slots,
        normalize=cache.preprocess.normalize if isinstance(cache, PixelCache) else None,
        trunk_features=isinstance(cache, TrunkCache),
        phrase_ids=method.phrase_ids,
    )
    return EpochLoader(dataset, sampler, collate=collate, num_workers=recipe.train.num_workers)


def build_mixed(
    recipe: Recipe,
    model: DualEncoder,
    graph: KnowledgeGraph,
    pairs: EpochLoader | None,
    *,
    accelerator: Accelerator,
    progress: Progress | None = None,
) -> MixedLoader:
    """Build this process's share of the steps that hold triplets; an epoch is one of the pairs."""
    config, terms = recipe.data.graph, recipe.knowledge
    sampler = TripletSampler(
        graph,
        seed=recipe.seed,
        steps_per_epoch=None if pairs is None else len(pairs),
        **config.model_dump(include=set(_SAMPLER_OPTIONS)),
    )
    neighbours = None
    if terms.g2e_weight:
        neighbours = Neighbours(terms.graph_layers, config.neighbours, shuffled=config.shuffle_neighbours)
    load_images, broken = partial(decode, preprocess=model.preprocess), {}
    if config.cache:
        with accelerator.main_process_first():
            cache = build_graph_cache(recipe, model, graph, progress=progress)
        load_images, broken = cache.batch, cache.unreadable
    dataset = GraphDataset(
        sampler,
        tokenize=model.text_reader,
        load_images=load_images,
        neighbours=neighbours,
        sentences=bool(terms.sentence_weight),
        unreadable=broken,
        max_unreadable=tolerated_of_graph(recipe, graph),
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
    return MixedLoader(pairs, dataset, num_workers=recipe.train.num_workers)


def build_graph_cache(
    recipe: Recipe, model: DualEncoder, graph: KnowledgeGraph, *, progress: Progress | None = None
) -> PixelCache:
    """Make or open the cache of the graph's images and regions.

    Raises:
        ValueError: An image of an entity of a triplet cannot be read.
    """
    images = graph_images(graph, margin=recipe.data.graph.context_margin)
    cache = PixelCache.build(
        images,
        preprocess=model.preprocess,
        folder=cache_folder(recipe.data.cache_dir),
        tolerated=recipe.data.max_unreadable,
        progress=progress and partial(progress, "reading the graph's images"),
    )
    refuse_unreadable(graph, images, cache.unreadable)
    return cache


_SAMPLER_OPTIONS = (
    "batch_size", "proportions", "temperature", "modality", "context_margin", "same_image", "inverse",
)  # fmt: skip


def build_suite(recipe: Recipe) -> list[Benchmark]:
    """Read the validation benchmarks beside the pairs' own; none where the recipe has no suite."""
    suite = recipe.selection.suite
    return [] if suite is None else read_suite(suite, split="val")[0]


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
    recipe: Recipe, method: Method, graph: KnowledgeGraph | None
) -> LinkValidation | None:
    """Build what asks a model for missing links of validation triplets; None where the recipe does not.

    Raises:
        ValueError: A triplet to complete is in the graph that the method learns from, or a side is none that
            the method learns to answer.
    """
    config = recipe.selection.links
    if config is None:
        return None
    options = config.model_dump(include={"modality", "among", "limit"})
    options["image_roots"] = recipe.data.graph.image_roots if recipe.data.graph else {}
    links = read_links(config.path, split="val", known=("train", "val"), **options)
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


def _readable(pairs: Pairs, broken: Mapping[ImageRef, str]) -> Pairs:
    """Leave out the pairs whose image cannot be read, and count them."""
    train, val = ([e for e in part if e.image not in broken] for part in (pairs.train, pairs.val))
    lost = len(pairs.train) + len(pairs.val) - len(train) - len(val)
    named = {image_name(image): reason for image, reason in broken.items()}
    skipped = pairs.skipped + Counter({"unreadable image": lost})
    return replace(pairs, train=train, val=val, skipped=skipped, unreadable=named)
