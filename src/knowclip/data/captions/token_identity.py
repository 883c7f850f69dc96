"""What a model reads of a text: two texts whose token ids are equal it cannot tell apart.

They may differ beyond the context length, in words that the vocabulary does not have, or in what a tokenizer
takes off (case, accents, white space).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor

_REMEMBERED = 500_000
"""Texts whose ids are kept; beyond it they are made again each time."""
_CHUNK = 4096


class Reading:
    """Gives texts that a model reads alike one key.

    Args:
        tokenize: Texts -> ids, filled up with one padding id; cut to the longest of them or not.
    """

    def __init__(self, tokenize: Callable[[list[str]], Int[Tensor, "M L"]]) -> None:
        self._tokenize = tokenize
        self._known: dict[str, bytes] = {}

    def __call__(self, texts: Sequence[str]) -> list[bytes]:
        """Return one key a text: its ids without padding."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        made: dict[str, bytes] = {}
        for start in range(0, len(new), _CHUNK):
            chunk = new[start : start + _CHUNK]
            # the empty text ends in padding, whichever id that is
            empty, *rows = self._tokenize(["", *chunk]).to("cpu").numpy().astype(np.int32)
            made |= {text: _unpadded(row, empty[-1]) for text, row in zip(chunk, rows, strict=True)}
        if len(self._known) < _REMEMBERED:
            self._known |= made
        return [made[text] if text in made else self._known[text] for text in texts]

    @cached_property
    def context_length(self) -> int:
        """Tokens of a text that are read, where ``tokenize`` fills all texts up to them."""
        return self._tokenize([""]).shape[1]

    @cached_property
    def _knows_every_word(self) -> bool:
        """Whether words that nobody knows are told apart, by their letters: not so in a list of words."""
        # two words that no list of words holds
        first, second = self(["qxzvw", "jkpwq"])
        return first != second

    def may_be_alike(self, first: str, second: str) -> bool:
        """Whether two texts may have equal ids; where False, tokenizing them would tell nothing new.

        A token is one character and more, so of a shorter text all is read; and ASCII is never unknown where
        words are spelled by their parts. Then only what tokenizers take off makes texts alike.
        """
        if not self._knows_every_word or not (first.isascii() and second.isascii()):
            return True
        # 2: begin and end of text
        if max(len(first), len(second)) + 2 > self.context_length:
            return True
        return _plain(first) == _plain(second)


def _unpadded(row: Int[np.ndarray, " L"], padding: int) -> bytes:
    filled = np.flatnonzero(row != padding)
    return row[: filled[-1] + 1 if len(filled) else 0].tobytes()


def _plain(text: str) -> str:
    return re.sub(r"\W+", "", text.casefold())
