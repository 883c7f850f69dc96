"""Examples with the negatives of this epoch, as a map-style dataset."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from torch.utils.data import Dataset

from knowclip.console.counts import there_are
from knowclip.data.captions.by_image import by_image
from knowclip.data.captions.subgraphs import Drawn
from knowclip.data.captions.turns import in_turns
from knowclip.data.images.decoding import image_name
from knowclip.types import Example, Negative

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Item:
    """An example as one batch sees it: its image loaded, and the negatives drawn for it.

    ``unreadable`` names the images that were to come here and could not be read, and says why; ``subgraphs``
    are further texts, if any were asked for.
    """

    example: Example
    image: Tensor
    negatives: tuple[Negative, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    subgraphs: Drawn | None = None


_IN_A_ROW = 20
"""Images that may be unreadable one after the other: so many never are where a few of many are broken."""


class CaptionDataset(Dataset[Item]):
    """Image-caption pairs with hard-negative captions drawn anew each epoch.

    The draw depends on ``(seed, epoch, index)`` alone, so any process, at any time, draws the same. Kinds of
    negatives take turns in a random order, so that the commoner kind does not crowd out the rarer.

    A pair whose image cannot be read gives its place to another one, drawn likewise: batches keep their size
    on every process. The item tells of it.

    Args:
        examples: With their ``negatives``, as ``prepare.negatives_for`` fills them in.
        load_image: Index of an example -> pixels or trunk features: ``ImageCache.loader``, ``ImageDecoder``;
            a ValueError says that it cannot be read.
        negatives_per_caption: How many to draw, without repetition; fewer where a caption has fewer.
        captions_per_image: "all": an item is a caption. "one": an item is an image, with one of its captions
            drawn each epoch; so no batch holds an image twice.
        subgraphs: Position of an example and a draw -> sub-graphs of its caption
            (:class:`~knowclip.data.captions.subgraphs.SubgraphDraw`); None draws none.
        max_unreadable: Images that one process may fail to read before it raises.
        seed: Of all draws.

    Raises:
        ValueError: No examples, or negatives asked for where no example has any.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        load_image: Callable[[int], Tensor],
        negatives_per_caption: int = 0,
        captions_per_image: Literal["all", "one"] = "all",
        subgraphs: Callable[[int, random.Random], Drawn] | None = None,
        max_unreadable: int = 0,
        seed: int = 0,
    ) -> None:
        if not examples:
            raise ValueError("a dataset needs at least one example")
        if captions_per_image not in ("all", "one"):
            raise ValueError(f"captions_per_image={captions_per_image!r} is neither 'all' nor 'one'")
        if negatives_per_caption and not any(example.negatives for example in examples):
            raise ValueError(
                f"negatives_per_caption={negatives_per_caption}, but none of the {len(examples):,} examples "
                "has a negative, and captions that name no relation or attribute give none, such as "
                f"{examples[0].caption!r}: bring others (of another column, data.train.caption_column?), or "
                "ask for 0 (in a recipe data.negatives.per_caption=0)"
            )
        self.examples = examples
        self.choices = _choices(examples, captions_per_image)
        self._load_image = load_image
        self._negatives_per_caption = negatives_per_caption
        self._subgraphs = subgraphs
        self._max_unreadable = max_unreadable
        self._unreadable: set[str] = set()
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; worker processes must be started after it (no ``persistent_workers``)."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.choices)

    def __getitem__(self, index: int) -> Item:
        # a text as seed: Python hashes it alike in every process
        draw = random.Random(f"{self._seed} {self._epoch} {index}")
        unreadable: dict[str, str] = {}
        while True:
            position = draw.choice(self.choices[index])
            example = self.examples[position]
            negatives = draw_negatives(example.negatives, self._negatives_per_caption, draw)
            try:
                image = self._load_image(position)
            except ValueError as error:
                self._unreadable.add(image_name(example.image))
                if len(self._unreadable) > self._max_unreadable or len(unreadable) == _IN_A_ROW:
                    raise ValueError(
                        f"{there_are(len(self._unreadable), 'image')} unreadable, and data.max_unreadable "
                        f"allows {self._max_unreadable:,} of these data: {error}. Repair the files, leave "
                        "them out of the captions, or raise data.max_unreadable"
                    ) from error
                unreadable[image_name(example.image)] = str(error)
                index = draw.randrange(len(self))
                continue
            drawn = self._subgraphs(position, draw) if self._subgraphs is not None else None
            return Item(example, image, negatives, unreadable, drawn)


def _choices(examples: Sequence[Example], captions_per_image: str) -> list[tuple[int, ...]]:
    """For each item the positions of the examples it may show."""
    if captions_per_image == "all":
        return [(i,) for i in range(len(examples))]
    return [tuple(positions) for positions in by_image(examples).values()]


def draw_negatives(negatives: Sequence[Negative], count: int, draw: random.Random) -> tuple[Negative, ...]:
    """Draw up to ``count`` different negatives, the kinds taking turns in a random order."""
    return tuple(in_turns([(negative.kind, negative) for negative in negatives], count, draw))
