"""What can be asked of a scene, in complementary sets: one question, several pictures, as many answers.

VQA v2's cure for text priors (Goyal et al. 2017), made exact: every answer to a question text is right
equally often, so whoever does not look at the picture stands at one over the number of answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from knowclip.data.scenes.formats import Drawn
from knowclip.data.scenes.nouns import COLOURS, NOUNS
from knowclip.data.scenes.world import Thing

KINDS = ("colour", "position", "relation", "size", "count", "existence", "negation")
_SIDES = {"x": ("to the left of", "to the right of"), "y": ("above", "below")}
_CLEAR = 0.5
"""How far apart two centres are that lie clearly on different sides, in mean sides of the two boxes."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A question about a drawn scene, its answer, and the statement that says the same."""

    drawn: Drawn
    kind: str
    question: str
    answer: str
    statement: str


def things_shown(drawn: Drawn) -> list[Thing]:
    """Everything in the picture, the distractor that no annotation names included."""
    scene = drawn.scene
    shown = [*scene.pair, *(further.thing for further in scene.further)]
    return shown if scene.distractor is None else [*shown, scene.distractor]


def a(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def facts(drawn: Drawn, random: Random) -> Iterator[Fact]:
    """All that is asked of one scene; ``random`` draws what is absent."""
    shown = things_shown(drawn)
    yield Fact(
        drawn, "count", "How many things are there?", str(len(shown)), f"there are {len(shown)} things"
    )
    for thing in shown:
        noun, colour = thing.noun, thing.colour
        yield Fact(drawn, "colour", f"What color is the {noun}?", colour, f"the {noun} is {colour}")
        if thing.size:
            question = f"Is the {noun} big or small?"
            yield Fact(drawn, "size", question, thing.size, f"the {noun} is {thing.size}")
    yield from _presence(drawn, shown, random)
    yield from _relation(drawn)
    yield from _position(drawn)


def _presence(drawn: Drawn, shown: Sequence[Thing], random: Random) -> Iterator[Fact]:
    """Existence and negation, of one thing that is there and of one that is not."""
    present = random.choice(shown)
    nouns = {thing.noun for thing in shown}
    absent = random.choice([noun for noun in NOUNS if noun not in nouns])
    for noun, there in ((present.noun, True), (absent, False)):
        there_is, there_is_no = f"there is {a(noun)} in the picture", f"there is no {noun} in the picture"
        statement = there_is if there else there_is_no
        yes_no = ("yes", "no") if there else ("no", "yes")
        yield Fact(drawn, "existence", f"Is there {a(noun)} in the picture?", yes_no[0], statement)
        yield Fact(drawn, "negation", f"Is there no {noun} in the picture?", yes_no[1], statement)
    other = random.choice([colour for colour in COLOURS if colour != present.colour])
    for colour, answer in ((present.colour, "no"), (other, "yes")):
        statement = f"the {present.noun} is {'not ' if answer == 'yes' else ''}{colour}"
        yield Fact(drawn, "negation", f"Is the {present.noun} not {colour}?", answer, statement)


def _relation(drawn: Drawn) -> Iterator[Fact]:
    name, actor, patient = drawn.scene.relation.name, drawn.scene.actor.noun, drawn.scene.patient.noun
    statement = f"the {actor} is {name} the {patient}"
    yield Fact(drawn, "relation", f"Is the {actor} {name} the {patient}?", "yes", statement)
    yield Fact(drawn, "relation", f"Is the {patient} {name} the {actor}?", "no", statement)


def _position(drawn: Drawn) -> Iterator[Fact]:
    """Where the two of the pair stand by their boxes, in both orders of mention."""
    for axis, (first, second) in enumerate(_SIDES.values()):
        starts, sides = [box[axis] for box in drawn.boxes[:2]], [box[2 + axis] for box in drawn.boxes[:2]]
        centres = [start + side / 2 for start, side in zip(starts, sides, strict=True)]
        if abs(centres[0] - centres[1]) < _CLEAR * sum(sides) / 2:
            continue
        for one, other in ((0, 1), (1, 0)):
            answer = first if centres[one] < centres[other] else second
            subject, object_ = drawn.scene.pair[one].noun, drawn.scene.pair[other].noun
            question = f"Is the {subject} {first} or {second} the {object_}?"
            yield Fact(drawn, "position", question, answer, f"the {subject} is {answer} the {object_}")


def complementary(asked: Iterable[Fact], *, limit: int, random: Random) -> list[list[Fact]]:
    """Sets of facts with one question and all different answers, at most ``limit`` facts in all.

    Of each question those answers are kept that make the largest block of equal counts.
    """
    by_question: dict[str, dict[str, list[Fact]]] = {}
    for fact in asked:
        by_question.setdefault(fact.question, {}).setdefault(fact.answer, []).append(fact)
    sets: list[list[Fact]] = []
    for question in sorted(by_question):
        groups = sorted(by_question[question].values(), key=len, reverse=True)
        sizes = range(2, len(groups) + 1)
        # of equal blocks the one with more answers, where guessing is worth less
        kept = max(sizes, key=lambda k, groups=groups: (k * len(groups[k - 1]), k), default=0)
        for group in groups[:kept]:
            random.shuffle(group)
        sets += [list(members) for members in zip(*groups[:kept], strict=False)]
    random.shuffle(sets)
    chosen, room = [], limit
    for members in sets:
        if len(members) <= room:
            chosen.append(members)
            room -= len(members)
    return chosen
