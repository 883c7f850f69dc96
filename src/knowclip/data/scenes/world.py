"""Which scenes exist: balanced orbits, so that text alone says nothing, and a compositional hold-out.

An *orbit* is a set of scenes closed under the two swaps of Structure-CLIP's S2. With both colours said it
has four members, ``A(a) r B(b)``, ``B(b) r A(a)``, ``A(b) r B(a)``, ``B(a) r A(b)``; else two, ``A r B``
and ``B r A``. All members share the wording, and whole orbits go to one split. So for every caption its
relation-swapped (and attribute-swapped) negative is the true caption of another scene of the same split,
and whatever a text-only model believes of one it gets wrong of the other.

Held out: a hash of ``(relation, {noun, noun})`` and of ``(colour, noun)`` gives each combination to train,
val or test. Train holds train combinations only; val and test draw from train's and their own. The hash
does not depend on the seed: a base model trained under another seed has not seen them either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, count
from random import Random

from knowclip.data.scenes.layout import FURTHER_SIDES
from knowclip.data.scenes.nouns import COLOURS, NOUNS, RELATIONS, SIZES, RelationWords
from knowclip.data.scenes.wording import Wording, caption_of, draw_wording

SPLITS = ("train", "val", "test")
HELD_OUT_RELATIONS = 0.10
"""Share of (noun, relation, noun) combinations that only val has, and that only test has."""
HELD_OUT_COLOURS = 0.06
"""Share of (colour, noun) combinations that only val has, and that only test has."""
FULL_ORBITS = {"train": 0.4, "val": 0.8, "test": 0.8}
"""Share of orbits that say both colours and so have four members.

Smaller in train: where colours are said, they are the easier clue to who is who, and nouns are learned
late. In val and test every ordered pair of colours needs its 40 cases.
"""
SAME_COLOUR = 0.5
"""Share of the other orbits whose pair is of one colour, so that only the nouns tell who is who."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One drawn object."""

    noun: str
    colour: str
    size: str | None = None


@dataclass(frozen=True, slots=True)
class Further:
    """A further object and how a member of the pair (0 or 1, by index in the orbit's pair) relates to it."""

    member: int
    relation: str
    thing: Thing


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene before it is drawn.

    ``pair`` is the orbit's pair in a fixed order; ``subject`` (0 or 1) says which of the two acts.
    ``says_both``: the caption says both colours, so the attribute-swapped scene is in the split too.
    """

    pair: tuple[Thing, Thing]
    subject: int
    relation: RelationWords
    further: tuple[Further, ...]
    distractor: Thing | None
    wording: Wording
    says_both: bool

    @property
    def actor(self) -> Thing:
        """The subject of the main relation."""
        return self.pair[self.subject]

    @property
    def patient(self) -> Thing:
        """The object of the main relation."""
        return self.pair[1 - self.subject]

    @property
    def caption(self) -> str:
        """The scene's caption."""
        told = [(self.pair[f.member], f.relation, f.thing) for f in self.further]
        first, second = self.named
        return caption_of(self.wording, first, self.relation, second, told)

    @property
    def named(self) -> tuple[Thing, Thing]:
        """The pair as the wording names it: subject and object; where it says no relation, in either order.

        Were the subject always first, "a dog and a cat" would tell who chases whom. The order must differ
        between a scene and its swap, whose captions differ in nothing else, and be either in as many orbits:
        as many have their pair in the order of the alphabet as not.
        """
        nouns = [thing.noun for thing in self.pair]
        subject_first = self.wording.says_relation or nouns == sorted(nouns)
        return (self.actor, self.patient) if subject_first else (self.patient, self.actor)


@cache
def _owner(combination: tuple[str, ...], share: float) -> str:
    digest = hashlib.blake2b("|".join(combination).encode(), digest_size=8).digest()
    position = int.from_bytes(digest, "big") / 2**64
    return "val" if position < share else "test" if position < 2 * share else "train"


def relation_owner(relation: str, noun: str, other: str) -> str:
    """The split that alone may hold this (unordered) combination, or ``train`` when every split may."""
    return _owner((relation, *sorted((noun, other))), HELD_OUT_RELATIONS)


def colour_owner(colour: str, noun: str) -> str:
    """The split that alone may hold this noun in this colour, or ``train`` when every split may."""
    return _owner((colour, noun), HELD_OUT_COLOURS)


def _allowed(owners: Iterator[str], split: str, novel: bool) -> bool:
    """Every combination may stand in ``split``; with ``novel`` at least one of them is the split's own."""
    seen = set(owners)
    return seen <= {"train", split} and (not novel or split in seen)


def _draw_pair(
    split: str, relation: str, colours: tuple[str, str], novel: bool, random: Random
) -> tuple[str, str]:
    nouns = list(NOUNS)
    # many times the number of pairs of nouns: if none is found, none is left
    for _ in range(100_000):
        first, second = random.sample(nouns, 2)
        owners = [relation_owner(relation, first, second)]
        owners += [colour_owner(colour, noun) for colour in colours for noun in (first, second)]
        if _allowed(iter(owners), split, novel):
            return first, second
    raise ValueError(f"no pair of nouns is left for {relation!r} with colours {colours} in {split!r}")


def _draw_other(split: str, taken: set[str], random: Random) -> Thing:
    while True:
        noun, colour = random.choice(list(NOUNS)), random.choice(list(COLOURS))
        if noun not in taken and colour_owner(colour, noun) in ("train", split):
            taken.add(noun)
            return Thing(noun, colour)


def _draw_further(split: str, taken: set[str], random: Random) -> tuple[Further, ...]:
    """None, one or two further objects (70, 20, 10%), never two on the same axis of the canvas."""
    number = random.choices((0, 1, 2), weights=(7, 2, 1))[0]
    sideways, upright = ("to the left of", "to the right of"), ("above", "below")
    axes = random.sample([sideways, upright], number)
    drawn = []
    for axis in axes:
        relation = random.choice(axis)
        assert relation in FURTHER_SIDES
        drawn.append(Further(random.randrange(2), relation, _draw_other(split, taken, random)))
    return tuple(drawn)


def draw_orbit(
    split: str, relation: RelationWords, colours: tuple[str, str], both: bool, random: Random
) -> list[Scene]:
    """Draw a scene and its swaps: the relation swapped; with ``both``, then those two in swapped colours."""
    novel = split != "train" and random.random() < 0.5
    first, second = _draw_pair(split, relation.name, colours, novel, random)
    sizes = [random.choice(list(SIZES)) if random.random() < 0.2 else None for _ in range(2)]
    a, b = random.sample(colours, 2)
    if not both and random.random() < SAME_COLOUR:
        b = a
    pair = (Thing(first, a, sizes[0]), Thing(second, b, sizes[1]))
    taken = {first, second}
    further = _draw_further(split, taken, random)
    distractor = _draw_other(split, taken, random) if not further and random.random() < 0.2 else None
    wording = draw_wording(relation, split, both, random)
    scene = Scene(pair, 0, relation, further, distractor, wording, both)
    members = [scene, replace(scene, subject=1)]
    if both:
        swapped = (replace(pair[0], colour=b), replace(pair[1], colour=a))
        members += [replace(member, pair=swapped) for member in members]
    return members


def endless(items: list, random: Random) -> Iterator:
    """The items over and over, each round in a new order: equal counts, unpredictable order."""
    while True:
        yield from random.sample(items, len(items))


def _scenes(split: str, seed: int) -> Iterator[list[Scene]]:
    # a split's scenes do not depend on how many the others have
    random = Random(f"{seed}/{split}")
    relations = endless(list(RELATIONS), random)
    pairs = {kind: endless(list(combinations(COLOURS, 2)), random) for kind in (True, False)}
    said: set[str] = set()
    share = FULL_ORBITS[split]
    for index in count():
        # evenly spread, so that any first stretch has the share
        both = (index * share) % 1 < share
        relation, colours = next(relations), next(pairs[both])
        while True:
            orbit = draw_orbit(split, relation, colours, both, random)
            captions = {scene.caption for scene in orbit}
            if len(captions) == len(orbit) and not captions & said:
                break
        said |= captions
        yield orbit


def draw_scenes(split: str, number: int, seed: int) -> list[Scene]:
    """``number`` scenes of a split (an even number: whole orbits), shuffled.

    Raises:
        ValueError: for an odd or negative number.
    """
    if number < 0 or number % 2:
        raise ValueError(f"{split}: {number} scenes asked for; scenes come in twins, give an even number")
    scenes: list[Scene] = []
    for orbit in _scenes(split, seed):
        room = number - len(scenes)
        if room <= 0:
            break
        if len(orbit) <= room:
            scenes += orbit
    Random(f"{seed}/{split}/order").shuffle(scenes)
    return scenes
