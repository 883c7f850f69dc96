"""Content hashes: equal keys mean the same text or the same scene graph, and mark a false negative."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TypeVar

from knowclip.knowledge.words.lexicon import INVERSE
from knowclip.types import SceneGraph

_NO_WORD = re.compile(r"[\W_]+")

T = TypeVar("T")
Claim = tuple[str, str, str]


def graph_key(caption: str, graph: SceneGraph | None) -> int:
    """Signed 64-bit hash of what a caption claims, stable across processes and machines.

    Of the scene graph where it has a relation or an attribute, so that captions that state one scene in other
    words ("A dog is chased by a cat." and "a cat chasing a dog") have one key; of :func:`normalised` text
    otherwise.

    Objects are told apart by one round of colour refinement: each is labelled by its name and attributes,
    then by the labels of its neighbours. Graphs that differ only further away from two objects of equal name,
    attributes and neighbours get one key: rare in captions, and safe (a negative is masked, never trained on
    wrongly).
    """
    if graph is None or not (graph.relations or graph.attributes):
        return stable_hash("text\n" + normalised(caption))
    objects, claims = canonical_claims(graph)
    lines = [*sorted(objects), "", *sorted("\t".join(claim) for claim in claims)]
    # "graph" and "text" before the content: a caption that reads like a graph has another key
    return stable_hash("graph\n" + "\n".join(lines))


def normalised(caption: str) -> str:
    """The words of a caption: case-folded, without punctuation, single spaces."""
    return _NO_WORD.sub(" ", caption.casefold()).strip()


def canonical_claims(graph: SceneGraph) -> tuple[list[str], list[Claim]]:
    """A label for each object, the same in every equal graph, and the relations between these labels."""
    attributes: list[set[str]] = [set() for _ in graph.objects]
    for attribute in graph.attributes:
        attributes[attribute.object].add(attribute.name.casefold())
    labels = [
        "|".join([item.name.casefold(), *sorted(own)])
        for item, own in zip(graph.objects, attributes, strict=True)
    ]
    edges = {canonical_relation(r.subject, r.name.casefold(), r.object) for r in graph.relations}
    names = [item.name.casefold() for item in graph.objects]
    if len(set(names)) < len(names):  # equal names: let the neighbours tell them apart
        neighbours: list[list[str]] = [[] for _ in labels]
        for subject, name, item in edges:
            neighbours[subject].append(f">{name}>{labels[item]}")
            neighbours[item].append(f"<{name}<{labels[subject]}")
        labels = [
            ";".join([label, *sorted(set(near))]) for label, near in zip(labels, neighbours, strict=True)
        ]
    return labels, [(labels[subject], name, labels[item]) for subject, name, item in edges]


def canonical_relation(subject: T, name: str, item: T) -> tuple[T, str, T]:
    """A relation with one of each pair of inverses: "a to the right of b" is "b to the left of a"."""
    if name in _INVERTED:
        return item, _INVERTED[name], subject
    return subject, name, item


_INVERTED = {inverse: name for name, inverse in INVERSE.items()}


def stable_hash(text: str) -> int:
    """Signed 64-bit hash of a text, the same in every process."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
