"""One wording of counts that add up, for every command, benchmark and task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

TOLERATED_SHARE = 0.01
"""Share of records or images that may be broken or missing before a command stops."""


NAMED = 20
"""Images left out that are named on the screen."""


def named(reasons: Sequence[str], *, ahead: str = "skipped") -> list[str]:
    """A line for each of the first ``NAMED`` things that are left out, and how many more there are."""
    more = len(reasons) - NAMED
    return [f"{ahead}: {reason}" for reason in reasons[:NAMED]] + ([f"and {more:,} more"] if more > 0 else [])


def some(names: Sequence[object], *, most: int = 3) -> str:
    """``a.jpg, b.jpg, c.jpg, ...``: the first of them, and whether there are more."""
    return ", ".join([*map(str, names[:most]), *(["..."] if len(names) > most else [])])


def listed(names: Iterable[object]) -> str:
    """``'image', ' caption'``: all of them, as they are to be typed; ``none`` where there is none."""
    return ", ".join(map(repr, names)) or "none"


def by_reason(counts: Mapping[str, int]) -> str:
    """``empty caption: 3, file without an image: 1``: reasons that there are, and how often."""
    return ", ".join(f"{reason}: {count:,}" for reason, count in counts.items() if count)


def counted(number: int, noun: str) -> str:
    """``1 image``, ``2,000 images``: a noun whose plural ends in s."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def amount(number: int, plural: str) -> str:
    """``1 entity``, ``2,000 entities``: a noun by its plural, in s or ies."""
    one = plural.removesuffix("ies") + "y" if plural.endswith("ies") else plural.removesuffix("s")
    return f"{number:,} {plural if number != 1 else one}"


def there_are(number: int, noun: str) -> str:
    """``1 image is``, ``2,000 images are``."""
    return f"{counted(number, noun)} {'is' if number == 1 else 'are'}"


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
        parts.append(f"{total:,} skipped ({by_reason(skipped)})")
    return f"{amount(kept + merged + described + total, what)} read = {' + '.join(parts)}"


def read_lines(
    kept: int,
    skipped: Mapping[str, int],
    left_out: Iterable[str],
    *,
    repeated: int = 0,
    what: str = "captions",
) -> list[str]:
    """The end of every command that reads captioned images: those left out by name, and :func:`read_line`.

    Args:
        kept: As :func:`read_line` has it, as are ``skipped``, ``repeated`` and ``what``.
        skipped: Those whose image is left out among them.
        left_out: Why each image is: not there, or not to be read.
        repeated: Of the kept.
        what: Is read.
    """
    return [*named([*left_out]), read_line(kept, skipped, repeated=repeated, what=what)]
