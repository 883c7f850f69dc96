"""What the scenes are made of: nouns and their OpenMoji drawings, colours, relations.

Drawings: OpenMoji (CC BY-SA 4.0), by Unicode code point.
"""

from __future__ import annotations

from dataclasses import dataclass

CATEGORIES: dict[str, dict[str, str]] = {
    "animal": {
        "horse": "1F40E", "dog": "1F415", "cat": "1F408", "cow": "1F404", "pig": "1F416", "rabbit": "1F407",
        "elephant": "1F418", "turtle": "1F422", "whale": "1F40B", "crab": "1F980", "octopus": "1F419",
        "snail": "1F40C", "butterfly": "1F98B", "duck": "1F986", "owl": "1F989", "penguin": "1F427",
        "frog": "1F438", "giraffe": "1F992", "camel": "1F42A", "kangaroo": "1F998", "snake": "1F40D",
    },
    "person": {
        "astronaut": "1F9D1-200D-1F680", "robot": "1F916", "ghost": "1F47B", "snowman": "26C4",
        "alien": "1F47D", "mermaid": "1F9DC-200D-2640-FE0F", "ninja": "1F977",
        "wizard": "1F9D9-200D-2642-FE0F",
    },
    "vehicle": {
        "car": "1F697", "bus": "1F68C", "truck": "1F69A", "bicycle": "1F6B2", "sailboat": "26F5",
        "rocket": "1F680", "airplane": "2708", "helicopter": "1F681", "tractor": "1F69C",
        "motorcycle": "1F3CD",
    },
    "food": {
        "apple": "1F34E", "pear": "1F350", "banana": "1F34C", "carrot": "1F955", "cake": "1F370",
        "pizza": "1F355", "mushroom": "1F344", "pumpkin": "1F383", "strawberry": "1F353",
        "pineapple": "1F34D",
    },
    "object": {
        "umbrella": "2602", "hat": "1F3A9", "crown": "1F451", "guitar": "1F3B8", "drum": "1F941",
        "ball": "26BD", "book": "1F4D5", "key": "1F511", "bell": "1F514", "clock": "23F0", "chair": "1FA91",
        "camera": "1F4F7", "cup": "2615", "balloon": "1F388", "backpack": "1F392", "boot": "1F97E",
    },
    "place": {
        "house": "1F3E0", "castle": "1F3F0", "tent": "26FA", "tree": "1F333", "cactus": "1F335",
        "sunflower": "1F33B", "volcano": "1F30B", "mountain": "26F0",
    },
}  # fmt: skip
"""Category -> noun -> OpenMoji code point."""

NOUNS: dict[str, str] = {noun: code for group in CATEGORIES.values() for noun, code in group.items()}

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (226, 30, 36),
    "orange": (255, 140, 20),
    "yellow": (255, 224, 25),
    "green": (40, 165, 60),
    "blue": (36, 96, 232),
    "purple": (140, 50, 190),
    "pink": (255, 140, 200),
    "brown": (122, 72, 30),
}

SIZES: dict[str, float] = {"small": 0.76, "big": 1.22}
"""Size adjective -> factor on the drawing's side."""


@dataclass(frozen=True, slots=True)
class RelationWords:
    """How a relation is said: a preposition, or the forms of a verb (``-ing``, third person, participle)."""

    name: str
    preposition: str | None = None
    third: str | None = None
    participle: str | None = None


RELATIONS: tuple[RelationWords, ...] = (
    RelationWords("riding", third="rides", participle="ridden"),
    RelationWords("holding", third="holds", participle="held"),
    RelationWords("wearing", third="wears", participle="worn"),
    RelationWords("chasing", third="chases", participle="chased"),
    RelationWords("pulling", third="pulls", participle="pulled"),
    RelationWords("on", preposition="on"),
    RelationWords("under", preposition="under"),
    RelationWords("inside", preposition="inside"),
    RelationWords("behind", preposition="behind"),
    RelationWords("in front of", preposition="in front of"),
    RelationWords("to the left of", preposition="to the left of"),
    RelationWords("to the right of", preposition="to the right of"),
)
"""No name stands in ARO's list of 157 dropped relations (a test checks)."""

CONVERSES = {"to the right of": "to the left of", "behind": "in front of"}
"""Relation -> the one that the same picture shows when its subject and object change places."""
