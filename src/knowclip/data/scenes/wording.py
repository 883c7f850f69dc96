"""How a scene is put into words: many templates, some of them only in test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal, Protocol

from knowclip.data.scenes.nouns import RelationWords

TwinKind = Literal["relation", "attribute"]
"""What differs between twins: who acts, or whose the two colours are."""


class Named(Protocol):
    """What words need to know of a thing."""

    noun: str
    colour: str
    size: str | None


@dataclass(frozen=True, slots=True)
class Wording:
    """A template and what it says of the pair: the same for all scenes of an orbit."""

    template: str
    says_colours: tuple[bool, bool]
    says_sizes: bool

    @property
    def says_relation(self) -> bool:
        """Whether it says who does what to whom, or only that both are there."""
        return self.template not in _PAIR


# {a}: "a red horse"; {the_a}: "the red horse"; {A}: "the horse"; {n_a}: "a horse"; {c_a}: "red"; so for b.
_VERB = (
    "{a} {ing} {b}",
    "{a} is {ing} {b}",
    "{a} {third} {b}",
    "{b} being {participle} by {a}",
    "{b} is {participle} by {a}",
    "{b} {participle} by {a}",
    "there is {a} {ing} {b}",
    "{a} that is {ing} {b}",
    "{the_a} is {ing} {the_b}",
    "{the_b} is being {participle} by {the_a}",
    "a picture of {a} {ing} {b}",
    "{a} and {b}. {A} is {ing} {B}",
)
_VERB_COLOURS = (
    "{n_a} is {ing} {n_b}. {A} is {c_a} and {B} is {c_b}",
    "{A} is {c_a} and {B} is {c_b}. {A} is {ing} {B}",
)
_VERB_TEST = (
    "there is {b} being {participle} by {a}",
    "a picture of {b} that is {participle} by {a}",
    "{the_a} {third} {the_b}",
)
_PLACE = (
    "{a} {preposition} {b}",
    "{a} is {preposition} {b}",
    "there is {a} {preposition} {b}",
    "{a} that is {preposition} {b}",
    "{the_a} is {preposition} {the_b}",
    "{preposition} {b} is {a}",
    "a picture of {a} {preposition} {b}",
    "{a} and {b}. {A} is {preposition} {B}",
)
_PLACE_COLOURS = (
    "{n_a} is {preposition} {n_b}. {A} is {c_a} and {B} is {c_b}",
    "{A} is {c_a} and {B} is {c_b}. {A} is {preposition} {B}",
)
_PLACE_TEST = (
    "{preposition} {the_b} there is {a}",
    "a picture of {a} that is {preposition} {b}",
    "there is {b}. {a} is {preposition} {B}",
)
_PAIR = ("{a} and {b}", "{the_a} and {the_b}", "there is {a} and {b}", "a picture of {a} and {b}")
PAIR_SHARE = 0.25
"""Share of train's orbits with both colours that are told without their relation."""
TEST_SHARE = 0.25
"""Share of test orbits told by templates that train and val never use."""


def held_out_templates() -> frozenset[str]:
    """Templates that only test uses."""
    return frozenset(_VERB_TEST + _PLACE_TEST)


def draw_wording(relation: RelationWords, split: str, both: bool, random: Random) -> Wording:
    """A template for ``relation``; ``both``: it must say both colours, else it says at most one."""
    verb = relation.preposition is None
    if split == "test" and random.random() < TEST_SHARE:
        templates: Sequence[str] = _VERB_TEST if verb else _PLACE_TEST
    else:
        templates = _VERB if verb else _PLACE
        if both and random.random() < 0.2:
            templates = _VERB_COLOURS if verb else _PLACE_COLOURS
        elif both and split == "train" and random.random() < PAIR_SHARE:
            templates = _PAIR
    said = (
        (True, True)
        if both
        else random.choice([(True, False), (False, True), (False, False), (False, False)])
    )
    return Wording(random.choice(templates), said, random.random() < 0.7)


def draw_twin_wording(relation: RelationWords, kind: TwinKind, split: str, random: Random) -> Wording:
    """A template that tells twins apart by order alone: it says both colours, or (of relation twins) neither.

    Half the attribute twins are told without their relation ("a red dog and a blue cat"); relation twins
    never are, as that would be true of both.
    """
    if kind == "attribute" and random.random() < 0.5:
        return Wording(random.choice(_PAIR), (True, True), random.random() < 0.7)
    both = kind == "attribute" or random.random() < 0.5
    while True:
        wording = draw_wording(relation, split, both, random)
        if wording.says_relation:
            return replace(wording, says_colours=(both, both))


def _article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _phrase(thing: Named, colour: bool, size: bool) -> str:
    return " ".join(
        filter(None, (thing.size if size else None, thing.colour if colour else None, thing.noun))
    )


def caption_of(
    wording: Wording,
    actor: Named,
    relation: RelationWords,
    patient: Named,
    further: Sequence[tuple[Named, str, Named]] = (),
) -> str:
    """The caption: the template filled in, then a sentence for each further object.

    Of a wording that says no relation, ``actor`` and ``patient`` are the two as they are to be named.
    """
    # Which colour is said goes by role, so that the members of an orbit are told alike.
    subject = _phrase(actor, wording.says_colours[0], wording.says_sizes)
    other = _phrase(patient, wording.says_colours[1], wording.says_sizes)
    text = wording.template.format(
        a=_article(subject), b=_article(other), the_a=f"the {subject}", the_b=f"the {other}",
        A=f"the {actor.noun}", B=f"the {patient.noun}", n_a=_article(actor.noun), n_b=_article(patient.noun),
        c_a=actor.colour, c_b=patient.colour,
        ing=relation.name, third=relation.third, participle=relation.participle,
        preposition=relation.preposition,
    )  # fmt: skip
    sentences = text.split(". ")
    sentences += [f"the {a.noun} is {name} {_article(f'{b.colour} {b.noun}')}" for a, name, b in further]
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)
