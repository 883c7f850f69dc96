"""A small data folder that serves every registered benchmark, and fake models whose scores are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import pytest
import torch
from official import write_all
from shared_images import write_shared
from torch import Tensor

from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.metrics import NoDataError
from knowclip.types import ImageRef


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


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ARO, COCO captions, Visual Genome objects and negatives, all over the same 30 images."""
    root = tmp_path_factory.mktemp("benchmarks")
    write_shared(root)
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
