"""Section ``data`` -> training and validation pairs with their negatives."""

from __future__ import annotations

import hashlib
import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from knowclip.console.counts import there_are
from knowclip.console.progress import Stages
from knowclip.data.captions.dataset import draw_negatives
from knowclip.data.captions.negatives import Prepared, negatives_for, told_apart
from knowclip.data.captions.read import UNREADABLE
from knowclip.data.images.decoding import image_name
from knowclip.data.images.identity import ImageFiles
from knowclip.models.tokenizers import Tokenizer
from knowclip.preflight.recipes import Sources, refuse_held
from knowclip.recipe.data import DataConfig, NegativesConfig
from knowclip.storage.caches import cache_folder
from knowclip.types import Example, ImageRef

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pairs:
    """Training and validation pairs, and what became of the records.

    ``skipped`` counts records that were left out, by reason; ``kinds`` training captions that have a negative
    of each kind; ``without`` training captions that have none, by reason; ``alike`` negatives that were left
    out because the model reads their caption in them. ``unreadable`` names the images that are left out, not
    there or not readable, and says why; ``overlap`` names validation images that are training images too.
    """

    train: list[Example]
    val: list[Example]
    skipped: Counter[str]
    kinds: Counter[str] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    alike: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    overlap: Sequence[Path] = ()

    def without_images(self, broken: Mapping[ImageRef, str]) -> Pairs:
        """Leave out the pairs whose image cannot be read, for the reason given, and count them."""
        train, val = ([e for e in part if e.image not in broken] for part in (self.train, self.val))
        lost = len(self.train) + len(self.val) - len(train) - len(val)
        own = {example.image for example in (*self.train, *self.val)}  # benchmarks count what they lack
        named = {image_name(image): reason for image, reason in broken.items() if image in own}
        skipped = self.skipped + Counter({UNREADABLE: lost})
        return replace(self, train=train, val=val, skipped=skipped, unreadable=self.unreadable | named)

    @property
    def images(self) -> int:
        """Distinct images that the records name: those of the pairs, and those that are left out."""
        return len({example.image for example in (*self.train, *self.val)}) + len(self.unreadable)


def build_pairs(
    config: DataConfig,
    sources: Sources,
    *,
    tokenizer: Tokenizer,
    triples: bool = False,
    graphs: bool = False,
    progress: Stages | None = None,
) -> Pairs:
    """Make the negatives of training and validation pairs, which are held out here if the recipe says so.

    Args:
        config: Section of a recipe.
        sources: Its pairs, as they were read.
        tokenizer: The model's; negatives that read like their caption for it are left out.
        triples: Whether the method reads the triples of captions and negatives.
        graphs: Whether it reads the graphs of captions, though it may learn from no negatives.
        progress: Told of the parsing.
    """
    read = [source for source in (sources.train, sources.val) if source is not None]
    skipped = sum((source.skipped for source in read), Counter())
    missing = {path: reason for source in read for path, reason in source.missing.items()}
    if sources.train is None:
        return Pairs([], [e for source in read for e in source.examples], skipped, unreadable=missing)
    train = sources.train.examples
    if sources.val is not None:
        val = sources.val.examples
    else:
        train, val = hold_out(train, images=config.val_images)
    if not (config.negatives.per_caption or triples or graphs):
        return Pairs(train, val, skipped, unreadable=missing)
    make = partial(
        add_negatives, config.negatives, triples=triples, cache_dir=config.cache_dir, progress=progress
    )
    prepared = told_apart(make(train), tokenizer)
    if val:
        val = [one_negative(example) for example in told_apart(make(val), tokenizer).examples]
    return Pairs(prepared.examples, val, skipped, prepared.kinds, prepared.without, prepared.alike, missing)


def one_negative(example: Example) -> Example:
    """Keep one negative, always the same: a caption may have twenty, too many for each validation."""
    return replace(example, negatives=draw_negatives(example.negatives, 1, random.Random(example.key)))


def hold_out(examples: Sequence[Example], *, images: int) -> tuple[list[Example], list[Example]]:
    """Split off the pairs of so many images: the same ones for every seed, machine and order of the file.

    An image that lies there again under another name, byte for byte, stays with its copies: it is held out
    where all of them would be, else trained on, and the next one is held out in its place, as long as there
    is one: that fewer are held out than are asked for is logged.

    Raises:
        ValueError: If nothing would be left to train on, or nothing can be held out.
    """
    ids = sorted({e.image_id for e in examples}, key=lambda i: hashlib.blake2b(i.encode()).digest())
    refuse_held(images, len(ids))
    chosen = set(_without_copies(ids, {e.image_id: e.image.path for e in examples}, images))
    if len(chosen) < images:
        _log.info(
            "data.val_images=%s: %s held out, as the others lie there again under another name, and copies "
            "stay in one part",
            f"{images:,}",
            f"{there_are(len(chosen), 'image')}",
        )
    train = [example for example in examples if example.image_id not in chosen]
    return train, [example for example in examples if example.image_id in chosen]


def _without_copies(ids: list[str], paths: Mapping[str, Path], images: int) -> list[str]:
    """The first ``images`` of the ids whose files have no copy among those of the others."""
    files = ImageFiles(paths.values() if images else ())
    while held := ids[:images]:
        own = files.among(paths[image] for image in held)
        copied = own.shared_with(files.among(set(files.states) - set(own.states)))
        if not copied:
            return held
        ids = [image for image in ids if paths[image] not in copied]
    if images:
        raise ValueError(
            f"data.val_images={images} can hold none out: each image lies there again under another name. "
            "Take the copies out of data.train, or give what to validate on: data.val_images=0 "
            "data.val.path=YOUR.csv"
        )
    return []


def add_negatives(
    config: NegativesConfig,
    examples: Sequence[Example],
    *,
    triples: bool = False,
    cache_dir: Path | None = None,
    progress: Stages | None = None,
) -> Prepared:
    """Give each example its scene graph, parsed or the user's own, and its hard negatives.

    These are the same for every seed of a recipe, which decides what is drawn of them: several seeds parse
    once.
    """
    return negatives_for(
        examples,
        parser=config.parser,
        graphs=config.graphs,
        kinds=config.kinds,
        parse_negatives=triples,
        processes=config.processes,
        cache=cache_folder(cache_dir),
        progress=progress and partial(progress, "parsing captions"),
    )
