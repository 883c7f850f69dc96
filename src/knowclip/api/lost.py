"""What a run does not learn from: said from Python as by the command, and kept in the run's folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from knowclip.console.counts import counted, named, read_line, some, there_are
from knowclip.storage.atomic import atomic_file

if TYPE_CHECKING:
    from rich.console import Console

    from knowclip.build.pairs import Pairs
    from knowclip.training.checkpoint import Position

UNREADABLE_FILE = "unreadable.json"


def pairs_told(pairs: Pairs) -> list[str]:
    """What was read and what of it is left out, in lines for a person; the counts add up."""
    from knowclip.data.captions.read import repeated

    kept = [*pairs.train, *pairs.val]
    lines = [
        read_line(len(kept), pairs.skipped, repeated=repeated(kept)),
        *named([*pairs.unreadable.values()]),
    ]
    if pairs.overlap:
        told = f"{there_are(len(pairs.overlap), 'validation image')} in training too (data.max_overlap)"
        lines.append(f"{told}: {some(pairs.overlap)}")
    if pairs.alike:
        lines.append(f"{counted(pairs.alike, 'negative')} left out: the model reads their caption in them")
    return lines


def tell_lost(console: Console, pairs: Pairs, position: Position, run: Path) -> None:
    """Say at the end what the run did not learn from: skipped steps, unreadable images."""
    if position.nonfinite:
        console.print(
            f"{counted(position.nonfinite, 'step')} of {position.step:,} skipped: loss or gradient was not "
            f"finite; {run / 'log.jsonl'} names their examples",
        )
    tell_unreadable(console, pairs, position.unreadable, run)


def tell_unreadable(console: Console, pairs: Pairs, met: Mapping[str, str], run: Path) -> None:
    """Say once more what was read, less what training could not: the count that it began with goes on."""
    from knowclip.data.captions.read import UNREADABLE
    from knowclip.data.formats.pairs import MISSING
    from knowclip.data.images.decoding import image_name

    lost_images = {**pairs.unreadable, **met}
    if not lost_images or console.quiet:
        return
    lost = sum(image_name(example.image) in met for example in pairs.train)
    skipped = +(pairs.skipped + Counter({UNREADABLE: lost}))
    used = len(pairs.train) + len(pairs.val) - lost
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in skipped.items())
    why = reasons if len(skipped) > 1 else "".join(skipped)
    left_out = f" + {skipped.total():,} skipped ({why})" if skipped else ""
    what = "missing or unreadable" if skipped[MISSING] else "unreadable"
    file = run / UNREADABLE_FILE
    with atomic_file(file) as partial:
        partial.write_text(json.dumps(lost_images, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(
        f"{used + skipped.total():,} pairs = {used:,} used{left_out}; "
        f"{counted(len(lost_images), f'{what} image')} in all: {file}",
    )
