"""Shared images are found by id, by name and by look, and only they."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from knowclip.evaluation.leak_audit import audit, coco_id, coco_ids, images_of
from knowclip.evaluation.suite import read_suite


def picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("COCO_val2014_000000391895.jpg", 391895),
        ("000000391895.jpg", 391895),
        ("2345.jpg", 77),
        ("2346.jpg", None),
        ("4385058960_b0f291553e.jpg", None),
    ],
)
def test_coco_ids_of_names(name: str, number: int | None) -> None:
    assert coco_id(Path("x") / name, {"2345.jpg": 77}) == number


def test_visual_genome_says_its_coco_ids(tmp_path: Path) -> None:
    (tmp_path / "visual_genome").mkdir()
    images = [
        {"image_id": 1, "url": "x/VG_100K/1.jpg", "coco_id": 5},
        {"image_id": 2, "url": "2.jpg", "coco_id": None},
    ]
    (tmp_path / "visual_genome/image_data.json").write_text(json.dumps(images))
    assert coco_ids([tmp_path, tmp_path / "absent"]) == {"1.jpg": 5}


def test_each_sign_finds_what_it_can(tmp_path: Path) -> None:
    train = [picture(tmp_path / "train" / f"COCO_train2014_{i:012d}.jpg", i) for i in range(5)]
    train.append(picture(tmp_path / "train/flickr.jpg", 50))
    resized = tmp_path / "test/resized.jpg"
    resized.parent.mkdir()
    Image.open(train[2]).resize((80, 60)).save(resized, quality=60)
    test = [
        picture(tmp_path / "test/1.jpg", 99),  # COCO id 1 by Visual Genome's table; another crop
        picture(tmp_path / "test/flickr.jpg", 98),  # the same name, another look
        resized,
        picture(tmp_path / "test/new.jpg", 97),
        tmp_path / "test/absent.jpg",
    ]
    told = audit(train, {"b": test}, known={"1.jpg": 1})["b"]
    assert told["by"] == {"coco_id": 1, "file_name": 1, "look": 1}
    assert (told["images"], told["shared"], told["unreadable"]) == (5, 3, 1)
    assert {Path(e["image"]).name: e["by"] for e in told["examples"]} == {
        "1.jpg": ["coco_id"],
        "flickr.jpg": ["file_name"],
        "resized.jpg": ["look"],
    }
    assert told["examples"][2]["train"] == [str(train[2])]
    quick = audit(train, {"b": test}, known={"1.jpg": 1}, look=False)["b"]
    assert quick["by"] == {"coco_id": 1, "file_name": 1}


def test_images_of_any_kind_of_benchmark(data_folder: Path) -> None:
    benchmarks, _ = read_suite(data_folder, names=["vg_relation", "text_to_image", "zero_shot_objects"])
    for benchmark in benchmarks:
        assert len(images_of(benchmark)) == 30


@pytest.mark.conformance
def test_photos_do_not_look_alike_and_copies_do(real_data: Path, tmp_path: Path) -> None:
    photos = sorted((real_data / "coco").rglob("*.jpg"))[:60]
    half = len(photos) // 2
    copy = tmp_path / "copy.png"
    Image.open(photos[0]).resize((120, 100)).save(copy)
    told = audit(photos[:half], {"rest": photos[half:], "copy": [copy]})
    assert told["rest"]["by"]["look"] == 0
    assert told["copy"]["by"]["look"] == 1
