"""A user's own captioned photos: retrieval both ways, swaps and half-truths of one set of captions.

No split is needed (all rows are measured unless one is named), and no file beside the captions: negatives are
those that the captions file brings, else made here, and their blind readers are trained on the captions of
other images. Photos that cannot be read are left out and counted, as those are that are not there, and as
training leaves them out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from knowclip.console.counts import TOLERATED_SHARE
from knowclip.console.progress import Stages
from knowclip.data.captions.negatives import negatives_for
from knowclip.data.captions.read import UNREADABLE, CaptionSet, read_captions
from knowclip.data.formats.pairs import GIVEN
from knowclip.data.images.readable import refuse_many, unreadable_images
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.half_truth import HALF_TRUTH, of_captions
from knowclip.evaluation.benchmarks.retrieval import IMAGE_TO_TEXT, TEXT_TO_IMAGE, Retrieval
from knowclip.evaluation.benchmarks.swaps import SWAPS, WITHOUT_NEGATIVE, blind_scored, swaps
from knowclip.evaluation.controls.refine import Item, scored_items
from knowclip.evaluation.feature_cache import digest
from knowclip.evaluation.metrics import SMALL, NoDataError
from knowclip.knowledge.negatives.generate import SEMANTIC
from knowclip.types import Example

DEFAULT = (IMAGE_TO_TEXT.name, TEXT_TO_IMAGE.name, SWAPS.name)
NAMES = (*DEFAULT, HALF_TRUTH.name)
"""What captioned images alone can be measured by."""
SWAP_ITEMS = 3000
"""Swaps that are measured unless more are asked for: captions have about ten negatives each."""
ALL_KINDS = "from all negatives of a caption; a run validates on one a caption, of its data.negatives.kinds"
"""What tells these swaps from those that a run is validated by."""


def read_own(
    path: Path,
    *,
    names: Sequence[str] = (),
    split: str | None = None,
    allow_missing: bool = False,
    columns: Mapping[str, Any] | None = None,
    swap_items: int = SWAP_ITEMS,
    cache: Path | None = None,
    progress: Stages | None = None,
    say: Callable[[str], None] | None = None,
) -> tuple[list[Benchmark], dict[str, str]]:
    """Make benchmarks of the captions at ``path``, and say of the others why not.

    Args:
        path: anything that ``read_captions`` reads.
        names: of ``NAMES``; ``DEFAULT`` where there are none.
        split: of the captions; None: all of them, whether or not they have splits.
        allow_missing: accept that more than 1% of the images are not there, or more than 1% unreadable.
        columns: ``images`` and ``image_column``, ``caption_column``, ``split_column`` of ``read_captions``.
        swap_items: of swaps, drawn from all by content, so that they are the same ones each time; 0: all.
        cache: folder that keeps negatives by content.
        progress: told how many images are looked at, and how many captions have their negatives.
        say: told of each image that is left out, and why.

    Raises:
        ValueError: the captions cannot be read, too many images cannot be, or a name is none of ``NAMES``.
    """
    if strange := [name for name in names if name not in NAMES]:
        raise ValueError(
            f"{path} holds captioned images: they can be measured by {', '.join(NAMES)}, not by "
            f"{', '.join(strange)}, which has files of its own (see `knowclip data {strange[0]}`)"
        )
    captions = read_captions(path, split=split, allow_missing=allow_missing, **columns or {})
    captions = _readable(captions, allow_missing=allow_missing, progress=progress, say=say)
    told = "all splits" if split is None else f"split {split!r}"
    makers: dict[str, Callable[[], Retrieval | ChoiceBenchmark]] = {
        IMAGE_TO_TEXT.name: lambda: Retrieval("image_to_text", captions.examples, captions.skipped),
        TEXT_TO_IMAGE.name: lambda: Retrieval("text_to_image", captions.examples, captions.skipped),
        SWAPS.name: lambda: _swaps(captions, swap_items, cache, progress),
        HALF_TRUTH.name: lambda: of_captions(captions),
    }
    found: list[Benchmark] = []
    absent: dict[str, str] = {}
    for name in names or DEFAULT:
        try:
            found.append(replace(makers[name](), split=told))
        except (NoDataError, ImportError) as error:
            absent[name] = str(error)
    return found, absent


def _readable(
    captions: CaptionSet,
    *,
    allow_missing: bool,
    progress: Stages | None,
    say: Callable[[str], None] | None,
) -> CaptionSet:
    """Leave out the captions of images that no model could be shown, and count them.

    Raises:
        ValueError: so many of the images that the records name cannot be read, or all.
    """
    told = progress and partial(progress, "checking the images")
    broken = unreadable_images([example.image for example in captions.examples], progress=told)
    way = "pass --allow-missing (allow_missing=True)"
    tolerated = 1.0 if allow_missing else TOLERATED_SHARE
    refuse_many([*broken.values()], captions.images, tolerated=tolerated, way=way)
    kept = [example for example in captions.examples if example.image not in broken]
    if not kept:
        raise ValueError(
            f"none of {len(broken):,} images of {captions.source} can be read: {min(broken.values())}"
        )
    if say is not None:
        for reason in (*captions.missing.values(), *broken.values()):
            say(reason)
    skipped = captions.skipped + Counter({UNREADABLE: len(captions.examples) - len(kept)})
    return replace(captions, examples=kept, skipped=skipped)


def _swaps(captions: CaptionSet, most: int, cache: Path | None, progress: Stages | None) -> ChoiceBenchmark:
    """Captions against their negatives, with the scores of readers that never saw its image's captions."""
    examples = with_negatives(captions.examples, cache=cache, progress=progress)
    try:
        items = scored_items(examples, [], progress=progress)
    except NoDataError:  # too few images to train the blind readers on others
        return swaps(examples, skipped=captions.skipped)
    left_out = Counter(captions.skipped)
    left_out[WITHOUT_NEGATIVE] += sum(not example.negatives for example in examples)
    blind, cases = {}, []
    for number in sampled(items, most):
        example, negative = items[number].example, items[number].negative
        # the number among all: an item goes by one key however many are drawn
        key = f"{example.key}/{number}"
        blind[key] = items[number].blind
        cases.append(
            Choice(key, example.image, example.caption, negative.caption, negative.kind, example.image_id)
        )
    notes = [ALL_KINDS] if not any(item.negative.kind == GIVEN for item in items) else []
    if len(cases) < len(items):
        notes.insert(
            0, f"{len(cases):,} of {len(items):,} items, the same ones each time (--swap-items 0: all)"
        )
    of = sum(bool(example.negatives) for example in examples)
    return blind_scored(cases, blind, skipped=+left_out, notes=notes, captions=of)


def sampled(items: Sequence[Item], most: int) -> list[int]:
    """Indices of ``most`` items, chosen by their content: the same ones on every machine and for every model.

    A kind keeps ``SMALL`` of its items where it has so many, so that the mean is over the same kinds as that
    of all items; ``most`` 0 is all.
    """
    if not most or len(items) <= most:
        return list(range(len(items)))
    ranked = sorted(
        range(len(items)), key=lambda i: digest(items[i].example.caption, items[i].negative.caption)
    )
    rare: list[int] = []
    seen: Counter[str] = Counter()
    for index in ranked:
        seen[items[index].negative.kind] += 1
        rare += [index] * (seen[items[index].negative.kind] <= SMALL)
    first = dict.fromkeys([*rare, *ranked])
    return sorted(list(first)[:most])


def with_negatives(examples: list[Example], *, cache: Path | None, progress: Stages | None) -> list[Example]:
    """The captions' own negatives where the file brings any, else those that are made of their graphs."""
    if any(example.negatives for example in examples):
        return examples
    if progress is not None:
        progress("making negatives", 0, None)  # a parser is loaded first
    told = progress and partial(progress, "making negatives")
    return negatives_for(examples, kinds=SEMANTIC, cache=cache, progress=told).examples
