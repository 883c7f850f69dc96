"""Each benchmark's reader and protocol on small files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.aro import DROPPED_RELATIONS, read_vg_attribution, read_vg_relation
from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.retrieval import Retrieval
from knowclip.evaluation.benchmarks.swaps import attach, read_negatives, swaps
from knowclip.evaluation.benchmarks.zero_shot import ZERO_SHOT_OBJECTS, ZeroShot
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.suites.folder import read_suite
from knowclip.types import Example, ImageRef, Negative

CARD = Card("toy", "Toy", "p", "a", "l", "toy", "protocol", "layout")


def _choices(groups: str) -> tuple[Choice, ...]:
    return tuple(
        Choice(str(i), ImageRef(Path(f"{i}.jpg")), "true", "false", group, str(i))
        for i, group in enumerate(groups)
    )


def test_aro_drops_157_relations() -> None:
    assert len(DROPPED_RELATIONS) == 157
    assert {"facing", "riding on", "climbing", "on the side of"} <= DROPPED_RELATIONS
    assert not {"riding", "on", "to the left of", "holding"} & DROPPED_RELATIONS


def test_vg_relation_reads_boxes_and_drops_by_name(data_folder: Path, constant: Any) -> None:
    benchmark = read_vg_relation(data_folder)
    assert benchmark.cases[4].image == ImageRef(data_folder / "images/000000000004.jpg", (2, 3, 20, 21))
    assert benchmark.cases[4].true == "the horse is holding the astronaut"
    result = benchmark.run(Scorer(constant))
    assert result.n == 27
    assert result.details["cases"] == 30
    assert result.details["dropped"] == {"facing": 3}
    assert {name: row["n"] for name, row in result.details["classes"].items()} == {
        "holding": 13,
        "riding": 14,
    }
    assert result.details["tie_rate"] == 1


def test_vg_attribution_keeps_ordered_pairs_with_25_cases(data_folder: Path, constant: Any) -> None:
    result = read_vg_attribution(data_folder).run(Scorer(constant))
    assert result.n == 28
    assert result.details["dropped"] == {"green_red": 2}
    assert list(result.details["classes"]) == ["red_blue"]


def test_vg_attribution_without_a_common_pair_is_no_data(data_folder: Path) -> None:
    with pytest.raises(NoDataError, match="vg_attribution: none of 2 classes has 29 items"):
        read_vg_attribution(data_folder, minimum=29)


def test_aro_official_folder_and_given_images(data_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(data_folder / "aro", tmp_path / "official")
    with pytest.raises(ValueError, match="no folder images/"):
        read_vg_relation(tmp_path / "official")
    given = read_vg_relation(tmp_path / "official", images=data_folder / "images")
    shutil.copytree(data_folder / "images", tmp_path / "official/images")
    beside = read_vg_relation(tmp_path / "official")
    assert given.cases[0].image.path.is_file()
    assert beside.cases[0].image.path.parent == tmp_path / "official/images"


def test_aro_validation_part_is_separate(data_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="split 'val'"):
        read_vg_relation(data_folder, split="val")
    shutil.copytree(data_folder / "aro", tmp_path / "aro_val")
    shutil.copytree(data_folder / "images", tmp_path / "images")
    assert len(read_vg_relation(tmp_path, split="val").cases) == 30
    with pytest.raises(NoDataError, match="split 'test'"):
        read_vg_relation(tmp_path)


def test_truncated_and_odd_aro_files_say_where(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    path = tmp_path / "visual_genome_relation.json"
    path.write_text('[{"image_id": 1')
    with pytest.raises(ValueError, match=r"visual_genome_relation\.json is not valid JSON"):
        read_vg_relation(tmp_path)
    path.write_text(json.dumps([{"image_id": 1, "bbox_y": 0, "bbox_w": 1, "bbox_h": 1}]))
    with pytest.raises(ValueError, match=r"visual_genome_relation/0: no field 'bbox_x'; it has image_id"):
        read_vg_relation(tmp_path)


def test_macro_and_micro_by_hand() -> None:
    benchmark = ChoiceBenchmark(CARD, _choices("aaab"))
    result = benchmark.grade([1, 1, 0, 0], [0, 0, 1, 0])
    assert result.metrics == pytest.approx({"toy": 1 / 3, "toy_macro": 1 / 3, "toy_micro": 0.5})
    assert result.details["tie_rate"] == 0.25
    plain = ChoiceBenchmark(CARD, _choices("aaab"), macro=False).grade([1, 1, 0, 0], [0, 0, 1, 0])
    assert plain.metrics["toy"] == 0.5
    assert "group" not in plain.items


def test_choice_keys_must_be_unique() -> None:
    with pytest.raises(ValueError, match="keys repeat"):
        ChoiceBenchmark(CARD, _choices("a") * 2)


def test_missing_image_is_a_wrong_answer_and_is_told(data_folder: Path, make_oracle: Any) -> None:
    whole = read_vg_relation(data_folder)
    oracle = make_oracle(zip(whole.images, whole.true, strict=True))
    gone = whole.images[5]

    def encode(images: list[ImageRef], *, normalize: bool = False) -> Any:
        if gone in images:
            raise OSError("truncated file")
        return type(oracle).encode_image(oracle, images, normalize=normalize)

    oracle.encode_image = encode
    with pytest.warns(UserWarning, match="1 of 30 images are unreadable"):
        result = whole.run(Scorer(oracle, max_missing=0.05))
    assert result.details["missing_images"] == 1
    assert result.items["correct"].sum() == 29
    assert not result.items["correct"][5]


def _example(key: str, image: str, caption: str, *negatives: str) -> Example:
    found = tuple(Negative(text, "relation_swap") for text in negatives)
    return Example(key, image, ImageRef(Path(image)), caption, negatives=found)


def test_retrieval_counts_equal_texts_and_all_captions_of_an_image(make_oracle: Any) -> None:
    examples = [_example("0", "x", "a dog"), _example("1", "x", "a hound"), _example("2", "y", "a dog")]
    examples += [_example(f"{i}", f"z{i}", f"number {i}") for i in range(3, 20)]
    confused = [(e.image, e.caption) for e in examples if e.key != "3"]
    confused += [(examples[4].image, "number 3"), (examples[3].image, "nothing")]
    scorer = Scorer(make_oracle(confused))
    to_text = Retrieval("image_to_text", examples).run(scorer)
    assert to_text.n == 19  # images
    assert to_text.items["key"].tolist()[:3] == ["x", "y", "z3"]
    assert to_text.items["correct"].tolist()[:3] == [True, True, False]
    to_image = Retrieval("text_to_image", examples).run(scorer)
    assert to_image.n == 20  # captions
    assert to_image.items["correct"].sum() == 19
    assert to_image.metrics["text_to_image_R@1"] == 0.95
    assert set(to_text.metrics) == {f"image_to_text_R@{k}" for k in (1, 5, 10)}
    assert scorer.model.calls == {"image": 19, "text": 19}  # encoded once for both directions


def test_zero_shot_averages_prompts(make_oracle: Any) -> None:
    refs = [ImageRef(Path("a")), ImageRef(Path("b")), ImageRef(Path("c"))]
    templates = ("{a} {name}", "a drawing of {a} {name}")
    benchmark = ZeroShot(ZERO_SHOT_OBJECTS, refs, ["a", "b", "c"], [0, 1, 1], ["apple", "bee"], templates)
    assert benchmark.prompts("apple") == ["an apple", "a drawing of an apple"]
    truths = [(refs[0], "an apple"), (refs[1], "a drawing of a bee"), (refs[2], "a drawing of an apple")]
    result = benchmark.run(Scorer(make_oracle(truths)))
    assert result.items["correct"].tolist() == [True, True, False]
    assert result.metrics["zero_shot_objects_acc1"] == pytest.approx(2 / 3)
    assert result.metrics["zero_shot_objects_mean_per_class"] == pytest.approx(0.75)


def test_zero_shot_objects_are_those_of_the_split(data_folder: Path, tmp_path: Path) -> None:
    whole = registry.read("zero_shot_objects", data_folder)
    assert isinstance(whole, ZeroShot)
    assert len(whole.images) == 60
    assert whole.names == ["astronaut", "cat", "horse", "umbrella"]
    part = tmp_path / "part"
    shutil.copytree(data_folder, part)
    captions = json.loads((part / "captions_test.json").read_text())
    captions["annotations"] = [a for a in captions["annotations"] if a["image_id"] < 5]
    (part / "captions_test.json").write_text(json.dumps(captions))
    fewer = registry.read("zero_shot_objects", part)
    assert isinstance(fewer, ZeroShot)
    assert len(fewer.images) == 10


def test_a_file_without_negatives_is_named(data_folder: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    shutil.copytree(data_folder, part)
    (part / "negatives.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"negatives\.jsonl holds no negatives: write it anew"):
        registry.read("swaps", part)


@pytest.mark.parametrize("file", ["image_data", "objects"])
@pytest.mark.parametrize(
    "damage", [None, 7, [], {}, {"image_id": 0}, {"image_id": [], "url": "a", "objects": []}]
)
def test_a_malformed_record_of_visual_genome_is_counted_and_more_than_a_hundredth_refused(
    data_folder: Path, tmp_path: Path, file: str, damage: object
) -> None:
    part = tmp_path / "part"
    shutil.copytree(data_folder, part)
    path = part / "visual_genome" / f"{file}.json"
    records = json.loads(path.read_text())
    path.write_text(json.dumps([damage, *records[1:]]))
    with pytest.raises(ValueError, match=rf"{file}\.json has 1 malformed records of 30; .*--allow-missing"):
        registry.read("zero_shot_objects", part)
    fewer = registry.read("zero_shot_objects", part, allow_missing=True)
    assert isinstance(fewer, ZeroShot)
    assert len(fewer.images) == 58
    assert fewer.skipped[f"malformed record of {file}.json"] == 1
    path.write_text(json.dumps(damage))
    with pytest.raises(ValueError, match=rf"{file}\.json"):
        registry.read("zero_shot_objects", part)


@pytest.mark.parametrize(
    "box",
    [{"w": 0}, {"w": "3"}, {"w": None}, {"w": float("inf")}, {"names": []}, {"names": [3]}, {"names": 3}],
)
def test_an_object_without_name_or_box_is_counted(data_folder: Path, tmp_path: Path, box: dict) -> None:
    part = tmp_path / "part"
    shutil.copytree(data_folder, part)
    path = part / "visual_genome" / "objects.json"
    records = json.loads(path.read_text())
    records[0]["objects"][0] |= box
    path.write_text(json.dumps(records))
    fewer = registry.read("zero_shot_objects", part)
    assert isinstance(fewer, ZeroShot)
    assert len(fewer.images) == 59 and fewer.skipped["object without name or box"] == 1


def test_swaps_are_graded_by_kind_and_drawn_by_image() -> None:
    examples = [
        _example("0", "x", "a b", "b a", "a c"),
        _example("1", "y", "c d"),
        _example("2", "x", "e", "f"),
    ]
    benchmark = swaps(examples)
    assert [case.key for case in benchmark.cases] == ["0/0", "0/1", "2/0"]
    assert [case.image_id for case in benchmark.cases] == ["x", "x", "x"]
    result = benchmark.grade([1, 1, 0], [0, 0, 1])
    assert result.details["classes"] == {"relation_swap": {"accuracy": pytest.approx(2 / 3), "n": 3}}
    with pytest.raises(NoDataError, match="swaps: no cases"):
        swaps(examples[1:2])


def test_negatives_file_joins_by_caption_and_bad_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "negatives.jsonl"
    line = {"key": "0", "caption": "a b", "negative": "b a", "kind": "relation_swap", "changed": [[0, 1]]}
    path.write_text((json.dumps(line) + "\n") * 2)
    negatives = read_negatives(path)
    assert negatives == {"a b": [Negative("b a", "relation_swap", ((0, 1),))]}
    attached = attach([_example("k", "x", "a b"), _example("l", "x", "c")], negatives)
    assert [len(example.negatives) for example in attached] == [1, 0]
    path.write_text(json.dumps(line) + '\n{"caption": "a"}\n')
    with pytest.raises(ValueError, match=r"negatives\.jsonl, line 2: KeyError\('changed'\)"):
        read_negatives(path)
    for name, value in (("negative", None), ("kind", []), ("caption", 3)):
        path.write_text(json.dumps(line | {name: value}) + "\n")
        with pytest.raises(ValueError, match=r"negatives\.jsonl, line 1: .* is no caption"):
            read_negatives(path)


def test_suite_reads_what_is_there_and_says_what_is_not(data_folder: Path, tmp_path: Path) -> None:
    found, absent = read_suite(data_folder)
    measured = [benchmark.card.name for benchmark in found]
    assert {"vg_relation", "vg_attribution", "image_to_text", "swaps"} <= set(measured)
    unasked = [name for name, entry in registry.BENCHMARKS.items() if entry.on_request]
    assert {*measured, *absent, *unasked} == set(registry.BENCHMARKS)
    assert "see `knowclip data winoground`" in absent["winoground"]
    shutil.copytree(data_folder / "aro", tmp_path / "aro")
    shutil.copytree(data_folder / "images", tmp_path / "images")
    found, absent = read_suite(tmp_path)
    assert [benchmark.card.name for benchmark in found] == ["vg_relation", "vg_attribution"]
    assert "negatives.jsonl" in absent["swaps"]
    with pytest.raises(NoDataError, match=r"negatives\.jsonl"):
        read_suite(tmp_path, names=["vg_relation", "swaps"])
    with pytest.raises(NoDataError, match="no benchmark has data for split 'val'"):
        read_suite(tmp_path, split="val")
    with pytest.raises(ValueError, match="is not a folder"):
        read_suite(tmp_path / "nowhere")


@pytest.mark.conformance
def test_retrieval_reads_genuine_coco(real_data: Path, make_oracle: Any) -> None:
    benchmark = registry.read("text_to_image", real_data / "coco", split="val")
    assert isinstance(benchmark, Retrieval)
    result = benchmark.run(Scorer(make_oracle((e.image, e.caption) for e in benchmark.examples)))
    assert (result.n, result.details["gallery"]) == (560, 112)
    assert result.metrics["text_to_image_R@1"] == 1
    assert np.array_equal(np.unique(result.items["rank"]), [0])
