"""Swapped twins: two scenes and two captions that differ in who acts, or in whose the colours are.

Both pictures have one background and the same places, both captions the same words, and each caption is
true of one picture and false of the other. So no reader of one side alone can tell them apart, nor one that
reads captions as bags of words. Stored in Winoground's form, ``{image_0, image_1, caption_0, caption_1}``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random
from typing import get_args

from knowclip.data.scenes.formats import Json
from knowclip.data.scenes.nouns import COLOURS, RELATIONS, RelationWords
from knowclip.data.scenes.wording import TwinKind, draw_twin_wording
from knowclip.data.scenes.world import Scene, draw_orbit, endless

KINDS: tuple[TwinKind, ...] = get_args(TwinKind)


@dataclass(frozen=True, slots=True)
class Twins:
    """Two scenes before they are drawn; ``number`` counts the twins of a split from 1."""

    number: int
    split: str
    kind: TwinKind
    scenes: tuple[Scene, Scene]

    @property
    def file_names(self) -> tuple[str, str]:
        """Of the two pictures."""
        return f"{self.split}_{self.number:06d}_0.jpg", f"{self.split}_{self.number:06d}_1.jpg"

    @property
    def captions(self) -> tuple[str, str]:
        """Of the two pictures."""
        return self.scenes[0].caption, self.scenes[1].caption


def bag_of_words(caption: str) -> Counter[str]:
    """The words of a caption, without their order."""
    return Counter(re.findall(r"\w+", caption.lower()))


def draw_twins(split: str, number: int, seed: int) -> list[Twins]:
    """``number`` twins of a split, relation and attribute twins by turns.

    Their combinations of nouns, colours and relations are held out as those of ``draw_scenes`` are, and
    they come from a random stream of their own. No caption stands twice.

    Raises:
        ValueError: for an odd or negative number.
    """
    if number < 0 or number % len(KINDS):
        raise ValueError(f"{split}: {number} twins asked for; half are of each kind, give an even number")
    random = Random(f"{seed}/{split}/twins")
    relations = {kind: endless(list(RELATIONS), random) for kind in KINDS}
    colours = {kind: endless(list(combinations(COLOURS, 2)), random) for kind in KINDS}
    said: set[str] = set()
    drawn = []
    for index in range(number):
        kind = KINDS[index % len(KINDS)]
        relation, two = next(relations[kind]), next(colours[kind])
        while True:
            twins = Twins(index + 1, split, kind, _scenes(kind, split, relation, two, random))
            if _tell_apart(twins) and said.isdisjoint(twins.captions):
                break
        said.update(twins.captions)
        drawn.append(twins)
    return drawn


def _tell_apart(twins: Twins) -> bool:
    """Whether order alone tells the captions apart."""
    first, second = map(bag_of_words, twins.captions)
    # articles differ where one of the two colours begins with a vowel and one of the two things has a size
    return first == second


def _scenes(
    kind: TwinKind, split: str, relation: RelationWords, colours: tuple[str, str], random: Random
) -> tuple[Scene, Scene]:
    orbit = draw_orbit(split, relation, colours, kind == "attribute", random)
    wording = draw_twin_wording(relation, kind, split, random)
    scene, swapped = orbit[0], orbit[1 if kind == "relation" else 2]
    return replace(scene, wording=wording), replace(swapped, wording=wording)


def quadruples(twins: Iterable[Twins]) -> list[Json]:
    """Winoground's records, with the kind of the swap as ``tag``."""
    return [
        {
            "id": each.number,
            "image_0": each.file_names[0],
            "image_1": each.file_names[1],
            "caption_0": each.captions[0],
            "caption_1": each.captions[1],
            "tag": each.kind,
        }
        for each in twins
    ]


def karpathy_images(twins: Sequence[Twins], *, filepath: str) -> list[Json]:
    """Images of a Karpathy-style ``dataset.json``; twins follow each other."""
    return [
        {
            "filename": name,
            "filepath": filepath,
            "split": each.split,
            "imgid": name.removesuffix(".jpg"),
            "sentids": [name.removesuffix(".jpg")],
            "sentences": [{"raw": caption, "sentid": name.removesuffix(".jpg")}],
        }
        for each in twins
        for name, caption in zip(each.file_names, each.captions, strict=True)
    ]
