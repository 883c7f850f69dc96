"""Examples of one image, found together: what is false of it must be false beside all its captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from knowclip.knowledge.negatives.falsity import Said
from knowclip.types import Example


def by_image(examples: Sequence[Example]) -> dict[str, list[int]]:
    """Image -> positions of its examples."""
    positions: dict[str, list[int]] = {}
    for position, example in enumerate(examples):
        positions.setdefault(example.image_id, []).append(position)
    return positions


def said_by(examples: Iterable[Example]) -> Said:
    """All that the captions of one image say, with the graphs of those that have one."""
    several = list(examples)
    return Said([e.caption for e in several], [e.graph for e in several if e.graph is not None])
