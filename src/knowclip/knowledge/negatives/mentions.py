"""Where a caption says what its scene graph holds: mentions of objects, noun phrases, ends of relations."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cached_property

from knowclip.knowledge.negatives.caption_editing import third_person
from knowclip.knowledge.parsing.negation import Negation, negations
from knowclip.knowledge.words import lexicon
from knowclip.knowledge.words.alternatives import is_alive, is_motion, is_person
from knowclip.knowledge.words.exclusions import ACTIVITIES, BARE, BARE_BEHIND, COLOURED, GAMES, SUITED
from knowclip.knowledge.words.wordnet import lemma, senses
from knowclip.types import Attribute, Relation, SceneGraph, Span

_TOKEN = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")
_MODIFIERS = (
    lexicon.DETERMINERS | lexicon.VAGUE | lexicon.SHADES | frozenset(lexicon.COUNTS)
    | frozenset("very really quite so too fairly partially partly".split())
)  # fmt: skip
_MANY = (frozenset(lexicon.COUNTS) | frozenset("these those several many few both some".split())) - {"one"}
_PLURAL_QUANTITIES = frozenset("couple lot lots number dozen bunch variety".split())
"""Nouns whose "of" leaves the number to the noun behind it: "a couple of dogs are"."""
_BESIDE_COLOUR = lexicon.COLOURS | lexicon.SHADES | {"and", ",", "all"}
_WEARING = [["in"], ["wearing"], ["wears"], ["wore"]]
_PRONOUNS = lexicon.PRONOUNS - {"my", "your", "our"}
_STOPS = lexicon.ARTICLES | lexicon.POSSESSIVES
_DETERMINERS = lexicon.DETERMINERS | lexicon.POSSESSIVES | frozenset(lexicon.COUNTS)
_BEFORE_RELATION = re.compile(r"[\s,]*((?:that|which|who)\s+(?:(?:is|are|was|were)\s+(?:being\s+)?)?)?")
_BEFORE_ATTRIBUTE = re.compile(r"\s+(?:(?:that|which|who)\s+(?:is|are|was|were)\s+|and\s+)?")
_BETWEEN_OBJECTS = re.compile(r"\s*(?:,?\s*(?:and|or|&)|,)\s+")
_MAX_DEPTH = 4


class Layout:
    """Reads a caption and its graph; objects and claims without spans have no place in it."""

    def __init__(self, caption: str, graph: SceneGraph) -> None:
        self.caption = caption
        self.graph = graph
        self.tokens: list[Span] = [match.span() for match in _TOKEN.finditer(caption)]
        self.words = [caption[start:end].lower() for start, end in self.tokens]
        self.names = [item.name.lower() for item in graph.objects]
        """Of the objects, in lower case."""
        self._starts = [start for start, _ in self.tokens]
        self._phrases: dict[Span, Span] = {}
        self._plurals: dict[tuple[int, Span], bool] = {}
        self.denials: tuple[Negation, ...] = negations(caption)

    @cached_property
    def pronouns(self) -> list[int]:
        """Numbers of the tokens that are pronouns of the third person."""
        return [number for number, word in enumerate(self.words) if word in _PRONOUNS]

    def token_at(self, position: int) -> int:
        """Number of the first token at or after a position."""
        return bisect_left(self._starts, position)

    def word_at(self, position: int) -> str:
        """The first word at or after a position, in lower case; empty at the end."""
        number = self.token_at(position)
        return self.words[number] if number < len(self.words) else ""

    def word_before(self, position: int) -> str:
        """The last word before a position, in lower case; empty at the start."""
        number = self.token_at(position)
        return self.words[number - 1] if number else ""

    @cached_property
    def mentions(self) -> list[list[Span]]:
        """For each object the places that name it: its span, and repetitions that no other object claims.

        Spans that cut through words ("man" of "man's") name nothing that could be moved.
        """
        own = [item.span if item.span and self.is_whole(item.span) else None for item in self.graph.objects]
        found: list[list[Span]] = [[span] if span else [] for span in own]
        surfaces: dict[tuple[str, ...], list[int]] = {}
        taken: set[int] = set()
        for index, span in enumerate(own):
            if span:
                tokens = range(self.token_at(span[0]), self.token_at(span[1]))
                taken.update(tokens)
                surfaces.setdefault(tuple(self.words[slice(tokens.start, tokens.stop)]), []).append(index)
        for surface in sorted(surfaces, key=len, reverse=True):
            if len(surfaces[surface]) == 1 and self.words.count(surface[0]) > 1:
                found[surfaces[surface][0]] += self._repetitions(surface, taken)
        return found

    def _repetitions(self, surface: tuple[str, ...], taken: set[int]) -> list[Span]:
        spans = []
        for first, word in enumerate(self.words):
            if word != surface[0]:
                continue
            tokens = range(first, first + len(surface))
            if len(surface) == 1 and self._is_verb(first):
                continue  # "to slide down a slide"
            if tuple(self.words[first : tokens.stop]) == surface and taken.isdisjoint(tokens):
                taken.update(tokens)
                spans.append((self.tokens[first][0], self.tokens[tokens.stop - 1][1]))
        return spans

    def _is_verb(self, number: int) -> bool:
        """Whether a word that may be a verb stands where nouns do not: behind no determiner, nor the like."""
        word, before = self.words[number], self.word_before(self.tokens[number][0])
        if not senses(lemma(word, "verb"), "verb"):
            return False
        noun = (before in _MODIFIERS or before in lexicon.POSSESSIVES or before in self._described) or (
            before in lexicon.PREPOSITIONS and before != "to"
        )
        return not noun

    @cached_property
    def _described(self) -> set[str]:
        return {word for attribute in self.graph.attributes for word in attribute.name.lower().split()}

    def occurrences(self, word: str) -> int:
        """How often the caption uses a word."""
        return self.words.count(word)

    def ends(self, relation: Relation) -> tuple[Span, Span] | None:
        """The mentions of subject and object nearest to the words of the relation."""
        subjects, objects = self.mentions[relation.subject], self.mentions[relation.object]
        if relation.span is None or not subjects or not objects:
            return None
        return _nearest(subjects, relation.span), _nearest(objects, relation.span)

    def said_of(self, attribute: Attribute) -> Span | None:
        """The mention an attribute is said of."""
        mentions = self.mentions[attribute.object]
        return _nearest(mentions, attribute.span) if attribute.span and mentions else None

    def phrase(self, item: int, mention: Span) -> Span:
        """A mention with the determiner and the modifiers before it."""
        if mention not in self._phrases:
            self._phrases[mention] = self._phrase(item, mention)
        return self._phrases[mention]

    def _phrase(self, item: int, mention: Span) -> Span:
        first = self.token_at(mention[0])
        while first and self.words[first - 1] not in _STOPS:
            word = self.words[first - 1]
            if (
                word in _MODIFIERS
                or word.endswith(("'s", "\u2019s", "ly"))
                or self._is_attribute(item, first - 1)
            ):
                first -= 1
            elif word in (",", "and", "&") and first > 1 and self._is_attribute(item, first - 2):
                first -= 2
            elif word == "of" and first > 1 and self.words[first - 2] in lexicon.QUANTITY_NOUNS:
                first -= 2
            else:
                break
        if first and self.words[first - 1] in _STOPS:
            first -= 1
        return self.tokens[first][0], mention[1]

    def _is_attribute(self, item: int, number: int) -> bool:
        return item in self._attributed.get(number, ())

    @cached_property
    def _attributed(self) -> dict[int, set[int]]:
        objects: dict[int, set[int]] = {}
        for attribute in self.graph.attributes:
            if attribute.span:
                for number in range(self.token_at(attribute.span[0]), self.token_at(attribute.span[1])):
                    objects.setdefault(number, set()).add(attribute.object)
        return objects

    def full_phrase(self, item: int, mention: Span, *, limit: int) -> Span:
        """The noun phrase and what is said right behind it ("a man in a red shirt"), before ``limit``."""
        start, end = self.phrase(item, mention)
        return start, self._extended(item, end, limit, 0)

    def _extended(self, item: int, end: int, limit: int, depth: int) -> int:
        for attribute in self._attributes_of.get(item, ()):
            if attribute.span and end < attribute.span[1] <= limit:
                follows = _BEFORE_ATTRIBUTE.fullmatch(self.caption, end, attribute.span[0])
                if follows and not self._goes_on(attribute.span):
                    end = attribute.span[1]
        behind: Relation | None = None
        for relation in self.relations_of.get(item, ()) if depth < _MAX_DEPTH else ():
            ends = self.ends(relation)
            if relation.span is None or ends is None:
                continue
            target = self.phrase(relation.object, ends[1])
            if behind is not None and relation.span == behind.span:
                follows = _BETWEEN_OBJECTS.fullmatch(self.caption, end, target[0])
            else:
                follows = _BEFORE_RELATION.fullmatch(self.caption, end, relation.span[0])
                restrictive = follows and (follows[1] or not self._is_finite(relation.name, relation.span[0]))
                follows = follows if restrictive and relation.span[1] + 1 >= target[0] else None
            if follows and end < target[0] and target[1] <= limit:
                behind = relation
                end = self._extended(relation.object, target[1], limit, depth + 1)
        return end

    def _goes_on(self, attribute: Span) -> bool:
        """Whether more belongs to a participle: "dressed" before "in blue"."""
        participle = self.caption[slice(*attribute)].lower().endswith(("ed", "ing"))
        return participle and self.word_at(attribute[1]) in lexicon.PREPOSITIONS

    @cached_property
    def _attributes_of(self) -> dict[int, list[Attribute]]:
        found: dict[int, list[Attribute]] = {}
        for attribute in self.graph.attributes:
            found.setdefault(attribute.object, []).append(attribute)
        return found

    def _is_finite(self, name: str, start: int) -> bool:
        """Whether a relation is a statement ("a dog wears a hat"), not part of a phrase ("in a hat")."""
        word, lemma = self.word_at(start), first_word(name)
        return word not in lexicon.PREPOSITIONS and word in (lemma, third_person(lemma))

    @cached_property
    def relations_of(self) -> dict[int, list[Relation]]:
        """Relations by subject, in the order of the text."""
        found: dict[int, list[Relation]] = {}
        for relation in self.graph.relations:
            found.setdefault(relation.subject, []).append(relation)
        return found

    def is_whole(self, span: Span) -> bool:
        """Whether a span is of whole words: not "hooded" in "hooded-coat"."""
        first, last = self.token_at(span[0]), self.token_at(span[1]) - 1
        return 0 <= first <= last and (self.tokens[first][0], self.tokens[last][1]) == span

    def stands_alone(self, span: Span) -> bool:
        """Whether the words at a span are whole and begin no relation: not the "full" of "full of hay"."""
        return self.is_whole(span) and span[0] not in self._relation_starts

    @cached_property
    def _relation_starts(self) -> set[int]:
        return {relation.span[0] for relation in self.graph.relations if relation.span}

    def breaks_coordination(self, phrase: Span, item: int) -> bool:
        """Whether a phrase is coordinated with a neighbour, which would stay behind if the phrase is moved.

        "A girl and boy", which share a determiner; "blue jeans and a brown jacket"; "a man and a woman". In
        "a man rides a horse and a dog barks" two clauses are, not the horse and the dog.
        """
        following = _BETWEEN_OBJECTS.match(self.caption, phrase[1])
        if following and (other := self._phrase_at.get(following.end())) is not None:
            shared = not self.starts_with((following.end(), phrase[1]), _DETERMINERS)
            if shared or not self._opens_clause(other[0], other[1]):
                return True
        first = self.token_at(phrase[0])
        if not first or self.words[first - 1] not in ("and", "or", ",", "&"):
            return False
        if not self.starts_with(phrase, _DETERMINERS):
            return True
        before = self._phrase_ending(self.tokens[first - 1][0])
        return before is not None and not (self._is_object(before) and is_alive(self.names[item]))

    def _opens_clause(self, item: int, mention: Span) -> bool:
        """Whether a verb is said of a being right behind its mention: "and *a dog* barks"."""
        if not is_alive(self.names[item]) and not is_person(self.names[item]):
            return False
        claims = (*self.relations_of.get(item, ()), *self._attributes_of.get(item, ()))
        after = self.token_at(mention[1])
        return any(
            claim.span and self.token_at(claim.span[0]) in (after, after + 1)
            and self.word_at(claim.span[0]) not in lexicon.PREPOSITIONS
            for claim in claims
        )  # fmt: skip

    def _is_object(self, item: int) -> bool:
        return any(relation.object == item for relation in self.graph.relations)

    def _phrase_ending(self, position: int) -> int | None:
        """The object whose mention ends right before a position."""
        end = len(self.caption[:position].rstrip(" ,"))
        found = (
            item for item, mentions in enumerate(self.mentions) for mention in mentions if mention[1] == end
        )
        return next(found, None)

    def is_cut(self, phrase: Span) -> bool:
        """Whether a phrase is part of a longer one: its determiner, or a noun of a compound, is outside it.

        "Piece" of "an old piece"; "market" of "a fruit market"; "ropes" of "a ropes course"; "man 's".
        """
        following = self.token_at(phrase[1])
        if following in self.mentioned or self._ends_name(following):
            return True
        first = self.token_at(phrase[0])
        if first == 0 or self.words[first] in _DETERMINERS:
            return False
        if first - 1 in self.mentioned or self.caption[: phrase[0]].rstrip().endswith(("'s", "\u2019s")):
            return True
        before = self.words[max(0, first - 2) : first]
        return before[-1] in _STOPS or (before[0] in _STOPS and before[-1] not in lexicon.PREPOSITIONS)

    def _ends_name(self, number: int) -> bool:
        """Whether a token belongs to the noun before it: the mark of a genitive, a number."""
        word = self.words[number] if number < len(self.words) else ""
        return word in ("'", "\u2019") or word.isdigit()

    @cached_property
    def _phrase_at(self) -> dict[int, tuple[int, Span]]:
        """Objects and mentions by the start of their phrase."""
        return {
            self.phrase(item, mention)[0]: (item, mention)
            for item, found in enumerate(self.mentions)
            for mention in found
        }

    @cached_property
    def mentioned(self) -> set[int]:
        """Numbers of the tokens that name objects."""
        return {
            number
            for mentions in self.mentions
            for start, end in mentions
            for number in range(self.token_at(start), self.token_at(end))
        }

    def starts_with(self, span: Span, words: frozenset[str]) -> bool:
        """Whether the first word at a span is one of some."""
        return self.word_at(span[0]) in words

    def behind_first_word(self, span: Span) -> Span:
        """A span of several words without its first one."""
        return self.tokens[self.token_at(span[0]) + 1][0], span[1]

    def is_bound(self, item: int, mention: Span) -> bool:
        """Whether a mention is part of a fixed phrase or a compound: "a pair of shoes", "jump rope"."""
        number = self.token_at(mention[0])
        before = self.words[max(0, number - 2) : number]
        if before == ["pair", "of"] or (before[-1:] in (["a"], ["an"]) and self.is_plural(item, mention)):
            return True  # the second: "a ropes course"
        if before and self.words[number] in BARE_BEHIND.get(before[-1], ()):
            return True
        activity = self.words[number] in GAMES or (before and lemma(before[-1], "verb") in ACTIVITIES)
        return bool(activity) and not _DETERMINERS.intersection(before)

    def may_be_verb(self, mention: Span) -> bool:
        """Whether what the parser took for a noun may be a verb behind another one: "jumps", "slides"."""
        last = self.token_at(mention[1]) - 1
        alone = last > 0 and self.words[last - 1] in _DETERMINERS
        return self.words[last].endswith("s") and not alone and is_motion(lemma(self.words[last], "verb"))

    def is_complexion(self, attribute: Attribute) -> bool:
        """Whether a colour is of a person's skin or hair ("a black man"), not "a man in black"."""
        name = self.names[attribute.object]
        noun = name.rpartition(" ")[2]
        if attribute.span is None or noun in SUITED or not (is_person(name) or noun in BARE):
            return False
        if COLOURED.isdisjoint(attribute.name.lower().split()):
            return False
        number = self.token_at(attribute.span[0])
        while number and self.words[number - 1] in _BESIDE_COLOUR:
            number -= 1
        return self.words[number - 1 : number] not in _WEARING

    def colours_of(self, item: int) -> set[str]:
        """The colours an object is said to have, as the last words of its attributes."""
        said = {a.name.lower().rpartition(" ")[2] for a in self._attributes_of.get(item, ())}
        return said & lexicon.COLOURS

    def is_plural(self, item: int, mention: Span) -> bool:
        """Whether a mention is plural: its last word is not the lemma, or has no other form."""
        key = item, mention
        if key not in self._plurals:
            self._plurals[key] = self._is_plural(item, mention)
        return self._plurals[key]

    def _is_plural(self, item: int, mention: Span) -> bool:
        surface = self.caption[slice(*mention)].lower().split()[-1]
        if not self.names[item].endswith(surface) or surface in lexicon.PLURAL_NOUNS:
            return True
        return surface in lexicon.UNCHANGED_PLURAL and self.word_at(self.phrase(item, mention)[0]) in _MANY

    def number(self, item: int, mention: Span) -> bool | None:
        """Whether a phrase takes a plural verb; None where it takes either: "a group of men"."""
        first = self.token_at(self.phrase(item, mention)[0])
        opening = self.words[first : first + 3]
        if opening[-1] == "of" and opening[0] in lexicon.ARTICLES and opening[1] in lexicon.QUANTITY_NOUNS:
            return True if opening[1] in _PLURAL_QUANTITIES else None
        return self.is_plural(item, mention)


def first_word(name: str) -> str:
    """The first word of a relation's name, in lower case."""
    return name.lower().partition(" ")[0]


def _nearest(mentions: list[Span], span: Span) -> Span:
    if len(mentions) == 1:
        return mentions[0]
    return min(mentions, key=lambda mention: max(mention[0] - span[1], span[0] - mention[1]))
