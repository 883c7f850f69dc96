"""Image-text retrieval over captioned images, both ways, with open_clip's and CLIP_benchmark's names.

Two benchmarks, because their items differ: image-to-text asks once an image, text-to-image once a caption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from knowclip.data.captions import read_captions
from knowclip.evaluation.benchmarks.base import Card, describe, missing_images
from knowclip.evaluation.metrics import NoDataError, feature_ranks, relevance
from knowclip.evaluation.scoring import Scorer
from knowclip.types import Example, Result

KS = (1, 5, 10)
Direction = Literal["image_to_text", "text_to_image"]


def _card(direction: Direction, title: str, query: str, found: str) -> Card:
    return Card(
        name=direction,
        title=title,
        paper="Karpathy & Fei-Fei, Deep visual-semantic alignments for generating image descriptions",
        address="https://github.com/LAION-AI/CLIP_benchmark",
        licence="that of the captioned images",
        main=f"{direction}_R@1",
        protocol=f"{query}; a hit if {found} is among the best k by cosine. Captions equal in text are true "
        "of the same images. A wrong item tied with the best right one ranks before it.",
        layout="captioned images in any format of read_captions",
        flaws="Captions that happen to be true of other images count as wrong unless equal in text.",
    )


IMAGE_TO_TEXT = _card(
    "image_to_text", "Image-to-text retrieval", "Each image against all captions", "any of its captions"
)
TEXT_TO_IMAGE = _card(
    "text_to_image", "Text-to-image retrieval", "Each caption against all images", "its image"
)
CARDS: dict[Direction, Card] = {"image_to_text": IMAGE_TO_TEXT, "text_to_image": TEXT_TO_IMAGE}


@dataclass(frozen=True)
class Retrieval:
    """One direction of retrieval over ``examples``; captions of one image share ``image_id``.

    ``skipped`` are the records the reader left out, by reason; they are told in the details.
    """

    direction: Direction
    examples: Sequence[Example]
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.examples:
            raise NoDataError(f"{self.direction}: no captioned images")

    @property
    def card(self) -> Card:
        """The metadata of this direction."""
        return CARDS[self.direction]

    def run(self, scorer: Scorer) -> Result:
        """Rank the whole gallery for every query."""
        image_ids = [example.image_id for example in self.examples]
        captions = [example.caption for example in self.examples]
        image_of = {example.image_id: example.image for example in self.examples}
        to_text, to_image = relevance(image_ids, captions)
        images, texts = scorer.images(list(image_of.values())), scorer.texts(captions)
        if self.direction == "image_to_text":
            keys, ranks = list(image_of), feature_ranks(images, texts, to_text)
            clusters, gallery = keys, len(texts)
        else:
            keys, ranks = [example.key for example in self.examples], feature_ranks(texts, images, to_image)
            clusters, gallery = image_ids, len(images)
        items = {
            "key": np.array(keys),
            "image_id": np.array(clusters),
            "rank": ranks,
            "correct": ranks < 1,
        }
        metrics = {f"{self.direction}_R@{k}": float(np.mean(ranks < k)) for k in KS}
        details = describe(self.card, missing_images(scorer, list(image_of.values())))
        details |= {
            "skipped": dict(self.skipped),
            "gallery": gallery,
            "median_rank": float(np.median(ranks)) + 1,
        }
        return Result(self.card.name, self.card.main, len(keys), metrics, items, details)


def read_image_to_text(folder: Path, *, split: str = "test") -> Retrieval:
    """Image-to-text retrieval over the captioned images of ``folder``."""
    return _read("image_to_text", folder, split)


def read_text_to_image(folder: Path, *, split: str = "test") -> Retrieval:
    """Text-to-image retrieval over the captioned images of ``folder``."""
    return _read("text_to_image", folder, split)


def _read(direction: Direction, folder: Path, split: str) -> Retrieval:
    try:
        captions = read_captions(folder, split=split)
    except ValueError as error:
        raise NoDataError(str(error)) from error
    return Retrieval(direction, captions.examples, captions.skipped)
