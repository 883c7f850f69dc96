"""What was computed -> the HTML of the page's tabs; pictures are inlined, so that no file is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowclip.evaluation.report.html_page import data_uri, picture_uri
from knowclip.serving.page.browsing import OUTCOMES, Sheet
from knowclip.serving.page.comparison import Reading, Scores, contributions, ranking
from knowclip.serving.page.graph_view import Neighbourhood
from knowclip.serving.page.scene_drawing import draw_scene
from knowclip.types import ImageRef, Span

if TYPE_CHECKING:
    from knowclip.search.found import Found

MISSING = "image missing"
CHANGED = "changed since it was indexed"
OUTSIDE = "outside the folders that pictures are shown from: start the page with --images FOLDER"
SHOWN = 12
"""Texts of a caption's ranking, at most; the caption is always among them."""


def comparison(readings: Sequence[Reading], scores: Mapping[str, Scores]) -> str:
    """Of each caption: scores, its graph, its rank among its negatives, what its triples add."""
    return _macro("comparison", [_told(reading, scores) for reading in readings], list(scores))


def _told(reading: Reading, scores: Mapping[str, Scores]) -> dict[str, Any]:
    rows = ranking(reading, scores)
    caption = next(row for row in rows if row.kind == "caption")
    shown = rows[:SHOWN] if caption in rows[:SHOWN] else [*rows[: SHOWN - 1], caption]
    above = max(0, rows.index(caption) - SHOWN + 1)
    added = contributions(reading, scores)
    gains = [abs(gain) for row in added for gain in row.gains.values() if gain is not None]
    return {
        "caption": reading.caption,
        "own": caption.scores,
        "ranks": caption.ranks,
        "drawing": draw_scene(reading.graph),
        "rows": [
            {
                "kind": row.kind,
                "scores": row.scores,
                "ranks": row.ranks,
                "parts": list(_parts(row.text, row.changed)),
            }
            for row in shown
        ],
        "of": len(rows),
        "left": len(rows) - len(shown),
        "above": above,
        "contributions": added,
        "widest": max(gains, default=0.0) or 1.0,
    }


def _parts(text: str, changed: Sequence[Span]) -> Iterator[tuple[str, bool]]:
    """Pieces of a text, and whether they were changed."""
    end = 0
    for start, stop in changed:
        yield text[end:start], False
        yield text[start:stop], True
        end = stop
    yield text[end:], False


def found_photos(found: Found, *, holds: Callable[[str], bool] = lambda path: True) -> str:
    """What a search gave, the best first, with the negative that each photo was held against.

    Args:
        found: By the index.
        holds: Whether a file is still the one that was indexed; of others no picture is shown.
    """
    from knowclip.search.found import DOUBT

    kee = ", read with the KEE" if found.knowledge else ""
    negatives = len(found.reading.negatives)
    ranked = (
        f"ranked by {DOUBT}: less where one of {negatives:,} false captions fits as well{kee}"
        if found.ranked_by == DOUBT
        else "ranked by similarity: there is nothing in the query to swap or replace"
    )
    explained = f"{len(found):,} of {found.photos:,} photos, {ranked}."
    hits = [
        (hit, _picture(ImageRef(Path(hit.path)), holds(hit.path), CHANGED), Path(hit.path).name)
        for hit in found
    ]
    return _macro("found", found, hits, explained)


def cases(sheet: Sheet, outcome: str, *, shows: Callable[[Path], bool] = lambda path: True) -> str:
    """A page of stored cases; pictures are shown of files that ``shows`` has."""
    shown = zip(sheet.cases, sheet.margins, strict=True)
    told = [(case, margins, _picture(case.image, shows(case.image.path), OUTSIDE)) for case, margins in shown]
    return _macro("sheet", sheet, told, OUTCOMES, outcome)


def _picture(image: ImageRef, allowed: bool, otherwise: str) -> tuple[str, str]:
    """A picture, inlined; or nothing, and why."""
    source = picture_uri(image) if allowed else ""
    return source, "" if source else otherwise if not allowed else MISSING


def entity(found: Neighbourhood) -> str:
    """An entity of a knowledge graph amid its heaviest triplets."""
    return _macro("neighbourhood", found, data_uri(found.picture))


def _macro(name: str, *arguments: object) -> str:
    return str(getattr(_views(), name)(*arguments))


@cache
def _views() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = files("knowclip.serving.page").joinpath("views.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(text).module
