"""What class folders are called: ImageNet's thousand, WordNet ids, numbering, numbers that are no names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from knowclip.evaluation.benchmarks.class_names import class_names
from knowclip.evaluation.benchmarks.classification import read_classification
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.tasks.linear_probe import read_linear_probe
from knowclip.types import ImageRef


def named(folders: list[str], home: Path, *, from_zero: bool = False) -> list[str]:
    return class_names(folders, home, places=[home], from_zero=from_zero).names


def pictures(root: Path, *classes: str) -> None:
    for name in classes:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / name / "a.jpg")


class Knows:
    """Knows the name of every image's class; equal names have equal features."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def encode_image(self, images: list[ImageRef], *, normalize: bool = False) -> torch.Tensor:
        folders = sorted(path.name for path in images[0].path.parents[1].iterdir())
        found = [self.names[folders.index(ref.path.parent.name)] for ref in images]
        return torch.eye(len(self.names))[[self.names.index(name) for name in found]]

    def encode_text(self, texts: list[str], *, normalize: bool = False) -> torch.Tensor:
        return torch.eye(len(self.names))[[self.names.index(text) for text in texts]]


def test_imagenet_s_thousand_classes_are_measured_and_the_tie_rule_is_told(tmp_path: Path) -> None:
    pictures(tmp_path / "test", *(f"n{i + 1:08d}" for i in range(1000)))
    (tmp_path / "zeroshot_classification_templates.txt").write_text("{c}\n")
    benchmark = read_classification(tmp_path)
    assert len(benchmark.images) == 1000 and [benchmark.names[i] for i in (657, 744, 836, 837)] == [
        *["missile"] * 2,
        *["sunglasses"] * 2,
    ]
    result = benchmark.run(Scorer(Knows(list(benchmark.names))))
    assert result.n == 1000 and len(result.details["classes"]) == 1000
    told = " ".join(result.details["notes"])
    assert "missile: n00000658, n00000745" in told and "any of them counts as right" in told
    assert "none of ImageNet's" in told  # these ids are made up: named by their order
    assert result.metrics["zero_shot_classification_acc1"] == 1


def test_a_class_of_an_equal_name_is_right_and_keeps_a_row_of_its_own(tmp_path: Path) -> None:
    pictures(tmp_path / "test", "a", "b", "c")
    (tmp_path / "classnames.txt").write_text("missile\nmissile\ncat\n")
    (tmp_path / "zeroshot_classification_templates.txt").write_text("{c}\n")
    result = read_classification(tmp_path).run(Scorer(Knows(["missile", "missile", "cat"])))
    assert result.metrics["zero_shot_classification_acc1"] == 1
    assert list(result.details["classes"]) == ["cat", "missile (a)", "missile (b)"]


def test_wordnet_ids_get_the_names_of_their_synsets(tmp_path: Path) -> None:
    pictures(tmp_path / "val", "n01440764", "n01443537", "n01484850", "n02687172")
    assert read_classification(tmp_path).names == [
        "tench",
        "goldfish",
        "great white shark",
        "aircraft carrier",
    ]
    assert named(["n02084071", "n02085620"], tmp_path) == [
        "dog",
        "Chihuahua",
    ]  # the first is none of the 1,000
    with pytest.raises(ValueError, match=r"such as n00000001, look like WordNet ids .*classnames\.txt"):
        named(["n01440764", "n00000001"], tmp_path)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["n02085620-Chihuahua", "n02085782-Japanese_spaniel"], ["Chihuahua", "Japanese spaniel"]),
        (
            ["001.Black_footed_Albatross", "002.Laysan_Albatross"],
            ["Black footed Albatross", "Laysan Albatross"],
        ),
        (["3_wheeler", "bus"], ["3 wheeler", "bus"]),  # not all are numbered: a name
        (["train", "bus"], ["train", "bus"]),
    ],
)
def test_numbering_is_no_part_of_a_name(tmp_path: Path, folders: list[str], expected: list[str]) -> None:
    assert named(folders, tmp_path) == expected


@pytest.mark.parametrize("folders", [["0", "1", "10"], ["class_0", "class_1"], ["00001", "00002"]])
def test_numbers_are_no_names(tmp_path: Path, folders: list[str]) -> None:
    with pytest.raises(ValueError, match=r"which are no names: write .*classnames\.txt"):
        named(folders, tmp_path)


def test_a_linear_probe_needs_no_names(tmp_path: Path) -> None:
    for split in ("train", "test"):
        pictures(tmp_path / split, "0", "1", "10")
    assert list(read_linear_probe(tmp_path).test.names) == ["0", "1", "10"]


def test_listed_names_go_by_the_folders_numbers(tmp_path: Path) -> None:
    (tmp_path / "classnames.txt").write_text("".join(f"name {i}\n" for i in range(12)))
    folders = sorted(map(str, range(12)))  # 0, 1, 10, 11, 2: not in order of the names
    assert named(folders, tmp_path) == [f"name {folder}" for folder in folders]
    assert named(["1", "12"], tmp_path) == ["name 0", "name 11"]  # they begin with 1
    assert named(["00003", "00005"], tmp_path, from_zero=True) == ["name 3", "name 5"]
    with pytest.raises(ValueError, match="begin with 0 or 1 cannot be told"):
        named(["3", "5"], tmp_path)
    with pytest.raises(ValueError, match="12 names, and there is a class folder 12"):
        named(["0", "12"], tmp_path)


def test_names_listed_by_id(tmp_path: Path) -> None:
    (tmp_path / "classnames.txt").write_text(
        "n01443537 goldfish, Carassius auratus\nn01440764 tench\nn02 x\n"
    )
    with pytest.raises(ValueError, match="3 names for 2 class folders"):
        named(["n01440764", "n01443537"], tmp_path)
    (tmp_path / "classnames.txt").write_text("n01443537 goldfish, Carassius auratus\nn01440764 tench\n")
    assert named(["n01440764", "n01443537"], tmp_path) == ["tench", "goldfish"]


def test_splits_are_no_classes(tmp_path: Path) -> None:
    pictures(tmp_path / "test", "train", "test")
    with pytest.raises(ValueError, match="which are splits"):
        read_classification(tmp_path)


def test_flat_images_and_tiny_imagenet_s_nested_ones(tmp_path: Path) -> None:
    pictures(tmp_path / "flat", "val")
    with pytest.raises(ValueError, match="holds images, but no two folders of classes"):
        read_classification(tmp_path / "flat")
    pictures(tmp_path / "tiny" / "val" / "n01440764", "images")
    pictures(tmp_path / "tiny" / "val" / "n01443537", "images")
    pictures(tmp_path / "tiny" / "val", "__MACOSX", ".ipynb_checkpoints")
    Image.new("RGB", (8, 8)).save(tmp_path / "tiny" / "val" / "n01443537" / "images" / "._a.jpg")
    found = read_classification(tmp_path / "tiny")
    assert found.names == ["tench", "goldfish"] and len(found.images) == 2


def test_codes_of_countries_are_no_names(tmp_path: Path) -> None:
    (tmp_path / "country211").mkdir()
    with pytest.raises(ValueError, match="called by country codes"):
        read_classification(tmp_path)
    assert named(["BMW", "VW"], tmp_path) == ["BMW", "VW"]


@pytest.mark.parametrize(
    ("folders", "lines", "expected"),
    [
        (["0", "1"], "0 cat\n1 hot dog\n", ["cat", "hot dog"]),
        (["0", "1"], "1: hot dog\n0: cat\n", ["cat", "hot dog"]),
        (["0", "1"], "0,cat\n1,hot dog\n2,cow\n", ["cat", "hot dog"]),
        (["a3f9", "b2e1"], "b2e1\thot dog\na3f9\tcat\n", ["cat", "hot dog"]),
        (["cat", "dog"], "cat food\nhot dog\n", ["cat food", "hot dog"]),  # names, in order
    ],
)
def test_lines_that_begin_with_the_folder_s_name(tmp_path: Path, folders, lines, expected) -> None:
    (tmp_path / "classnames.txt").write_text(lines)
    assert named(folders, tmp_path) == expected


def test_folders_that_are_no_classes_are_told(tmp_path: Path) -> None:
    pictures(tmp_path / "test", "cat", "dog")
    (tmp_path / "test" / "cow").mkdir()
    (tmp_path / "test" / "cow" / "a.heic").write_bytes(b"x")
    assert read_classification(tmp_path).notes == ["1 folders without an image are no classes here: cow"]


def test_where_the_classes_of_another_layout_belong(tmp_path: Path) -> None:
    pictures(tmp_path, "cat", "dog")
    with pytest.raises(ValueError, match=r"own folders of images are classes, put them into .*test"):
        read_classification(tmp_path)
    pictures(tmp_path / "test", "cat")
    with pytest.raises(ValueError, match="holds images of one class alone, cat"):
        read_classification(tmp_path)
