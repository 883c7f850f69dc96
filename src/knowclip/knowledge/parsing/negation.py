"""What a caption denies: how far its negations reach.

One reading serves all. The parser's rules call :func:`denied_words` with spaCy's tags and tree;
:func:`negations` and :func:`is_negated` read plain text, for all that has no tree (another parser's graph, an
edit of a caption). Where the words leave the reach open, it reaches further: what is thought denied is
neither claimed nor replaced, which is a loss and never an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from knowclip.knowledge.parsing.dependency_words import Words
from knowclip.knowledge.parsing.negation_cues import AUXILIARIES, ENDS, Cue, cues, may_deny
from knowclip.knowledge.words import alternatives, lexicon, wordnet
from knowclip.types import Span


@dataclass(frozen=True, slots=True)
class Negation:
    """One denial in a text.

    ``cue`` are the words that deny ("without"). ``denied`` is what a picture need not show for the text to be
    true ("a helmet"): nothing in it is claimed. ``scope`` holds it and all that the denial speaks of: in
    "There are no dogs on the beach", dogs are denied and the beach is there, but with another word in its
    place the sentence may be true as well.
    """

    cue: Span
    denied: Span
    scope: Span


_TOKEN = re.compile(
    r"w/o(?:ut)?\b|\bcan(?=not\b)|\b(?:is|are|was|were|do|does|did|has|have|had|wo|ca|could|would|should|ai)(?=nt\b)"
    r"|\b[^\W\d_]+?(?=n['\u2019\u02bc`\u00b4]t\b)|n['\u2019\u02bc`\u00b4]t\b|\w+|[^\w\s]",
    re.IGNORECASE,
)
_APOSTROPHES = re.compile("[\u2019\u02bc`\u00b4]")
_OPENERS = lexicon.ARTICLES | lexicon.POSSESSIVES | frozenset(lexicon.COUNTS) | {"some", "another", "several"}
_KNOWN = lexicon.DEFINITE | lexicon.POSSESSIVES
_PEOPLE = frozenset("people crowd crowds".split())
"""Groups, which are alive although WordNet calls them groups."""
_RELATIVE = frozenset("that which who where whose".split())
_STARTS_CLAUSE = ENDS | _RELATIVE | frozenset(", and as".split())
_PART_OF_PHRASE = frozenset("of with for without".split())
_QUANTIFIERS = frozenset("no zero neither hardly barely scarcely almost".split())
_DEGREES = frozenset("very so too that quite really".split())
_LONGEST_LIST = 6
"""Words behind a comma in which the "or" of its list must follow."""


@lru_cache(maxsize=1 << 12)
def negations(text: str) -> tuple[Negation, ...]:
    """The denials of a text by its words alone, in order.

    Where "no" opens the subject, and after "nobody" and "not", all up to the end of the clause is in the
    scope; a clause ends with a stop, with "but" or "while", and before the verb of another one ("A man who is
    not wearing a hat *walks* a dog").
    """
    if not may_deny(text):
        return ()
    tokens = list(_TOKEN.finditer(text))
    found = []
    for cue, denied, last in _Reading([token[0] for token in tokens]).reaches():
        first = cue.first if cue.kind == "pronoun" else cue.last + 1
        narrow, wide = ((tokens[first].start(), tokens[end].end()) for end in (denied, last))
        found.append(Negation((tokens[cue.first].start(), tokens[cue.last].end()), narrow, wide))
    return tuple(found)


def is_negated(text: str, span: Span) -> bool:
    """Whether any word at a span of a text denies or stands in the scope of a denial."""
    reached = (place for negation in negations(text) for place in (negation.cue, negation.scope))
    return any(start < span[1] and span[0] < end for start, end in reached)


def denied_words(words: Words) -> frozenset[int]:
    """The words of a parsed caption that deny or are denied: nothing they say is claimed."""
    if not may_deny(words.text):
        return frozenset()
    return frozenset(
        index for cue, denied, _ in _Parsed(words).reaches() for index in range(cue.first, denied + 1)
    )


def is_being(noun: str) -> bool:
    """Whether a lower-case noun, of any number, is of people or animals: it does what is said behind it."""
    return noun in _PEOPLE or alternatives.is_alive(wordnet.lemma(noun, "noun"))


class _Reading:
    """Words read without a tree."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = [_APOSTROPHES.sub("'", word.strip().lower()) or " " for word in words]

    def reaches(self) -> list[tuple[Cue, int, int]]:
        """Each cue with the last word that it denies and the last one of its scope, where it has any."""
        found = []
        for cue in cues(self.words):
            denied, last = self._reach(cue)
            if last >= (cue.first if cue.kind == "pronoun" else cue.last + 1):
                found.append((cue, max(denied, cue.last + (cue.kind != "pronoun")), last))
        return found

    def at(self, index: int) -> str:
        """A word; a full stop beyond the ends."""
        return self.words[index] if 0 <= index < len(self.words) else "."

    def _reach(self, cue: Cue) -> tuple[int, int]:
        before = self.at(cue.first - 1)
        there = before in AUXILIARIES and self.at(cue.first - 2) == "there"
        if cue.kind == "clause" and before in lexicon.ARTICLES | lexicon.POSSESSIVES:
            adjective = self._adjective(cue.last + 1)  # a not very big dog
            return adjective, adjective
        subject = cue.kind == "pronoun" or (
            self.words[cue.first] in _QUANTIFIERS and before in _STARTS_CLAUSE and self.is_subject(cue)
        )
        denied, index = -1, cue.last + 1
        while index < len(self.words) and not self._closes(cue, index, subject, there):
            if denied < 0 and (cue.kind != "clause" or there) and self._is_place(index, subject or there):
                denied = index - 1
            index += 1
        return (index - 1 if denied < 0 else denied), index - 1

    def _adjective(self, index: int) -> int:
        """The word that an adverb or several before it refine."""
        while self.at(index).endswith("ly") or self.at(index) in _DEGREES:
            index += 1
        return min(index, len(self.words) - 1)

    def _is_place(self, index: int, stated: bool) -> bool:
        """Whether a preposition tells where what is denied is missing: "no dogs *on* the beach".

        The place is there if it is definite, or if it is where the bearer is: "a boy with no shirt *on* a
        bike". "No dog on a bike" leaves open whether there is a bike.
        """
        word, following = self.words[index], self.at(index + 1)
        if word not in lexicon.PREPOSITIONS or word in _PART_OF_PHRASE or self.is_verb(index + 1):
            return False
        if following in ENDS or following in AUXILIARIES:  # with no shirt on
            return False
        if following in _KNOWN or not (stated or is_being(self.words[index - 1])):
            return True
        noun = wordnet.lemma(following, "noun")
        return following not in _OPENERS | lexicon.DETERMINERS and noun == following

    def _closes(self, cue: Cue, index: int, subject: bool, there: bool) -> bool:
        """Whether the scope of a cue ends before a word."""
        word, following = self.words[index], self.at(index + 1)
        if word in ENDS:
            return True
        if word == ",":
            return following not in ("or", "nor") and not self._lists_on(index + 1)
        if word == "and":
            again = following in AUXILIARIES or self.is_finite(index + 1) or following == "with"
            again = again or (cue.kind == "phrase" and self.is_verb(index + 1))
            return again or (self.words[cue.first] != "without" and following in _OPENERS)
        if index == cue.last + 1 or subject or self.words[index - 1] in _RELATIVE:
            return False
        if word in AUXILIARIES:
            return not there
        return self.leaves(cue, index, there)

    def _lists_on(self, index: int) -> bool:
        """Whether a comma is one of a list: "no cars, people or dogs"."""
        for word in self.words[index : index + _LONGEST_LIST]:
            if word in ("or", "nor"):
                return True
            if word in ENDS or word in AUXILIARIES or word in lexicon.PREPOSITIONS:
                return False
        return False

    def is_subject(self, cue: Cue) -> bool:
        """Whether the noun after a cue at the start of what may be a clause is its subject."""
        return self.at(cue.first - 1) not in ("and", ",")

    def is_finite(self, index: int) -> bool:
        """Whether a word may be a verb in the third person."""
        return self.at(index).endswith("s") and wordnet.lemma(self.at(index), "verb") != self.at(index)

    def is_verb(self, index: int) -> bool:
        """Whether a word may be a participle."""
        return self.at(index).endswith("ing") and wordnet.lemma(self.at(index), "verb") != self.at(index)

    def leaves(self, cue: Cue, index: int, there: bool) -> bool:
        """Whether a word is the verb of what the denial is said of."""
        following = self.at(index + 1)
        if self.is_finite(index):
            opened = any(w in _OPENERS or w == "an" for w in self.words[cue.first : index - 1])
            return following in _OPENERS or (opened and following in lexicon.PREPOSITIONS)
        if cue.kind != "phrase" or there or not self.is_verb(index) or is_being(self.words[index - 1]):
            return False
        return following in _OPENERS or following in lexicon.PREPOSITIONS or following in ENDS


class _Parsed(_Reading):
    """Words read with their tags and tree."""

    def __init__(self, words: Words) -> None:
        super().__init__([word.text for word in words.words])
        self.parsed = words

    def is_subject(self, cue: Cue) -> bool:
        if super().is_subject(cue):
            return True
        return self.parsed[self.parsed[cue.last].head].dep in ("nsubj", "nsubjpass")

    def _adjective(self, index: int) -> int:
        while index + 1 < len(self.parsed) and self.parsed[index].tag[:2] == "RB":
            index += 1
        return min(index, len(self.parsed) - 1)

    def is_finite(self, index: int) -> bool:
        return index < len(self.parsed) and self.parsed[index].tag in ("VBZ", "VBP", "VBD", "MD")

    def is_verb(self, index: int) -> bool:
        return index < len(self.parsed) and self.parsed[index].is_verb and self.at(index) not in AUXILIARIES

    def leaves(self, cue: Cue, index: int, there: bool) -> bool:
        word = self.parsed[index]
        if word.tag in ("DT", "PRP$"):  # instead of a hat *the man* wears a crown
            noun = self.parsed[word.head]
            return noun.dep in ("nsubj", "nsubjpass") and noun.head > word.head
        if not word.is_verb or word.dep in ("aux", "auxpass", "amod", "compound"):
            return super().leaves(cue, index, there)
        between = self.parsed.words[cue.last + 1 : index]
        outside = not cue.first <= word.head < index
        if cue.kind == "clause":
            return outside and any(
                w.tag[:2] not in ("RB", "PR") and w.dep not in ("aux", "auxpass") for w in between
            )
        finite = self.is_finite(index) and outside
        return finite or (not there and not is_being(self.words[index - 1]))
