"""What agrees with two noun phrases that change places: verbs, relative pronouns, pronouns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from knowclip.knowledge.negatives import pronouns
from knowclip.knowledge.negatives.caption_editing import Edit, agreeing
from knowclip.knowledge.negatives.mentions import Layout, first_word
from knowclip.knowledge.words import lexicon, wordnet
from knowclip.knowledge.words.alternatives import is_person
from knowclip.types import Span

_RELATIVE = frozenset("who whom which that".split())
_RELATIVES = [[word] for word in _RELATIVE]
_TURNED = _RELATIVE - {"that"}
_JOINS = frozenset(("and", "or", "but", ",", "then"))
_NO_VERBS = (
    lexicon.PREPOSITIONS | lexicon.DETERMINERS | (lexicon.BEFORE_INFINITIVE - {"do", "does"})
    | frozenset("like plus past as while".split())
)  # fmt: skip
"""What shows no number although WordNet has it as a verb: "can", "like"."""


class Place(NamedTuple):
    """A noun phrase of a caption, and the object that is to stand there.

    ``holder`` and ``guest`` are objects with the mention that names them: of the phrase itself, and of what
    takes its place.
    """

    phrase: Span
    holder: tuple[int, Span]
    guest: tuple[int, Span]


def agreeing_edits(layout: Layout, left: Place, right: Place, *, verb: int, kept: Span) -> list[Edit] | None:
    """Edits that make the words around two exchanged phrases agree with them; None where that is unclear.

    Args:
        layout: The caption.
        left: The first place.
        right: The second.
        verb: Where the words of the relation between the two begin.
        kept: What holds the determiners of the phrases that stay where they are.
    """
    edits: dict[Span, Edit] = {}
    if layout.number(*left.guest) != layout.number(*right.guest):
        for edit in _verbs(layout, left, right, verb):
            edits.setdefault(edit.span, edit)
    for place in (left, right):
        for edit in _relative(layout, place):
            edits.setdefault(edit.span, edit)
    staying = layout.word_before(right.phrase[0]) if kept[0] < right.phrase[0] else ""
    for number in layout.pronouns:
        span = layout.tokens[number]
        if pronouns.AGREEMENT_OF[layout.words[number]] == pronouns.AGREEMENT_OF.get(staying):
            continue  # like "her" in "a doll holding her girl"
        if any(start <= span[0] < end for start, end in (left.phrase, right.phrase, kept)):
            continue
        turned = _pronoun(layout, number, left, right)
        if turned is None:
            return None
        for edit in turned:
            edits.setdefault(edit.span, edit)
    return list(edits.values())


def _verbs(layout: Layout, left: Place, right: Place, verb: int) -> Iterator[Edit]:
    """Verbs that agree with two phrases of different number."""
    after = layout.token_at(right.phrase[1])
    between = left.phrase[1] <= verb < right.phrase[0]  # so that what follows right is said of left
    subject = left if between and layout.words[after : after + 1] not in _RELATIVES else right
    finite = list(_agreed(layout, layout.token_at(left.phrase[1]), left))
    for place in (left, right):
        before = layout.token_at(place.phrase[0]) - 1
        if before > 0 and layout.words[before - 1] == "there":
            yield from _agree(layout, before, "be", place)
        finite += _stated(layout, place)
    yield from finite
    yield from _agreed(layout, after, subject)
    if finite:
        yield from _joined(layout, left)


def _agreed(layout: Layout, number: int, place: Place) -> Iterator[Edit]:
    """The verb at a token, behind adverbs and a relative pronoun, made to agree with a place."""
    words = layout.words
    while number < len(words) and (words[number] in _RELATIVE or words[number].endswith("ly")):
        number += 1
    if number < len(words) and words[number] not in _NO_VERBS:
        yield from _agree(layout, number, wordnet.lemma(words[number], "verb"), place)


def _stated(layout: Layout, place: Place) -> Iterator[Edit]:
    """Verbs of the relations of what stands at a place, but for those that move with it."""
    item, mention = place.holder
    for relation in layout.relations_of.get(item, ()):
        ends, lemma = layout.ends(relation), first_word(relation.name)
        if relation.span is None or ends is None or ends[0] != mention or lemma in lexicon.PREPOSITIONS:
            continue
        if not place.phrase[0] <= relation.span[0] < place.phrase[1]:
            number = layout.token_at(relation.span[0])
            yield from _agree(layout, number, lemma, place)
            if number:  # "children in white *are* doing a dance"
                yield from _agree(layout, number - 1, "be", place)


def _joined(layout: Layout, left: Place) -> Iterator[Edit]:
    """Further verbs of the first phrase: "a dog runs, *jumps* and *catches* a ball"."""
    words, mentioned = layout.words, layout.mentioned
    for number in range(layout.token_at(left.phrase[1]) + 1, len(words)):
        if words[number - 1] == "." or words[number] in ("while", "as", *_RELATIVE):
            return
        if words[number] in lexicon.COLOURS or number in mentioned or words[number] in _NO_VERBS:
            continue
        if words[number - 1] in _JOINS:
            yield from _agree(layout, number, wordnet.lemma(words[number], "verb"), left)


def _agree(layout: Layout, number: int, lemma: str, place: Place) -> Iterator[Edit]:
    plural, word = layout.number(*place.guest), layout.words[number]
    if plural is None or not lexicon.BEFORE_INFINITIVE.isdisjoint(layout.words[max(0, number - 1) : number]):
        return
    if not wordnet.senses(lemma, "verb"):
        return
    form = agreeing(word, lemma, plural)
    if form is not None and form != word:
        yield Edit(layout.tokens[number], form)


def _relative(layout: Layout, place: Place) -> Iterator[Edit]:
    """The relative pronoun behind a place: people are "who", things "that", or "which" behind a comma."""
    number = layout.token_at(place.phrase[1])
    before = layout.words[number : number + 1]
    behind = before == [","] or (before and before[0] in lexicon.PREPOSITIONS)
    number += bool(behind)
    word = layout.words[number] if number < len(layout.words) else ""
    if word not in _TURNED:
        return
    person = is_person(layout.graph.objects[place.guest[0]].name.lower())
    wanted = word
    if word in ("who", "whom") and not person:
        wanted = "which" if behind else "that"
    elif word == "which" and person:
        wanted = "whom" if behind and before != [","] else "who"
    if wanted != word:
        yield Edit(layout.tokens[number], wanted)


def _pronoun(layout: Layout, number: int, left: Place, right: Place) -> list[Edit] | None:
    """A pronoun that refers to one of the places, made to agree with its guest; None if none would."""
    referents = pronouns.referents(layout, number)
    place = next((p for p in (left, right) if referents == [p.holder[0]]), None)
    if place is None:
        return []
    allowed, preferred = pronouns.agreements(layout, *place.guest)
    if pronouns.AGREEMENT_OF[layout.words[number]] in allowed:
        return []
    return None if preferred is None else pronouns.turned(layout, number, preferred)
