"""Dependency rules: the words of a parsed caption -> a scene graph (S1 of Structure-CLIP).

Relations are named by the lemma of their verb with particle and preposition ("ride", "sit on", "pick up"), or
by the preposition as written ("to the left of"). The agent of a passive is its subject: "a horse ridden by a
man" and "a man riding a horse" both give (man, ride, horse).
"""

from __future__ import annotations

from knowclip.knowledge import lexicon
from knowclip.knowledge.nouns import NounPhrases
from knowclip.knowledge.repair import repair
from knowclip.knowledge.words import Lemma, Words
from knowclip.types import Relation, SceneGraph

_SUBJECTS = ("nsubj", "nsubjpass", "csubj")
_CLAUSES = ("conj", "xcomp", "advcl", "ccomp", "dep", "parataxis")
_PREPOSITION_HEADS = frozenset(
    "next close adjacent near out away along together up down off inside outside across over opposite ahead "
    "back around".split()
)
_MAX_DEPTH = 16


def build_graph(words: Words, lemma: Lemma) -> SceneGraph:
    """Scene graph of a parsed caption."""
    repair(words)
    return _Builder(words, lemma).graph()


class _Builder:
    def __init__(self, words: Words, lemma: Lemma) -> None:
        self.words = words
        self.lemma = lemma
        self.nouns = NounPhrases(words, lemma)
        self.relations: dict[tuple[int, str, int, int], Relation] = {}
        self.stating: set[int] = set()
        """Verbs that already state a relation; the others ("a man running") are attributes."""
        self.taken: dict[int, int] = {}
        """Nouns read as the object of a verb they do not hang on."""

    def graph(self) -> SceneGraph:
        words = self.words
        for index, word in enumerate(words.words):
            if word.is_verb:
                self._verb(index)
            elif word.dep in ("prep", "agent", "dative", "prt") or word.tag in ("IN", "TO"):
                self._preposition(index)
            elif word.dep == "poss" and word.is_noun:
                self._possession(index)
        for index, word in enumerate(words.words):
            if word.is_verb and index not in self.stating:
                self._state(index)
        return SceneGraph(
            tuple(self.nouns.objects), tuple(self.nouns.attributes.values()), tuple(self.relations.values())
        )

    def _relate(self, subjects: list[int], name: str, objects: list[int], first: int, last: int) -> bool:
        span = self.words.span(min(first, last), max(first, last))
        found = False
        for subject in subjects:
            for item in objects:
                if subject != item:
                    self.relations.setdefault(
                        (subject, name, item, span[0]), Relation(subject, name, item, span)
                    )
                    found = True
        return found

    def _verb(self, index: int) -> None:
        """Active verb with its object; passive with its agent, turned round."""
        objects = self._direct_objects(index)
        if not objects:
            return
        name, last = self._verb_name(index)
        if name not in lexicon.COPULAS and self._relate(self._subjects(index), name, objects, index, last):
            self.stating.add(index)

    def _direct_objects(self, index: int) -> list[int]:
        words = self.words
        objects = (
            ("dobj", "pobj") if words[index].tag == "VBG" else ("dobj",)
        )  # "following" is read as a preposition
        for child in words.children(index, *objects):
            if words[child].tag in ("WDT", "WP"):
                return self.nouns.objects_of(words[index].head)
            return self.nouns.objects_of(child)
        if (
            words[index].dep in ("relcl", "acl")
            and self._has_own_subject(index)
            and not self._is_passive(index)
        ):
            stranded = any(self._is_stranded(preposition) for preposition in words.children(index, "prep"))
            return [] if stranded else self.nouns.objects_of(words[index].head)
        following = words.first_child(index, "conj")
        if (
            following is not None and words[following].is_verb and following - index == 2
        ):  # holding and eating an apple
            return self._direct_objects(following)
        return self._adjacent_object(index)

    def _adjacent_object(self, index: int) -> list[int]:
        """The noun phrase after a verb, attached elsewhere by mistake: "The cat hugging the dog is red"."""
        words = self.words
        if (
            words[index].tag not in ("VBG", "VBZ")
            or words[index].lower in lexicon.BE
            or index + 1 == len(words)
            or words[index + 1].tag not in ("DT", "PRP$")
        ):
            return []
        noun = words[index + 1].head
        if noun <= index + 1 or words[noun].head == index or not words[noun].is_noun or noun in self.taken:
            return []
        self.taken[noun] = index
        return self.nouns.objects_of(noun)

    def _is_stranded(self, preposition: int) -> bool:
        """Whether a preposition's object stands before its clause: "the chair that a cat is sitting on"."""
        verb = self.words[self.words[preposition].head]
        return (
            verb.dep in ("relcl", "acl")
            and self.words.first_child(preposition, "pobj", "pcomp", "prep") is None
        )

    def _has_own_subject(self, index: int) -> bool:
        return any(self.words[c].is_noun for c in self.words.children(index, *_SUBJECTS))

    def _lemma(self, verb: int) -> str:
        word = self.words[verb]
        return (
            word.lower
            if word.tag in ("VB", "VBP") and word.lower not in lexicon.BE
            else self.lemma(word.lower, "VERB")
        )

    def _verb_name(self, index: int) -> tuple[str, int]:
        """Lemma with its particle, and the last word of the two."""
        name = self._lemma(index)
        particle = self.words.first_child(index, "prt")
        if particle is None or self.words.first_child(particle, "pobj") is not None:
            return name, index
        return f"{name} {self.words[particle].lower}", particle if particle == index + 1 else index

    def _is_passive(self, index: int) -> bool:
        words, word = self.words, self.words[index]
        if word.tag not in ("VBN", "VBD") or words.first_child(index, "dobj") is not None:
            return False
        if any(words[c].lower in ("has", "have", "had", "having") for c in words.children(index, "aux")):
            return words.first_child(index, "auxpass") is not None
        if words.first_child(index, "auxpass", "nsubjpass", "agent") is not None:
            return True
        return word.tag == "VBN" or word.dep == "acl"

    def _subjects(self, index: int, depth: int = 0) -> list[int]:
        """What a verb is said of: its subject, its antecedent, or the subject of the clause it hangs on."""
        words, word = self.words, self.words[index]
        if words.first_child(index, "expl") is not None:
            return [
                o for c in words.children(index, "attr", "dobj", "nsubj") for o in self.nouns.objects_of(c)
            ]
        for child in reversed(list(words.children(index, *_SUBJECTS))):  # the nearest, where it was given two
            if child in self.taken and self.taken[child] != index:
                return self._subjects(self.taken[child], depth + 1)
            if words[child].tag not in ("WDT", "WP") and words[child].lower != "that":
                return self.nouns.objects_of(child)
            if word.dep not in ("relcl", "acl"):
                break
            return self.nouns.objects_of(word.head)
        if word.head == index or depth > _MAX_DEPTH:
            before = words.first_child(index, "npadvmod", "dep")  # "dog chasing cat"
            return self.nouns.objects_of(before) if before is not None and before < index else []
        if word.dep == "pcomp":  # "of a clown kicking a ball"
            return [
                o for c in words.children(word.head, "pobj") if c < index for o in self.nouns.objects_of(c)
            ]
        if word.dep in ("acl", "relcl") or words[word.head].is_noun:
            return self.nouns.objects_of(word.head, before=index)
        if word.dep in (*_CLAUSES, "prep") and words[word.head].is_verb:
            return self._subjects(word.head, depth + 1)
        return []

    def _preposition(self, index: int) -> None:
        words = self.words
        objects = [o for c in words.children(index, "pobj") for o in self.nouns.objects_of(c)]
        name, first, governor = self._prepositional_name(index)
        word = words[governor]
        if not objects and word.is_verb and self._is_stranded(index) and self._has_own_subject(governor):
            objects = self.nouns.objects_of(word.head)  # the chair that a cat is sitting on
        if not objects or governor == index:
            return
        if word.is_noun:
            if name != "of" or word.lower not in lexicon.QUANTITY_NOUNS:
                self._relate(self.nouns.objects_of(governor, before=first), name, objects, first, index)
        elif word.is_verb:
            self._verb_preposition(governor, name, first, index, objects)
        elif word.dep == "acomp":  # full of people
            self._relate(self._subjects(word.head), f"{word.lower} {name}", objects, governor, index)
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
            elif (
                governor + 1 == first
                and word.head != governor
                and (
                    (word.dep == "prep" and words.first_child(governor, "pobj") is None)
                    or (word.lower in _PREPOSITION_HEADS and word.tag in ("RB", "JJ", "IN", "RP"))
                )
            ):
                first, governor = governor, word.head
            else:
                break
        return words.phrase(first, index), first, governor

    def _verb_preposition(self, verb: int, name: str, first: int, last: int, objects: list[int]) -> None:
        words = self.words
        stated = self._lemma(verb)
        subjects = self._subjects(verb)
        if stated == "be":
            self._relate(subjects, name, objects, first, last)
            return
        if name == "by" and self._is_passive(verb) and stated not in lexicon.POSTURE_VERBS:
            done = self._relate(objects, self._verb_name(verb)[0], subjects, verb, last)
        elif words.first_child(verb, "dobj") is not None:
            done = self._relate(subjects, name, objects, first, last)
        else:
            stated = self._verb_name(verb)[0]
            particle = words.first_child(verb, "prt")
            if particle is not None and particle >= first:  # the particle is already in the preposition
                stated = self._lemma(verb)
            done = self._relate(subjects, f"{stated} {name}", objects, verb, last)
        if done:
            self.stating.add(verb)

    def _possession(self, index: int) -> None:
        owner, owned = self.nouns.objects_of(index), self.words[index].head
        case = self.words.first_child(index, "case")
        if case is not None:
            self._relate(owner, "have", self.nouns.objects_of(owned)[:1], case, case)

    def _state(self, index: int) -> None:
        """Attributes a verb gives its subject: "is red", "is running", "is parked"."""
        words, word = self.words, self.words[index]
        name = self._lemma(index)
        if name in lexicon.COPULAS:
            for child in words.children(index, "acomp", "attr", "oprd"):
                if words[child].lower in _PREPOSITION_HEADS | lexicon.VAGUE:
                    continue
                adjective = words[child].tag[:2] == "JJ" or words[child].tag in ("VBN", "VBG")
                if adjective or words[child].lower in lexicon.COLOURS:
                    for subject in self._subjects(index):
                        self.nouns.add_attribute(subject, child)
        elif word.tag == "VBG" or (word.tag == "VBN" and self._is_passive(index)):
            if word.dep != "amod" and words.first_child(index, "dobj") is None:
                for subject in self._subjects(index):
                    self.nouns.add_attribute(subject, index)
