"""Image-text retrieval over captioned images, both ways, with open_clip's and CLIP_benchmark's names.

Two benchmarks, because their items differ: image-to-text asks once an image, text-to-image once a caption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from knowclip.console.counts import TOLERATED_SHARE
from knowclip.data.captions.read import read_captions
from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.evaluation.benchmarks.grading import describe, missing_images
from knowclip.evaluation.benchmarks.images import coco_home
from knowclip.evaluation.benchmarks.locating import captioned
from knowclip.evaluation.metrics import KS, NoDataError, NotHereError, feature_ranks, nearest_wrong, relevance
from knowclip.evaluation.scoring import Scorer
from knowclip.types import Example, Result

Direction = Literal["image_to_text", "text_to_image"]


@dataclass(frozen=True, slots=True)
class _Set:
    """A published retrieval set: what its cards say, and the captions files it is told by."""

    name: str
    title: str
    licence: str
    layout: str
    files: tuple[str, ...]
    images: int
    captions: int
    obtain: str
    differs: str = ""


_KARPATHY = "Karpathy's splits: https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip; "
SETS = {
    entry.name: entry
    for entry in (
        _Set(
            "coco",
            "COCO (Karpathy 5k)",
            "CC BY 4.0",
            "dataset_coco.json (Karpathy's splits), val2014/",
            ("dataset_coco.json",),
            5000,
            25010,
            f"{_KARPATHY}images: http://images.cocodataset.org/zips/val2014.zip",
            "25,010 captions; some harnesses keep five an image (25,000). COCO 1k is the mean of five folds.",
        ),
        _Set(
            "flickr30k",
            "Flickr30k",
            "research only",
            "dataset_flickr30k.json (Karpathy's splits), images",
            ("dataset_flickr30k.json",),
            1000,
            5000,
            f"{_KARPATHY}images: request them at https://shannon.cs.illinois.edu/DenotationGraph",
        ),
        _Set(
            "flickr8k",
            "Flickr8k",
            "research only",
            "Flickr8k.token.txt with Flickr_8k.testImages.txt, or dataset_flickr8k.json; images",
            ("Flickr8k.token.txt", "dataset_flickr8k.json"),
            1000,
            5000,
            "Request at https://hockenmaier.cs.illinois.edu/8k-pictures.html",
        ),
    )
}


def _card(direction: Direction, published: _Set | None = None) -> Card:
    query, found = {
        "image_to_text": ("each image against all captions", "any of its captions"),
        "text_to_image": ("each caption against all images", "its image"),
    }[direction]
    name = f"{published.name}_{direction}" if published else direction
    title = direction.replace("_to_", "-to-").capitalize()
    return Card(
        name=name,
        title=f"{published.title} {title.lower()}" if published else f"{title} retrieval",
        paper="Karpathy & Fei-Fei, Deep visual-semantic alignments for generating image descriptions (CVPR "
        "2015)",
        address="https://github.com/LAION-AI/CLIP_benchmark",
        licence=published.licence if published else "that of the captioned images",
        main=f"{name}_R@1",
        protocol=f"{query}; a hit if {found} is among the best k by cosine. Captions equal in text are true "
        "of the same images. A wrong item tied with the best right one ranks before it.",
        layout=published.layout if published else "captioned images in any format of read_captions",
        flaws="Captions that happen to be true of other images count as wrong unless equal in text.",
        crop="whole image",
        average="mean over queries",
        differs=" ".join(
            part
            for part in (
                published.differs if published else "",
                "Others count an equal caption of another image as wrong, and break ties by position.",
            )
            if part
        ),
        n=(published.images if direction == "image_to_text" else published.captions) if published else 0,
        obtain=published.obtain if published else "",
    )


DIRECTIONS: tuple[Direction, ...] = ("image_to_text", "text_to_image")
IMAGE_TO_TEXT, TEXT_TO_IMAGE = (_card(direction) for direction in DIRECTIONS)
CARDS: dict[tuple[str, Direction], Card] = {
    (name, direction): _card(direction, SETS.get(name)) for name in ("", *SETS) for direction in DIRECTIONS
}
"""Cards by published set ("" for any captioned images) and direction."""


@dataclass(frozen=True)
class Retrieval:
    """One direction of retrieval over ``examples``; captions of one image share ``image_id``.

    ``skipped`` are the records the reader left out, by reason; they are told in the details. ``published``
    names one of ``SETS`` where the examples are its test set. ``split`` says in words what they are of, where
    that is to be told ("all splits").
    """

    direction: Direction
    examples: Sequence[Example]
    skipped: Mapping[str, int] = field(default_factory=dict)
    published: str = ""
    split: str = ""

    def __post_init__(self) -> None:
        if not self.examples:
            raise NoDataError(f"{self.card.name}: no captioned images")

    @property
    def card(self) -> Card:
        """The metadata of this direction."""
        return CARDS[self.published, self.direction]

    @cached_property
    def cases(self) -> tuple[Choice, ...]:
        """What pages show of each query: an image and a caption of it; what is wrong each model says."""
        examples = self.examples
        if self.direction == "image_to_text":
            # reversed, so that the first caption of each image stays
            first = {example.image_id: example for example in reversed(examples)}
            examples = [first[name] for name in dict.fromkeys(e.image_id for e in examples)]
            return tuple(Choice(e.image_id, e.image, e.caption, "", "", e.image_id) for e in examples)
        return tuple(Choice(e.key, e.image, e.caption, "", "", e.image_id) for e in examples)

    def run(self, scorer: Scorer) -> Result:
        """Rank the whole gallery for every query.

        The items hold what of the wrong was ``found`` first: a caption, or an image's path.
        """
        image_ids = [example.image_id for example in self.examples]
        captions = [example.caption for example in self.examples]
        image_of = {example.image_id: example.image for example in self.examples}
        to_text, to_image = relevance(image_ids, captions)
        images, texts = scorer.images(list(image_of.values())), scorer.texts(captions)
        if self.direction == "image_to_text":
            keys, clusters = list(image_of), list(image_of)
            asked, among, right, told = images, texts, to_text, captions
        else:
            keys, clusters = [example.key for example in self.examples], image_ids
            asked, among, right = texts, images, to_image
            told = [str(ref.path) for ref in image_of.values()]
        ranks, gallery = feature_ranks(asked, among, right), len(among)
        true, false, found = nearest_wrong(asked, among, right)
        items = {
            "key": np.array(keys),
            "image_id": np.array(clusters),
            "rank": ranks,
            "correct": ranks < 1,
            "true_score": true.astype(np.float32),
            "false_score": false.astype(np.float32),
            "found": np.array([told[index] if index >= 0 else "" for index in found]),
        }
        metrics = {f"{self.card.name}_R@{k}": float(np.mean(ranks < k)) for k in KS}
        missing = missing_images(scorer, list(image_of.values()))
        details = describe(self.card, used=len(self.examples), skipped=self.skipped, missing=missing)
        details |= {
            "gallery": gallery,
            "median_rank": float(np.median(ranks)) + 1,
        }
        if self.split:
            details["split"] = self.split
        return Result(self.card.name, self.card.main, len(keys), metrics, items, details)


def read_image_to_text(folder: Path, *, split: str = "test", allow_missing: bool = False) -> Retrieval:
    """Image-to-text retrieval over the captioned images of ``folder``."""
    return _read("image_to_text", folder, split, allow_missing)


def read_text_to_image(folder: Path, *, split: str = "test", allow_missing: bool = False) -> Retrieval:
    """Text-to-image retrieval over the captioned images of ``folder``."""
    return _read("text_to_image", folder, split, allow_missing)


def read_published(
    name: str, direction: Direction, folder: Path, *, split: str = "test", allow_missing: bool = False
) -> Retrieval:
    """Retrieval over one of ``SETS``, in ``folder/<name>`` or ``folder`` itself.

    Raises:
        NoDataError: its captions file is not there.
        ValueError: more than 1% of the published queries is missing, without ``allow_missing``.
    """
    card = CARDS[name, direction]
    paths = [base / file for base in (folder / name, folder) for file in SETS[name].files]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise NotHereError(
            f"{card.name}: none of {', '.join(map(str, paths))}; see `knowclip data {card.name}`"
        )
    images = coco_home(path.parent, folder) if name == "coco" else None
    captions = read_captions(path, images=images, split=split, allow_missing=allow_missing)
    found = {e.image_id if direction == "image_to_text" else e.key for e in captions.examples}
    if split == "test" and len(found) < (1 - TOLERATED_SHARE) * card.n and not allow_missing:
        raise ValueError(
            f"{card.name}: {len(found):,} of the published {card.size} queries are in {path}; see `knowclip "
            f"data {card.name}`, or pass --allow-missing (allow_missing=True) to measure what is there"
        )
    return Retrieval(direction, captions.examples, captions.skipped, name)


def _read(direction: Direction, folder: Path, split: str, allow_missing: bool) -> Retrieval:
    captions = captioned(folder, split, allow_missing=allow_missing)
    return Retrieval(direction, captions.examples, captions.skipped)
