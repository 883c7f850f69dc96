"""Counts add up: of every benchmark and task, records read = records used + records skipped, by reason."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from task_files import class_folders, snli_ve_line, snli_ve_pictures, vqa_picture, vqa_questions

from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.card import NOT_IN_FILE, Benchmark
from knowclip.evaluation.benchmarks.half_truth import HALF_TRUTH
from knowclip.evaluation.benchmarks.retrieval import SETS, Retrieval
from knowclip.evaluation.benchmarks.swaps import swaps
from knowclip.evaluation.benchmarks.zero_shot import ZeroShot
from knowclip.evaluation.report.records import records
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.tasks import registry as tasks
from knowclip.evaluation.tasks.linear_probe import LinearProbe
from knowclip.types import Example, ImageRef, Negative

FILES: dict[str, tuple[str, int]] = {
    "vg_relation": ("aro/visual_genome_relation.json", 1),
    "vg_attribution": ("aro/visual_genome_attribution.json", 1),
    "coco_order": ("coco_order/coco_karpathy_test.json", 2),
    "flickr30k_order": ("flickr30k_order/flickr30k_test.json", 2),
    "sugarcrepe": ("sugarcrepe/*.json", 1),
    "sugarcrepe_pp": ("sugarcrepe_pp/*.json", 1),
    "sugarcrepe_pp_text": ("sugarcrepe_pp/*.json", 1),
    "winoground": ("winoground/data/examples.jsonl", 1),
    "valse": ("valse/*.json", 1),
    "vsr": ("vsr/test.jsonl", 1),
    "vl_checklist": ("vl_checklist/data/**/*.json", 1),
    "whatsup": ("whatsup/*.json", 1),
    "cola": ("cola/data/*.json", 1),
    "colorswap": ("colorswap/test.json", 1),
    "eqben": ("eqben/eqben_subset_10percent_final.json", 1),
    "eqben_full": ("eqben/private_info_global.json", 1),
    "svo_probes": ("svo_probes/svo_probes.csv", 1),
    "crepe_systematicity": ("crepe/syst_hard_negatives/*.csv", 2),
    "crepe_productivity": ("crepe/prod_hard_negatives/*/*.csv", 1),
    "bivlc": ("bivlc/data/*.parquet", 1),
    "coco_counterfactuals": ("coco_counterfactuals/data/examples.jsonl", 1),
    "spec_image_to_text": ("spec/data/*/image2text.json", 1),
    "spec_text_to_image": ("spec/data/*/text2image.json", 1),
    "probes": ("probes/probes_test.json", 1),
    "scene_twins": ("twins/twins_test.json", 1),
}
"""Record files of a benchmark, and how many records of the benchmark one of the file makes."""
CAPTIONED = ("image_to_text", "text_to_image", "half_truth", "swaps", "zero_shot_objects")
OTHERS = ("mmvp_vlm", "zero_shot_classification")
PUBLISHED = tuple(f"{name}_{direction}" for name in SETS for direction in ("image_to_text", "text_to_image"))


@pytest.fixture(scope="module")
def copies(data_folder: Path, official_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faulty")
    shutil.copytree(data_folder, root / "data")
    shutil.copytree(official_folder, root / "official")
    return root


def home(copies: Path, name: str) -> Path:
    scenes = ("vg_relation", "vg_attribution", "probes", "scene_twins")
    own = name in (*CAPTIONED, *scenes, "zero_shot_classification")
    return copies / ("data" if own else "official")


def spoil(path: Path) -> int:
    """Add a record that says nothing; the number of records that the file then holds."""
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        if isinstance(content, dict):
            content["broken"] = {}
        else:
            content.append({})
        path.write_text(json.dumps(content))
        return len(content)
    if path.suffix == ".jsonl":
        path.write_text(path.read_text() + '{"cut sho\n')
        return len(path.read_text().splitlines())
    if path.suffix == ".csv":
        path.write_text(path.read_text() + "1\n")
        return sum(1 for _ in csv.reader(io.StringIO(path.read_text()))) - 1
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pq.read_table(path).to_pylist()
    rows.append({name: None for name in rows[0]})
    pq.write_table(pa.Table.from_pylist(rows), path)
    return len(rows)


def used(benchmark: Benchmark) -> int:
    if isinstance(benchmark, Retrieval):
        return len(benchmark.examples)
    return len(benchmark.images if isinstance(benchmark, ZeroShot) else benchmark.cases)  # type: ignore[attr-defined]


def skipped(benchmark: Any) -> dict[str, int]:
    return {reason: count for reason, count in benchmark.skipped.items() if reason != NOT_IN_FILE}


def test_every_benchmark_is_counted_here() -> None:
    assert set(registry.BENCHMARKS) == {*FILES, *CAPTIONED, *OTHERS, *PUBLISHED}


@pytest.mark.parametrize("name", FILES)
def test_records_of_a_benchmark_are_used_or_skipped(name: str, copies: Path, tmp_path: Path) -> None:
    pattern, times = FILES[name]
    folder = tmp_path / "copy"
    shutil.copytree(home(copies, name), folder, symlinks=True)
    total = sum(map(spoil, folder.glob(pattern))) * times
    faults = len(list(folder.glob(pattern))) * times
    if name.endswith("_order"):
        total, faults = total - 1, 1  # a broken record has no captions to be two of
    with pytest.raises(ValueError, match=r"malformed|of the published"):
        registry.read(name, folder)
    benchmark = registry.read(name, folder, allow_missing=True)
    assert used(benchmark) + sum(skipped(benchmark).values()) == total
    assert skipped(benchmark)["malformed record"] == faults


def test_an_image_that_is_gone_is_counted_and_the_result_says_all(
    copies: Path, tmp_path: Path, constant: Any
) -> None:
    shutil.copytree(copies / "official" / "coco", tmp_path / "coco")
    shutil.copytree(copies / "official" / "sugarcrepe", tmp_path / "sugarcrepe")
    (tmp_path / "coco/val2017/000000000000.jpg").unlink()
    benchmark = registry.read("sugarcrepe", tmp_path, allow_missing=True)
    details = benchmark.run(Scorer(constant)).details
    assert (details["read"], details["used"]) == (42, 35)
    assert details["skipped"] == {"image not found": 7, NOT_IN_FILE: 7511 - 42}
    assert records(details).startswith("42 records read = 35 kept + 7 skipped (image not found: 7); 7,469")


def empty_caption(folder: Path) -> int:
    path = folder / "captions_test.json"
    content = json.loads(path.read_text())
    content["annotations"].append({"id": 999, "image_id": 0, "caption": " "})
    path.write_text(json.dumps(content))
    return len(content["annotations"])


@pytest.mark.parametrize("name", ["image_to_text", "text_to_image", "half_truth"])
def test_captions_are_used_or_skipped(name: str, copies: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(copies / "data", folder)
    total = empty_caption(folder)
    benchmark = registry.read(name, folder)
    assert used(benchmark) + sum(benchmark.skipped.values()) == total  # type: ignore[attr-defined]
    assert benchmark.skipped["empty caption"] == 1  # type: ignore[attr-defined]
    assert name != HALF_TRUTH.name or len(benchmark.skipped) == 2  # type: ignore[attr-defined]


def test_swaps_count_captions_without_a_negative(copies: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(copies / "data", folder)
    empty_caption(folder)
    benchmark = registry.read("swaps", folder)
    assert used(benchmark) == 30
    assert benchmark.skipped == {"caption without a negative": 30, "empty caption": 1}  # type: ignore[attr-defined]
    told = records(benchmark.grade([1.0] * 30, [0.0] * 30).details)  # type: ignore[attr-defined]
    assert told.startswith("61 captions read = 30 kept + 31 skipped")


def test_swaps_with_several_negatives_a_caption_count_captions_not_items() -> None:
    negatives = (Negative("a cat chases a dog", "relation_swap"), Negative("a dog eats a cat", "replacement"))
    shown = Example("0", "0", ImageRef(Path("0.png")), "a dog chases a cat", negatives=negatives)
    benchmark = swaps([shown, replace(shown, key="1", negatives=())])
    told = records(benchmark.grade([1.0] * 2, [0.0] * 2).details)
    assert told.startswith("2 captions read = 1 kept + 1 skipped (caption without a negative: 1); mean over")


def test_objects_without_name_or_image_are_counted(copies: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(copies / "data", folder)
    path = folder / "visual_genome" / "objects.json"
    content = json.loads(path.read_text())
    box = {"x": 1, "y": 1, "w": 2, "h": 2}
    content[0]["objects"] += [{"names": [], **box}, {"names": ["cat"]}]
    content.append({"image_id": 777, "objects": [{"names": ["cat"], **box}]})
    path.write_text(json.dumps(content))
    benchmark = registry.read("zero_shot_objects", folder)
    assert used(benchmark) + sum(benchmark.skipped.values()) == 63  # type: ignore[attr-defined]
    assert benchmark.skipped == {  # type: ignore[attr-defined]
        "object without name or box": 2,
        "object of an image that is not of the split": 1,
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_retrieval_counts_captions(name: str, copies: Path, tmp_path: Path) -> None:
    data_set = name.split("_")[0]
    shutil.copytree(copies / "official" / data_set, tmp_path / data_set)
    path = tmp_path / data_set / f"dataset_{data_set}.json"
    content = json.loads(path.read_text())
    content["images"][0]["sentences"].append({"raw": ""})
    path.write_text(json.dumps(content))
    benchmark = registry.read(name, tmp_path, allow_missing=True)
    assert used(benchmark) + sum(skipped(benchmark).values()) == 13
    assert skipped(benchmark) == {"empty caption": 1}


def test_mmvp_counts_pairs_of_rows(copies: Path, tmp_path: Path) -> None:
    shutil.copytree(copies / "official" / "mmvp_vlm", tmp_path / "mmvp_vlm")
    path = tmp_path / "mmvp_vlm" / "Questions.csv"
    rows = len(path.read_text().splitlines()) - 1
    path.write_text(path.read_text() + "13,Color,\n14,Color,a\n")
    benchmark = registry.read("mmvp_vlm", tmp_path, allow_missing=True)
    assert used(benchmark) + sum(skipped(benchmark).values()) == rows // 2 + 1
    assert skipped(benchmark) == {"malformed record": 1}


def test_files_of_class_folders_are_images_or_skipped(copies: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(copies / "data" / "classification", folder)
    place = next((folder / "test").iterdir())
    for name in ("notes.txt", "._1.png", ".DS_Store"):  # the system's own files are no records
        (place / name).write_text("x")
    benchmark = registry.read("zero_shot_classification", folder)
    assert used(benchmark) == 8 and benchmark.skipped == {"no image file": 1}  # type: ignore[attr-defined]


def vqa(folder: Path) -> int:
    for number in (1, 2, 3):
        vqa_picture(folder, "train" if number < 3 else "val", number)
    asked = [(1, "What color is it?", "red"), (2, "How many?", "2")]
    for split, rows in (("train", asked), ("val", [(3, "What color is it?", "red")])):
        vqa_questions(folder, split, [*rows, (9, "Where?", "there")])
        path = next(folder.rglob(f"*{split}*questions.json"))
        content = json.loads(path.read_text())
        content["questions"] += [{"question_id": 777}, {"question_id": 778, "image_id": 1, "question": " "}]
        content["questions"].append(content["questions"][0])
        path.write_text(json.dumps(content))
    return 2 + 1 + 2 * 4


def snli_ve(folder: Path) -> int:
    snli_ve_pictures(folder, "1")
    good = snli_ve_line("1", "neutral", 1)
    faults = snli_ve_line("1", "-", 2) + snli_ve_line("9", "neutral", 3)
    for split in ("train", "test"):
        (folder / f"snli_ve_{split}.jsonl").write_text(good + faults)
    return 6


def linear_probe(folder: Path) -> int:
    for split in ("train", "test"):
        class_folders(folder, split)
        (folder / split / "red" / "notes.txt").write_text("no image")
    return 26


def glue(name: str, folder: Path) -> int:
    spec = tasks.GLUE[name]
    columns = [spec.label] if isinstance(spec.label, str) else []
    for stem in ("train", *spec.tests):
        label = "1.0" if not spec.labels else spec.labels[0]
        place = folder / spec.folder
        place.mkdir(parents=True, exist_ok=True)
        if isinstance(spec.label, int):
            rows = [["a", label, "", "One."], ["a", "", "", "Two."], ["a", label, "", ""]]
        else:
            texts = [*map(str, spec.tsv)]
            header = [*texts, *columns]
            rows = [header, [*("One." for _ in texts), label], [*("Two." for _ in texts), ""]]
            rows.append([*("" for _ in texts), label])
        (place / f"{stem}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    return 3 * (1 + len(spec.tests))


TASKS: dict[str, Callable[[Path], int]] = {"vqa": vqa, "snli_ve": snli_ve, "linear_probe": linear_probe}


@pytest.mark.parametrize("name", tasks.READERS)
def test_records_of_a_task_are_used_or_skipped(name: str, tmp_path: Path) -> None:
    total = glue(name, tmp_path) if name in tasks.GLUE else TASKS[name](tmp_path)
    task = tasks.read(name, tmp_path, allow_missing=True)
    count = task.used if isinstance(task, LinearProbe) else len(task.train) + len(task.test)
    assert count + sum(task.skipped.values()) == total
    assert sum(task.skipped.values()) > 0
