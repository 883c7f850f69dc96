"""Edits of a caption that keep it English: capitals, a/an, forms of words; old spans in the new text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from knowclip.knowledge.negatives.articles import article
from knowclip.knowledge.words import wordnet
from knowclip.knowledge.words.lexicon import (
    COUNTS,
    DETERMINERS,
    HARD_CH,
    NO_MEN,
    PLURAL_IN_OES,
    PLURAL_NOUNS,
    PLURAL_OF,
    POSSESSIVES,
    PREPOSITIONS,
    QUANTITY_NOUNS,
    RARE_PASTS,
    UNCHANGED_PARTICIPLE,
    UNCHANGED_PAST,
    UNCHANGED_PLURAL,
    VAGUE,
)
from knowclip.knowledge.words.wordnet import Part, irregular_forms
from knowclip.types import Span

_LAST_ARTICLE = re.compile(r"\b(an?)\s+$", re.IGNORECASE)
_ARTICLE_ENDS = frozenset("aAnN \t\n")
_CONSONANT_O = re.compile("[^aeiou]o$")
_FIRST_WORD = re.compile(r"[^\W_]+")
_NATIONAL = re.compile(r"(?:ian|ican|ean|ese|ish)s?$")
"""Endings of unknown words that are of a country: "Brazilian", "Swedish"."""
_NAMES = frozenset(
    "i german germans french greek swiss dutch thai welsh scottish christmas halloween easter santa "
    "monday tuesday wednesday thursday friday saturday sunday january february april june july august "
    "september october november december".split()
)  # fmt: skip
_NO_NAMES = (
    DETERMINERS | POSSESSIVES | VAGUE | QUANTITY_NOUNS | PREPOSITIONS | frozenset(COUNTS)
    | frozenset("it he she they who what which there someone somebody both either neither none half".split())
)  # fmt: skip
_PARTS: tuple[Part, ...] = ("noun", "adjective", "verb")
_SINGULAR_OF = {plural: singular for singular, plural in PLURAL_OF.items()}


class Edit(NamedTuple):
    """Replace the characters of ``span`` by ``text``, which came from ``source`` if it was moved.

    A source is the span of another edit: what moves leaves its place.
    """

    span: Span
    text: str
    source: Span | None = None


class Edited:
    """A caption after disjoint edits: ``text``, the ``changed`` spans in it, and where old spans went.

    ``first`` is where the first edit begins: what ends before it is where it was.
    """

    def __init__(self, caption: str, edits: Iterable[Edit]) -> None:
        edits = _with_articles(caption, sorted(edits, key=itemgetter(0)))
        segments: list[tuple[int, int, int]] = []  # old start, old end, new start
        changed: list[Span] = []
        replaced: dict[Span, Span] = {}
        text, old, new = "", 0, 0
        for span, inserted, source in edits:
            start, end = span
            segments.append((old, start, new))
            text += caption[old:start] + inserted
            new, old = len(text), end
            if inserted:
                place = new - len(inserted), new
                changed.append(place)
                if source is None:
                    replaced[span] = place
            if source is not None:
                segments.append((*source, new - len(inserted)))
        segments.append((old, len(caption), new))
        self.text = text + caption[old:]
        self.first = edits[0][0][0] if edits else len(caption)
        self.changed = tuple(changed)
        self._replaced = replaced
        self._segments = sorted(segments)
        self._last, self._shift = old, new - old

    def span(self, old: Span | None) -> Span | None:
        """Where an old span, or what replaced the text at one of its ends, stands now; None if it was cut."""
        if old is None:
            return None
        if old[1] <= self.first:
            return old
        if old[0] >= self._last:
            return old[0] + self._shift, old[1] + self._shift
        if old in self._replaced:
            return self._replaced[old]
        start, end, new = self._segments[bisect_right(self._segments, old[0], key=itemgetter(0)) - 1]
        if old[1] <= end:
            return old[0] - start + new, old[1] - start + new
        for (first, last), (here, there) in self._replaced.items():
            if first == old[0] and last < old[1] and (rest := self.span((last, old[1]))):
                return here, rest[1]
            if last == old[1] and old[0] < first and (rest := self.span((old[0], first))):
                return rest[0], there
        return None


def starts_sentence(caption: str, position: int) -> bool:
    """Whether a sentence begins at a position."""
    before = caption[:position].rstrip(" \"'([")
    return not before or before[-1] in ".!?\n"


def moved(caption: str, source: Span, target: int) -> str:
    """The text at ``source`` with its first letter as its new place wants it.

    What opens a sentence there is written like what opened it before. What opened one here loses its capital
    unless that is its own, as a name has; articles, numbers and the like never own one.
    """
    text = caption[slice(*source)]
    if starts_sentence(caption, target):
        return text[:1].upper() + text[1:] if caption[target : target + 1].isupper() else text
    if not starts_sentence(caption, source[0]) or not text[:1].isupper() or caption.isupper():
        return text
    replaced = _FIRST_WORD.match(caption, target)
    if replaced and replaced[0][0].isupper() and replaced[0].lower() in _NO_NAMES:
        return text  # A Title Like This
    if _owns_capital(text):
        return text
    word = text.partition(" ")[0]
    return text.replace(word, word.lower(), 1)


def _owns_capital(text: str) -> bool:
    """Whether a text has its capital within a sentence too: "I", "X-ray", "BMX rider", "German boy"."""
    word, _, rest = text.partition(" ")
    letters = word.rstrip(".,;:!?\"'").lower()
    if letters in _NO_NAMES:
        return False
    if any(map(str.isupper, word[1:])) or (word[1:2] == "-" and word[2:3].isalpha()):
        return True
    if letters in _NAMES:
        return True
    if any(wordnet.senses(wordnet.lemma(letters, part), part) for part in _PARTS):
        return False
    return _NATIONAL.search(letters) is not None or rest[:1].isupper()


def agreeing(verb: str, lemma: str, plural: bool) -> str | None:
    """A present-tense verb form made to agree; None if it shows no number ("riding", "rode")."""
    lower = verb.lower()
    singular = _SINGULAR_OF.get(lower, lower if lower in PLURAL_OF else None)
    if singular is None:
        if lower not in (lemma, third_person(lemma)):
            return None
        return lemma if plural else third_person(lemma)
    return PLURAL_OF[singular] if plural else singular


def third_person(lemma: str) -> str:
    """Singular present of a verb: "chase" -> "chases", "carry" -> "carries", "watch" -> "watches"."""
    if lemma in _SINGULAR_OF:
        return _SINGULAR_OF[lemma]
    if _ends_in_consonant_y(lemma):
        return f"{lemma[:-1]}ies"
    sibilant = lemma.endswith(("s", "sh", "ch", "x", "z")) and lemma not in HARD_CH
    return f"{lemma}es" if sibilant or _CONSONANT_O.search(lemma) else f"{lemma}s"


def inflected(verb: str, *, like: str, lemma: str) -> str | None:
    """A verb in the form ``like`` of another: "push" like "riding" of "ride"; None where that is unclear.

    Past tense and participle are told apart only by the verbs that have one form for both.
    """
    if like == lemma:
        return verb
    if like == third_person(lemma):
        return third_person(verb)
    irregular = irregular_forms(verb, "verb")
    if like.endswith("ing"):
        return next((form for form in irregular if form.endswith("ing")), f"{_stem(verb)}ing")
    past = [form for form in irregular if not form.endswith(("ing", "s")) and form not in RARE_PASTS]
    if verb in UNCHANGED_PAST or verb in UNCHANGED_PARTICIPLE or len(past) > 1:
        return verb if verb in UNCHANGED_PAST else None
    regular = f"{verb[:-1]}ied" if _ends_in_consonant_y(verb) else f"{verb.removesuffix('e')}ed"
    return past[0] if past else regular


def plural(noun: str) -> str:
    """Plural of a noun: "dog" -> "dogs", "police officer" -> "police officers", "scarf" -> "scarves"."""
    before, space, head = noun.rpartition(" ")
    if head in PLURAL_NOUNS:
        return noun
    if head in UNCHANGED_PLURAL:
        return noun
    forms = irregular_forms(head, "noun")  # some are Latin ("camerae") or old ("busses")
    irregular = [f for f in forms if f.endswith("ves") or not f.endswith(("a", "ae", "i", "s", "hren"))]
    if irregular:
        return f"{before}{space}{irregular[0]}"
    if head.endswith("man") and head not in NO_MEN:
        return f"{noun[:-2]}en"
    if head.endswith("alf"):
        return f"{noun[:-1]}ves"
    if head.endswith("o") and head not in PLURAL_IN_OES:
        return f"{noun}s"
    return before + space + third_person(head)


def replacement(caption: str, span: Span, text: str) -> Edit:
    """Replace the words at ``span`` by others in lower case, which get the capitals of their place."""
    if caption.isupper():
        text = text.upper()
    elif caption[span[0]].isupper() and starts_sentence(caption, span[0]):
        text = text[:1].upper() + text[1:]
    return Edit(span, text)


def _stem(verb: str) -> str:
    """What -ing is put to: "rid" of "ride", "play" of "play", "see" of "see"."""
    return verb[:-1] if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) else verb


def _ends_in_consonant_y(word: str) -> bool:
    return word[-1:] == "y" and word[-2:-1] not in "aeiou"


def _with_articles(caption: str, edits: list[Edit]) -> list[Edit]:
    """The edits, with each a/an before one of them mended, by what stands behind it afterwards."""
    mended: list[Edit] = []
    for number, edit in enumerate(edits):
        start = edit[0][0]
        if caption[start - 2 : start - 1] not in _ARTICLE_ENDS or start < 2:
            mended.append(edit)
            continue
        match = _LAST_ARTICLE.search(caption, max(0, start - 4), start)
        if match and not (mended and mended[-1].span[1] > match.start(1)):
            wanted = article(_following(caption, edits, number))
            if wanted != match[1].lower():
                wanted = wanted.capitalize() if match[1][0].isupper() else wanted
                mended.append(Edit(match.span(1), wanted))
        mended.append(edit)
    return mended


def _following(caption: str, edits: list[Edit], number: int) -> str:
    """What is read from the start of an edit on: its text, or, where it cuts words out, what follows them."""
    text, end = edits[number].text, edits[number].span[1]
    while not text.strip():
        number += 1
        begin = edits[number].span[0] if number < len(edits) else len(caption)
        if caption[end:begin].strip() or number == len(edits):
            return caption[end:begin].lstrip()
        text, end = edits[number].text, edits[number].span[1]
    return text.lstrip()
