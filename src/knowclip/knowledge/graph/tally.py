"""What became of every record that a graph was made of: counts that add up to what was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from knowclip.console.counts import read_line

SELF_LOOP = "head equals tail"
"""Why a triplet (x, r, x) is left out, whatever it comes from: it teaches to answer with the query."""


@dataclass(frozen=True, slots=True)
class Tally:
    """``read`` = ``kept`` + ``merged`` + ``described`` + what was ``skipped``.

    A record is what states one triplet, or what was malformed as a whole.

    Args:
        read: Records taken from the files or graphs.
        kept: Triplets written.
        merged: Triplets equal to one that is kept, which has the largest weight of them.
        described: Records that describe an entity or an image and state no triplet.
        skipped: Reason -> records left out.
        first: Reason -> where the first malformed record of it stands.
    """

    read: int
    kept: int
    merged: int = 0
    described: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    first: Mapping[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For people: the sum in one line, then where the first malformed record of each reason stands."""
        skipped = dict(sorted(self.skipped.items(), key=lambda item: (-item[1], item[0])))
        whole = read_line(self.kept, skipped, merged=self.merged, described=self.described, what="records")
        return [
            whole,
            *(f"  the first {reason}: {self.first[reason]}" for reason in skipped if reason in self.first),
        ]

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)
