"""Verbs of a parse: what they are called, who does it, to what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from knowclip.knowledge.parsing.dependency_words import Lemma, Words
from knowclip.knowledge.parsing.noun_phrases import NounPhrases
from knowclip.knowledge.words import lexicon

_SUBJECTS = ("nsubj", "nsubjpass", "csubj")
_CLAUSES = ("conj", "xcomp", "advcl", "ccomp", "dep", "parataxis", "prep")
_RELATIVE = ("acl", "relcl")
_MAX_DEPTH = 16
_GIVEN_DEPS = ("dobj", "npadvmod", "appos", "dep", "ROOT")
_OPENS_GIVEN = lexicon.ARTICLES | lexicon.POSSESSIVES | frozenset(lexicon.COUNTS) | {"some", "another"}


@dataclass(frozen=True, slots=True)
class Gift:
    """Who gives what to whom: "a woman gives a dog a treat", "a dog is given a treat by a woman"."""

    givers: list[int]
    given: list[int]
    recipients: list[int]


class Clauses:
    """Names, subjects and objects of the verbs of one caption, in terms of its objects."""

    def __init__(self, words: Words, lemma: Lemma, nouns: NounPhrases) -> None:
        self.words = words
        self.lemma = lemma
        self.nouns = nouns
        self._adopted: dict[int, int] = {}
        """Nouns read as the object of a verb they do not hang on."""

    def verb(self, index: int) -> str:
        """Lemma of a verb."""
        word = self.words[index]
        if word.tag in ("VB", "VBP") and word.lower not in lexicon.BE:
            return word.lower
        return self.lemma(word.lower, "VERB")

    def verb_with_particle(self, index: int) -> tuple[str, int]:
        """Lemma with its particle ("pick up"), and the last word of the two where they stand together."""
        particle = self.words.first_child(index, "prt")
        if particle is None or self.words.first_child(particle, "pobj") is not None:
            return self.verb(index), index
        return (
            f"{self.verb(index)} {self.words[particle].lower}",
            particle if particle == index + 1 else index,
        )

    def is_passive(self, index: int) -> bool:
        """Whether the subject of a verb is what it is done to."""
        words, word = self.words, self.words[index]
        if word.tag not in ("VBN", "VBD") or words.first_child(index, "dobj") is not None:
            return False
        if any(words[c].lower in ("has", "have", "had", "having") for c in words.children(index, "aux")):
            return words.first_child(index, "auxpass") is not None
        if words.first_child(index, "auxpass", "nsubjpass", "agent") is not None:
            return True
        return word.tag == "VBN" or word.dep == "acl"

    def is_stranded(self, preposition: int) -> bool:
        """Whether a preposition's object stands before its clause: "the chair that a cat is sitting on"."""
        words = self.words
        verb = words[preposition].head
        if (
            words[verb].dep not in _RELATIVE
            or words.first_child(preposition, "pobj", "pcomp", "prep") is not None
        ):
            return False
        return self._has_own_subject(verb)

    def _has_own_subject(self, index: int) -> bool:
        return any(self.words[c].is_noun for c in self.words.children(index, *_SUBJECTS))

    def objects(self, index: int) -> list[int]:
        """What a verb is done to: its object, its antecedent, or the object it shares with the next verb."""
        words, word = self.words, self.words[index]
        # "following" is sometimes read as a preposition
        for child in words.children(index, "dobj", *(["pobj"] if word.tag == "VBG" else [])):
            return self.nouns.objects_of(word.head if words[child].tag in ("WDT", "WP") else child)
        if word.dep in _RELATIVE and self._has_own_subject(index) and not self.is_passive(index):
            stranded = any(map(self.is_stranded, words.children(index, "prep")))
            return [] if stranded else self.nouns.objects_of(word.head)
        following = words.first_child(index, "conj")
        if following == index + 2 and words[following].is_verb:  # holding and eating an apple
            return self.objects(following)
        return self._adjacent_object(index)

    def gift(self, index: int) -> Gift | None:
        """What a verb with two objects states."""
        if self.verb(index) not in lexicon.RECIPIENT:
            return None
        words = self.words
        nouns = [c for c in words.children(index, "dative", "dobj") if words[c].tag not in ("IN", "TO")]
        passive = words.first_child(index, "nsubjpass")
        if passive is not None and len(nouns) == 1:  # a dog is given a treat
            agents = words.children(index, "agent")
            givers = self._named(noun for by in agents for noun in words.children(by, "pobj"))
            return Gift(givers, self.nouns.objects_of(nouns[0]), self.nouns.objects_of(passive))
        if not nouns:
            return None
        given = nouns[1] if len(nouns) > 1 else self._given_after(nouns[0])
        if given is None:
            return None
        first, second = (self._antecedent(noun, index) for noun in (nouns[0], given))
        if words[nouns[0]].tag in ("WDT", "WP"):  # the treat that she gives a dog
            first, second = second, first
        return Gift(self.subjects(index), second, first)

    def _antecedent(self, noun: int, verb: int) -> list[int]:
        relative = self.words[noun].tag in ("WDT", "WP")
        return self.nouns.objects_of(self.words[verb].head if relative else noun)

    def _given_after(self, recipient: int) -> int | None:
        """The noun phrase right after that of a recipient, hung elsewhere by mistake."""
        words, last = self.words, recipient
        while last + 1 < len(words) and words[last + 1].lower not in _OPENS_GIVEN:
            last += 1
            if not words.is_below(last, recipient) or words[last].dep in ("punct", "cc"):
                return None
        given = words[last + 1].head if last + 1 < len(words) else recipient
        if given <= last + 1 or not words[given].is_noun or words[given].dep not in _GIVEN_DEPS:
            return None
        apart = words[given].head == recipient or not words.is_below(given, recipient)
        return given if apart else None

    def _adjacent_object(self, index: int) -> list[int]:
        """The noun phrase after a verb, attached elsewhere by mistake: "The cat hugging the dog is red"."""
        words, word = self.words, self.words[index]
        if word.tag not in ("VBG", "VBZ") or word.lower in lexicon.BE or index + 1 == len(words):
            return []
        noun = words[index + 1].head
        if words[index + 1].tag not in ("DT", "PRP$") or noun <= index + 1 or not words[noun].is_noun:
            return []
        if words[noun].head == index or noun in self._adopted:
            return []
        self._adopted[noun] = index
        return self.nouns.objects_of(noun)

    def subjects(self, index: int, depth: int = 0) -> list[int]:
        """What a verb is said of: its subject, its antecedent, or the subject of the clause it hangs on."""
        words, word = self.words, self.words[index]
        if depth > _MAX_DEPTH:
            return []
        if words.first_child(index, "expl") is not None:  # there is a dog
            return self._named(words.children(index, "attr", "dobj", "nsubj"))
        given = words.children(index, *_SUBJECTS)
        said = [
            child for child in given if child not in words.denied
        ]  # not the cat of "a dog instead of a cat"
        for child in reversed(said or given):  # the nearest, where it was given two
            if self._adopted.get(child, index) != index:
                return self.subjects(self._adopted[child], depth + 1)
            if words[child].tag not in ("WDT", "WP") and words[child].lower != "that":
                return self.nouns.objects_of(child)
            break
        if self.verb(index) == "be" and any(c < index for c in words.children(index, "prep", "advmod")):
            inverted = self._named(words.children(index, "attr"))  # on a table is a cat
            if inverted:
                return inverted
        if word.head == index:
            return self._named(
                c for c in words.children(index, "npadvmod", "dep") if c < index
            )  # dog chasing cat
        if word.dep == "pcomp":  # of a clown kicking a ball
            return self._named(c for c in words.children(word.head, "pobj") if c < index)
        if word.dep in _RELATIVE or words[word.head].is_noun:
            return self.nouns.objects_of(word.head, before=index)
        if word.dep in _CLAUSES and words[word.head].is_verb:
            return self.subjects(word.head, depth + 1)
        return []

    def _named(self, nouns: Iterable[int]) -> list[int]:
        return [item for noun in nouns for item in self.nouns.objects_of(noun)]
