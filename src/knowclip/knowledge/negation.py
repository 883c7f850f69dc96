"""What a caption denies: the words that deny, and how far each of them reaches.

The cues are closed classes of English, found in a list of words, whoever made it: the parser's rules look for
them in spaCy's words and take the reach from the tree; :func:`negations` reads plain text, for all that has
no tree (another parser's graph, an edit of a caption). Where a text leaves the reach open, it reaches
further: what is thought denied is neither claimed nor replaced, which is a loss and never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from knowclip.knowledge import alternatives, lexicon, wordnet
from knowclip.types import Span

Kind = Literal["phrase", "pronoun", "clause"]
"""What a cue denies: the noun phrase after it ("no", "without", "free of"); itself, with what is said of it
("nobody"); the verb or the word it stands before ("not")."""


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


@dataclass(frozen=True, slots=True)
class Cue:
    """Words ``first`` to ``last`` of a list, both included."""

    first: int
    last: int
    kind: Kind


def _table(text: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Phrases by their first word, the longest first."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for phrase in text.split(","):
        words = tuple(phrase.split())
        found.setdefault(words[0], []).append(words)
    return {first: tuple(sorted(phrases, key=len, reverse=True)) for first, phrases in found.items()}


_NT = "n't"
_CUES: dict[Kind, dict[str, tuple[tuple[str, ...], ...]]] = {
    "phrase": _table(
        """no, without, w/o, w/out, w / o, with out, sans, zero, nor, neither, hardly any, barely any,
        scarcely any, almost no, not a, not an, not any, not one, not a single, free of, free from, empty of,
        devoid of, void of, bare of, bereft of, stripped of, absent of, lack of, lack, lacks, lacking, lacked,
        absence of, instead of, rather than, other than, except, except for, excepting, excluding, apart
        from, aside from, but for, save for, in place of, in lieu of, as opposed to, with the exception of,
        missing a, missing an, missing his, missing her, missing its, missing their, missing one, missing
        two, missing some"""
    ),
    "pronoun": _table("nobody, no one, no - one, noone, no body, none, nothing, nowhere, neither of"),
    "clause": _table(f"not, {_NT}, nt, never, no longer"),
}
_NO_CUES = _table(
    """not only, not just, not merely, not simply, not solely, not to mention, not unlike, not least, or
        not, if not, why not, no doubt, no matter, no more than, no less than, no fewer than, no later than,
        no other than, nothing but, nothing except, nothing other than, nothing more than, none but, none
        other than, nobody but, no one but, no - one but, no one except, no one other than, can not help
        but, ca n't help but, never mind, no problem, no wonder"""
)
"""What only looks like one: "nothing but shorts" are shorts, "no fewer than three dogs" are there."""

_LABELS = frozenset(
    "sign signs zone zones symbol symbols notice button poster placard sticker area lane".split()
)
"""What "no parking" and "do not enter" are written on: "a no parking sign" is there."""
_LONGEST_LABEL = 5

_TOKEN = re.compile(
    r"w/o(?:ut)?\b|\bcan(?=not\b)|\b(?:is|are|was|were|do|does|did|has|have|had|wo|ca|could|would|should|ai)(?=nt\b)"
    r"|\b[^\W\d_]+?(?=n['\u2019\u02bc`\u00b4]t\b)|n['\u2019\u02bc`\u00b4]t\b|\w+|[^\w\s]",
    re.IGNORECASE,
)
_MAY_DENY = re.compile(
    r"n['\u2019\u02bc`\u00b4]?t\b|cannot\b|\b(?:"
    + "|".join(
        r"\s*".join(map(re.escape, phrase))
        for table in _CUES.values()
        for phrases in table.values()
        for phrase in phrases
        if phrase != (_NT,)
    )
    + r")\b",
    re.IGNORECASE,
)
_ENDS = frozenset('. ; : ! ? ( ) " but while whilst although though because when until whereas'.split())
_AUXILIARIES = lexicon.BE | frozenset("has have had does do did can could will would".split())
_OPENERS = lexicon.ARTICLES | lexicon.POSSESSIVES | frozenset(lexicon.COUNTS) | {"some", "another", "several"}
_PEOPLE = frozenset("people crowd crowds".split())
"""Groups, which are alive although WordNet calls them groups."""
_RELATIVE = frozenset("that which who where whose".split())
_NOT_IN_LABELS = _AUXILIARIES | _ENDS | {",", "or"}
_STARTS_CLAUSE = _ENDS | _RELATIVE | frozenset(", and as".split())
_PART_OF_PHRASE = frozenset("of with for without".split())


def cues(words: Sequence[str]) -> Iterator[Cue]:
    """The cues among lower-case words, in order.

    "n't" is a word of its own, as are the parts of "no-one"; idioms that deny nothing ("not only", "no fewer
    than"), numbers ("no. 5"), hyphenated words ("no-slip") and labels ("a no parking sign") are left out.
    """
    index = 0
    while index < len(words):
        skipped = _longest(_NO_CUES, words, index)
        if skipped or _is_label(words, index):
            index += max(skipped, 1)
            continue
        lengths = {kind: _longest(table, words, index) for kind, table in _CUES.items()}
        kind = max(lengths, key=lengths.__getitem__)
        if lengths[kind]:
            yield Cue(index, index + lengths[kind] - 1, kind)
        index += max(lengths[kind], 1)


def _longest(table: dict[str, tuple[tuple[str, ...], ...]], words: Sequence[str], index: int) -> int:
    for phrase in table.get(words[index], ()):
        if tuple(words[index : index + len(phrase)]) == phrase:
            return len(phrase)
    return 0


def _is_label(words: Sequence[str], index: int) -> bool:
    """Whether a "no" or "not" is part of a word, of a number or of what a sign says."""
    if words[index] not in ("no", "not", _NT, "never"):
        return False
    following = words[index + 1 : index + 1 + _LONGEST_LABEL]
    if not following or (following[0] == "-" and following[1:2] != ["one"]):
        return True
    if following[0][0].isdigit() or (following[0] == "." and following[1:2] and following[1][0].isdigit()):
        return words[index] == "no"
    if words[index] in ("not", _NT) and words[index - 1 : index] not in (["do"], ["dont"]):
        return False
    label = next((n for n, word in enumerate(following) if word in _LABELS), 0)
    return label > 0 and not any(
        w in _AUXILIARIES or w in _ENDS or w in (",", "or") for w in following[:label]
    )


@lru_cache(maxsize=1 << 12)
def negations(text: str) -> tuple[Negation, ...]:
    """The denials of a text by its words alone, in order.

    Where "no" opens the subject, and after "nobody" and "not", all up to the end of the clause is in the
    scope; a clause ends with a stop, with "but" or "while", and before the verb of another one ("A man who is
    not wearing a hat *walks* a dog").
    """
    if not _MAY_DENY.search(text):
        return ()
    tokens = list(_TOKEN.finditer(text))
    words = [re.sub("[\u2019\u02bc`\u00b4]", "'", token[0].lower()) for token in tokens]
    found = []
    for cue in cues(words):
        denied, last = _reach(words, cue)
        first = cue.first if cue.kind == "pronoun" else cue.last + 1
        if last < first:
            continue
        spans = ((first, denied), (first, last))
        narrow, wide = ((tokens[a].start(), tokens[max(a, b)].end()) for a, b in spans)
        found.append(Negation((tokens[cue.first].start(), tokens[cue.last].end()), narrow, wide))
    return tuple(found)


def is_negated(text: str, span: Span) -> bool:
    """Whether any word at a span of a text denies or stands in the scope of a denial."""
    reached = (place for negation in negations(text) for place in (negation.cue, negation.scope))
    return any(start < span[1] and span[0] < end for start, end in reached)


def _reach(words: Sequence[str], cue: Cue) -> tuple[int, int]:
    """The last word denied by a cue, and the last one of its scope."""
    before = words[cue.first - 1] if cue.first else "."
    there = before in _AUXILIARIES and words[cue.first - 2 : cue.first - 1] == ["there"]
    whole_clause = cue.kind != "phrase" or (words[cue.first] == "no" and before in _STARTS_CLAUSE)
    denied, index = None, cue.last + 1
    while index < len(words) and not _closes(words, cue, index, whole_clause or there):
        place = words[index] in lexicon.PREPOSITIONS and words[index] not in _PART_OF_PHRASE
        if place and denied is None and (cue.kind == "phrase" or there or cue.kind == "pronoun"):
            denied = index - 1
        index += 1
    return (index - 1 if denied is None else max(denied, cue.last)), index - 1


def _closes(words: Sequence[str], cue: Cue, index: int, whole_clause: bool) -> bool:
    """Whether the scope of a cue ends before a word."""
    word, following = words[index], words[index + 1] if index + 1 < len(words) else "."
    first = index == cue.last + 1
    if word in _ENDS:
        return True
    if word == ",":
        return following not in ("or", "nor")
    if word == "and":
        again = following in _AUXILIARIES or _is_third_person(following) or following == "with"
        return again or (words[cue.first] != "without" and following in _OPENERS)
    if first or words[index - 1] in _RELATIVE:
        return False
    if word in _AUXILIARIES:
        return not (whole_clause and cue.kind != "clause")
    if whole_clause and cue.kind != "clause":
        return False
    opened = any(w in _OPENERS for w in words[cue.first : index - 1]) or words[cue.last] in ("a", "an")
    if _is_third_person(word) and (following in _OPENERS or (opened and following in lexicon.PREPOSITIONS)):
        return True
    participle = word.endswith("ing") and wordnet.lemma(word, "verb") != word
    goes_on = following in _OPENERS or following in lexicon.PREPOSITIONS or following in _ENDS
    lifeless = not is_being(words[index - 1])
    return cue.kind == "phrase" and not whole_clause and participle and goes_on and lifeless


def _is_third_person(word: str) -> bool:
    return word.endswith("s") and wordnet.lemma(word, "verb") != word


def is_being(noun: str) -> bool:
    """Whether a lower-case noun, of any number, is of people or animals: it does what is said behind it."""
    return noun in _PEOPLE or alternatives.is_alive(wordnet.lemma(noun, "noun"))
