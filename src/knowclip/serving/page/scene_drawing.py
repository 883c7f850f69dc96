"""A scene graph as an SVG: objects in a row, relations as arcs above them, attributes beneath.

It stands in the page itself, so its colours are the page's (``currentColor``), in the light and in the dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from knowclip.types import SceneGraph

LETTER = 7.6
"""Width of a letter in pixels, on the safe side."""
BOX, PILL, GAP, MARGIN = 30, 22, 26, 12
"""Height of an object and of an attribute, space between two objects, space around all."""
ARC = 30
"""Height that each further arc over the same objects takes."""


def draw_scene(graph: SceneGraph) -> str:
    """``<svg>`` of a graph; a sentence where it has no object.

    Equal graphs give equal drawings. What it shows is said in its ``<title>`` too, for screen readers.
    """
    if not graph.objects:
        return "<p>No object was found in this caption.</p>"
    attributes: list[list[str]] = [[] for _ in graph.objects]
    for attribute in graph.attributes:
        attributes[attribute.object].append(attribute.name)
    widths = [
        max(_width(text) for text in (item.name, *own))
        for item, own in zip(graph.objects, attributes, strict=True)
    ]
    widths = _spread(widths, graph)
    lefts = [MARGIN + sum(widths[:i]) + GAP * i for i in range(len(widths))]
    middles = [left + width / 2 for left, width in zip(lefts, widths, strict=True)]
    levels = _levels([(r.subject, r.object) for r in graph.relations])
    top = MARGIN + ARC * (max(levels, default=0) + 0.6 if levels else 0)
    height = top + BOX + max(map(len, attributes)) * (PILL + 6) + MARGIN
    parts = [
        _arc(middles, top, level, relation.name, relation.subject, relation.object)
        for level, relation in zip(levels, graph.relations, strict=True)
    ]
    for middle, width, item, own in zip(middles, widths, graph.objects, attributes, strict=True):
        parts.append(_box(middle, top, width, BOX, item.name, "object"))
        parts += [
            _box(middle, top + BOX + 6 + place * (PILL + 6), _width(text), PILL, text, "attribute")
            for place, text in enumerate(own)
        ]
    width = lefts[-1] + widths[-1] + MARGIN
    return (
        f'<svg class="scene" role="img" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}"><title>{escape(_said(graph))}</title>{"".join(parts)}</svg>'
    )


def _width(text: str) -> float:
    return LETTER * len(text) + 22


def _spread(widths: Sequence[float], graph: SceneGraph) -> list[float]:
    """Widths at which the names of relations between neighbours fit above the gap."""
    widths = list(widths)
    for relation in graph.relations:
        first, last = sorted((relation.subject, relation.object))
        if last == first + 1:
            room = (widths[first] + widths[last]) / 2 + GAP
            lack = max(0.0, LETTER * len(relation.name) + 16 - room)
            widths[first] += lack
            widths[last] += lack
    return widths


def _levels(ends: Sequence[tuple[int, int]]) -> list[int]:
    """Height of each arc, from 1: the lowest where it meets no arc over the same objects."""
    levels: dict[int, int] = {}
    taken: list[tuple[int, int, int]] = []
    for place in sorted(range(len(ends)), key=lambda i: (abs(ends[i][0] - ends[i][1]), i)):
        first, last = sorted(ends[place])
        last = max(last, first + 1)
        level = 1
        while any(level == other and first < end and start < last for start, end, other in taken):
            level += 1
        taken.append((first, last, level))
        levels[place] = level
    return [levels[place] for place in range(len(ends))]


def _arc(middles: Sequence[float], top: float, level: int, name: str, subject: int, object_: int) -> str:
    start, end = middles[subject], middles[object_]
    if subject == object_:
        end = start + 24
    start, end = (start + 8, end - 8) if start < end else (start - 8, end + 8)
    y, middle = top - ARC * level + 8, (start + end) / 2
    way = 1 if end > start else -1
    path = f"M{start:.0f},{top:.0f} V{y + 8:.0f} Q{start:.0f},{y:.0f} {start + way * 8:.0f},{y:.0f} "
    path += f"H{end - way * 8:.0f} Q{end:.0f},{y:.0f} {end:.0f},{y + 8:.0f} V{top - 2:.0f}"
    head = f"M{end - 4:.0f},{top - 8:.0f} L{end:.0f},{top - 1:.0f} L{end + 4:.0f},{top - 8:.0f}"
    return (
        f'<path class="arc" d="{path}"/><path class="arc" d="{head}"/>'
        f'<text class="relation" x="{middle:.0f}" y="{y + 4:.0f}">{escape(name)}</text>'
    )


def _box(middle: float, top: float, width: float, height: float, text: str, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{middle - width / 2:.0f}" y="{top:.0f}" width="{width:.0f}" '
        f'height="{height}" rx="{height / 2 if kind == "attribute" else 6:.0f}"/>'
        f'<text class="{kind}" x="{middle:.0f}" y="{top + height / 2 + 4.5:.0f}">{escape(text)}</text>'
    )


def _said(graph: SceneGraph) -> str:
    names = [item.name for item in graph.objects]
    told = [f"{names[r.subject]} {r.name} {names[r.object]}" for r in graph.relations]
    told += [f"{names[a.object]} is {a.name}" for a in graph.attributes]
    return "; ".join(told) or ", ".join(names)
