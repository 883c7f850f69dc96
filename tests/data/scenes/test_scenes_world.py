"""The world of the scenes: balanced, held out, unique, and silent to a reader who sees no picture."""

from __future__ import annotations

import json
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest

from knowclip.data.scenes.nouns import CATEGORIES, COLOURS, NOUNS, RELATIONS
from knowclip.data.scenes.wording import held_out_templates
from knowclip.data.scenes.world import Scene, colour_owner, draw_scenes, relation_owner
from knowclip.evaluation.benchmarks.aro import DROPPED_RELATIONS


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Scene]]:
    return {"train": draw_scenes("train", 4000, 0), **{s: draw_scenes(s, 1500, 0) for s in ("val", "test")}}


def test_the_vocabulary_is_as_wide_as_promised() -> None:
    assert len(NOUNS) >= 60 and len(CATEGORIES) >= 6
    assert len(COLOURS) >= 8 and len(RELATIONS) >= 10
    assert not {relation.name for relation in RELATIONS} & set(DROPPED_RELATIONS)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_captions_are_unique_within_a_split(splits: dict[str, list[Scene]], split: str) -> None:
    captions = [scene.caption for scene in splits[split]]
    assert len(set(captions)) == len(captions)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_scene_has_its_swapped_twins_in_the_same_split(
    splits: dict[str, list[Scene]], split: str
) -> None:
    def facts(scene: Scene) -> tuple:
        return scene.relation.name, scene.actor, scene.patient, scene.wording, scene.further

    there = {facts(scene) for scene in splits[split]}
    for scene in splits[split]:
        name, actor, patient, wording, further = facts(scene)
        assert (name, patient, actor, wording, further) in there
        if scene.says_both:
            painted = [type(actor)(t.noun, o.colour, t.size) for t, o in ((actor, patient), (patient, actor))]
            assert (name, *painted, wording, further) in there


def test_orders_and_colour_assignments_are_equally_frequent(splits: dict[str, list[Scene]]) -> None:
    for scenes in splits.values():
        orders = Counter((s.relation.name, s.actor.noun, s.patient.noun) for s in scenes)
        assert all(orders[r, a, b] == orders[r, b, a] for r, a, b in orders)
        colours = Counter((s.actor.colour, s.patient.colour) for s in scenes if s.says_both)
        assert all(colours[a, b] == colours[b, a] for a, b in permutations(COLOURS, 2))


def test_where_no_relation_is_said_the_order_tells_no_roles(splits: dict[str, list[Scene]]) -> None:
    told = [scene for scene in splits["train"] if not scene.wording.says_relation]
    subject_first = sum(
        scene.caption.index(scene.actor.noun) < scene.caption.index(scene.patient.noun) for scene in told
    )
    assert len(told) > 400
    assert abs(subject_first / len(told) - 0.5) < 0.05


def test_held_out_combinations_stay_in_their_split(splits: dict[str, list[Scene]]) -> None:
    novel = Counter()
    for split, scenes in splits.items():
        for scene in scenes:
            nouns = [scene.relation.name, scene.actor.noun, scene.patient.noun]
            things = [*scene.pair, *(f.thing for f in scene.further)]
            owners = {relation_owner(*nouns), *(colour_owner(t.colour, t.noun) for t in things)}
            assert owners <= {"train", split}
            novel[split] += split in owners and split != "train"
    assert min(novel["val"], novel["test"]) >= 600


def test_some_templates_are_only_in_test(splits: dict[str, list[Scene]]) -> None:
    used = {split: {scene.wording.template for scene in scenes} for split, scenes in splits.items()}
    assert used["test"] >= held_out_templates()
    assert not held_out_templates() & (used["train"] | used["val"])


def test_the_same_seed_gives_the_same_scenes_and_another_seed_others() -> None:
    assert draw_scenes("val", 40, 3) == draw_scenes("val", 40, 3)
    assert draw_scenes("val", 40, 3) != draw_scenes("val", 40, 4)


def test_an_odd_number_is_refused() -> None:
    with pytest.raises(ValueError, match="twins"):
        draw_scenes("val", 41, 0)


@pytest.mark.slow
def test_text_alone_says_nothing(splits: dict[str, list[Scene]]) -> None:
    """A classifier trained on train captions against their negatives stands at chance on both test files."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    from knowclip.data.scenes import formats
    from knowclip.knowledge.negatives.generate import generate
    from knowclip.knowledge.parsing.parsers import parse

    captions = [scene.caption for scene in splits["train"]]
    negatives = [n.caption for c, g in zip(captions, parse(captions), strict=True) for n in generate(c, g)]
    assert len(negatives) > len(captions)
    words = CountVectorizer(ngram_range=(1, 3), binary=True, token_pattern=r"\w+").fit(captions + negatives)
    labels = [1] * len(captions) + [0] * len(negatives)
    blind = LogisticRegression(max_iter=200).fit(words.transform(captions + negatives), labels)
    boxes = ((0, 0, 9, 9),) * 4
    test = [formats.Drawn(i, "test", scene, boxes) for i, scene in enumerate(splits["test"])]
    for items in (formats.aro_relation(test), formats.aro_attribution(test)):
        true, false = (
            blind.decision_function(words.transform([item[key] for item in items]))
            for key in ("true_caption", "false_caption")
        )
        assert (true > false).mean() <= 0.55


def test_aro_files_hold_enough_cases_of_everything(splits: dict[str, list[Scene]]) -> None:
    from knowclip.data.scenes import formats

    test = [formats.Drawn(i, "test", scene, ((0, 0, 9, 9),) * 4) for i, scene in enumerate(splits["test"])]
    relations = Counter(item["relation_name"] for item in formats.aro_relation(test))
    attributes = Counter(tuple(item["attributes"]) for item in formats.aro_attribution(test))
    assert len(relations) == len(RELATIONS) and min(relations.values()) >= 40
    assert len(attributes) == 8 * 7 and min(attributes.values()) >= 40


def test_the_folder_holds_the_original_formats_and_is_reproducible(tmp_path: Path) -> None:
    from knowclip.data.scenes.write import write_scenes

    numbers = {"train": 20, "val": 8, "test": 8}
    told: list[tuple[str, float, float | None]] = []
    drawn = write_scenes(tmp_path / "a", numbers=numbers, seed=5, size=48)
    write_scenes(
        tmp_path / "b", numbers=numbers, seed=5, size=48, workers=2, progress=lambda *now: told.append(now)
    )
    assert (
        told[0][0] == "getting ready"
        and told[1] == ("drawing scenes", 0, 36)
        and told[-2] == ("drawing scenes", 36, 36)
    )
    assert told[-1][0].startswith("writing")  # seconds, of a demo's scenes
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(drawn) == 36 == sum(f.suffix == ".jpg" for f in files)
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    relationships = json.loads((tmp_path / "a/visual_genome/relationships.json").read_text())
    first = relationships[0]["relationships"][0]
    assert first["predicate"] == drawn[0].scene.relation.name
    assert first["subject"]["name"] == drawn[0].scene.actor.noun
    assert {"x", "y", "w", "h", "object_id"} <= first["object"].keys()
    for entry in json.loads((tmp_path / "a/visual_genome/objects.json").read_text()):
        for thing in entry["objects"]:
            assert 0 <= thing["x"] < thing["x"] + thing["w"] <= 48
            assert 0 <= thing["y"] < thing["y"] + thing["h"] <= 48


def test_wrong_settings_are_refused(tmp_path: Path) -> None:
    from knowclip.data.scenes.write import write_scenes

    with pytest.raises(ValueError, match="unknown split"):
        write_scenes(tmp_path / "x", numbers={"dev": 2})
    with pytest.raises(ValueError, match="32 pixels"):
        write_scenes(tmp_path / "x", numbers={"val": 2}, size=16)
    assert not (tmp_path / "x").exists()


def test_the_command_never_writes_over_what_is_there(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from knowclip.cli import build_app

    def go(*asked: str) -> str:
        none = (f"--{name}=0" for name in ("val", "test", "val-twins", "test-twins"))
        arguments = ["scenes", str(tmp_path / "s"), *none, "--workers=1", "--size=32", *asked]
        ended = CliRunner().invoke(build_app(), arguments)
        return str(ended.exception or ended.output)

    assert "4 scenes" in go("--train=4")
    (tmp_path / "s/mine.txt").write_text("hello")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*")}
    told = go("--train=2", "--seed=1")
    assert "holds scenes of other settings: train 4 (asked: 2), seed 0 (asked: 1); choose another" in told
    assert f"already there: {tmp_path / 's'}" in go("--train=4").replace("\n", "")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*")}
    (tmp_path / "s/scenes.json").write_text("{}")
    assert "holds other files, which would be replaced (README.txt, " in go("--train=4")
