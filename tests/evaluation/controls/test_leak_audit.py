"""Shared images are found by id, by name and by look, and only they."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from knowclip.commands import audit as audit_command
from knowclip.data.captions.read import read_captions
from knowclip.evaluation.controls.leak_audit import audit, coco_id, coco_ids, images_of
from knowclip.evaluation.suites.folder import read_suite

auditing = typer.Typer()
auditing.command()(audit_command.command)


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


@pytest.mark.parametrize("value", [-1, 0, None, "", "null", "-1", "None", float("nan"), 0.5, True, [7]])
def test_what_stands_for_no_id_is_none(value: object, tmp_path: Path) -> None:
    images = [
        {"image_id": 1, "url": "1.jpg", "coco_id": value},
        {"image_id": 2, "url": "2.jpg", "coco_id": "42"},
    ]
    (tmp_path / "image_data.json").write_text(json.dumps(images))
    assert coco_ids([tmp_path]) == {"2.jpg": 42}


def test_what_is_no_record_of_an_image_tells_no_id(tmp_path: Path) -> None:
    images = [None, 7, {"url": "1.jpg", "coco_id": 1}, {"image_id": 2, "url": None, "coco_id": 2}]
    (tmp_path / "image_data.json").write_text(
        json.dumps([*images, {"id": 3, "url": "https://example.org/3.jpg", "coco_id": 33}])
    )
    assert coco_ids([tmp_path]) == {"3.jpg": 33}


def shared_by_table(root: Path, ids: tuple[object, object], *, table: str) -> None:
    picture(root / "train/1.jpg", 1)
    picture(root / "bench/images/2.jpg", 2)
    (root / "train/c.csv").write_text("image,caption,split\n1.jpg,a dog on a mat,train\n")
    (root / "bench/captions.csv").write_text("image,caption,split\nimages/2.jpg,a cat on a tree,test\n")
    listed = [
        {"image_id": i, "url": f"https://example.org/VG/{i}.jpg", "coco_id": ids[i - 1]} for i in (1, 2)
    ]
    (root / table / "image_data.json").write_text(json.dumps(listed))


def audited(root: Path, train: str) -> int:
    run = CliRunner().invoke(auditing, [str(root / train), str(root / "bench"), "--no-look", "--json"])
    assert run.exit_code == 0, run.output
    return int(json.loads(run.stdout)["image_to_text"]["shared"])


def test_a_sentinel_is_shared_by_nobody(tmp_path: Path) -> None:
    shared_by_table(tmp_path, (-1, -1), table="bench")
    assert audited(tmp_path, "train") == 0


@pytest.mark.parametrize("train", ["train", "train/c.csv"])
def test_the_table_beside_the_training_captions_counts(tmp_path: Path, train: str) -> None:
    shared_by_table(tmp_path, (42, 42), table="train")
    assert audited(tmp_path, train) == 1


def test_select_looks_beside_its_captions(tmp_path: Path) -> None:
    from knowclip.commands.select import _without

    shared_by_table(tmp_path, (42, 42), table="train")
    examples = read_captions(tmp_path / "train/c.csv").examples
    assert _without(examples, [tmp_path / "bench"], beside=tmp_path / "train/c.csv") == []
    shared_by_table(tmp_path, (-1, -1), table="train")
    assert len(_without(examples, [tmp_path / "bench"], beside=tmp_path / "train/c.csv")) == 1


def test_a_training_table_without_splits_is_audited_whole(tmp_path: Path) -> None:
    shared_by_table(tmp_path, (42, 42), table="bench")
    (tmp_path / "train/c.csv").write_text("image,caption\n1.jpg,a dog on a mat\n")
    assert audited(tmp_path, "train/c.csv") == 1
