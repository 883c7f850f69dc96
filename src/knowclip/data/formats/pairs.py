"""Records -> captions with keys: numbered by image, lines of one pair joined, what is left out counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from typing import NamedTuple

from knowclip.data.formats.rows import EMPTY, Row, said

MISSING = "image not found"
JOINED = "joined to the same pair, with its negatives"
"""Lines of ``negatives.jsonl`` and ``swaps.jsonl`` are one for each negative."""

GIVEN = "given"
"""Kind of the negatives that a captions file brings itself."""


class Pair(NamedTuple):
    """A caption, its key, its image if it has one, and false captions that the file brings, each once."""

    key: str
    image: str | None
    caption: str
    negatives: tuple[str, ...] = ()


def pairs_of(
    rows: Iterable[Row], skipped: Counter[str], *, there: Container[str] | None = None
) -> list[Pair]:
    """Captions of sound records, in their order: ``image#k`` is the k-th of its image, whatever is left out.

    Args:
        rows: Without faults; one without an image has a key.
        skipped: Counts what is left out, by reason.
        there: Images of which captions are kept; all when None.
    """
    seen: Counter[str | None] = Counter()
    bringing: dict[tuple[str, str], int] = {}
    pairs: list[Pair] = []
    for row in rows:
        image = row.image or None
        # before any is skipped, so that k counts as the file does, whatever images are there
        number = seen[image]
        seen[image] = number + 1
        caption = said(row.caption)
        if not caption:
            skipped[EMPTY] += 1
        elif there is not None and image not in there:
            skipped[MISSING] += 1
        elif image and row.negatives and (earlier := bringing.get((image, caption))) is not None:
            skipped[JOINED] += 1
            joined = dict.fromkeys((*pairs[earlier].negatives, *row.negatives))
            pairs[earlier] = pairs[earlier]._replace(negatives=tuple(joined))
        else:
            if image and row.negatives:
                bringing[image, caption] = len(pairs)
            key = f"{image}#{number}" if image else row.key or ""
            pairs.append(Pair(key, image, caption, tuple(dict.fromkeys(row.negatives))))
    return pairs
