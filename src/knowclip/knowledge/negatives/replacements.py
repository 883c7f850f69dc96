"""Replacements that make a caption false: another object, attribute or relation, of the same sort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import TypeVar

from knowclip.knowledge.negatives import pronouns
from knowclip.knowledge.negatives.affirmations import affirmations, is_denied
from knowclip.knowledge.negatives.caption_editing import Edit, inflected, plural, replacement
from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.mentions import Layout, first_word
from knowclip.knowledge.negatives.swaps import Candidate
from knowclip.knowledge.words import alternatives, lexicon
from knowclip.knowledge.words import exclusions as sorts
from knowclip.knowledge.words.wordnet import lemma
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject, Span

T = TypeVar("T")
Restated = tuple[str, Span, str]
"""Another name of a relation, with the words to replace and the text for them."""

_BEHIND_ACTION = lexicon.PREPOSITIONS | frozenset("and or while as together alone outdoors".split())
_CHILDREN = frozenset("boy girl child kid baby toddler infant".split())
_HAIR = frozenset("hair fur mane beard".split())
_SUBJECTIVE = frozenset("size age height".split())


def object_replacements(layout: Layout, draw: Random, said: Said) -> Iterator[Candidate]:
    """``(o1, r, o2) -> (o3, r, o2)``: another thing of its sort, in the number of the one it replaces."""
    graph = layout.graph
    for index, item in enumerate(graph.objects):
        mentions = layout.mentions[index]
        nouns = alternatives.nouns_against(_meant(layout, item, mentions[0])) if mentions else ()
        if not nouns or any(layout.is_bound(index, m) or layout.may_be_verb(m) for m in mentions):
            continue
        for noun in _drawn(nouns, draw):
            if said.may_show(noun):
                continue
            edits = [_renamed(layout, index, mention, noun) for mention in mentions]
            if None not in edits:
                edits += _pronouns(layout, index, noun)
                renamed = SceneObject(noun, item.span, item.box)
                objects = (*graph.objects[:index], renamed, *graph.objects[index + 1 :])
                changed = SceneGraph(objects, graph.attributes, graph.relations)
                yield Candidate("object_replacement", tuple(e for e in edits if e), changed)


def _drawn(choices: Sequence[T], draw: Random) -> list[T]:
    """Two different ones (``draw.sample``, in a third of its time), or all there are."""
    if len(choices) < 2:
        return list(choices)
    first, second = int(draw.random() * len(choices)), int(draw.random() * (len(choices) - 1))
    return [choices[first], choices[second + (second >= first)]]


def _meant(layout: Layout, item: SceneObject, mention: Span) -> str:
    """The noun that says what an object is: "glasses" that are worn are no glass."""
    surface = layout.caption[slice(*mention)].lower()
    worn = surface in sorts.WORN_PLURALS and layout.word_at(mention[1]) != "of"
    return surface if worn else item.name.lower()


def _renamed(layout: Layout, index: int, mention: Span, noun: str) -> Edit | None:
    many = layout.is_plural(index, mention)
    if not many and noun in lexicon.PLURAL_ONLY:
        return None
    if (never := sorts.NEVER_BEHIND.get(noun)) and layout.word_before(
        layout.phrase(index, mention)[0]
    ) == never:
        return None
    return replacement(layout.caption, mention, plural(noun) if many else noun)


def _pronouns(layout: Layout, index: int, noun: str) -> list[Edit]:
    """Pronouns of a person who becomes a woman or a man, as far as they can only be of that person."""
    if not layout.pronouns:
        return []
    was, now = (pronouns.gender(name) for name in (layout.names[index], noun))
    if now is None or was in (None, now):
        return []
    return [
        edit
        for number in layout.pronouns
        if pronouns.AGREEMENT_OF[layout.words[number]] == was
        and pronouns.referents(layout, number) == [index]
        for edit in pronouns.turned(layout, number, now)
    ]


def attribute_replacements(layout: Layout, draw: Random, said: Said) -> Iterator[Candidate]:
    """``(o, a1) -> (o, a2)``: a value that excludes the one stated, such as another colour, or an antonym."""
    graph = layout.graph
    for index, attribute in enumerate(graph.attributes):
        if attribute.span is None or not layout.stands_alone(attribute.span):
            continue
        if layout.is_complexion(attribute):
            continue
        name = attribute.name.lower()
        values = _values(layout, name, attribute.object, attribute.span)
        for value, text in _drawn(values, draw):
            if said.may_be(value) or said.may_do(value):
                continue
            changed = Attribute(attribute.object, text, attribute.span)
            attributes = (*graph.attributes[:index], changed, *graph.attributes[index + 1 :])
            after = SceneGraph(graph.objects, attributes, graph.relations)
            yield Candidate(
                "attribute_replacement", (replacement(layout.caption, attribute.span, text),), after
            )


def _values(layout: Layout, name: str, item: int, span: Span) -> list[tuple[str, str]]:
    """Values against an attribute, as lemma and as the caption writes them."""
    if name.endswith("ing") and (verb := lemma(name, "verb")) != name:
        following = layout.word_at(span[1])
        if following.isalpha() and following not in _BEHIND_ACTION and not following.endswith("ly"):
            return []  # "climbing stairs", which the graph does not say
        preposition = following if following in lexicon.PREPOSITIONS else ""
        pairs = [
            (v, inflected(v, like=name, lemma=verb)) for v in alternatives.motions_against(verb, preposition)
        ]
        return [(v, text) for v, text in pairs if text]
    values = values_against(name, owner=layout.names[item], colours=len(layout.colours_of(item)))
    return [(value, value) for value in values]


def values_against(name: str, *, owner: str, colours: int) -> tuple[str, ...]:
    """Values that exclude an attribute, no participle, of an object which is said to have so many colours."""
    found = alternatives.noun_sorts(owner)
    natural = owner in _HAIR or not found.isdisjoint(("animal", "bird"))
    if natural and colours > 1:
        return ()  # a "brown and white" dog may have black spots
    values = alternatives.adjectives_against(name, natural=natural)
    own = {sort for sort, _ in alternatives.adjective_clusters(name)}
    if owner in _CHILDREN and own & _SUBJECTIVE:
        return ()
    if name in lexicon.COUNTS:  # where there are three, there are two
        values = tuple(v for v in values if lexicon.COUNTS[v] > lexicon.COUNTS[name])
    if own >= {"age", "use"}:
        values = tuple(
            v
            for v in values
            if (v == "new") != (alternatives.is_alive(owner) or alternatives.is_person(owner))
        )
    return values


def relation_replacements(layout: Layout, draw: Random, said: Said) -> Iterator[Candidate]:
    """``(o1, r1, o2) -> (o1, r2, o2)``: another verb, or a preposition that excludes the one stated."""
    graph = layout.graph
    for edit, claims in affirmations(layout):
        yield Candidate("relation_replacement", (edit,), claims, affirms=True)
    seen: set[Span] = set()
    for relation in graph.relations:
        if relation.span is None or relation.span in seen or not layout.is_whole(relation.span):
            continue
        ends = layout.ends(relation) if layout.denials else None
        if ends and is_denied(layout, ends[1]):
            continue  # "washing no shirt"
        seen.add(relation.span)  # several relations of one place ("with a hat and a bag") change together
        verb, preposition, tokens = stated_words(layout, relation.name.lower(), relation.span)
        if not verb and not preposition:
            continue
        item = layout.names[relation.object]
        choices = list(_prepositions(layout, verb, preposition, tokens, item, said))
        if verb:
            choices += _verbs(layout, verb, preposition, tokens, item, said)
        for name, span, text in _drawn(choices, draw):
            edit = replacement(layout.caption, span, text)
            relations = tuple(_restated(r, relation, name) for r in graph.relations)
            changed = SceneGraph(graph.objects, graph.attributes, relations)
            yield Candidate("relation_replacement", (edit,), changed)


def _restated(other: Relation, relation: Relation, name: str) -> Relation:
    """Another relation when ``relation`` is called ``name``: it may be the same words, or share the verb."""
    if (other.span, other.name) == (relation.span, relation.name):
        return Relation(other.subject, name, other.object, other.span)
    verb, now = first_word(relation.name), first_word(name)
    together = relation.span and other.span and relation.span[0] == other.span[0]
    if not together or first_word(other.name) != verb:
        return other
    return Relation(other.subject, now + other.name[len(verb) :], other.object, other.span)


def _prepositions(
    layout: Layout, verb: str, preposition: str, tokens: list[Span], item: str, said: Said
) -> Iterator[Restated]:
    """The relation with the preposition that excludes its own."""
    other = alternatives.preposition_against(preposition, item)
    if other is None or said.may_stand(other, item):
        return
    if other == "onto" and layout.word_at(tokens[-1][1]) not in lexicon.DETERMINERS | lexicon.POSSESSIVES:
        return  # "looking off camera"
    if other == "without" and any(denial.cue[0] >= tokens[-1][1] for denial in layout.denials):
        return  # "without long hair and no hat"
    if verb and (other == "without" or not (alternatives.is_motion(verb))):
        return
    first = 1 if verb else 0
    yield f"{verb} {other}".strip(), (tokens[first][0], tokens[-1][1]), other


def _verbs(
    layout: Layout, verb: str, preposition: str, tokens: list[Span], item: str, said: Said
) -> Iterator[Restated]:
    """The relation with other verbs."""
    if verb == "play" and "instrument" not in alternatives.noun_sorts(item):
        return  # nobody repairs football
    others = (
        alternatives.motions_against(verb, preposition) if preposition else alternatives.verbs_against(verb)
    )
    like = layout.caption[slice(*tokens[0])].lower()
    if preposition and not like.endswith("ing") and layout.word_before(tokens[0][0]) in lexicon.BE:
        return  # "are gathered at a bar"
    for other in others:
        text = inflected(other, like=like, lemma=verb)
        if text is not None and not said.may_do(other):
            yield f"{other} {preposition}".strip(), tokens[0], text


def stated_words(layout: Layout, name: str, span: Span) -> tuple[str, str, list[Span]]:
    """Verb and preposition of a relation, with its tokens; all empty where its words are not its name's."""
    first, last = layout.token_at(span[0]), layout.token_at(span[1])
    verb, _, rest = name.partition(" ")
    words = layout.words[first:last]
    if verb in lexicon.PREPOSITIONS:
        verb, rest = "", name
    stated = words[1:] if verb else words
    passive = bool(verb) and not rest and stated == ["by"]
    if (" ".join(stated) != rest and not passive) or (verb and lemma(words[0], "verb") != verb):
        return "", "", []
    return verb, rest, layout.tokens[first:last]
