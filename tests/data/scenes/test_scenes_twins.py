"""Swapped twins: told apart by order alone, balanced, held out, and beside scenes that do not change."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from knowclip.data.captions.negatives import group_ids
from knowclip.data.captions.read import read_captions
from knowclip.data.captions.sampler import GlobalBatchSampler
from knowclip.data.scenes.nouns import RELATIONS
from knowclip.data.scenes.twins import KINDS, Twins, bag_of_words, draw_twins
from knowclip.data.scenes.world import colour_owner, relation_owner
from knowclip.data.scenes.write import write_scenes
from knowclip.types import Example, SceneGraph, SceneObject

NUMBERS = {"train": 12, "val": 4, "test": 8}
TWINS = {"train": 12, "test": 8}


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Twins]]:
    return {split: draw_twins(split, 480, 0) for split in ("train", "val", "test")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes") / "with"
    write_scenes(out, numbers=NUMBERS, twins=TWINS, seed=5, size=48)
    return out


def test_captions_are_two_orders_of_the_same_words_and_none_stands_twice(
    splits: dict[str, list[Twins]],
) -> None:
    for twins in splits.values():
        captions = [caption for each in twins for caption in each.captions]
        assert len(set(captions)) == 2 * len(twins) == 960
        for first, second in (each.captions for each in twins):
            assert bag_of_words(first) == bag_of_words(second)


def test_kinds_relations_and_ways_to_tell_colours_are_balanced(splits: dict[str, list[Twins]]) -> None:
    for twins in splits.values():
        counts = Counter((each.kind, each.scenes[0].relation.name) for each in twins)
        assert counts == {(kind, r.name): 240 // len(RELATIONS) for kind in KINDS for r in RELATIONS}
        coloured = Counter((each.kind, each.scenes[0].wording.says_colours) for each in twins)
        assert coloured["attribute", (True, True)] == 240
        assert min(coloured["relation", (said, said)] for said in (True, False)) > 80


def test_nothing_differs_but_roles_or_the_owners_of_colours(splits: dict[str, list[Twins]]) -> None:
    for each in (each for twins in splits.values() for each in twins):
        scene, other = each.scenes
        assert (scene.relation, scene.wording) == (other.relation, other.wording)
        assert (scene.further, scene.distractor) == (other.further, other.distractor)
        if each.kind == "relation":
            assert scene.pair == other.pair and scene.subject != other.subject
            continue
        (a, b), (c, d) = scene.pair, other.pair
        assert scene.subject == other.subject and a.colour != b.colour
        assert (a.noun, a.size, b.noun, b.size) == (c.noun, c.size, d.noun, d.size)
        assert (a.colour, b.colour) == (d.colour, c.colour)


def test_combinations_are_held_out_as_those_of_the_scenes(splits: dict[str, list[Twins]]) -> None:
    own = Counter[str]()
    for split, twins in splits.items():
        for each in twins:
            owners = set()
            for scene in each.scenes:
                things = [*scene.pair, *(further.thing for further in scene.further)]
                owners.add(relation_owner(scene.relation.name, *(thing.noun for thing in scene.pair)))
                owners |= {colour_owner(thing.colour, thing.noun) for thing in things}
            assert owners <= {"train", split}
            own[split] += split in owners
    assert min(own["val"], own["test"]) > 200


def test_the_same_seed_gives_the_same_twins_and_an_odd_number_is_refused() -> None:
    assert draw_twins("val", 20, 3) == draw_twins("val", 20, 3) != draw_twins("val", 20, 4)
    assert draw_twins("val", 40, 3)[:20] == draw_twins("val", 20, 3)
    with pytest.raises(ValueError, match="even number"):
        draw_twins("val", 21, 3)


def test_scenes_do_not_depend_on_their_twins(folder: Path, tmp_path: Path) -> None:
    write_scenes(tmp_path / "without", numbers=NUMBERS, seed=5, size=48)
    files = [path.relative_to(tmp_path / "without") for path in (tmp_path / "without").rglob("*.*")]
    assert len(files) > sum(NUMBERS.values())
    changed = {
        file.name
        for file in files
        if (tmp_path / "without" / file).read_bytes() != (folder / file).read_bytes()
    }
    assert changed == {"scenes.json", "README.txt"}  # which tell the numbers


def test_quadruples_name_two_pictures_that_differ(folder: Path, tmp_path: Path) -> None:
    write_scenes(tmp_path / "again", numbers={}, twins=TWINS, seed=5, size=48, workers=2)
    for split, number in TWINS.items():
        records = json.loads((folder / "twins" / f"twins_{split}.json").read_text())
        assert Counter(record["tag"] for record in records) == dict.fromkeys(KINDS, number // 2)
        for record in records:
            names = [record["image_0"], record["image_1"]]
            for name in names:
                again = tmp_path / "again" / "twins" / "images" / name
                assert again.read_bytes() == (folder / "twins" / "images" / name).read_bytes()
            first, second = (
                np.asarray(Image.open(folder / "twins" / "images" / name), dtype=int) for name in names
            )
            assert (np.abs(first - second).max(axis=2) > 60).sum() > 40
            # one background: at least a row or column of pixels at the border is the same
            assert (np.abs(first - second).max(axis=2) < 20).mean() > 0.25
    assert not (folder / "twins" / "twins_val.json").exists()


def test_train_s_twins_are_captions_that_one_batch_can_hold(folder: Path) -> None:
    twins = read_captions(folder / "twins", split="train").examples
    together = read_captions(folder / "scenes_with_twins.json", split="train").examples
    scenes = read_captions(folder, split="train").examples
    assert len(twins) == 2 * TWINS["train"]
    assert [each.caption for each in together] == [each.caption for each in (*scenes, *twins)]
    assert all(each.image.path.is_file() for each in (*twins, *together))
    named = [_with_nouns(each, pair) for each, pair in zip(twins, _pairs("train"), strict=True)]
    sampler = GlobalBatchSampler(len(named), batch_size=8, groups=group_ids(named), group_share=1.0)
    for batch in sampler:
        assert Counter(row // 2 for row in batch) == {row // 2: 2 for row in batch}


def _pairs(split: str) -> list[tuple[str, str]]:
    drawn = draw_twins(split, TWINS[split], 5)
    return [tuple(thing.noun for thing in scene.pair) for each in drawn for scene in each.scenes]


def _with_nouns(example: Example, nouns: tuple[str, str]) -> Example:
    graph = SceneGraph(tuple(map(SceneObject, nouns)))
    return replace(example, graph=graph)
