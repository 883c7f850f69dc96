"""The images that benchmarks show: which they are, and how a model gets those that need no decoding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.scoring import Scorer
from knowclip.types import ImageRef

if TYPE_CHECKING:
    from torch import Tensor

    from knowclip.data.images.cache import ImageCache
    from knowclip.models.clip import DualEncoder


def images_shown(benchmarks: Iterable[Benchmark]) -> list[ImageRef]:
    """Every distinct image, whole or a box of it, that benchmarks ask a model for."""
    recorder = _Recorder()
    for benchmark in benchmarks:
        benchmark.run(Scorer(recorder))
    return list(dict.fromkeys(recorder.seen))


class _Recorder:
    """An encoder that only remembers which images it was asked for."""

    def __init__(self) -> None:
        self.seen: list[ImageRef] = []

    def encode_image(self, images: list[ImageRef], *, normalize: bool = False) -> Any:
        import torch

        self.seen += images
        return torch.ones(len(images), 1)

    def encode_text(self, texts: list[str], *, normalize: bool = False) -> Any:
        import torch

        return torch.ones(len(texts), 1)


@dataclass(frozen=True)
class CachedImages:
    """A model that takes its images from a cache, and decodes those that are not in it.

    For a ``Scorer`` without a cache of features: it has no weights of its own.
    """

    model: DualEncoder
    cache: ImageCache

    def encode_image(self, images: list[ImageRef], *, normalize: bool = False) -> Tensor:
        """As the model's own, on images prepared as it prepares them."""
        import torch

        from knowclip.data.images.cache import PixelCache

        if not all(self.cache.usable(images)):
            return self.model.encode_image(images, normalize=normalize)
        load = self.cache.loader(images)
        rows = torch.stack([load(index) for index in range(len(images))]).to(self.model.device)
        if isinstance(self.cache, PixelCache):
            return self.model.encode_image(self.cache.normalize(rows), normalize=normalize)
        return self.model.encode_trunk(rows.float(), normalize=normalize)

    def encode_text(self, texts: list[str], *, normalize: bool = False) -> Tensor:
        """The model's own."""
        return self.model.encode_text(texts, normalize=normalize)
