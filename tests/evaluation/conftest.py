"""A small data folder that serves every registered benchmark, and fake models whose scores are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest
import torch
from official import write_all
from PIL import Image
from torch import Tensor

from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.metrics import NoDataError
from knowclip.types import ImageRef

NOUNS = ("horse", "astronaut", "cat", "umbrella")
COLOURS = ("red", "blue")
IMAGES = 30


class Oracle:
    """Knows which texts are true of which image: cosine above 0 if true, exactly 0 if false."""

    def __init__(self, truths: Iterable[tuple[ImageRef, str]]) -> None:
        self.images: dict[ImageRef, int] = {}
        self.texts: dict[str, set[int]] = {}
        for ref, text in truths:
            self.texts.setdefault(text, set()).add(self.images.setdefault(ref, len(self.images)))
        self.calls = {"image": 0, "text": 0}

    def encode_image(self, images: Sequence[ImageRef], *, normalize: bool = False) -> Tensor:
        assert normalize
        self.calls["image"] += len(images)
        return torch.eye(len(self.images) + 1)[[self.images[ref] for ref in images]]

    def encode_text(self, texts: Sequence[str], *, normalize: bool = False) -> Tensor:
        assert normalize
        self.calls["text"] += len(texts)
        rows = torch.zeros(len(texts), len(self.images) + 1)
        for row, text in zip(rows, texts, strict=True):
            true_of = self.texts.get(text, {len(self.images)})
            row[list(true_of)] = len(true_of) ** -0.5
        return rows


class Constant:
    """Gives every image the same features and every text the same, up to float32 noise."""

    def encode_image(self, images: Sequence[ImageRef], *, normalize: bool = False) -> Tensor:
        return self._features(len(images), seed=0)

    def encode_text(self, texts: Sequence[str], *, normalize: bool = False) -> Tensor:
        return self._features(len(texts), seed=1)

    def _features(self, n: int, seed: int) -> Tensor:
        row = torch.randn(1, 64, generator=torch.Generator().manual_seed(seed))
        return torch.nn.functional.normalize(row, dim=-1).repeat(n, 1) + 1e-8 * torch.randn(n, 64)


@pytest.fixture
def constant() -> Constant:
    return Constant()


@pytest.fixture
def make_oracle() -> type[Oracle]:
    return Oracle


def _write_general(root: Path) -> None:
    """Class folders for zero-shot classification, the scenes' probes over the images, and their twins."""
    for number in range(2 * len(NOUNS)):
        place = root / "classification" / "test" / NOUNS[number % len(NOUNS)]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (30 * number, 0, 99)).save(place / f"{number}.png")
    (root / "probes").mkdir()
    probes = [
        {
            "image_id": i,
            "image_path": f"{i:012d}.jpg",
            "semantic": ("colour", "size")[i // 2 % 2],
            "true_caption": f"number {i // 2} is {'small' if i % 2 else 'big'}",
            "false_caption": f"number {i // 2} is {'big' if i % 2 else 'small'}",
        }
        for i in range(20)
    ]
    (root / "probes" / "probes_test.json").write_text(json.dumps(probes))
    (root / "twins" / "images").mkdir(parents=True)
    twins = [
        {f"image_{j}": f"{2 * i + j}.png" for j in (0, 1)}
        | {"caption_0": f"a {a} on a {b}, {i}", "caption_1": f"a {b} on a {a}, {i}"}
        | {"id": i, "tag": ("relation", "attribute")[i % 2]}
        for i, (a, b) in enumerate(permutations(NOUNS, 2))
    ]
    for number in range(2 * len(twins)):
        picture = Image.new("RGB", (16, 16), (9 * number, 0, 200))
        picture.save(root / "twins" / "images" / f"{number}.png")
    (root / "twins" / "twins_test.json").write_text(json.dumps(twins))


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ARO, COCO captions, Visual Genome objects and negatives, all over the same 30 images."""
    root = tmp_path_factory.mktemp("benchmarks")
    for name in ("images", "aro", "visual_genome"):
        (root / name).mkdir()
    relation, attribution, captions, objects, negatives = [], [], [], [], []
    for i in range(IMAGES):
        name = f"{i:012d}.jpg"
        Image.new("RGB", (32, 32), (8 * i, 255 - 8 * i, 64)).save(root / "images" / name)
        a, b = NOUNS[i % 4], NOUNS[(i + 1) % 4]
        case = {"image_id": i, "image_path": name, "bbox_x": 2, "bbox_y": 3, "bbox_w": 20, "bbox_h": 21}
        verb = "facing" if i < 3 else ("riding" if i % 2 else "holding")  # "facing" is on ARO's drop list
        texts = {"true_caption": f"the {a} is {verb} the {b}", "false_caption": f"the {b} is {verb} the {a}"}
        relation.append(case | texts | {"relation_name": verb})
        pair = {
            "true_caption": f"the red {a} and the blue {b}",
            "false_caption": f"the blue {a} and the red {b}",
        }
        rare = i < 2  # a pair with fewer than 25 cases
        attribution.append(case | pair | {"attributes": ["green", "red"] if rare else ["red", "blue"]})
        captions += [(i, f"a {a} {verb} a {b}, scene {i}"), (i, f"scene {i} has a {a}")]
        negatives.append(
            {
                "key": str(i),
                "caption": f"a {a} {verb} a {b}, scene {i}",
                "negative": f"a {b} {verb} a {a}, scene {i}",
                "kind": "relation_swap",
                "changed": [[2, 5]],
            }
        )
        boxes = [
            {"object_id": 2 * i, "names": [a], "x": 1, "y": 1, "w": 12, "h": 12},
            {"object_id": 2 * i + 1, "names": [b], "x": 15, "y": 15, "w": 12, "h": 12},
        ]
        objects.append({"image_id": i, "objects": boxes})  # fmt: skip
    coco = {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg"} for i in range(IMAGES)],
        "annotations": [{"id": k, "image_id": i, "caption": text} for k, (i, text) in enumerate(captions)],
    }
    images = [{"image_id": i, "url": f"images/{i:012d}.jpg"} for i in range(IMAGES)]
    for name, content in {
        "aro/visual_genome_relation.json": relation,
        "aro/visual_genome_attribution.json": attribution,
        "captions_test.json": coco,
        "visual_genome/objects.json": objects,
        "visual_genome/image_data.json": images,
    }.items():
        (root / name).write_text(json.dumps(content))
    _write_general(root)
    (root / "negatives.jsonl").write_text("".join(json.dumps(line) + "\n" for line in negatives))
    return root


@pytest.fixture(scope="session")
def official_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small copies of the published benchmarks in their official layouts."""
    root = tmp_path_factory.mktemp("official")
    write_all(root)
    return root


@pytest.fixture(scope="session")
def read_benchmark(data_folder: Path, official_folder: Path) -> Callable[[str], Benchmark]:
    """Any registered benchmark, from the small files of either folder; once each, as some parse captions."""

    @cache
    def read(name: str) -> Benchmark:
        try:
            return registry.read(name, data_folder)
        except NoDataError:
            return registry.read(name, official_folder, allow_missing=True)

    return read
