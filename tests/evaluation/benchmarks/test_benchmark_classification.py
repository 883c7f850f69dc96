"""Labelled images in their three layouts, names and templates, and the linear probe on them."""

from __future__ import annotations

import dataclasses
import io
import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from task_files import COLOURS, class_folders, shade

from knowclip.evaluation.benchmarks.classification import read_classification
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.tasks.linear_probe import read_linear_probe, run_linear_probe
from knowclip.types import ImageRef


class Shades:
    """Features of an image: its mean colour and noise; of a text: nothing."""

    def encode_image(self, images: Sequence[ImageRef], *, normalize: bool = False) -> torch.Tensor:
        means = [
            np.asarray(Image.open(ref.path).convert("RGB"), dtype=np.float32).mean((0, 1)) for ref in images
        ]
        return torch.nn.functional.normalize(torch.tensor(np.array(means)), dim=1)

    def encode_text(self, texts: Sequence[str], *, normalize: bool = False) -> torch.Tensor:
        rows = [next((COLOURS[name] for name in COLOURS if name in text), (1, 1, 1)) for text in texts]
        return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float32), dim=1)


def test_class_folders_with_clip_s_templates(tmp_path: Path) -> None:
    class_folders(tmp_path, "test")
    (tmp_path / "test" / "red" / "notes.txt").write_text("no image")
    benchmark = read_classification(tmp_path)
    assert list(benchmark.names) == ["blue", "green", "red"] and len(benchmark.images) == 12
    assert len(benchmark.templates) == 80 and benchmark.prompts("red")[0] == "a bad photo of a red."
    result = benchmark.run(Scorer(Shades()))
    assert result.metrics == {
        "zero_shot_classification_acc1": 1,
        "zero_shot_classification_mean_per_class": 1,
    }
    assert result.items["key"][0] == "blue/0.png" and result.details["skipped"] == {"no image file": 1}


def test_names_and_templates_from_files(tmp_path: Path) -> None:
    class_folders(tmp_path, "val")
    (tmp_path / "classnames.txt").write_text("blue sky\ngreen grass\nred rose\n")
    (tmp_path / "zeroshot_classification_templates.txt").write_text("a {c}.\nthe {c}!\n")
    benchmark = read_classification(tmp_path)  # ImageNet's way: no test, val is what is tested on
    assert benchmark.prompts("red rose") == ["a red rose.", "the red rose!"]
    (tmp_path / "classnames.txt").write_text("blue\n")
    with pytest.raises(ValueError, match="1 names for 3 class folders"):
        read_classification(tmp_path)
    (tmp_path / "classnames.txt").write_text("blue\nblue\nblue\n")
    with pytest.raises(ValueError, match="one class"):
        read_classification(tmp_path)
    (tmp_path / "classnames.txt").unlink()
    (tmp_path / "zeroshot_classification_templates.txt").write_text("a {thing}\n")
    with pytest.raises(ValueError, match=r"write \{c\} for the class"):
        read_classification(tmp_path)


def member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def shards(root: Path, n: int = 6) -> None:
    (root / "test").mkdir()
    for shard in range(2):
        with tarfile.open(root / "test" / f"{shard}.tar", "w") as archive:
            for number in range(shard, n, 2):
                buffer = io.BytesIO()
                shade(list(COLOURS)[number % 3], number).save(buffer, "PNG")
                member(archive, f"s{number:07d}.cls", str(number % 3).encode())
                member(archive, f"s{number:07d}.png", buffer.getvalue())


def test_clip_benchmark_s_webdataset(tmp_path: Path) -> None:
    shards(tmp_path)
    with pytest.raises(ValueError, match=r"no classnames\.txt"):
        read_classification(tmp_path)
    (tmp_path / "classnames.txt").write_text("blue\ngreen\nred\n")
    (tmp_path / "zeroshot_classification_templates.txt").write_text("{c}\n")
    benchmark = read_classification(tmp_path)
    assert len(benchmark.images) == 6 and list(benchmark.templates) == ["{c}"]
    assert benchmark.run(Scorer(Shades())).metrics["zero_shot_classification_acc1"] == 1
    again = read_classification(tmp_path)
    assert again.images == benchmark.images  # unpacked once


def test_a_broken_shard_leaves_nothing_behind(tmp_path: Path) -> None:
    shards(tmp_path)
    (tmp_path / "classnames.txt").write_text("blue\ngreen\nred\n")
    path = tmp_path / "test" / "1.tar"
    path.write_bytes(path.read_bytes()[:1300])
    with pytest.raises(ValueError, match=r"1\.tar"):
        read_classification(tmp_path)
    assert not (tmp_path / "unpacked" / "test").exists()


def test_torchvision_s_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(CIFAR10, "test_list", [("test_batch", None)])
    monkeypatch.setattr(CIFAR10, "_load_meta", lambda self: setattr(self, "classes", list(COLOURS)))
    base = tmp_path / "cifar-10-batches-py"
    base.mkdir()
    rows = [
        np.full((3, 32, 32), 0, np.uint8) + np.array(COLOURS[name], np.uint8)[:, None, None]
        for name in COLOURS
    ]
    with (base / "test_batch").open("wb") as file:
        pickle.dump({"data": np.stack(rows).reshape(3, -1), "labels": [0, 1, 2]}, file)
    benchmark = read_classification(tmp_path)
    assert list(benchmark.names) == list(COLOURS)
    assert benchmark.run(Scorer(Shades())).metrics["zero_shot_classification_acc1"] == 1
    with pytest.raises(NoDataError):
        read_classification(tmp_path, split="val")


def test_caption_folders_are_no_classes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    shade("red", 0).save(tmp_path / "images" / "a.png")
    with pytest.raises(NoDataError, match="no labelled images of 'test'"):
        read_classification(tmp_path)


def probe_data(root: Path, *splits: str) -> None:
    for split in splits:
        class_folders(root, split, n=6)


@pytest.mark.parametrize("splits", [("train", "test"), ("train", "val", "test"), ("train", "val")])
def test_linear_probe(tmp_path: Path, splits: tuple[str, ...]) -> None:
    probe_data(tmp_path, *splits)
    probe = read_linear_probe(tmp_path)
    assert (probe.val is not None) == (splits == ("train", "val", "test"))
    result = run_linear_probe(probe, Scorer(Shades()), seeds=(0, 1))
    assert result.metrics["linear_probe_acc1"] == 1
    assert {seed: facts["val_acc1"] for seed, facts in result.details["seeds"].items()} == {
        "0": 1.0,
        "1": 1.0,
    }


def test_test_labels_do_not_choose_the_penalty(tmp_path: Path) -> None:
    probe_data(tmp_path, "train", "val", "test")
    probe, scorer = read_linear_probe(tmp_path), Scorer(Shades())
    chosen = run_linear_probe(probe, scorer).details["seeds"]
    wrong: Any = [(label + 1) % 3 for label in probe.test.labels]

    shifted = dataclasses.replace(probe, test=dataclasses.replace(probe.test, labels=wrong))
    result = run_linear_probe(shifted, scorer)
    assert result.details["seeds"] == chosen and result.metrics["linear_probe_acc1"] == 0


def test_classes_without_training_images_are_refused(tmp_path: Path) -> None:
    probe_data(tmp_path, "train", "test")
    (tmp_path / "test" / "red").rename(tmp_path / "test" / "violet")
    with pytest.raises(ValueError, match="no training images of classes violet;"):
        read_linear_probe(tmp_path)


def test_shards_as_people_make_them(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    buffer = io.BytesIO()
    shade("red", 0).save(buffer, "PNG")
    with tarfile.open(tmp_path / "test" / "0.tar", "w") as archive:
        for key, label in (("./22.05", b"0\n"), ("./22.06", b"1")):
            member(archive, f"{key}.cls", label)
            member(archive, f"{key}.png", buffer.getvalue())
        member(archive, "./._22.05.png", b"macOS")
        member(archive, "__meta__/dataset.json", b"{}")
    (tmp_path / "test" / "._0.tar").write_bytes(b"macOS")
    (tmp_path / "classnames.txt").write_text("missile\ncat\nmissile\n")
    benchmark = read_classification(tmp_path)
    assert benchmark.names == ["missile", "cat"] and benchmark.keys == [
        "00000/0-22.05.png",
        "00001/0-22.06.png",
    ]
    (tmp_path / "unpacked" / "test" / "00001").rename(tmp_path / "unpacked" / "test" / "00002")
    with pytest.raises(ValueError, match="one class"):
        read_classification(tmp_path)  # the two that are left share a name
