"""Where the two participants of a relation stand.

Every relation looks different, and the order of its two nouns shows. Places are fractions of the pair's
square: centre, longest side, tilt in degrees. ``front`` says who is drawn last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

Mark = Literal["none", "motion", "rope", "arm", "hole"]


@dataclass(frozen=True, slots=True)
class Place:
    """Centre and longest side of a drawing, in fractions of a square; tilt anticlockwise in degrees."""

    x: float
    y: float
    side: float
    tilt: float = 0.0


@dataclass(frozen=True, slots=True)
class PairLayout:
    """Places of subject and object, who is in front, and the extra strokes that tell the relation."""

    subject: Place
    object: Place
    front: Literal["subject", "object"] = "subject"
    mark: Mark = "none"


def _mirrored(layout: PairLayout) -> PairLayout:
    def flip(place: Place) -> Place:
        return replace(place, x=1 - place.x, tilt=-place.tilt)

    return replace(layout, subject=flip(layout.subject), object=flip(layout.object))


def _jittered(place: Place, random: Random) -> Place:
    return replace(
        place,
        x=place.x + random.uniform(-0.03, 0.03),
        y=place.y + random.uniform(-0.03, 0.03),
        side=place.side * random.uniform(0.94, 1.04),
        tilt=place.tilt + random.uniform(-4, 4),
    )


# Sides sum to at most about 1.2, so that both drawings stay recognisable at 64 pixels.
_LAYOUTS: dict[str, tuple[PairLayout, bool]] = {
    "riding": (PairLayout(Place(0.47, 0.28, 0.52), Place(0.52, 0.67, 0.66), "subject"), True),
    "holding": (PairLayout(Place(0.36, 0.48, 0.66), Place(0.80, 0.62, 0.40, -24), "object", "arm"), True),
    "wearing": (PairLayout(Place(0.48, 0.65, 0.66), Place(0.58, 0.19, 0.42, -32), "object"), True),
    "chasing": (
        PairLayout(Place(0.31, 0.56, 0.44, -16), Place(0.78, 0.44, 0.42, -16), "subject", "motion"),
        True,
    ),
    "pulling": (PairLayout(Place(0.70, 0.45, 0.56, 14), Place(0.19, 0.72, 0.36), "subject", "rope"), True),
    "on": (PairLayout(Place(0.5, 0.23, 0.44), Place(0.5, 0.74, 0.52), "subject"), False),
    "under": (PairLayout(Place(0.5, 0.80, 0.38), Place(0.5, 0.29, 0.60), "subject"), False),
    "inside": (PairLayout(Place(0.5, 0.56, 0.42), Place(0.5, 0.5, 0.98), "subject", "hole"), False),
    "behind": (PairLayout(Place(0.62, 0.33, 0.56), Place(0.38, 0.64, 0.62), "object"), True),
    "in front of": (PairLayout(Place(0.38, 0.64, 0.62), Place(0.62, 0.33, 0.56), "subject"), True),
    "to the left of": (PairLayout(Place(0.25, 0.5, 0.48), Place(0.75, 0.5, 0.48)), False),
    "to the right of": (PairLayout(Place(0.75, 0.5, 0.48), Place(0.25, 0.5, 0.48)), False),
}
"""Relation -> layout, and whether its mirror image means the same."""


def pair_layout(relation: str, random: Random) -> PairLayout:
    """The layout of ``relation``, jittered, and mirrored half the time where that means the same."""
    layout, may_mirror = _LAYOUTS[relation]
    if may_mirror and random.random() < 0.5:
        layout = _mirrored(layout)
    return replace(layout, subject=_jittered(layout.subject, random), object=_jittered(layout.object, random))


FURTHER_SIDES: dict[str, tuple[float, float]] = {
    "to the left of": (1.0, 0.5),
    "to the right of": (0.0, 0.5),
    "above": (0.5, 1.0),
    "below": (0.5, 0.0),
}
"""``pair member - relation - further object`` -> the side of the canvas where that further object stands."""
