"""Draws from things of several kinds, so that the commoner kind does not crowd out the rarer."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar

T = TypeVar("T")


def in_turns(found: Iterable[tuple[str, T]], count: int, draw: Random) -> list[T]:
    """Draw up to ``count`` things without repetition, the kinds taking turns in a random order.

    Args:
        found: Kind and thing.
        count: How many at most.
        draw: Random numbers.
    """
    by_kind: dict[str, list[T]] = {}
    for kind, one in found:
        by_kind.setdefault(kind, []).append(one)
    drawn: list[T] = []
    while by_kind and len(drawn) < count:
        for kind in draw.sample(list(by_kind), min(len(by_kind), count - len(drawn))):
            drawn.append(by_kind[kind].pop(draw.randrange(len(by_kind[kind]))))
            if not by_kind[kind]:
                del by_kind[kind]
    return drawn
