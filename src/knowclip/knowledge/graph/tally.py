"""What became of every record that a graph was made of: counts that add up to what was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

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
        """For people: the sum in one line, then a line for every reason."""
        parts = [f"{self.kept:,} kept", f"{self.merged:,} merged into equal ones"]
        if self.described:
            parts.append(f"{self.described:,} describing entities or images")
        parts.append(f"{sum(self.skipped.values()):,} left out")
        where = {reason: f" (first: {place})" for reason, place in self.first.items()}
        left_out = sorted(self.skipped.items(), key=lambda item: (-item[1], item[0]))
        return [
            f"read {self.read:,} records = {' + '.join(parts)}",
            *(f"  left out {count:,}: {reason}{where.get(reason, '')}" for reason, count in left_out),
        ]

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)
