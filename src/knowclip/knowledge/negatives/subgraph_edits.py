"""Sub-graphs of a caption, edited so that they are false of its image: MosaiCLIP's negatives.

By the words that exclude each other, and the doubts, of the negatives of whole captions; a text that was
written from a graph is written anew, so nothing in it has to be mended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from knowclip.knowledge.negatives.caption_editing import inflected
from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.replacements import values_against
from knowclip.knowledge.negatives.subgraphs import Phrase, Stated, Subgraph
from knowclip.knowledge.negatives.swaps import dimension_of, is_no_thing, is_turned
from knowclip.knowledge.words import alternatives, lexicon

Edit = tuple[str, Subgraph]
"""Kind of the edit, as of a negative, and its result."""


@dataclass(frozen=True)
class Scene:
    """What an edit must know of its image: what is said of it, and phrases whose attributes may move."""

    said: Said
    described: Sequence[Phrase]


def edits(subgraph: Subgraph, scene: Scene, draw: Random) -> list[Edit]:
    """Edit a sub-graph in every way that is false beside all that is said of the image.

    "a blue dog" (replaced, or moved from a blue cat), "a red cat", "a blue dog and a red cat", "a cat chasing
    a dog", "a dog licking a cat". Of several words that could replace one, one is drawn.
    """
    own = scene.said.statements(subgraph.graph)
    found = [edit for make in _EDITS for edit in make(subgraph, scene, draw) if edit[1] != subgraph]
    return [
        (kind, changed)
        for kind, changed in found
        if (scene.said.statements(changed.graph) - own).isdisjoint(scene.said.stated)
    ]


def _with(subgraph: Subgraph, place: int, phrase: Phrase) -> Subgraph:
    return replace(
        subgraph, phrases=tuple(phrase if i == place else p for i, p in enumerate(subgraph.phrases))
    )


def _other_objects(subgraph: Subgraph, scene: Scene, draw: Random) -> Iterator[Edit]:
    for place, phrase in enumerate(subgraph.phrases):
        nouns = [
            noun
            for noun in alternatives.nouns_against(phrase.name)
            if phrase.is_plural or noun not in lexicon.PLURAL_ONLY
        ]
        noun = _drawn(nouns, draw, lambda noun: not scene.said.may_show(noun))
        if noun is not None:
            yield "object_replacement", _with(subgraph, place, replace(phrase, name=noun))


def _other_attributes(subgraph: Subgraph, scene: Scene, draw: Random) -> Iterator[Edit]:
    for place, phrase in enumerate(subgraph.phrases):
        if not phrase.attribute or not phrase.excludes:
            continue
        values = values_against(phrase.attribute, owner=phrase.name, colours=1)
        value = _drawn(values, draw, lambda value: not (scene.said.may_be(value) or scene.said.may_do(value)))
        if value is not None:
            yield "attribute_replacement", _with(subgraph, place, replace(phrase, attribute=value))


def _moved_attributes(subgraph: Subgraph, scene: Scene, draw: Random) -> Iterator[Edit]:
    """A value that another object has: in a pair the two change places."""
    if subgraph.kind == "pair":
        one, other = subgraph.phrases
        exchanged = replace(one, attribute=other.attribute), replace(other, attribute=one.attribute)
        yield "attribute_swap", replace(subgraph, phrases=exchanged)
    if subgraph.kind != "attribute" or not subgraph.phrases[0].excludes:
        return
    phrase = subgraph.phrases[0]
    dimension, value = dimension_of(phrase.attribute or "")
    for other in scene.described:
        another, different = dimension_of(other.attribute or "")
        if other.name != phrase.name and another == dimension != "count" and value != different:
            yield "attribute_swap", _with(subgraph, 0, replace(phrase, attribute=other.attribute))


def _turned_relation(subgraph: Subgraph, scene: Scene, draw: Random) -> Iterator[Edit]:
    if subgraph.relation is None or not is_turned(subgraph.relation.name):
        return
    one, other = subgraph.phrases
    heads = {phrase.name.rpartition(" ")[2] for phrase in subgraph.phrases}
    if len(heads) == 2 and not is_no_thing(one.name) and not is_no_thing(other.name):
        yield "relation_swap", replace(subgraph, phrases=(other, one))


def _other_relation(subgraph: Subgraph, scene: Scene, draw: Random) -> Iterator[Edit]:
    stated = subgraph.relation
    if stated is None:
        return
    item = subgraph.phrases[1].name
    choices = [*_other_prepositions(stated, item, scene.said), *_other_verbs(stated, item, scene.said)]
    if choices:
        yield "relation_replacement", replace(subgraph, relation=draw.choice(choices))


def _other_prepositions(stated: Stated, item: str, said: Said) -> Iterator[Stated]:
    verb, form = stated.verb, stated.words[: len(stated.words) - len(stated.preposition)].strip()
    if not stated.preposition or (verb and not alternatives.is_motion(verb)):
        return
    other = alternatives.preposition_against(stated.preposition, item)
    if other is None or said.may_stand(other, item) or (verb and other == "without"):
        return
    yield Stated(f"{verb} {other}".strip(), verb, other, f"{form} {other}".strip())


def _other_verbs(stated: Stated, item: str, said: Said) -> Iterator[Stated]:
    verb, preposition = stated.verb, stated.preposition
    if not verb or (verb == "play" and "instrument" not in alternatives.noun_sorts(item)):
        return
    against = (
        alternatives.motions_against(verb, preposition) if preposition else alternatives.verbs_against(verb)
    )
    for other in against:
        form = inflected(other, like=stated.words.partition(" ")[0], lemma=verb)
        if form and not said.may_do(other):
            name = f"{other} {preposition}".strip()
            yield Stated(name, other, preposition, f"{form} {preposition}".strip())


def _drawn(words: Sequence[str], draw: Random, is_false: Callable[[str], bool]) -> str | None:
    """One of the words that are false, in a fair draw; asks no more of them than it must."""
    left = list(words)
    while left:
        word = left.pop(int(draw.random() * len(left)))
        if is_false(word):
            return word
    return None


_EDITS = (_other_objects, _other_attributes, _moved_attributes, _turned_relation, _other_relation)
