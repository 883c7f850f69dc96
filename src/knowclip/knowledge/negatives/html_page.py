"""A page of negatives to browse: captions, what was changed in them, by kind."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from random import Random

from knowclip.knowledge.records import NegativeRecord
from knowclip.storage.atomic import atomic_file
from knowclip.types import Negative

SHOWN = 200
"""Negatives of each kind on the page, at most; a fair sample."""

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Hard negatives</title>
<meta name="viewport" content="width=device-width"><style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}
mark{background:#ffd54f;color:#000;border-radius:3px;padding:0 2px}td{vertical-align:top;padding:.3rem .6rem}
tr:nth-child(even){background:#8881}table{border-collapse:collapse;width:100%}nav a{margin-right:1rem}
</style><h1>Hard negatives</h1>"""


def write_page(path: Path, records: Iterable[NegativeRecord], *, seed: int = 0) -> None:
    """Write one self-contained page with up to :data:`SHOWN` negatives of each kind, drawn by ``seed``."""
    draw = Random(seed)
    samples: dict[str, list[NegativeRecord]] = {}
    counts: dict[str, int] = {}
    for record in records:  # reservoir sampling: the file may be longer than memory
        kind = record.negative.kind
        counts[kind] = counts.get(kind, 0) + 1
        sample = samples.setdefault(kind, [])
        place = draw.randrange(counts[kind])
        if len(sample) < SHOWN:
            sample.append(record)
        elif place < SHOWN:
            sample[place] = record
    links = "".join(
        f'<a href="#{escape(kind)}">{escape(kind)} ({_shown(len(samples[kind]), count)})</a>'
        for kind, count in counts.items()
    )
    parts = [_HEAD, f"<nav>{links}</nav>"]
    for kind, sample in samples.items():
        parts += [f'<h2 id="{escape(kind)}">{escape(kind)} ({_shown(len(sample), counts[kind])})</h2><table>']
        parts += [*map(_row, sample), "</table>"]
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8", errors="replace")


def _shown(rows: int, count: int) -> str:
    """How many stand on the page, of how many."""
    return f"{count:,}" if rows == count else f"{rows:,} of {count:,}"


def _row(record: NegativeRecord) -> str:
    return f"<tr><td>{escape(record.caption)}<td>{_marked(record.negative)}"


def _marked(negative: Negative) -> str:
    """The text with the changed spans marked."""
    text, end, parts = negative.caption, 0, []
    for start, stop in negative.changed:
        parts += [escape(text[end:start]), "<mark>", escape(text[start:stop]), "</mark>"]
        end = stop
    return "".join((*parts, escape(text[end:])))
