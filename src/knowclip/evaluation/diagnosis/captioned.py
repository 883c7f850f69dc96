"""Questions from captioned images: a caption's parsed graph and its swaps say who has what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from knowclip.evaluation.diagnosis.questions import Kind, Pair, Question, about_attributes, about_roles
from knowclip.types import Example, Negative, SceneGraph

KIND_OF: dict[str, Kind] = {"attribute_swap": "attributes", "relation_swap": "roles"}
"""Kind of negative -> what choosing between it and its caption asks."""
UNCLEAR = "a swap that changes more than one claim"
NONE = "caption without a swap"


def questions_of_captions(examples: Iterable[Example]) -> tuple[dict[Kind, list[Question]], Counter[str]]:
    """One question for each swap of each caption, by kind; and what was left out, by reason.

    Args:
        examples: with their ``graph`` and the ``negatives`` of ``data.captions.negatives.negatives_for``.
    """
    found: dict[Kind, list[Question]] = {"attributes": [], "roles": []}
    skipped: Counter[str] = Counter()
    for example in examples:
        swaps = [negative for negative in example.negatives if negative.kind in KIND_OF]
        skipped[NONE] += not swaps
        for number, negative in enumerate(swaps):
            question = _question(example, negative, f"{example.key}/{number}")
            if question is None:
                skipped[UNCLEAR] += 1
            else:
                found[KIND_OF[negative.kind]].append(question)
    return found, +skipped


def _question(example: Example, negative: Negative, key: str) -> Question | None:
    """What a swap asks; None where it changes more than one thing, or things of one name."""
    if example.graph is None or negative.graph is None:
        return None
    texts = (example.caption.strip(), negative.caption.strip())
    names = [item.name.lower() for item in example.graph.objects]
    about = (key, example.image, example.image_id, texts)
    if KIND_OF[negative.kind] == "attributes":
        exchanged = _exchanged_attributes(example.graph, negative.graph)
        if exchanged is None:
            return None
        (one, first), (other, second) = exchanged
        nouns, values = (names[one], names[other]), (first, second)
        return about_attributes(*about, nouns, values) if _differ(nouns) and _differ(values) else None
    reversed_ = _reversed_relation(example.graph, negative.graph)
    if reversed_ is None:
        return None
    subject, relation, item = reversed_
    nouns = (names[subject], names[item])
    return about_roles(*about, nouns, relation) if _differ(nouns) else None


def _differ(pair: Pair) -> bool:
    return pair[0] != pair[1]


def _exchanged_attributes(
    graph: SceneGraph, swapped: SceneGraph
) -> tuple[tuple[int, str], tuple[int, str]] | None:
    """Two (object, attribute) of ``graph`` whose attributes ``swapped`` exchanges, and nothing else."""
    before, after = ({(a.object, a.name.lower()) for a in g.attributes} for g in (graph, swapped))
    lost, gained = sorted(before - after), after - before
    if len(lost) != 2:
        return None
    (one, first), (other, second) = lost
    return (lost[0], lost[1]) if gained == {(one, second), (other, first)} else None


def _reversed_relation(graph: SceneGraph, swapped: SceneGraph) -> tuple[int, str, int] | None:
    """The one relation of ``graph`` that ``swapped`` says the other way round, if that is all it changes."""
    before, after = ({(r.subject, r.name.lower(), r.object) for r in g.relations} for g in (graph, swapped))
    lost, gained = list(before - after), after - before
    if len(lost) != 1:
        return None
    subject, name, item = lost[0]
    return lost[0] if gained == {(item, name, subject)} else None
