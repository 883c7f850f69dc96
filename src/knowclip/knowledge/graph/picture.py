"""Pictures of a graph: the neighbourhood of an entity, the distribution of degrees."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.statistics import degrees, label, strongest
from knowclip.storage.atomic import atomic_file
from knowclip.storage.pixels import load_pixels
from knowclip.types import ImageRef

THUMBNAIL = 72


def draw_neighbourhood(
    graph: KnowledgeGraph,
    entity: int,
    path: Path,
    *,
    limit: int = 16,
    shows: Callable[[Path], bool] = lambda image: True,
) -> None:
    """Draw ``entity`` amid its heaviest triplets, into a ``.png`` or ``.svg``.

    An entity with an image is drawn as that, if ``shows`` is true of its path.
    """
    triplets = strongest(graph, entity, limit=limit)
    others = list(dict.fromkeys(end for h, _, t in triplets for end in (h, t) if end != entity))
    angles = [2 * math.pi * index / max(len(others), 1) for index in range(len(others))]
    places = {other: (math.cos(angle), math.sin(angle)) for other, angle in zip(others, angles, strict=True)}
    places[entity] = (0.0, 0.0)
    figure, axes = _figure(9, 9)
    said: dict[int, list[str]] = {}
    for head, relation, tail in triplets:
        axes.annotate(
            "",
            places[tail],
            places[head],
            arrowprops={"arrowstyle": "->", "color": "0.6", "shrinkA": 24, "shrinkB": 24},
        )
        said.setdefault(tail if head == entity else head, []).append(
            str(graph.arrays.relation_text[relation])
        )
    for other, relations in said.items():
        _draw_relations(axes, relations, places[other])
    for other, place in places.items():
        _draw_entity(axes, graph, other, place, shows)
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3))
    axes.axis("off")
    _save(figure, path)


def draw_degrees(graph: KnowledgeGraph, path: Path) -> None:
    """Plot how many entities have how many triplets, both logarithmic, into a ``.png`` or ``.svg``."""
    counts = np.bincount(degrees(graph))
    degree = np.flatnonzero(counts)
    degree = degree[degree > 0]
    figure, axes = _figure(6, 4)
    axes.loglog(degree, counts[degree], ".", markersize=4)
    axes.set(xlabel="triplets of an entity", ylabel="entities", title=graph.path.name)
    _save(figure, path)


def _draw_relations(axes: Any, relations: list[str], place: tuple[float, float]) -> None:
    """Along their edge from the middle of the picture, so that those of edges side by side lie apart."""
    angle = math.degrees(math.atan2(place[1], place[0]))
    upright = angle - 180 * round(angle / 180)  # none stands on its head
    axes.text(
        0.55 * place[0],
        0.55 * place[1],
        "\n".join(dict.fromkeys(relations)),
        fontsize=8,
        ha="center",
        va="center",
        rotation=upright,
        color="tab:blue",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )


def _draw_entity(
    axes: Any,
    graph: KnowledgeGraph,
    entity: int,
    place: tuple[float, float],
    shows: Callable[[Path], bool],
) -> None:
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    images = graph.images(entity)
    thumbnail = _thumbnail(images[0]) if images and shows(images[0].path) else None
    if thumbnail is not None:
        axes.add_artist(AnnotationBbox(OffsetImage(thumbnail), place, pad=0.1))
        place = (place[0], place[1] - 0.15)
    text = "\n".join(textwrap.wrap(label(graph, entity), 22)[:3])
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "0.7"}
    axes.text(*place, text, fontsize=8, ha="center", va="center", bbox=box)


def _thumbnail(image: ImageRef) -> Any:
    """Pixels of the image or region, None where the file cannot be read."""
    try:
        picture = load_pixels(image)
    except ValueError:
        return None
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(picture)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="tight")
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in ("png", "svg", "pdf"):
        raise ValueError(f"{path}: pictures are written as .png, .svg or .pdf")
    with atomic_file(path) as target:
        figure.savefig(target, format=suffix, dpi=120)
