"""Swaps that make a caption false (S2): two objects of a relation, or two attributes, change places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple, TypeVar

from knowclip.knowledge.content_hashes import canonical_relation
from knowclip.knowledge.negatives.agreement import Place, agreeing_edits
from knowclip.knowledge.negatives.caption_editing import Edit, moved
from knowclip.knowledge.negatives.mentions import Layout
from knowclip.knowledge.words import exclusions as sorts
from knowclip.knowledge.words import lexicon
from knowclip.knowledge.words.alternatives import adjective_clusters
from knowclip.types import Attribute, Relation, SceneGraph, Span

T = TypeVar("T")

_MAX_GROUP = 64
"""Attributes of one dimension that are paired with each other: pairs grow as the square."""

_GOES_ON = lexicon.PREPOSITIONS | {"to"}
_REPLACED = lexicon.ARTICLES | lexicon.POSSESSIVES
_JOINS = frozenset("and or but while as then when whilst & yet".split())
_RELATIVE = frozenset("who which that".split())


class Candidate(NamedTuple):
    """Edits that should make a caption false; the graph of the result, with the spans of the old text.

    The graph is None where nobody knows what the result claims; ``affirms`` says that the edits take back a
    denial of the caption.
    """

    kind: str
    edits: tuple[Edit, ...]
    graph: SceneGraph | None
    affirms: bool = False


def relation_swaps(layout: Layout) -> Iterator[Candidate]:
    """``(o1, r, o2) -> (o2, r, o1)``: the two whole noun phrases change places.

    Modifiers move with their noun, so that attributes stay true and only the relation becomes false.
    """
    names, relations = layout.names, layout.graph.relations
    stated = [canonical_relation(names[r.subject], r.name.lower(), names[r.object]) for r in relations]
    times, together = _times(stated), _times(relation.span for relation in relations)
    for relation, statement in zip(relations, stated, strict=True):
        subject, name, item = names[relation.subject], relation.name.lower(), names[relation.object]
        if not is_turned(name) or is_no_thing(subject) or is_no_thing(item):
            continue
        if _head(subject) == _head(item) or together[relation.span] > 1:
            continue  # the second: "wearing shorts and a shirt", of which one would stay behind
        if times[statement] > 1 or canonical_relation(item, name, subject) in times:
            continue
        ends = layout.ends(relation)
        candidate = _swap_phrases(layout, relation, *ends) if ends else None
        if candidate is not None:
            yield candidate


def _times(items: Iterable[T]) -> dict[T, int]:
    """How often each occurs; a ``Counter`` takes longer to make than to fill with those of a caption."""
    found: dict[T, int] = {}
    for item in items:
        found[item] = found.get(item, 0) + 1
    return found


@lru_cache(maxsize=1 << 16)
def is_no_thing(name: str) -> bool:
    """Whether what is called an object does nothing and has nothing done to it: "green", "winter", "side"."""
    first, last = name.split()[:1], name.split()[-1:]
    return any(w in lexicon.COLOURS for w in first) or any(w in sorts.SETTINGS for w in last)


@lru_cache(maxsize=1 << 16)
def _head(name: str) -> list[str]:
    return name.split()[-1:]


@lru_cache(maxsize=1 << 16)
def is_turned(name: str) -> bool:
    """Whether a relation says something else with its ends exchanged, and something that may be."""
    if name in lexicon.NOT_SWAPPED or name.rpartition(" ")[2] in ("during", "without", "as"):
        return False
    words = name.split()
    return not any(" ".join(words[first:]) in lexicon.SYMMETRIC for first in range(len(words)))


def _swap_phrases(layout: Layout, relation: Relation, subject: Span, item: Span) -> Candidate | None:
    first, second = sorted((subject, item))
    named = {subject: relation.subject, item: relation.object}
    start, end = relation.span or first
    limit = start if start >= first[1] else second[0]
    left = layout.full_phrase(named[first], first, limit=limit)
    right = layout.full_phrase(named[second], second, limit=len(layout.caption))
    if any(map(layout.is_cut, (left, right))) or any(map(layout.may_be_verb, (first, second))):
        return None
    plural = [layout.is_plural(named[mention], mention) for mention in (first, second)]
    if layout.word_at(start).endswith("ing") and right == second and not plural[1]:
        return None  # "people playing hockey" are "hockey playing people"
    if layout.breaks_coordination(left, named[first]) or layout.breaks_coordination(right, named[second]):
        return None
    if _leaves_half(layout, left, first, subject=left[1] <= start) or _leaves_half(
        layout, right, second, subject=right[1] <= start
    ):
        return None
    kept = (right[0], right[0])
    if layout.starts_with(left, lexicon.POSSESSIVES) or layout.starts_with(right, lexicon.POSSESSIVES):
        # "a girl holding her doll" -> "a doll holding her girl": the determiners stay where they are
        if plural[0] != plural[1] or not all(
            layout.starts_with(phrase, _REPLACED) for phrase in (left, right)
        ):
            return None
        kept = right
        left, right = layout.behind_first_word(left), layout.behind_first_word(right)
    if left[1] > right[0] or any(a < end and start < b for a, b in (left, right)):
        return None
    exchange = {(relation.subject, subject): relation.object, (relation.object, item): relation.subject}
    graph = _exchanged(layout, exchange, left, right)
    if graph is None:
        return None
    if plural[0] != plural[1] and end <= left[0]:
        return None  # "on a table are two cats": the verb agrees with what comes last
    here, there = (named[first], first), (named[second], second)
    agreed = agreeing_edits(
        layout, Place(left, here, there), Place(right, there, here), verb=start, kept=kept
    )
    if agreed is None:
        return None
    edits = [
        Edit(left, moved(layout.caption, right, left[0]), right),
        Edit(right, moved(layout.caption, left, right[0]), left),
    ]
    return Candidate("relation_swap", (*edits, *agreed), graph)


def _leaves_half(layout: Layout, phrase: Span, mention: Span, *, subject: bool) -> bool:
    """Whether a phrase with what is said behind its noun would leave the rest of that behind.

    "A boy carrying a kite" of "a boy carrying a kite and feeding a goat": half of a coordination. Behind what
    is no subject, another verb may be the subject's ("a boy rides a horse in a field and waves").
    """
    number = layout.token_at(phrase[1])
    if phrase[1] == mention[1] or not layout.words[number : number + 2]:
        return False
    number += layout.words[number] == ","
    joins, following = [*layout.words[number : number + 2], "", ""][:2]
    if joins not in _JOINS:
        return False
    said = layout.words[layout.token_at(mention[1]) : number]
    again = following in lexicon.PREPOSITIONS or (
        following.endswith(("ing", "ed"))
        and any(word.endswith(("ing", "ed")) or word in _RELATIVE for word in said)
    )
    return subject or again


def _exchanged(
    layout: Layout, exchange: dict[tuple[int, Span], int], left: Span, right: Span
) -> SceneGraph | None:
    """The claims after two mentions changed places: what moved with them stays, the rest is of the other."""

    def now(item: int, mention: Span | None, claim: Span | None) -> int:
        other = exchange.get((item, mention)) if mention is not None else None
        if other is None or (claim and any(a <= claim[0] and claim[1] <= b for a, b in (left, right))):
            return item
        return other

    graph = layout.graph
    attributes = []
    for a in graph.attributes:
        owner = now(a.object, layout.said_of(a), a.span)
        attributes.append(a if owner == a.object else Attribute(owner, a.name, a.span))
    relations = []
    for r in graph.relations:
        ends = layout.ends(r) or (None, None)
        subject, item = now(r.subject, ends[0], r.span), now(r.object, ends[1], r.span)
        if subject == item:
            return None
        same = subject == r.subject and item == r.object
        relations.append(r if same else Relation(subject, r.name, item, r.span))
    return SceneGraph(graph.objects, tuple(attributes), tuple(relations))


def attribute_swaps(layout: Layout) -> Iterator[Candidate]:
    """``(a1, o1), (a2, o2) -> (a2, o1), (a1, o2)``: attributes of one dimension, of two objects.

    Within a dimension (colour, size, material, count...) one value excludes the others, so that the swapped
    text is false; nothing is swapped across dimensions, for a small dog on a brown chair may well be brown
    itself.
    """
    graph = layout.graph
    if len(graph.attributes) < 2:
        return
    stated: list[set[tuple[str, str]]] = [set() for _ in graph.objects]
    names = [attribute.name.lower() for attribute in graph.attributes]
    uses = _times(names)
    groups: dict[str, list[tuple[int, str, Span]]] = {}
    for index, attribute in enumerate(graph.attributes):
        name = names[index]
        dimension, value = dimension_of(name)
        stated[attribute.object].add((dimension, value))
        said_again = layout.occurrences(name) > uses[name]
        if attribute.span and dimension and not said_again and layout.stands_alone(attribute.span):
            if dimension == "colour" and layout.is_complexion(attribute):
                continue
            if dimension == "action" and layout.word_at(attribute.span[1]) in _GOES_ON:
                continue  # "preparing to run", "interacting with it"
            groups.setdefault(dimension, []).append((index, value, attribute.span))
    for dimension, group in groups.items():
        for (i, value, here), (j, other_value, there) in combinations(group[:_MAX_GROUP], 2):
            one, other = graph.attributes[i].object, graph.attributes[j].object
            if layout.names[one] == layout.names[other]:
                continue
            if (dimension, other_value) not in stated[one] and (dimension, value) not in stated[other]:
                yield _swap_attributes(layout, (i, here), (j, there))


@lru_cache(maxsize=1 << 16)
def dimension_of(attribute: str) -> tuple[str, str]:
    """What an attribute is a value of, and the value: equal for synonyms ("big", "large").

    The dimension is empty where nobody knows that one value excludes the others ("electric", "fierce").
    """
    *shades, word = attribute.split() or [""]
    dimension, value = lexicon.VALUES.get(word, ("", word))
    if not dimension:
        # sorted: of several sorts the same one in every process
        sorts = sorted(sort for sort, _ in adjective_clusters(word))
        dimension = sorts[0] if sorts else "action" if word.endswith("ing") else ""
    return dimension, " ".join([*shades, value])


def _swap_attributes(layout: Layout, first: tuple[int, Span], second: tuple[int, Span]) -> Candidate:
    graph, caption, (i, here), (j, there) = layout.graph, layout.caption, first, second
    attributes = list(graph.attributes)
    one, other = attributes[i], attributes[j]
    attributes[i] = Attribute(other.object, one.name, one.span)
    attributes[j] = Attribute(one.object, other.name, other.span)
    edits = (
        Edit(here, moved(caption, there, here[0]), there),
        Edit(there, moved(caption, here, there[0]), here),
    )
    return Candidate("attribute_swap", edits, SceneGraph(graph.objects, tuple(attributes), graph.relations))
