"""A scene, drawn: background, pair by its relation's layout, further objects, distractor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from PIL import Image, ImageDraw

from knowclip.data.scenes.layout import FURTHER_SIDES, PairLayout, Place, pair_layout
from knowclip.data.scenes.nouns import SIZES
from knowclip.data.scenes.sprites import SPRITE_SIZE, sprite
from knowclip.data.scenes.world import Scene, Thing
from knowclip.types import Box

_SKIES = (
    (255, 255, 255),
    (232, 242, 250),
    (250, 244, 232),
    (236, 247, 236),
    (246, 238, 246),
    (238, 238, 238),
)
_GROUNDS = ((214, 226, 206), (226, 218, 204), (208, 220, 230), (222, 222, 222), (230, 214, 220))
PAIR_SHARE = 0.70
"""Share of the canvas's side left to the pair when a further object stands beside it."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """The picture and where everything in it is: pair (in the orbit's order), then further objects."""

    image: Image.Image
    boxes: tuple[Box, ...]


@lru_cache(maxsize=64)
def _background(kind: str, sky: tuple[int, int, int], ground: tuple[int, int, int], size: int) -> Image.Image:
    image = Image.new("RGB", (size, size), sky)
    draw = ImageDraw.Draw(image)
    step = size // 8
    if kind == "horizon":
        draw.rectangle((0, size * 2 // 3, size, size), fill=ground)
    elif kind == "stripes":
        for y in range(0, size, 2 * step):
            draw.rectangle((0, y, size, y + step - 1), fill=ground)
    elif kind == "dots":
        for y in range(step, size, 2 * step):
            for x in range(step, size, 2 * step):
                draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=ground)
    elif kind == "gradient":
        for y in range(size):
            mix = y / size
            draw.line(
                (0, y, size, y),
                fill=tuple(round(a + mix * (b - a)) for a, b in zip(sky, ground, strict=True)),
            )
    return image


@lru_cache(maxsize=32768)  # the demo's scenes ask for half as many, of some kilobytes each
def _scaled(noun: str, colour: str, side: int) -> Image.Image:
    """The sprite with its longest side at ``side`` pixels."""
    image = sprite(noun, colour)
    scale = side / SPRITE_SIZE
    return image.resize(
        (max(2, round(image.width * scale)), max(2, round(image.height * scale))),
        Image.Resampling.LANCZOS,
        reducing_gap=2.0,
    )


class _Canvas:
    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.size = image.width
        self.draw = ImageDraw.Draw(image)

    def paste(self, thing: Thing, place: Place) -> Box:
        """Draw ``thing``; its box, cut to the canvas."""
        factor = SIZES[thing.size] if thing.size else 1.0
        drawn = _scaled(thing.noun, thing.colour, max(6, round(place.side * factor * self.size)))
        if abs(place.tilt) > 1:
            drawn = drawn.rotate(place.tilt, resample=Image.Resampling.BILINEAR, expand=True)
        left = round(place.x * self.size - drawn.width / 2)
        top = round(place.y * self.size - drawn.height / 2)
        left = min(max(left, 0), max(0, self.size - drawn.width))
        top = min(max(top, 0), max(0, self.size - drawn.height))
        self.image.paste(drawn, (left, top), drawn)
        return left, top, min(drawn.width, self.size - left), min(drawn.height, self.size - top)

    def line(self, start: tuple[float, float], end: tuple[float, float], width: int = 1) -> None:
        self.draw.line(
            [(x * self.size, y * self.size) for x, y in (start, end)], fill=(30, 30, 30), width=width
        )

    def disc(self, place: Place) -> None:
        radius = place.side / 2 + 0.02
        corners = [(place.x - radius) * self.size, (place.y - radius) * self.size]
        corners += [(place.x + radius) * self.size, (place.y + radius) * self.size]
        self.draw.ellipse(corners, fill=(250, 250, 250), outline=(30, 30, 30))


def _mark_under(canvas: _Canvas, layout: PairLayout) -> None:
    """Strokes behind the drawings: a rope, speed lines behind the pursuer."""
    a, b = layout.subject, layout.object
    if layout.mark == "rope":
        canvas.line((a.x, a.y + 0.02), (b.x, b.y + 0.02), 2)
    if layout.mark == "motion":
        away = math.copysign(1.0, a.x - b.x)
        for offset in (-0.10, 0.0, 0.10):
            canvas.line(
                (a.x + away * a.side * 0.35, a.y + offset), (a.x + away * a.side * 0.66, a.y + offset)
            )


def _pair(canvas: _Canvas, scene: Scene, layout: PairLayout) -> tuple[Box, Box]:
    """Draw actor and patient; their boxes in the orbit's order."""
    _mark_under(canvas, layout)
    places = {"subject": (scene.actor, layout.subject), "object": (scene.patient, layout.object)}
    behind = "object" if layout.front == "subject" else "subject"
    boxes = {behind: canvas.paste(*places[behind])}
    if layout.mark == "hole":
        canvas.disc(layout.subject)
    if layout.mark == "arm":
        canvas.line((layout.subject.x, layout.subject.y + 0.1), (layout.object.x, layout.object.y), 2)
    boxes[layout.front] = canvas.paste(*places[layout.front])
    pair = boxes["subject"], boxes["object"]
    return pair if scene.subject == 0 else (pair[1], pair[0])


def _squeeze(layout: PairLayout, shares: tuple[float, float], corner: tuple[float, float]) -> PairLayout:
    """The layout moved into the sub-square of the canvas that the further objects leave free."""
    side = min(shares)

    def move(place: Place) -> Place:
        return Place(
            corner[0] + place.x * shares[0], corner[1] + place.y * shares[1], place.side * side, place.tilt
        )

    return PairLayout(move(layout.subject), move(layout.object), layout.front, layout.mark)


def draw(scene: Scene, *, size: int, random: Random) -> Drawing:
    """Draw ``scene`` on a canvas of ``size`` pixels a side, with this ``random``'s jitter and background."""
    kind = random.choice(("plain", "plain", "horizon", "stripes", "dots", "gradient"))
    canvas = _Canvas(_background(kind, random.choice(_SKIES), random.choice(_GROUNDS), size).copy())
    sides = [FURTHER_SIDES[f.relation] for f in scene.further]
    horizontal = next((s[0] for s in sides if s[1] == 0.5), None)
    vertical = next((s[1] for s in sides if s[0] == 0.5), None)
    shares = (1.0 if horizontal is None else PAIR_SHARE, 1.0 if vertical is None else PAIR_SHARE)
    corner = (
        (1 - shares[0]) * (1 - (horizontal or 0.0)) if horizontal is not None else 0.0,
        (1 - shares[1]) * (1 - (vertical or 0.0)) if vertical is not None else 0.0,
    )
    middle = (corner[0] + shares[0] / 2, corner[1] + shares[1] / 2)
    if scene.distractor is not None:
        spot = Place(random.choice((0.12, 0.88)), random.choice((0.12, 0.88)), 0.22)
        canvas.paste(scene.distractor, spot)
    boxes = []
    for further, (x, y) in zip(scene.further, sides, strict=True):
        room = 1 - PAIR_SHARE
        along = random.uniform(-0.1, 0.1)
        centre = (
            (room / 2 if x == 0.0 else 1 - room / 2, middle[1] + along)
            if y == 0.5
            else (middle[0] + along, room / 2 if y == 0.0 else 1 - room / 2)
        )
        boxes.append(canvas.paste(further.thing, Place(*centre, room)))
    layout = _squeeze(pair_layout(scene.relation.name, random), shares, corner)
    pair = _pair(canvas, scene, layout)
    return Drawing(canvas.image, (*pair, *boxes))
