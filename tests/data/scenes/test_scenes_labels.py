"""Labels of scenes and captions agree with the world that drew them."""

from __future__ import annotations

import numpy as np
import pytest

from knowclip.data.scenes.labels import ROLES, UNSAID, Labels
from knowclip.data.scenes.nouns import COLOURS, NOUNS, RELATIONS
from knowclip.data.scenes.world import Scene, draw_scenes
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject

NOUN, COLOUR = list(NOUNS).index, list(COLOURS).index
RELATION = [relation.name for relation in RELATIONS].index


def graph_of(scene: Scene) -> SceneGraph:
    """As Visual Genome's files have it."""
    things = [*scene.pair, *(further.thing for further in scene.further)]
    return SceneGraph(
        tuple(SceneObject(thing.noun, box=(8 * i, 8 * i, 8, 8)) for i, thing in enumerate(things)),
        tuple(Attribute(i, thing.colour) for i, thing in enumerate(things)),
        (
            Relation(scene.subject, scene.relation.name, 1 - scene.subject),
            *(Relation(f.member, f.relation, 2 + i) for i, f in enumerate(scene.further)),
        ),
    )


def roles(labels: Labels, row: int) -> tuple[int, ...]:
    """Subject, relation, object of a scene; nothing where none is told."""
    named = [np.flatnonzero(labels.roles[row] == role) for role in range(len(ROLES))]
    if not any(map(len, named)):
        assert labels.relations[row] == UNSAID
        return ()
    ((subject,), (other,)) = named
    return int(subject), int(labels.relations[row]), int(other)


def role_of(scene: Scene) -> tuple[int, int, int]:
    """What the picture shows, whichever of a relation and its converse the caption has."""
    subject, other, name = scene.actor.noun, scene.patient.noun, scene.relation.name
    if name in ("to the right of", "behind"):
        name = {"to the right of": "to the left of", "behind": "in front of"}[name]
        subject, other = other, subject
    return NOUN(subject), RELATION(name), NOUN(other)


def said(colours: np.ndarray) -> set[tuple[int, int]]:
    return {(int(noun), int(colours[noun])) for noun in np.flatnonzero(colours != UNSAID)}


@pytest.mark.parametrize("split", ["train", "test"])
def test_captions_say_what_the_world_let_them_say(split: str) -> None:
    scenes = draw_scenes(split, 400, 3)
    labels = Labels.of_captions([scene.caption for scene in scenes], [*map(graph_of, scenes)], words=40)
    told = 0
    for row, scene in enumerate(scenes):
        pair = zip((scene.actor, scene.patient), scene.wording.says_colours, strict=True)
        things = [thing for thing, says in pair if says] + [f.thing for f in scene.further]
        assert said(labels.colours[row]) == {(NOUN(t.noun), COLOUR(t.colour)) for t in things}
        tells = any(word in scene.wording.template for word in ("ing}", "third}", "ciple}", "preposition}"))
        assert roles(labels, row) == (role_of(scene) if tells else ()), scene.caption
        assert (labels.spots[row, :, 2] != UNSAID).sum() == tells
        told += tells
    assert 0 < told < 400 if split == "train" else told == 400


def test_images_show_everything_of_their_graph() -> None:
    scenes = draw_scenes("train", 100, 3)
    labels = Labels.of_images([*map(graph_of, scenes)], size=64, grid=4)
    for row, scene in enumerate(scenes):
        things = [*scene.pair, *(further.thing for further in scene.further)]
        assert said(labels.colours[row]) == {(NOUN(t.noun), COLOUR(t.colour)) for t in things}
        assert {*np.flatnonzero(labels.nouns[row])} == {NOUN(t.noun) for t in things}
        assert roles(labels, row) == role_of(scene)


def test_cells_name_the_smallest_box_that_covers_them() -> None:
    graph = SceneGraph(
        (SceneObject("castle", box=(0, 0, 64, 40)), SceneObject("dog", box=(20, 20, 10, 10))),
        (Attribute(0, "red"), Attribute(1, "big")),
        (Relation(1, "inside", 0),),
    )
    spots = Labels.of_images([graph], size=64, grid=4).spots[0].reshape(4, 4, 3)
    castle, dog = [NOUN("castle"), COLOUR("red"), 1], [NOUN("dog"), UNSAID, 0]  # big is no colour
    expected = [[castle] * 4, [castle, dog, castle, castle]]
    assert spots[0].tolist() == expected[0] and spots[1].tolist() == expected[1]
    assert (spots[3] == UNSAID).all()


def test_words_are_labelled_where_the_colour_is_clear() -> None:
    graph = SceneGraph(
        (SceneObject("dog"), SceneObject("cat")),
        (Attribute(0, "red"), Attribute(1, "blue")),
        (Relation(0, "chasing", 1),),
    )
    captions = [
        "A big red dog is chased by a cat.",
        "A dog is chasing a cat. The dog is red and the cat is blue.",
    ]
    labels = Labels.of_captions(captions, [graph, graph], words=20)
    dog, cat = [NOUN("dog"), COLOUR("red")], [NOUN("cat"), COLOUR("blue")]
    found = [
        {int(i): row[i, :2].tolist() for i in np.flatnonzero(row[:, 0] != UNSAID)} for row in labels.spots
    ]
    assert found == [{3: dog}, {10: dog, 15: cat}]
    assert labels.two_coloured.tolist() == [1]


def test_the_last_noun_of_the_pair_is_told_its_role() -> None:
    """Before it nobody can know: "a dog" may chase or be chased; of a converse the picture's end counts."""
    things = (SceneObject("dog"), SceneObject("cat"), SceneObject("pig"))
    sentences = {
        "A dog is chased by a cat. The dog is above a pig.": ("chasing", 1, 0, {9: 1}),
        "A cat chases a dog.": ("chasing", 1, 0, {4: 1}),
        "A cat is behind a dog. The cat is red.": ("behind", 1, 0, {8: 1}),
        "A cat is in front of a dog.": ("in front of", 1, 0, {7: 1}),
        "A cat and a dog.": ("chasing", 1, 0, {}),
    }
    for caption, (name, subject, other, expected) in sentences.items():
        relations = [Relation(subject, name, other)]
        if "pig" in caption:
            relations.append(Relation(0, "above", 2))
        graph = SceneGraph(things[: 3 if "pig" in caption else 2], (), tuple(relations))
        row = Labels.of_captions([caption], [graph], words=20).spots[0, :, 2]
        assert {int(i): int(row[i]) for i in np.flatnonzero(row != UNSAID)} == expected, caption


def test_words_beyond_the_length_are_left_out() -> None:
    graph = SceneGraph(
        (SceneObject("dog"), SceneObject("cat")), (Attribute(0, "red"),), (Relation(0, "on", 1),)
    )
    labels = Labels.of_captions(["There is a red dog on a cat."], [graph], words=4)
    assert (labels.spots == UNSAID).all() and said(labels.colours[0]) == {(NOUN("dog"), COLOUR("red"))}
