"""One wording of counts that add up, for every command, benchmark and task."""

from __future__ import annotations

from collections.abc import Mapping

TOLERATED_SHARE = 0.01
"""Share of records or images that may be broken or missing before a command stops."""


def read_line(
    kept: int,
    skipped: Mapping[str, int],
    *,
    merged: int = 0,
    described: int = 0,
    repeated: int = 0,
    what: str = "captions",
) -> str:
    """The line every command that reads records ends with: read = kept + merged + skipped, by reason.

    Args:
        kept: Records that are used.
        skipped: Reason to number of those that are not.
        merged: Records that became one with another.
        described: Records of a graph's source that describe an entity or an image and state no triplet.
        repeated: How many of the kept ones say again what another said.
        what: Is read.
    """
    parts = [f"{kept:,} kept"]
    if repeated:
        parts[0] += f" ({repeated:,} of them repeat another of their image)"
    if merged:
        parts.append(f"{merged:,} merged")
    if described:
        parts.append(f"{described:,} describing entities or images")
    if total := sum(skipped.values()):
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in skipped.items() if count)
        parts.append(f"{total:,} skipped ({reasons})")
    return f"{kept + merged + described + total:,} {what} read = {' + '.join(parts)}"
