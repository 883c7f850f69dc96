"""Which images cannot be read, and whether they are so many that it is no bad luck; without torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from knowclip.storage.pixels import check_pixels
from knowclip.types import ImageRef


def unreadable_images(
    refs: Iterable[ImageRef], *, progress: Callable[[int, int], None] | None = None
) -> dict[ImageRef, str]:
    """Decode every distinct image, small where the format allows it; give those that fail, and why."""
    distinct = list(dict.fromkeys(refs))
    found = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, (ref, reason) in enumerate(zip(distinct, pool.map(_reason, distinct), strict=True), 1):
            if reason is not None:
                found[ref] = reason
            if progress is not None:
                progress(done, len(distinct))
    return found


def _reason(ref: ImageRef) -> str | None:
    try:
        check_pixels(ref)
    except ValueError as error:
        return str(error)
    return None


def refuse_many(
    unreadable: Sequence[str],
    total: int,
    *,
    tolerated: float,
    what: str = "images",
    of: int | None = None,
    way: str = "raise data.max_unreadable",
) -> None:
    """Raise ValueError if so many of ``total`` images cannot be read that it is no bad luck.

    Args:
        unreadable: Why each of them cannot be.
        total: Images that were looked at.
        tolerated: Share that may be unreadable: ``data.max_unreadable`` of a recipe.
        what: They are.
        of: Images that the share is of, where more were read than looked at: one rule for all parts of them.
        way: To go on with so many.
    """
    if len(unreadable) > tolerated * (of or total):
        first = "; ".join(unreadable[:3])
        read = f" of the {of:,} that were read" if of not in (None, total) else ""
        raise ValueError(
            f"{len(unreadable):,} of {total:,} {what} are unreadable, more than {100 * tolerated:g}%{read}: "
            f"{first}. Repair the files, leave them out of the captions, or {way}"
        )
