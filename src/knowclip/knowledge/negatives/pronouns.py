"""Pronouns of a caption: what they may refer to, and the form they take once that is something else."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from knowclip.knowledge.negatives.caption_editing import Edit, agreeing, replacement
from knowclip.knowledge.negatives.mentions import Layout
from knowclip.knowledge.words import alternatives, lexicon, wordnet
from knowclip.types import Span

Agreement = Literal["masculine", "feminine", "neuter", "plural"]
Case = Literal["subject", "object", "determiner", "reflexive"]

_CASES: tuple[Case, ...] = ("subject", "object", "determiner", "reflexive")
_FORMS: dict[Agreement, tuple[str, str, str, str]] = {
    "masculine": ("he", "him", "his", "himself"),
    "feminine": ("she", "her", "her", "herself"),
    "neuter": ("it", "it", "its", "itself"),
    "plural": ("they", "them", "their", "themselves"),
}
AGREEMENT_OF: dict[str, Agreement] = {form: kind for kind, forms in _FORMS.items() for form in forms}
_GENDERED = frozenset("adult child parent heir couple".split())
"""Sorts of two clusters, of men and of women."""
_GENDERS: tuple[Agreement, Agreement] = ("masculine", "feminine")
_ANY: frozenset[Agreement] = frozenset(_FORMS)
_ANIMAL: frozenset[Agreement] = _ANY - {"plural"}
_SOMEONE: frozenset[Agreement] = _ANY - {"neuter"}
_IMPERSONAL = lexicon.BE | frozenset("look looks seem seems appear appears".split())
"""Verbs of an "it" that refers to nothing: "as it is raining"."""
_ENDS_PHRASE = lexicon.PREPOSITIONS | lexicon.ARTICLES | frozenset("and or but while as who that".split())


@lru_cache(maxsize=1 << 16)
def gender(noun: str) -> Agreement | None:
    """The gender a noun says of a person: "boy", "mother"; None where it says none."""
    found = (number for sort, number in alternatives.noun_clusters(noun) if sort in _GENDERED)
    return next((_GENDERS[number] for number in found if number < len(_GENDERS)), None)


def agreements(layout: Layout, item: int, mention: Span) -> tuple[frozenset[Agreement], Agreement | None]:
    """The pronouns that may stand for an object, and the one that always may, if any."""
    noun = layout.graph.objects[item].name.lower()
    many = layout.number(item, mention)
    if many is not False:
        return (frozenset(("plural",)), "plural") if many else (frozenset(("plural", "neuter")), None)
    own = gender(noun)
    if own is not None:
        return frozenset((own,)), own
    if alternatives.is_person(noun):
        return _SOMEONE, "plural"
    if alternatives.is_alive(noun):
        return _ANIMAL, "neuter"
    known = wordnet.senses(noun.rpartition(" ")[2], "noun") or alternatives.noun_clusters(noun)
    return (frozenset(("neuter",)), "neuter") if known else (_ANY, None)


def referents(layout: Layout, number: int) -> list[int]:
    """The objects a pronoun (a token) may refer to.

    Of those that agree with it: "he" and "she" are people where there are any; those named before it, else
    those behind it.
    """
    kind, position = AGREEMENT_OF[layout.words[number]], layout.tokens[number][0]
    agree = [
        item
        for item, mentions in enumerate(layout.mentions)
        if mentions and kind in agreements(layout, item, mentions[0])[0]
    ]
    if kind in _GENDERS:
        agree = [i for i in agree if alternatives.is_person(layout.graph.objects[i].name.lower())] or agree
    return [i for i in agree if layout.mentions[i][0][0] < position] or agree


def turned(layout: Layout, number: int, kind: Agreement) -> list[Edit]:
    """A pronoun put into another agreement, with the verb it is the subject of."""
    word = layout.words[number]
    case = _case(layout, number)
    following = layout.words[number + 1] if number + 1 < len(layout.words) else ""
    if word == "it" and case == "subject" and following in _IMPERSONAL:
        return []
    edits = [replacement(layout.caption, layout.tokens[number], _FORMS[kind][_CASES.index(case)])]
    numbers_differ = (kind == "plural") != (AGREEMENT_OF[word] == "plural")
    if case == "subject" and numbers_differ and following not in lexicon.BEFORE_INFINITIVE - {"do", "does"}:
        form = agreeing(following, wordnet.lemma(following, "verb"), kind == "plural")
        if form is not None and form != following:
            edits.append(Edit(layout.tokens[number + 1], form))
    return edits


def _case(layout: Layout, number: int) -> Case:
    word = layout.words[number]
    following = layout.words[number + 1] if number + 1 < len(layout.words) else ""
    if word == "her":
        ends = following in _ENDS_PHRASE or not following.isalnum()
        return "object" if ends else "determiner"
    if word == "it":
        finite = following in lexicon.BE or (
            following.isalpha()
            and agreeing(following, wordnet.lemma(following, "verb"), True) not in (None, following)
        )
        return "subject" if finite else "object"
    return _CASES[next(place for place, form in enumerate(_FORMS[AGREEMENT_OF[word]]) if form == word)]
