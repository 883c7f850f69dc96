"""Each official layout: what is read where, on small copies, and on the genuine records there are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from official import draw
from PIL import Image

from knowclip.data.captions.read import read_captions
from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.half_truth import half_truths
from knowclip.evaluation.benchmarks.order import normalise, shuffles
from knowclip.evaluation.benchmarks.vl_checklist import source_of
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.suites.folder import run_suite
from knowclip.knowledge.parsing.parsers import parse
from knowclip.types import Example, ImageRef, SceneGraph
from tiny import tiny_model

Read = Callable[[str], Benchmark]


def cases(read: Read, name: str) -> Any:
    return read(name).cases  # type: ignore[attr-defined]


def test_every_benchmark_runs_on_a_real_model(read_benchmark: Read) -> None:
    scorer = Scorer(tiny_model())
    results = run_suite([read_benchmark(name) for name in registry.BENCHMARKS], scorer)
    assert [result.benchmark for result in results] == list(registry.BENCHMARKS)
    for result in results:
        assert all(0 <= value <= 1 for value in result.metrics.values()), result.metrics
        assert result.details["missing_images"] == 0


def test_sugarcrepe_reads_seven_splits(read_benchmark: Read, official_folder: Path) -> None:
    found = cases(read_benchmark, "sugarcrepe")
    assert found[1] == Choice(
        "add_obj/1",
        ImageRef(official_folder / "coco/val2017/000000000001.jpg"),
        "add_obj: a cat.",
        "add_obj: no cat.",
        "add_obj",
        "000000000001.jpg",
    )
    assert len({case.group for case in found}) == 7
    both = cases(read_benchmark, "sugarcrepe_pp")
    assert both[0].also == (("That is replace_obj: a dog.", "replace_obj: no dog."),)
    assert cases(read_benchmark, "sugarcrepe_pp_text")[0].second == "That is replace_obj: a dog."


def test_winoground_shape_reads_json_lines_json_and_parquet(read_benchmark: Read) -> None:
    wino = cases(read_benchmark, "winoground")[1]
    assert [ref.path.name for ref in wino.images] == ["ex_1_img_0.png", "ex_1_img_1.png"]
    assert (wino.texts, wino.group) == (("the cat on the bench", "the bench on the cat"), "Object")
    assert cases(read_benchmark, "colorswap")[0].images[1].path.parts[-2:] == ("images", "img_0_2.png")
    assert cases(read_benchmark, "coco_counterfactuals")[0].group == "all"
    swap = cases(read_benchmark, "bivlc")
    assert len(swap) == 6
    assert (swap[1].group, swap[0].group) == ("swap_object", "add_object")
    assert Image.open(swap[0].images[0].path).size == (24, 24)


def test_cola_and_mmvp_pair_images_with_captions(read_benchmark: Read) -> None:
    cola = cases(read_benchmark, "cola")[2]
    assert [ref.path.parts[-2:] for ref in cola.images] == [("VG_100K", "4.jpg"), ("VG_100K", "5.jpg")]
    mmvp = cases(read_benchmark, "mmvp_vlm")[0]
    assert mmvp.texts[0] == "a photo of the dog on the skateboard"
    assert [ref.path.parts[-2:] for ref in mmvp.images] == [("Color", "1.jpg"), ("Color", "2.jpg")]
    assert read_benchmark("eqben").cases[1].texts == (  # type: ignore[attr-defined]
        "the cat on the bench",
        "the bench on the cat",
    )


def test_eqben_full_reads_every_nesting_of_the_official_loaders(tmp_path: Path) -> None:
    """Fields of ``eqben_utils.py`` (AG by video and subject, YouCook2 and GEBC by video, Kubric and SD in a
    list) and of ``evaluate_eqben_locally.py`` (``private_info``)."""
    base = tmp_path / "eqben"
    for name in ("eqbenag/v/s/1.png", "eqbenag/v/s/2.png", "eqbengebc/v/1.png", "eqbengebc/v/2.png"):
        draw(base / "image" / name, 1)
    action = {"image0": "eqbenag/v/s/1.png", "image1": "eqbenag/v/s/2.png"}
    action |= {"caption0": ["sits", "is there"], "caption1": ["stands"]}
    event = {"image0": "eqbengebc/v/1.png", "image1": "eqbengebc/v/2.png", "caption0": "a", "caption1": "b"}

    def read(content: Any, file: str = "private_info_global.json") -> Any:
        for old in base.glob("*.json"):
            old.unlink()
        (base / file).write_text(json.dumps(content))
        return registry.read("eqben_full", tmp_path, allow_missing=True)

    nested = read({"v": {"s": [action]}, "w": [event]})
    assert [(case.key, case.texts, case.group) for case in nested.cases] == [
        ("private_info_global/v/s/0", ("sits", "stands"), "eqbenag"),
        ("private_info_global/w/0", ("a", "b"), "eqbengebc"),
    ]
    assert nested.skipped == {"record not in the file": 251_046}
    pairs = [
        {
            "image": event[f"image{i}"],
            "caption": event[f"caption{c}"],
            "private_info": {"dataset": "eqbengebc", "name": f"c{c}i{i}", "sample_cnt": 7},
        }
        for c, i in ((1, 0), (1, 1), (0, 0), (0, 1))
    ]
    (joined,) = read(pairs, "ann_json_finegrained_random.json").cases
    assert joined.key == "ann_json_finegrained_random/eqbengebc/7"
    assert (joined.images, joined.texts) == (nested.cases[1].images, ("a", "b"))
    for pair in pairs:
        del pair["private_info"]
    with pytest.raises(ValueError, match=r"record 0: no private_info.*take private_info_global\.json"):
        read(pairs, "ann_json_finegrained_random.json")
    with pytest.raises(ValueError, match="2 of the published 251,048 records are there"):
        (base / "private_info_global.json").write_text(json.dumps([action, event]))
        registry.read("eqben_full", tmp_path)


def test_valse_leaves_out_what_annotators_did_not_confirm(read_benchmark: Read) -> None:
    benchmark = read_benchmark("valse")
    assert isinstance(benchmark, ChoiceBenchmark)
    assert len(benchmark.cases) == 55
    assert benchmark.skipped == {"left out by the protocol": 11}


def test_svo_probes_leaves_out_rows_that_change_several_things(read_benchmark: Read) -> None:
    found = cases(read_benchmark, "svo_probes")
    assert [case.group for case in found] == ["subject", "verb", "object", "subject", "verb"]
    assert [ref.path.name for ref in found[1].refs] == ["2.jpg", "3.jpg"]


def test_crepe_crops_and_takes_all_hard_negatives(read_benchmark: Read) -> None:
    case = cases(read_benchmark, "crepe_productivity")[0]
    assert case.image.box == (2, 3, 15, 14)
    assert len(case.also) == 4
    assert case.group == "prod_vg_hard_negs_atom_complexity_4"
    systematic = read_benchmark("crepe_systematicity")
    assert isinstance(systematic, ChoiceBenchmark)
    assert systematic.skipped == {"left out by the protocol": 2}  # no compound negatives
    assert len({case.group for case in systematic.cases}) == 4


def test_whatsup_and_spec_choose_among_several(read_benchmark: Read) -> None:
    controlled = cases(read_benchmark, "whatsup")[0]
    assert (controlled.true, controlled.false) == ("images: a dog on a table", "images: a dog under a table")
    assert len(controlled.also) == 2
    coco = next(case for case in cases(read_benchmark, "whatsup") if case.group == "coco_qa_two_obj")
    assert coco.image.path.parts[-2:] == ("val2017", "000000000000.jpg")
    to_text, to_image = (
        cases(read_benchmark, f"spec_{name}")[1] for name in ("image_to_text", "text_to_image")
    )
    assert (to_text.true, to_text.false) == ("absolute_size: three dogs", "absolute_size: two dogs")
    assert (to_image.true.path.name, len(to_image.false)) == ("1.jpg", 2)


def test_vl_checklist_finds_the_source_of_a_file(read_benchmark: Read) -> None:
    assert {case.group for case in cases(read_benchmark, "vl_checklist")} == {
        "Attribute/vg/color",
        "Relation/swig/action",
    }
    assert source_of("Object/Location/hake_location/hake_obj_center") == "hake"
    assert source_of("Attribute/vaw/size") == "vg"
    with pytest.raises(NoDataError, match="names none of the sources"):
        source_of("Attribute/laion/size")


def test_order_shuffles_are_aro_s_and_always_the_same(read_benchmark: Read) -> None:
    words, tags = "the red dog chases a small cat".split(), ["DT", "JJ", "NN", "VBZ", "DT", "JJ", "NN"]
    content, rest, within, across = shuffles(words, tags, seed=3)
    assert [w for w in content.split() if w in ("the", "chases", "a")] == ["the", "chases", "a"]
    assert {content.split()[i] for i in (1, 5)} == {"red", "small"}
    assert {content.split()[i] for i in (2, 6)} == {"dog", "cat"}
    assert [rest.split()[i] for i in (1, 2, 5, 6)] == ["red", "dog", "small", "cat"]
    assert set(within.split()[:3]) == set(words[:3])
    assert sorted(across.split()) == sorted(words)
    assert shuffles(words, tags, seed=3) == [content, rest, within, across]
    assert normalise('A "man", (smiling). ' + "x " * 40).split()[:3] == ["a", "man", ","]
    case = cases(read_benchmark, "coco_order")[0]
    assert case.true == "a brown dog is standing on a skateboard"
    assert all(false != case.true for _, false in ((case.true, case.false), *case.also))


def test_validation_parts_are_read_where_there_are_any(official_folder: Path) -> None:
    assert len(registry.read("vsr", official_folder, split="val").cases) == 4  # type: ignore[attr-defined]
    order = registry.read("coco_order", official_folder, split="val", allow_missing=True)
    assert len(order.cases) == 4  # type: ignore[attr-defined]


def test_published_retrieval_counts_its_queries(official_folder: Path) -> None:
    with pytest.raises(ValueError, match="6 of the published 5,000 queries"):
        registry.read("coco_image_to_text", official_folder)
    part = registry.read("coco_text_to_image", official_folder, allow_missing=True)
    assert part.card.main == "coco_text_to_image_R@1"
    assert len(part.examples) == 12  # type: ignore[attr-defined]


def example(key: str, caption: str) -> Example:
    return Example(key, key, ImageRef(Path(f"{key}.jpg")), caption)


def test_half_truths_add_a_detail_that_is_not_there() -> None:
    captions = ["A dog is riding on a skateboard.", "A man riding on a red horse near a tree.", "Two cats."]
    examples = [example(str(i), caption) for i, caption in enumerate(captions)]
    benchmark = half_truths(examples, list(parse(captions)))
    told = {case.key: (case.true, case.false, case.group) for case in benchmark.cases}
    assert told["0"] == ("A dog", "A dog is riding on a red horse", "ride on")
    assert told["1"] == ("A man", "A man riding on a skateboard", "ride on")
    assert benchmark.skipped == {"caption without a relation that can be falsified": 1}
    with pytest.raises(NoDataError, match="half_truth: no cases"):
        half_truths(examples[:1], [SceneGraph()])


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("name", "folder", "n"),
    [
        ("sugarcrepe", "sugarcrepe", 140),
        ("sugarcrepe_pp", "sugarcrepe_pp", 100),
        ("sugarcrepe_pp_text", "sugarcrepe_pp", 100),
        ("valse", "valse", 190),
        ("vl_checklist", "vl_checklist", 60),
    ],
)
def test_genuine_records(name: str, folder: str, n: int, real_data: Path, tmp_path: Path) -> None:
    place = tmp_path / name
    shutil.copytree(real_data / "samples" / folder, place)
    if name == "vl_checklist":  # the sample's flat names to their places in the repository
        for path in place.glob("*.json"):
            part, source, kind = path.stem.split("_")
            target = place / "data" / part.capitalize() / source / f"{kind}.json"
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    for image in _images(place, name):
        draw(image, 0)
    benchmark = registry.read(name, tmp_path, allow_missing=True)
    found = benchmark.cases  # type: ignore[attr-defined]
    assert len(found) == pytest.approx(n, abs=30 if name == "valse" else 0)
    assert "malformed record" not in benchmark.skipped  # type: ignore[attr-defined]
    result = benchmark.run(Scorer(tiny_model()))
    assert 0 <= result.metrics[result.main] <= 1


def _images(place: Path, name: str) -> list[Path]:
    """Stand-ins for the pictures of genuine records, which are too many to keep."""
    records = [json.loads(path.read_text()) for path in sorted(place.rglob("*.json"))]
    rows = [
        row for content in records for row in (content.values() if isinstance(content, dict) else content)
    ]
    if name == "vl_checklist":
        return [place / "vg" / row[0] for row in rows]
    return [place / "images" / (row.get("filename") or row["image_file"]) for row in rows]


@pytest.mark.conformance
def test_genuine_vsr_records(real_data: Path, tmp_path: Path) -> None:
    place = tmp_path / "vsr"
    shutil.copytree(real_data / "samples/vsr", place)
    for line in (place / "dev.jsonl").read_text().splitlines():
        draw(place / "images" / json.loads(line)["image"], 0)
    benchmark = registry.read("vsr", tmp_path, split="val")
    assert len(benchmark.cases) == 20  # type: ignore[attr-defined]
    assert {case.label for case in benchmark.cases} == {True, False}  # type: ignore[attr-defined]
    assert 0 <= benchmark.run(Scorer(tiny_model())).metrics["vsr_auc"] <= 1


@pytest.mark.conformance
def test_half_truths_of_genuine_captions(real_data: Path) -> None:
    benchmark = registry.read("half_truth", real_data / "coco", split="val")
    assert isinstance(benchmark, ChoiceBenchmark)
    captions = {e.key: e.caption for e in read_captions(real_data / "coco", split="val").examples}
    assert len(benchmark.cases) > 200
    for case in benchmark.cases:
        assert case.true in captions[case.key]
        assert case.false.startswith(case.true)
        assert case.false not in captions[case.key]


@pytest.mark.conformance
def test_genuine_flickr8k_has_no_test_split_here(real_data: Path) -> None:
    benchmark = registry.read("flickr8k_text_to_image", real_data, split="val")
    assert len(benchmark.examples) == 5000  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="no split 'test'"):
        registry.read("flickr8k_text_to_image", real_data)
