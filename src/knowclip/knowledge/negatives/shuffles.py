"""Word-order shuffles: the "random negatives" that semantic ones are measured against."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random

from knowclip.knowledge.negatives.caption_editing import Edit
from knowclip.knowledge.negatives.mentions import Layout
from knowclip.knowledge.negatives.swaps import Candidate

SHUFFLES = 4
"""Shuffles drawn of one caption."""


def shuffles(layout: Layout, draw: Random) -> Iterator[Candidate]:
    """The caption's words in random order, punctuation in its place; nobody knows what that claims."""
    places = [span for span in layout.tokens if layout.caption[span[0]].isalnum()]
    words = [layout.caption[start:end] for start, end in places]
    if len(words) < 2:
        return
    between = [layout.caption[a[1] : b[0]] for a, b in pairwise(places)]
    for _ in range(SHUFFLES):
        order = draw.sample(words, len(words))
        text = "".join(word + gap for word, gap in zip(order, [*between, ""], strict=True))
        yield Candidate("shuffle", (Edit((places[0][0], places[-1][1]), text),), None)
