"""Section ``data`` -> this process's share of the batches of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accelerate import Accelerator

from knowclip.data.captions.collate import Collator
from knowclip.data.captions.dataset import CaptionDataset
from knowclip.data.captions.negatives import group_ids
from knowclip.data.captions.sampler import GlobalBatchSampler
from knowclip.data.captions.subgraphs import SubgraphDraw
from knowclip.data.images.cache import ImageCache, TrunkCache
from knowclip.data.images.decoding import ImageDecoder
from knowclip.methods.method import Method
from knowclip.models.text_length import LengthRule
from knowclip.recipe.data import DataConfig
from knowclip.recipe.methods.terms import SubgraphsConfig
from knowclip.storage.caches import cache_folder
from knowclip.storage.copies import ShardCopies
from knowclip.storage.members import open_file, shard_of
from knowclip.storage.shard_index import FOLDER
from knowclip.training.batches import EpochLoader
from knowclip.types import Example


def build_batches(
    config: DataConfig,
    method: Method,
    examples: Sequence[Example],
    cache: ImageCache | None,
    *,
    batch_size: int,
    num_workers: int,
    seed: int,
    max_unreadable: int,
    accelerator: Accelerator,
    object_prompt: str | None = None,
    subgraphs: SubgraphsConfig | None = None,
) -> EpochLoader:
    """Build this process's share of the batches; ``batch_size`` counts those of all processes.

    ``max_unreadable`` images may prove unreadable, as in ``CaptionDataset``; ``object_prompt`` is as in
    ``Collator``, ``subgraphs`` says which are drawn.
    """
    model = method.model
    refs = [example.image for example in examples]
    opener = open_file
    if config.shard_window:
        # those read from, and as many that the workers are ahead or behind
        opener = ShardCopies(cache_folder(config.cache_dir) / FOLDER, most=2 * config.shard_window)
    dataset = CaptionDataset(
        examples,
        load_image=ImageDecoder(refs, model.preprocess, opener) if cache is None else cache.loader(refs),
        negatives_per_caption=config.negatives.per_caption,
        captions_per_image=config.captions_per_image,
        subgraphs=_subgraphs(subgraphs, examples),
        max_unreadable=max_unreadable,
        seed=seed,
    )
    sampler = GlobalBatchSampler(
        len(dataset),
        batch_size=batch_size,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        seed=seed,
        groups=_groups(dataset, examples) if config.group_share else None,
        group_share=config.group_share,
        shards=_shards(dataset, examples) if config.shard_window else None,
        window=config.shard_window or 1,
    )
    collate = Collator(
        tokenizer=model.tokenizer,
        trim=LengthRule.of(model.model).trim,
        negatives_per_caption=config.negatives.per_caption,
        trunk_features=isinstance(cache, TrunkCache),
        phrase_ids=method.phrase_ids,
        object_prompt=object_prompt,
    )
    return EpochLoader(dataset, sampler, collate=collate, num_workers=num_workers)


def _subgraphs(config: SubgraphsConfig | None, examples: Sequence[Example]) -> SubgraphDraw | None:
    if config is None:
        return None
    return SubgraphDraw(examples, **config.model_dump(include={"positives", "negatives", "kinds"}))


def _shards(dataset: CaptionDataset, examples: Sequence[Example]) -> list[int]:
    """Which items lie in one shard; images that are files of their own count as one more."""
    numbers: dict[Path | None, int] = {}
    in_folder: dict[Path, Path | None] = {}
    found = []
    for positions in dataset.choices:
        path = examples[positions[0]].image.path
        if path.parent not in in_folder:
            in_folder[path.parent] = shard_of(path)
        found.append(numbers.setdefault(in_folder[path.parent], len(numbers)))
    if numbers.keys() == {None}:
        raise ValueError(
            "data.shard_window is for pairs in shards (.tar), and these are in none: set it to null"
        )
    return found


def _groups(dataset: CaptionDataset, examples: Sequence[Example]) -> list[int]:
    """Which items name the same objects; an item that is drawn of an image's captions goes by its first."""
    numbers = group_ids(examples)
    return [numbers[positions[0]] for positions in dataset.choices]
