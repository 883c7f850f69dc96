"""Section ``data`` -> this process's share of the batches of pairs."""

from __future__ import annotations

from collections.abc import Sequence

from accelerate import Accelerator

from knowclip.data.captions.collate import Collator
from knowclip.data.captions.dataset import CaptionDataset
from knowclip.data.captions.negatives import group_ids
from knowclip.data.captions.sampler import GlobalBatchSampler
from knowclip.data.captions.subgraphs import SubgraphDraw
from knowclip.data.images.cache import ImageCache, PixelCache, TrunkCache
from knowclip.data.images.decoding import ImageDecoder
from knowclip.methods.method import Method
from knowclip.models.text_length import LengthRule
from knowclip.recipe.data import DataConfig
from knowclip.recipe.methods.terms import SubgraphsConfig
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
    dataset = CaptionDataset(
        examples,
        load_image=ImageDecoder(refs, model.preprocess) if cache is None else cache.loader(refs),
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
    )
    collate = Collator(
        tokenizer=model.tokenizer,
        trim=LengthRule.of(model.model).trim,
        negatives_per_caption=config.negatives.per_caption,
        normalize=cache.preprocess.normalize if isinstance(cache, PixelCache) else None,
        trunk_features=isinstance(cache, TrunkCache),
        phrase_ids=method.phrase_ids,
        object_prompt=object_prompt,
    )
    return EpochLoader(dataset, sampler, collate=collate, num_workers=num_workers)


def _subgraphs(config: SubgraphsConfig | None, examples: Sequence[Example]) -> SubgraphDraw | None:
    if config is None:
        return None
    return SubgraphDraw(examples, **config.model_dump(include={"positives", "negatives", "kinds"}))


def _groups(dataset: CaptionDataset, examples: Sequence[Example]) -> list[int]:
    """Which items name the same objects; an item that is drawn of an image's captions goes by its first."""
    numbers = group_ids(examples)
    return [numbers[positions[0]] for positions in dataset.choices]
