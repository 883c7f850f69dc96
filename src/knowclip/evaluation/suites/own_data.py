"""A user's own captioned photos: retrieval both ways, swaps and half-truths of one set of captions.

No split is needed, and no file beside the captions: negatives are those that the captions file brings, else
made here, and their blind readers are trained on the captions of other images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from knowclip.data.captions.negatives import Progress, negatives_for
from knowclip.data.captions.read import CaptionSet, read_captions
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.evaluation.benchmarks.half_truth import HALF_TRUTH, of_captions
from knowclip.evaluation.benchmarks.retrieval import IMAGE_TO_TEXT, TEXT_TO_IMAGE, Retrieval
from knowclip.evaluation.benchmarks.swaps import SWAPS, blind_scored, swaps
from knowclip.evaluation.controls.refine import scored_items
from knowclip.evaluation.metrics import NoDataError
from knowclip.knowledge.negatives.generate import SEMANTIC
from knowclip.types import Example

DEFAULT = (IMAGE_TO_TEXT.name, TEXT_TO_IMAGE.name, SWAPS.name)
NAMES = (*DEFAULT, HALF_TRUTH.name)
"""What captioned images alone can be measured by."""
TEST = "test"


def read_own(
    path: Path,
    *,
    names: Sequence[str] = (),
    split: str | None = None,
    allow_missing: bool = False,
    columns: Mapping[str, Any] | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> tuple[list[Benchmark], dict[str, str]]:
    """Make benchmarks of the captions at ``path``, and say of the others why not.

    Args:
        path: anything that ``read_captions`` reads.
        names: of ``NAMES``; ``DEFAULT`` where there are none.
        split: of the captions; None: "test" where there is one, else all of them.
        allow_missing: accept that more than 1% of the images are not there.
        columns: ``images``, ``image_column`` and ``caption_column`` of ``read_captions``.
        cache: folder that keeps negatives by content.
        progress: told how many captions have their negatives.

    Raises:
        ValueError: the captions cannot be read, or a name is none of ``NAMES``.
    """
    if strange := [name for name in names if name not in NAMES]:
        raise ValueError(
            f"{path} holds captioned images: they can be measured by {', '.join(NAMES)}, not by "
            f"{', '.join(strange)}, which has files of its own (see `knowclip data {strange[0]}`)"
        )
    captions = split_or_all(path, split, usual=TEST, allow_missing=allow_missing, **columns or {})
    makers: dict[str, Callable[[], Benchmark]] = {
        IMAGE_TO_TEXT.name: lambda: Retrieval("image_to_text", captions.examples, captions.skipped),
        TEXT_TO_IMAGE.name: lambda: Retrieval("text_to_image", captions.examples, captions.skipped),
        SWAPS.name: lambda: _swaps(captions, cache, progress),
        HALF_TRUTH.name: lambda: of_captions(captions),
    }
    found: list[Benchmark] = []
    absent: dict[str, str] = {}
    for name in names or DEFAULT:
        try:
            found.append(makers[name]())
        except (NoDataError, ImportError) as error:
            absent[name] = str(error)
    return found, absent


def split_or_all(path: Path, split: str | None, *, usual: str, **reading: Any) -> CaptionSet:
    """The captions of ``split``; where that is None of the ``usual`` one, or all if there is no such split.

    Args:
        path: of the captions.
        split: asked for.
        usual: asked for where there is none.
        reading: other arguments of ``read_captions``.

    Raises:
        ValueError: the captions cannot be read, or ``split`` is not there.
    """
    if split is not None:
        return read_captions(path, split=split, **reading)
    try:
        return read_captions(path, split=usual, **reading)
    except ValueError as error:
        if "no split" not in str(error):
            raise
    return read_captions(path, **reading)


def _swaps(captions: CaptionSet, cache: Path | None, progress: Progress | None) -> Benchmark:
    """Every caption against its negatives, with the scores of readers that never saw its image's captions."""
    examples = with_negatives(captions.examples, cache=cache, progress=progress)
    try:
        items = scored_items(examples, [])
    except NoDataError:  # too few images to train the blind readers on others
        return swaps(examples, skipped=captions.skipped)
    left_out = Counter(captions.skipped)
    left_out["caption without a negative"] += sum(not example.negatives for example in examples)
    blind, cases = {}, []
    for number, item in enumerate(items):
        example, negative = item.example, item.negative
        key = f"{example.key}/{number}"
        blind[key] = item.blind
        cases.append(
            Choice(key, example.image, example.caption, negative.caption, negative.kind, example.image_id)
        )
    return blind_scored(cases, blind, skipped=+left_out)


def with_negatives(
    examples: list[Example], *, cache: Path | None, progress: Progress | None
) -> list[Example]:
    """The captions' own negatives where the file brings any, else those that are made of their graphs."""
    if any(example.negatives for example in examples):
        return examples
    return negatives_for(examples, kinds=SEMANTIC, cache=cache, progress=progress).examples
