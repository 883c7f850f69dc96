"""Dependency rules: the words of a parsed caption -> a scene graph (S1 of Structure-CLIP).

Relations are named by the lemma of their verb with particle and preposition ("ride", "sit on", "pick up"), or
by the preposition as written ("to the left of"). The agent of a passive is its subject: "a horse ridden by a
man" and "a man riding a horse" both give (man, ride, horse).
"""

from __future__ import annotations

from collections.abc import Iterable

from knowclip.knowledge.parsing.clauses import Clauses, Gift
from knowclip.knowledge.parsing.dependency_words import Lemma, Words
from knowclip.knowledge.parsing.negation import denied_words
from knowclip.knowledge.parsing.noun_phrases import NounPhrases
from knowclip.knowledge.parsing.tag_repair import repair, repair_denied
from knowclip.knowledge.words import lexicon
from knowclip.types import Relation, SceneGraph

_OPENS_COMPOUND = frozenset(
    "next close adjacent near out away along together up down off inside outside across over opposite ahead "
    "back around".split()
)
"""Adverbs and adjectives that are part of the preposition after them: "next to", "out of"."""


def build_graph(words: Words, lemma: Lemma) -> SceneGraph:
    """Scene graph of a parsed caption."""
    repair(words)
    words.denied = denied_words(words)
    if words.denied:
        repair_denied(words)
    words.cut_circles()
    return _Builder(words, lemma).graph()


class _Builder:
    def __init__(self, words: Words, lemma: Lemma) -> None:
        self.words = words
        self.nouns = NounPhrases(words, lemma)
        self.clauses = Clauses(words, lemma, self.nouns)
        self.relations: dict[tuple[int, str, int, int], Relation] = {}
        self.stating: set[int] = set()
        """Verbs that already state a relation; the others ("a man running") are attributes."""

    def graph(self) -> SceneGraph:
        denied = self.words.denied
        claimed = [(i, word) for i, word in enumerate(self.words.words) if i not in denied]
        for index, word in claimed:
            if word.is_verb:
                self._verb(index)
            elif word.dep in ("prep", "agent", "prt") or word.tag in ("IN", "TO"):
                self._preposition(index)
            elif word.dep == "poss" and word.is_noun:
                self._possession(index)
        for index, word in claimed:
            if word.is_verb and index not in self.stating:
                self._state(index)
        return SceneGraph(
            tuple(self.nouns.objects), tuple(self.nouns.attributes.values()), tuple(self.relations.values())
        )

    def _relate(
        self, subjects: Iterable[int], name: str, objects: Iterable[int], first: int, last: int
    ) -> bool:
        """State a relation by the words from ``first`` to ``last`` of every pair; False if there is none."""
        span = self.words.span(min(first, last), max(first, last))
        pairs = [(subject, item) for subject in subjects for item in objects if subject != item]
        for subject, item in pairs:
            self.relations.setdefault((subject, name, item, span[0]), Relation(subject, name, item, span))
        return bool(pairs)

    def _verb(self, index: int) -> None:
        """An active verb with its object: "a man riding a horse"."""
        gift = self.clauses.gift(index)
        if gift is not None:
            return self._gift(index, gift)
        objects = self.clauses.objects(index)
        name, last = self.clauses.verb_with_particle(index)
        if objects and name not in lexicon.COPULAS:
            if self._relate(self.clauses.subjects(index), name, objects, index, last):
                self.stating.add(index)

    def _gift(self, index: int, gift: Gift) -> None:
        """A verb with two objects: "a woman gives a dog a treat" gives a treat, and gives to a dog."""
        name = self.clauses.verb(index)
        self._relate(gift.givers, name, gift.given, index, index)
        self._relate(gift.givers, f"{name} {lexicon.RECIPIENT[name]}".strip(), gift.recipients, index, index)
        self.stating.add(index)

    def _preposition(self, index: int) -> None:
        """A preposition with its object, which a noun, a verb or an adjective governs."""
        words = self.words
        objects = [item for noun in words.children(index, "pobj") for item in self.nouns.objects_of(noun)]
        name, first, governor = self._prepositional_name(index)
        word = words[governor]
        if not objects and word.is_verb and self.clauses.is_stranded(index):
            objects = self.nouns.objects_of(word.head)
        if not objects or governor == index or governor in words.denied:
            return
        if word.is_noun:
            if name != "of" or word.lower not in lexicon.QUANTITY_NOUNS:
                self._relate(self.nouns.objects_of(governor, before=first), name, objects, first, index)
        elif word.is_verb:
            self._verb_preposition(governor, name, first, index, objects)
        elif word.dep == "acomp":  # full of people
            subjects = self.clauses.subjects(word.head)
            self._relate(subjects, f"{word.lower} {name}", objects, governor, index)
        elif word.tag[:2] in ("JJ", "RB") and words[word.head].is_noun:
            self._relate(self.nouns.objects_of(word.head), f"{word.lower} {name}", objects, governor, index)

    def _prepositional_name(self, index: int) -> tuple[str, int, int]:
        """Name of a simple or compound preposition, its first word, and the word it hangs on."""
        words = self.words
        first, governor = index, words[index].head
        while governor < first:
            word = words[governor]
            if word.lower in lexicon.RELATIONAL_NOUNS and self.nouns.is_relational(governor):
                first, governor = word.head, words[word.head].head
            elif governor + 1 == first and word.head != governor and self._opens_compound(governor):
                first, governor = governor, word.head
            else:
                break
        return words.phrase(first, index), first, governor

    def _opens_compound(self, index: int) -> bool:
        word = self.words[index]
        if word.dep == "prep" and self.words.first_child(index, "pobj") is None:
            return True
        return word.lower in _OPENS_COMPOUND and word.tag in ("RB", "JJ", "IN", "RP")

    def _verb_preposition(self, verb: int, name: str, first: int, last: int, objects: list[int]) -> None:
        """Preposition with its verb ("sit on"), without it ("is on", "hit it with"), or with the agent."""
        subjects, stated = self.clauses.subjects(verb), self.clauses.verb(verb)
        if stated == "be":
            self._relate(subjects, name, objects, first, last)
            return
        full, _ = self.clauses.verb_with_particle(verb)
        if name == "by" and self.words[last].dep == "agent" and self.clauses.gift(verb) is not None:
            return
        if name == "by" and stated not in lexicon.POSTURE_VERBS and self.clauses.is_passive(verb):
            done = self._relate(objects, full, subjects, verb, last)
        elif self.words.first_child(verb, "dobj") is not None:
            if name == lexicon.RECIPIENT.get(stated):  # gives a treat to a dog
                name, first = f"{stated} {name}", verb
            done = self._relate(subjects, name, objects, first, last)
        else:
            particle = self.words.first_child(verb, "prt")
            if particle is None or particle < first:  # else the particle is part of the preposition
                stated = full
            done = self._relate(subjects, f"{stated} {name}", objects, verb, last)
        if done:
            self.stating.add(verb)

    def _possession(self, index: int) -> None:
        """The owner of "the man's hat" has a hat."""
        case = self.words.first_child(index, "case")
        if case is not None:
            owned = self.nouns.objects_of(self.words[index].head)[:1]
            self._relate(self.nouns.objects_of(index), "have", owned, case, case)

    def _state(self, index: int) -> None:
        """Attributes a verb gives its subject: "is red", "is running", "is parked"."""
        words, word = self.words, self.words[index]
        if self.clauses.verb(index) in lexicon.COPULAS:
            states = [c for c in words.children(index, "acomp", "attr", "oprd") if self._is_state(c)]
        elif word.dep == "amod" or words.first_child(index, "dobj", "xcomp") is not None:  # trying to catch
            return
        else:
            says = word.tag == "VBG" or (word.tag == "VBN" and self.clauses.is_passive(index))
            states = [index] if says else []
        for state in states:
            for subject in self.clauses.subjects(index):
                self.nouns.add_attribute(subject, state)

    def _is_state(self, index: int) -> bool:
        word = self.words[index]
        if word.lower in _OPENS_COMPOUND or word.lower in lexicon.VAGUE:
            return False
        return word.tag[:2] == "JJ" or word.tag in ("VBN", "VBG") or word.lower in lexicon.COLOURS
