"""Where questions come from: captions with their parsed swaps, or annotated images; what each part is.

Probes learn from the split "train" and are asked about "test" where the data have splits; else about a part
of the images that is held out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from knowclip.data.captions.negatives import negatives_for
from knowclip.data.captions.read import UNREADABLE, read_captions
from knowclip.data.formats.pairs import MISSING
from knowclip.data.formats.rows import NoSuchSplitError
from knowclip.evaluation.diagnosis.annotated import is_annotated, questions_of_graphs
from knowclip.evaluation.diagnosis.captioned import questions_of_captions
from knowclip.evaluation.diagnosis.questions import KINDS, Kind, Question, Questions, prepare
from knowclip.evaluation.image_data import images_by_id
from knowclip.evaluation.metrics import NoDataError
from knowclip.knowledge.graph.image_files import ImageFolder
from knowclip.knowledge.readers.json_stream import find_file
from knowclip.knowledge.readers.visual_genome_scene_graphs import read_visual_genome_graphs
from knowclip.types import Example, ImageRef

TRAIN, TEST = "train", "test"
BEYOND = "of an image beyond --most"
"""Why a record of the training part is skipped."""
TESTED = 0.3
"""Share of the images that is held out where the data have no splits."""
FEWEST = 50
"""Questions of either part below which a kind is not measured: an interval would hold everything."""
MORE = (
    f"It takes {FEWEST} questions of either part: the claims of a swap must be true of another image, which "
    "the captions of some thousands of photos seldom have. Ask about drawn scenes (`knowclip scenes`) or "
    "Visual Genome's annotations"
)
"""What to do where neither kind can be measured."""
Found = dict[Kind, list[Question]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Read:
    """What became of the records: the image of each that is kept, the others by reason, images left out."""

    what: str
    kept: list[ImageRef]
    skipped: Counter[str]
    left_out: list[str]

    def without_images(self, broken: Mapping[ImageRef, str]) -> Read:
        """Leave out the records whose image cannot be read, for the reason given, and count them."""
        kept = [image for image in self.kept if image not in broken]
        skipped = self.skipped + Counter({UNREADABLE: len(self.kept) - len(kept)})
        return Read(self.what, kept, skipped, [*self.left_out, *broken.values()])


@dataclass(frozen=True)
class Source:
    """Questions by kind, those that cannot be asked with the reason, what gave none, and what was read."""

    questions: list[Questions]
    absent: dict[str, str]
    skipped: Counter[str]
    made_from: str
    read: Read


def read_source(
    data: Path,
    *,
    most: int,
    seed: int = 0,
    cache: Path | None = None,
    columns: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Source:
    """Questions about the images of ``data``: Visual Genome's annotations, else any captions.

    Args:
        data: a folder with ``attributes.json`` and ``relationships.json`` (and images below ``images``), or
            what ``read_captions`` reads; of scenes, these are their captions.
        most: images of the part that probes are fitted on.
        seed: of which images these are.
        cache: folder that keeps parsed captions and their swaps.
        columns: ``images`` and ``image_column``, ``caption_column``, ``split_column`` of ``read_captions``.
        progress: told how many captions have their swaps.

    Raises:
        NoDataError: neither kind has ``FEWEST`` questions of both parts.
    """
    columns = dict(columns or {})
    if is_annotated(data):
        fit, test, skipped, read = _annotated(data, columns.get("images"), most, seed)
        made_from = "Visual Genome's annotations"
    else:
        fit, test, skipped, read = _captioned(data, columns, most, seed, cache, progress)
        made_from = "captions, parsed"
    questions: list[Questions] = []
    absent: dict[str, str] = {}
    for kind in KINDS:
        prepared = prepare(kind, fit[kind], test[kind])
        if min(len(prepared.fit), len(prepared.test)) >= FEWEST:
            questions.append(prepared)
        else:
            absent[kind] = (
                f"{len(prepared.fit)} questions to fit probes on and {len(prepared.test)} to ask, fewer than "
                f"{FEWEST} (left out: {_told(prepared.skipped) or 'none'})"
            )
    if not questions:
        raise NoDataError(
            f"{data}: {'; '.join(f'{kind}: {why}' for kind, why in absent.items())}. "
            f"{MORE}{', or raise --most' if read.skipped[BEYOND] else ''}"
        )
    return Source(questions, absent, skipped, made_from, read)


def _told(skipped: Counter[str]) -> str:
    return ", ".join(f"{reason}: {count:,}" for reason, count in skipped.items())


def _captioned(
    data: Path,
    columns: dict[str, Any],
    most: int,
    seed: int,
    cache: Path | None,
    progress: Progress | None,
) -> tuple[Found, Found, Counter[str], Read]:
    train, test, read = _parts(data, columns, most, seed)
    filled = negatives_for([*train, *test], cache=cache, progress=progress).examples
    fit, skipped = questions_of_captions(filled[: len(train)])
    asked, also = questions_of_captions(filled[len(train) :])
    return fit, asked, skipped + also, read


def _parts(
    data: Path, columns: dict[str, Any], most: int, seed: int
) -> tuple[list[Example], list[Example], Read]:
    """Captions to fit on, at most those of ``most`` images, and to ask about, with keys of their own."""
    try:
        parts = [read_captions(data, split=split, **columns) for split in (TRAIN, TEST)]
    except NoSuchSplitError:
        whole = read_captions(data, **columns)
        rows = _held_out([example.image_id for example in whole.examples], seed)
        train, test = ([whole.examples[row] for row in part] for part in rows)
        parts = [whole]
    else:
        train, test = (
            [replace(e, key=f"{split}/{e.key}") for e in part.examples]
            for split, part in zip((TRAIN, TEST), parts, strict=True)
        )
    chosen = _sampled(train, most, seed)
    skipped = sum((part.skipped for part in parts), Counter({BEYOND: len(train) - len(chosen)}))
    missing = {name: why for part in parts for name, why in part.missing.items()}
    return chosen, test, Read("captions", [e.image for e in (*chosen, *test)], skipped, [*missing.values()])


def _sampled(examples: Sequence[Example], most: int, seed: int) -> list[Example]:
    """All captions of at most ``most`` images."""
    chosen = _some(dict.fromkeys(example.image_id for example in examples), most, seed)
    return [example for example in examples if example.image_id in chosen]


def _some(ids: Mapping[str, Any], most: int, seed: int) -> set[str]:
    names = list(ids)
    return {names[i] for i in np.random.default_rng(seed).permutation(len(names))[:most]}


def _annotated(
    data: Path, images: Path | None, most: int, seed: int
) -> tuple[Found, Found, Counter[str], Read]:
    graphs = {str(number): graph for number, graph in read_visual_genome_graphs(data).items()}
    folder = ImageFolder(images or next((d for d in (data / "images", data) if d.is_dir()), data))
    urls = _urls(data)
    found = {name: path for name in graphs if (path := folder.find(name, urls.get(name, "")))}
    refs = {name: ImageRef(folder.root / path) for name, path in found.items()}
    if len(refs) < 2:
        raise NoDataError(f"{data}: {len(refs)} of {len(graphs):,} annotated images are under {folder.root}")
    names = list(refs)
    train, test = ([names[row] for row in part] for part in _held_out(names, seed))
    kept = _some(dict.fromkeys(train), most, seed)
    chosen = [name for name in train if name in kept]
    (fit, skipped), (asked, also) = (
        questions_of_graphs({name: graphs[name] for name in part}, refs) for part in (chosen, test)
    )
    missing = [f"{folder.root}: no file of image {name}" for name in graphs if name not in refs]
    left_out = Counter({MISSING: len(missing), BEYOND: len(train) - len(chosen)})
    read = Read("annotated images", [refs[name] for name in (*chosen, *test)], left_out, missing)
    return fit, asked, skipped + also, read


def _held_out(groups: list[str], seed: int) -> tuple[list[int], list[int]]:
    """Rows to fit on, and to ask about."""
    from knowclip.evaluation.tasks.training import hold_out  # torch: after what is refused without it

    train, test = hold_out(groups, share=TESTED, seed=seed)
    return train.tolist(), test.tolist()


def _urls(data: Path) -> dict[str, str]:
    """Where each image came from, by its id, as ``image_data.json`` tells: its file may be called so."""
    path = find_file(data, "image_data")
    images = images_by_id(path)[0] if path else {}
    return {str(number): image["url"] for number, image in images.items()}
