"""Questions from annotated images (Visual Genome's format): the graph says who has what, a template says it.

The texts are ARO's (Yuksekgonul et al., ICLR 2023): "the red horse and the blue dog", "the astronaut is
riding the horse". Unlike ARO's, every picture is whole, as users' pictures are, and only objects
whose name no other object of the image bears are asked about: of two horses nobody knows which one is meant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

from knowclip.evaluation.diagnosis.questions import Kind, Question, about_attributes, about_roles
from knowclip.knowledge.negatives.swaps import dimension_of
from knowclip.knowledge.readers.json_stream import find_file
from knowclip.knowledge.words import lexicon
from knowclip.types import ImageRef, SceneGraph

SEVERAL = "object whose name another object of the image bears"
MOST_AN_IMAGE = 8
"""Questions of one kind about one image: pairs of attributes grow as the square."""


def is_annotated(folder: Path) -> bool:
    """Whether Visual Genome's ``attributes`` and ``relationships`` lie in the folder."""
    return folder.is_dir() and all(find_file(folder, name) for name in ("attributes", "relationships"))


def questions_of_graphs(
    graphs: Mapping[str, SceneGraph], images: Mapping[str, ImageRef]
) -> tuple[dict[Kind, list[Question]], Counter[str]]:
    """Questions about images by id, by kind; and what was left out, by reason.

    Args:
        graphs: of images by their id.
        images: their files; a graph whose image is not there is left out, and counted.
    """
    found: dict[Kind, list[Question]] = {"attributes": [], "roles": []}
    skipped: Counter[str] = Counter()
    for image_id, graph in graphs.items():
        if image_id not in images:
            skipped["image not found"] += 1
            continue
        names = Counter(item.name for item in graph.objects)
        alone = {number for number, item in enumerate(graph.objects) if names[item.name] == 1}
        skipped[SEVERAL] += len(graph.objects) - len(alone)
        found["attributes"] += list(_attributes(graph, alone, images[image_id], image_id))[:MOST_AN_IMAGE]
        found["roles"] += list(_roles(graph, alone, images[image_id], image_id))[:MOST_AN_IMAGE]
    return found, +skipped


def _attributes(graph: SceneGraph, alone: set[int], image: ImageRef, image_id: str) -> Iterable[Question]:
    """Two objects with one value each of one dimension (colour, size, material...), which differ."""
    values: dict[tuple[str, int], list[str]] = {}
    for attribute in graph.attributes:
        dimension, _ = dimension_of(attribute.name)
        if dimension and attribute.object in alone:
            values.setdefault((dimension, attribute.object), []).append(attribute.name)
    single = sorted((place, told[0]) for place, told in values.items() if len(told) == 1)
    for ((dimension, one), first), ((again, other), second) in combinations(single, 2):
        if dimension != again or dimension_of(first)[1] == dimension_of(second)[1]:
            continue
        nouns = (graph.objects[one].name, graph.objects[other].name)
        texts = _pair_text(nouns, (first, second)), _pair_text(nouns, (second, first))
        key = f"{image_id}/{one}-{other} {dimension}"
        yield about_attributes(key, image, image_id, texts, nouns, (first, second))


def _pair_text(nouns: tuple[str, str], values: tuple[str, str]) -> str:
    """Both in the order of their names, so that the order says nothing."""
    (one, first), (other, second) = sorted(zip(nouns, values, strict=True))
    return f"the {first} {one} and the {second} {other}"


def _roles(graph: SceneGraph, alone: set[int], image: ImageRef, image_id: str) -> Iterable[Question]:
    """Relations of two objects that are not symmetric, nor said of the two both ways."""
    stated = {(r.subject, r.name, r.object) for r in graph.relations}
    for number, relation in enumerate(graph.relations):
        subject, name, item = relation.subject, relation.name, relation.object
        if not {subject, item} <= alone or name in lexicon.SYMMETRIC or (item, name, subject) in stated:
            continue
        nouns = (graph.objects[subject].name, graph.objects[item].name)
        texts = (f"the {nouns[0]} is {name} the {nouns[1]}", f"the {nouns[1]} is {name} the {nouns[0]}")
        yield about_roles(f"{image_id}/{number} {name}", image, image_id, texts, nouns, name)
