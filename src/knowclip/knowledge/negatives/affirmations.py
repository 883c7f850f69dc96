"""Negatives of what a caption denies: "without a helmet" -> "with a helmet", and no other change of it.

Another word inside a denial may leave it true ("a man who is not wearing a scarf"), so nothing is replaced
there. What is denied outright is false once it is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from knowclip.knowledge.negatives.articles import article
from knowclip.knowledge.negatives.caption_editing import Edit, replacement
from knowclip.knowledge.negatives.mentions import Layout
from knowclip.knowledge.parsing.negation import Negation
from knowclip.knowledge.words import exclusions as sorts
from knowclip.knowledge.words import lexicon
from knowclip.knowledge.words.alternatives import is_motion
from knowclip.knowledge.words.wordnet import lemma
from knowclip.types import Relation, SceneGraph, SceneObject, Span

Affirmed = tuple[str, Span, Edit]
"""A relation's name, the words that state it, and the edit that makes them say so."""

_WITHOUT = frozenset(("without", "w/o", "w/out", "w / o", "with out", "sans"))
_STATING = {
    "with": "with", "wearing": "wear", "wears": "wear", "wore": "wear", "wear": "wear", "has": "have",
    "have": "have", "having": "have", "holding": "hold", "holds": "hold",
}  # fmt: skip
"""Words before "no" -> the relation they state."""
_OPENS_NO_THING = frozenset("even much really too fail doubt help problem question success other one".split())
_ENDS_THING = lexicon.PREPOSITIONS | frozenset("and or nor , that which who".split())


def affirmations(layout: Layout) -> Iterator[tuple[Edit, SceneGraph]]:
    """Each denial of a thing by "without" or "no", taken back, with what is claimed then."""
    for denial in layout.denials:
        thing = _thing(layout, denial.denied)
        owner = _owner(layout, denial)
        if thing is None or owner is None:
            continue
        name = lemma(layout.caption[slice(*thing)].lower(), "noun")
        affirmed = _without(layout, denial) or _no(layout, denial, thing)
        if affirmed:
            relation, stated, edit = affirmed
            yield edit, _claiming(layout.graph, owner, relation, stated, SceneObject(name, thing))


def is_denied(layout: Layout, span: Span) -> bool:
    """Whether any word of a span denies, or stands where the caption denies something."""
    reached = (place for denial in layout.denials for place in (denial.cue, denial.scope))
    return any(start < span[1] and span[0] < end for start, end in reached)


def within(layout: Layout, edits: tuple[Edit, ...]) -> bool:
    """Whether edits change the words of a denial; one that is moved as a whole, or a pronoun of it, may."""
    for denial in layout.denials:
        whole = denial.cue[0], max(denial.cue[1], denial.scope[1])
        for edit in edits:
            start, end = edit.span
            if all(end <= a or b <= start for a, b in (denial.cue, denial.scope)):
                continue
            if edit.source is not None and start <= whole[0] and whole[1] <= end:
                continue
            if layout.word_at(start) not in lexicon.PRONOUNS:
                return True
    return False


def _thing(layout: Layout, denied: Span) -> Span | None:
    """The noun at the end of the first noun phrase that is denied."""
    first, last = layout.token_at(denied[0]), layout.token_at(denied[1])
    words = layout.words[first:last]
    if not words or words[0] in _OPENS_NO_THING or words[0].endswith("ing"):
        return None
    length = next((n for n, word in enumerate(words) if word in _ENDS_THING), len(words))
    if length > 1 and words[length - 1].endswith("s") and is_motion(lemma(words[length - 1], "verb")):
        length -= 1  # "with no shirt runs"
    return layout.tokens[first + length - 1] if length and words[length - 1].isalpha() else None


def _owner(layout: Layout, denial: Negation) -> int | None:
    """The object named nearest before a denial, else the first behind it."""
    places = [(span, item) for item, mentions in enumerate(layout.mentions) for span in mentions]
    before = [place for place in places if place[0][1] <= denial.cue[0]]
    behind = [place for place in places if place[0][0] >= denial.scope[1]]
    return max(before)[1] if before else min(behind)[1] if behind else None


def _without(layout: Layout, denial: Negation) -> Affirmed | None:
    if layout.caption[slice(*denial.cue)].lower() not in _WITHOUT:
        return None
    any_ = layout.word_at(denial.denied[0]) == "any"
    end = layout.tokens[layout.token_at(denial.denied[0])][1] if any_ else denial.cue[1]
    return "with", denial.cue, replacement(layout.caption, (denial.cue[0], end), "with")


def _no(layout: Layout, denial: Negation, thing: Span) -> Affirmed | None:
    number = layout.token_at(denial.cue[0])
    before = layout.word_before(denial.cue[0])
    if layout.words[number] != "no" or before not in _STATING:
        return None
    noun, text = layout.caption[slice(*thing)].lower(), layout.caption[slice(*denial.denied)]
    uncounted = noun in sorts.UNCOUNTED or noun in lexicon.PLURAL_NOUNS or lemma(noun, "noun") != noun
    edit = Edit((denial.cue[0], denial.denied[0]), "") if uncounted else Edit(denial.cue, article(text))
    return _STATING[before], layout.tokens[number - 1], edit


def _claiming(graph: SceneGraph, owner: int, name: str, span: Span, thing: SceneObject) -> SceneGraph:
    """The graph with the thing in this relation to its owner, in place of what it said of the thing."""
    end = thing.span and thing.span[1]
    known = next((i for i, o in enumerate(graph.objects) if o.span and o.span[1] == end), None)
    objects = graph.objects if known is not None else (*graph.objects, thing)
    index = len(graph.objects) if known is None else known
    others = tuple(r for r in graph.relations if r.object != index)
    return replace(graph, objects=objects, relations=(*others, Relation(owner, name, index, span)))
