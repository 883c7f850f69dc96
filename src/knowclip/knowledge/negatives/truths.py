"""What captions make true, as hashes: whether a short text is true of another image of a batch.

A text is true of an image that states all of its claims, in words of one meaning, of wider or of narrower
meaning: "an animal" of a picture of a dog, and "a labrador", which it may be.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import product

from knowclip.knowledge.content_hashes import canonical_relation, stable_hash
from knowclip.knowledge.negatives.falsity import Meaning, meanings_asked, meanings_said, value_of
from knowclip.types import SceneGraph


def claim_keys(graph: SceneGraph) -> tuple[int, ...]:
    """A hash of each claim of a small graph: its relations, its attributes, and objects that have neither."""
    names = [item.name.lower() for item in graph.objects]
    spoken = {a.object for a in graph.attributes}
    spoken |= {end for r in graph.relations for end in (r.subject, r.object)}
    keys = [_key(name) for index, name in enumerate(names) if index not in spoken]
    keys += [_key(names[a.object], "is", value_of(a.name.lower())) for a in graph.attributes]
    related = ((names[r.subject], r.name.lower(), names[r.object]) for r in graph.relations)
    return tuple(keys + [_key(*canonical_relation(*one)) for one in related])


class Truths:
    """Finds what graphs make true, among the claims that texts of a vocabulary can make.

    Args:
        nouns: All names of objects in these texts.
    """

    def __init__(self, nouns: Iterable[str]) -> None:
        self._asked: dict[Meaning, list[str]] = {}
        for noun in sorted(set(nouns)):
            for meaning in meanings_asked(noun):
                self._asked.setdefault(meaning, []).append(noun)
        self._related: dict[str, tuple[str, ...]] = {}

    def related(self, noun: str) -> tuple[str, ...]:
        """The noun, and those of the vocabulary that may be said of what it names."""
        if noun not in self._related:
            found = {other for meaning in meanings_said(noun) for other in self._asked.get(meaning, ())}
            self._related[noun] = tuple(sorted(found | {noun}))
        return self._related[noun]

    def keys(self, graphs: Iterable[SceneGraph]) -> set[int]:
        """Hashes as :func:`claim_keys` gives them, of all that the graphs make true."""
        keys: set[int] = set()
        for graph in graphs:
            names = [self.related(item.name.lower()) for item in graph.objects]
            keys.update(_key(name) for several in names for name in several)
            for a in graph.attributes:
                value = value_of(a.name.lower())
                keys.update(_key(name, "is", value) for name in names[a.object])
            for r in graph.relations:
                ends = product(names[r.subject], names[r.object])
                keys.update(_key(*canonical_relation(one, r.name.lower(), other)) for one, other in ends)
        return keys


@lru_cache(maxsize=1 << 18)
def _key(*claim: str) -> int:
    return stable_hash("claim\n" + "\t".join(claim))
