"""What a search gives: photos in order, with why they stand there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knowclip.search.query import Query, Reading
from knowclip.search.rerank import CUT

DOUBT, SIMILARITY = "similarity less doubt", "similarity"


def printable(path: str) -> str:
    """A path as text: names need not be UTF-8 on disk."""
    return os.fsencode(path).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Hit:
    """A photo that was found."""

    path: str
    relative: float
    """1 for the best of this search, 0 for the collection's average: what it says is of this search alone."""
    similarity: float
    """With the whole query, in cosines of its first part: of its text, or else of its image."""
    margin: float | None = None
    """What the text's cosine exceeds its best negative's by; None where it has none, or was not asked."""
    rival: str | None = None
    """That negative."""
    copies: tuple[str, ...] = ()
    """Other files with the same bytes."""

    @property
    def above(self) -> bool:
        """Whether it stands above the cut of this search."""
        return self.relative >= CUT


@dataclass(frozen=True, slots=True)
class Found:
    """The photos found, the best first, and how they were ranked."""

    query: Query
    hits: tuple[Hit, ...]
    photos: int
    """That could have been found."""
    ranked_by: str
    """``similarity less doubt`` (where the query's own negatives fit as well), or ``similarity`` alone."""
    reading: Reading = field(default_factory=Reading)
    knowledge: bool = False
    """Whether the text and its negatives were read with the model's KEE."""
    gone: int = 0
    """Photos left out because their files are no longer there."""

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain types, for JSON."""
        image = self.query.image
        return {
            "query": {
                "text": self.query.text,
                "image": str(image)
                if isinstance(image, str | Path)
                else None
                if image is None
                else "in memory",
                "minus": list(self.query.minus),
            },
            "ranked_by": self.ranked_by,
            "with_kee": self.knowledge,
            "triples": [[triple.head, triple.relation, triple.tail] for triple in self.reading.triples],
            "negatives": [[negative.kind, negative.caption] for negative in self.reading.negatives],
            "cut": CUT,
            "photos": self.photos,
            "gone": self.gone,
            "hits": [
                {
                    "path": hit.path,
                    "relative": hit.relative,
                    "above_cut": hit.above,
                    "similarity": hit.similarity,
                    "margin": hit.margin,
                    "rival": hit.rival,
                    "copies": list(hit.copies),
                }
                for hit in self.hits
            ],
        }
