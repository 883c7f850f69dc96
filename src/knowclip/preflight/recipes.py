"""A recipe against the machine it is to run on, before torch: files, outputs, packages, captions, steps.

What is read here is not read again: ``build_trainer`` takes the :class:`Sources`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from knowclip.console.counts import TOLERATED_SHARE, counted
from knowclip.data.captions.read import CaptionSet, read_captions
from knowclip.data.formats.rows import NoSuchSplitError
from knowclip.evaluation.metrics import KS
from knowclip.preflight import machine as preflight
from knowclip.preflight.models import check_model
from knowclip.preflight.overlap import refuse_same_paths, remedy_of
from knowclip.recipe.data import DataConfig, SourceConfig
from knowclip.recipe.recipe import Recipe
from knowclip.recipe.study import Study
from knowclip.storage.caches import cache_folder


@dataclass(frozen=True)
class Sources:
    """The image-caption pairs of a recipe's files."""

    train: CaptionSet | None
    val: CaptionSet | None


def read_sources(recipe: Recipe) -> Sources:
    """Read the pairs of a recipe, and compare their number with what it says of steps and batches.

    Raises:
        ValueError: Files that are no pairs, batches larger than the data, a warm-up longer than the run, more
            images to train and to validate on than ``data.max_overlap`` allows.
    """
    data = recipe.data
    sources = Sources(*(_read_part(part, data) for part in ("train", "val")))
    check_length(recipe, sources)
    if sources.train is not None and sources.val is not None:
        told = {"share": data.max_overlap, "remedy": remedy_of(data)}
        refuse_same_paths(sources.train.examples, sources.val.examples, **told)
    return sources


def _read_part(part: str, data: DataConfig) -> CaptionSet | None:
    source = getattr(data, part)
    try:
        return source and read_source(source, data.max_unreadable)
    except NoSuchSplitError as error:
        raise type(error)(f"data.{part}.split: {error}") from error


def read_source(config: SourceConfig, max_missing: float = TOLERATED_SHARE) -> CaptionSet:
    """Read one file of image-caption pairs, of whose images a share may be missing."""
    return read_captions(config.path, max_missing=max_missing, **config.model_dump(exclude={"path"}))


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe by what its keys say and what stands on disk, in an instant; nothing is read.

    Raises:
        ValueError: Naming the key.
        ImportError: A package is not installed.
    """
    check_settings(recipe)
    if recipe.data.graph is not None:
        preflight.graph(recipe.data.graph.path, "data.graph.path")
    for key, path, folder in _paths(recipe):
        if path is not None:
            preflight.existing(path, key, folder=folder)
    _check_prepared(recipe)
    preflight.writable_folder(recipe.output.folder, "output.folder")
    graph = recipe.data.graph
    if recipe.data.cache != "none" or _parses(recipe) or (graph is not None and graph.cache):
        cache_folder(recipe.data.cache_dir)


def check_settings(recipe: Recipe) -> None:
    """Refuse what is wrong with a recipe wherever its data lie: steps, names of models, parsers, packages.

    Raises:
        ValueError: Naming the key.
        ImportError: A package is not installed.
    """
    _check_warmup(recipe, recipe.train.steps)
    _check_metrics(recipe)
    check_model(recipe.model.name, recipe.model.pretrained, key="model.name", weights_key="model.pretrained")
    terms = recipe.method.knowledge_terms
    for part in (terms, getattr(recipe.method, "distillation", None)):
        if part is not None and part.teacher is not None:
            check_model(part.teacher, key="method's teacher")
    negatives = recipe.data.negatives
    if negatives.kinds is not None:
        preflight.known_kinds(negatives.kinds)
    if _parses(recipe):
        preflight.check_parser(negatives.parser)
    if recipe.model.lora is not None:
        preflight.require("lora", "model.lora")
    if recipe.output.wandb is not None:
        preflight.require("wandb", "output.wandb")


def check_study(study: Study, *, seeds: Sequence[int] | None = None) -> None:
    """Refuse a study of which any training or measurement could not be done; nothing is read.

    Raises:
        ValueError: A recipe that does not do, naming the arm; data, a graph or a model that is not there; a
            seed, of those to be trained now, that is none of the study's.
        ImportError: A package is not installed.
    """
    if unknown := sorted(set(seeds or ()) - set(study.seeds)):
        told = ", ".join(map(str, study.seeds))
        raise ValueError(f"seed {unknown[0]} is none of the study's, {told}; change them by seeds=[...]")
    preflight.writable_folder(study.output, "output")
    recipes = {arm: study.recipe(arm, study.seeds[0]) for arm in study.trained}
    for arm, recipe in recipes.items():
        try:
            check_recipe(recipe)
        except ValueError as error:
            raise ValueError(f"arm {arm!r}: {error}") from error
    precisions = {recipe.train.precision for recipe in recipes.values()}
    if len(precisions) > 1:
        raise ValueError(
            f"the arms have train.precision {' and '.join(sorted(precisions))}: set one in the study's "
            "overrides"
        )
    for arm in study.arms.values():
        if arm.model is not None:
            check_model(arm.model, key="model")
    for measured in study.measure:
        preflight.captions(measured.data, "data")
    for task in study.tasks:
        preflight.existing(task.data, "data", folder=True)
    for links in study.links:
        preflight.existing(links.path, "links", folder=True)


def _paths(recipe: Recipe) -> Iterator[tuple[str, Path | None, bool]]:
    """Key, path that has to be there, and whether it has to be a folder."""
    data, graph = recipe.data, recipe.data.graph
    for name, source in (("train", data.train), ("val", data.val)):
        if source is not None:
            key = f"data.{name}.path"
            preflight.captions(source.path, key, way=f"give your own, as {key}=YOUR.csv")
        yield f"data.{name}.images", source and source.images, True
    yield "data.negatives.graphs", data.negatives.graphs, False
    for origin, root in graph.image_roots.items() if graph else ():
        yield f"data.graph.image_roots.{origin}", root, True
    kee = getattr(recipe.method, "kee", None)
    yield "method.kee.pretrained", kee and kee.pretrained, True
    yield "selection.suite", recipe.selection.suite, True
    yield "selection.links.path", recipe.selection.links and recipe.selection.links.path, True


def _check_prepared(recipe: Recipe) -> None:
    """Refuse prepared captions that are not finished, or without what the recipe asks for."""
    negatives = recipe.data.negatives
    if negatives.graphs is not None:
        from knowclip.data.prepared import join
        from knowclip.knowledge.negatives.generate import SWAPS

        kinds = SWAPS if negatives.kinds is None else negatives.kinds
        join.refuse_unfit(negatives.graphs, kinds=kinds, parse_negatives=recipe.method.reads_triples)


def _parses(recipe: Recipe) -> bool:
    needs_graphs = recipe.data.negatives.per_caption or recipe.method.reads_graphs
    return bool(needs_graphs) and recipe.data.negatives.graphs is None


def check_length(recipe: Recipe, sources: Sources) -> None:
    """Refuse to hold out all images, batches larger than the rest, and a warm-up that outlasts the epochs.

    Images that turn out unreadable later are left aside.

    Raises:
        ValueError: Naming the numbers.
    """
    if sources.train is None:
        return
    examples = sources.train.examples
    images = len({example.image_id for example in examples})
    held = recipe.data.val_images if recipe.data.val is None else 0
    refuse_held(held, images)
    if recipe.train.batch_size is None:
        return
    left = images - held
    one = recipe.data.captions_per_image == "one"
    items = left if one else len(examples)
    if items < recipe.train.batch_size:
        what = "image" if one else "pair"
        why = ", each with one of its captions (data.captions_per_image)" if one else ""
        why += f", {counted(held, 'image')} being held out (data.val_images)" if one and held else ""
        raise ValueError(
            f"train.batch_size={recipe.train.batch_size} is more than the {counted(items, what)} of an "
            f"epoch{why}: choose a smaller one"
        )
    if recipe.train.epochs is not None and recipe.data.graph is None:
        _check_warmup(recipe, recipe.train.epochs * (items // recipe.train.batch_size))


def refuse_held(held: int, images: int) -> None:
    """Refuse to hold out all images, or more than there are.

    Raises:
        ValueError: Naming the key and the numbers.
    """
    if held and held >= images:
        what = "all of" if held == images else "more than"
        raise ValueError(
            f"data.val_images={held} holds out {what} the {counted(images, 'image')} to train on: hold out "
            "fewer, or none and give what to validate on, as data.val_images=0 data.val.path=YOUR.csv"
        )


def _check_metrics(recipe: Recipe) -> None:
    """Refuse a metric to select by that validation does not give; those of a suite its files decide."""
    data, selection = recipe.data, recipe.selection
    names: list[str] = []
    if data.val is not None or (data.train is not None and data.val_images):
        names += [f"{way}_R@{k}" for way in ("image_to_text", "text_to_image") for k in KS]
        names += ["swaps", "swaps_micro", "swaps_macro"]
    if recipe.method.reads_triples:
        names += [f"with_kee_{name}" for name in names]
    links = [f"link_{side}_" for side in selection.links.sides] if selection.links else []
    names += [f"{prefix}mrr" for prefix in links]
    if selection.suite is not None or not names:
        return
    for metric in selection.metrics:
        if not metric.startswith(tuple(links)):
            preflight.one_of("selection.metrics has", metric, names)


def _check_warmup(recipe: Recipe, steps: int | None) -> None:
    warmup = recipe.schedule.warmup
    if steps is not None and warmup >= steps:
        raise ValueError(
            f"schedule.warmup is {warmup} steps and the run has {steps}: warm up for fewer steps, as with "
            "schedule.warmup=0.1 (a tenth of them), or train for more"
        )
