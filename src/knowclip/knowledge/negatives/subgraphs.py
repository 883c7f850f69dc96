"""Parts of a caption's scene graph as texts of their own (MosaiCLIP).

After Singh et al., "Coarse-to-Fine Contrastive Learning in Image-Text-Graph Space" (EMNLP 2023, arXiv
2305.13812): sub-graphs of a caption's graph, written out, are further positives of its image, and edited ones
negatives. As we understand the paper; which sub-graphs there are, and how they are worded, is ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from knowclip.knowledge.negatives.affirmations import is_denied
from knowclip.knowledge.negatives.articles import article
from knowclip.knowledge.negatives.caption_editing import inflected, plural, third_person
from knowclip.knowledge.negatives.mentions import Layout
from knowclip.knowledge.negatives.replacements import stated_words
from knowclip.knowledge.negatives.swaps import dimension_of
from knowclip.knowledge.words import lexicon
from knowclip.knowledge.words.exclusions import UNCOUNTED
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject

KINDS = ("object", "attribute", "pair", "relation")
"""What a sub-graph holds: an object; it and an attribute; two of these, of one dimension; a relation."""
_OPENS = lexicon.DETERMINERS | lexicon.POSSESSIVES | frozenset(lexicon.COUNTS)
_MAX_PAIRS = 16
"""Pairs of attributes of one caption: they grow as the square."""


@dataclass(frozen=True)
class Phrase:
    """An object, maybe with an attribute, as it is named by itself: "a dog", "dogs", "snow", "a red dog".

    ``has_article`` says whether it has one; ``excludes``, whether no other value of the attribute's dimension
    can be true of it.
    """

    name: str
    is_plural: bool = False
    has_article: bool = True
    attribute: str | None = None
    excludes: bool = False

    @cached_property
    def text(self) -> str:
        """Its words."""
        many = self.is_plural and self.name not in lexicon.PLURAL_NOUNS
        words = f"{self.attribute or ''} {plural(self.name) if many else self.name}".strip()
        counted = self.has_article and not self.is_plural and self.attribute not in lexicon.COUNTS
        return f"{article(words)} {words}" if counted else words


@dataclass(frozen=True)
class Stated:
    """A relation behind its subject: its name ("chase", "sit on") and the words that state it there."""

    name: str
    verb: str
    preposition: str
    words: str


@dataclass(frozen=True)
class Subgraph:
    """One or two phrases, and a relation between two."""

    kind: str
    phrases: tuple[Phrase, ...]
    relation: Stated | None = None

    @cached_property
    def text(self) -> str:
        """Its words."""
        return f" {self.relation.words if self.relation else 'and'} ".join(p.text for p in self.phrases)

    @cached_property
    def graph(self) -> SceneGraph:
        """What it claims."""
        return SceneGraph(
            tuple(SceneObject(phrase.name) for phrase in self.phrases),
            tuple(Attribute(i, p.attribute) for i, p in enumerate(self.phrases) if p.attribute),
            (Relation(0, self.relation.name, 1),) if self.relation else (),
        )


def subgraphs(caption: str, graph: SceneGraph, *, kinds: Collection[str] = KINDS) -> list[Subgraph]:
    """Write out the sub-graphs of a caption, each text once, in the order of :data:`KINDS`.

    "a dog", "a red dog", "a red dog and a blue cat", "a dog chasing a cat". What the caption denies, or does
    not name in words of its own, has none.

    Args:
        caption: The caption.
        graph: Its scene graph.
        kinds: Of :data:`KINDS`.
    """
    found = _Reader(Layout(caption, graph)).all()
    return list({one.text: one for one in found if one.kind in kinds}.values())


class _Reader:
    """Reads the sub-graphs of one caption."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._things = [self._thing(item) for item in range(len(layout.names))]
        spoken = [(a.object, dimension_of(a.name.lower())[0]) for a in layout.graph.attributes]
        self._values = Counter(spoken)

    def all(self) -> Iterator[Subgraph]:
        """One after the other, the smallest first."""
        yield from (Subgraph("object", (thing,)) for thing in self._things if thing is not None)
        described = [phrase for a in self._layout.graph.attributes if (phrase := self._described(a))]
        yield from (Subgraph("attribute", (phrase,)) for phrase in described)
        pairs = [pair for pair in combinations(described, 2) if _may_exchange(*pair)]
        yield from (Subgraph("pair", pair) for pair in pairs[:_MAX_PAIRS])
        for relation in self._layout.graph.relations:
            subject, item = self._things[relation.subject], self._things[relation.object]
            stated = self._stated(relation)
            if subject and item and stated and subject.name != item.name:
                yield Subgraph("relation", (subject, item), stated)

    def _thing(self, item: int) -> Phrase | None:
        """An object by itself; None where its words are not its own, or denied."""
        layout, mentions, name = self._layout, self._layout.mentions[item], self._layout.names[item]
        if not mentions or is_denied(layout, mentions[0]) or layout.is_bound(item, mentions[0]):
            return None
        opened = layout.starts_with(layout.phrase(item, mentions[0]), _OPENS)
        return Phrase(name, layout.is_plural(item, mentions[0]), opened and name not in UNCOUNTED)

    def _described(self, attribute: Attribute) -> Phrase | None:
        """An object with an attribute that can stand before it: its words are whole, and not denied."""
        layout, span, name = self._layout, attribute.span, attribute.name.lower()
        thing = self._things[attribute.object]
        if thing is None or span is None or name in lexicon.VAGUE or is_denied(layout, span):
            return None
        if layout.caption[slice(*span)].lower() != name or not layout.stands_alone(span):
            return None
        dimension, _ = dimension_of(name)
        alone = bool(dimension) and self._values[attribute.object, dimension] == 1
        excludes = alone and not (dimension == "colour" and layout.is_complexion(attribute))
        return Phrase(thing.name, thing.is_plural, thing.has_article, name, excludes)

    def _stated(self, relation: Relation) -> Stated | None:
        """A relation in words: "chasing", "sitting on", "covered with", "next to"; None where it has none."""
        layout, name = self._layout, relation.name.lower()
        if relation.span is None or is_denied(layout, relation.span):
            return None
        verb, rest, tokens = stated_words(layout, name, relation.span)
        if not verb:
            return Stated(name, "", rest, rest) if rest else None
        if verb == "have" and not rest:
            return Stated(name, "", "with", "with")
        said = layout.caption[slice(*tokens[0])].lower()
        kept = rest and said not in (verb, third_person(verb))  # "covered with"
        form = said if kept else inflected(verb, like="being", lemma="be")
        return Stated(name, verb, rest, f"{form} {rest}".strip()) if form else None


def _may_exchange(one: Phrase, other: Phrase) -> bool:
    """Whether two phrases of different objects say different values of one dimension."""
    if one.name == other.name or not (one.excludes and other.excludes):
        return False
    (dimension, value), (another, different) = (dimension_of(p.attribute or "") for p in (one, other))
    return dimension == another and value != different
