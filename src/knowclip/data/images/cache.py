"""Images of a data set on disk in the form training reads them: as pixels, or as features of a locked trunk.

A cache is a folder ``FOLDER/KIND-HASH`` with ``rows.npy`` (memory-mapped, one row a distinct image) and
``unreadable.json``. The hash covers the image files (path, size, modification time, box) and what is done to
them, so a stale cache is never read; the folder appears whole or not at all.

Shape legend: B batch, H height, W width.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from knowclip.console.counts import TOLERATED_SHARE
from knowclip.data.images.decoding import (
    Preprocess,
    SplitPreprocess,
    fingerprint,
    prepared,
    probe_image,
    refuse_many,
)
from knowclip.storage.atomic import atomic_folder
from knowclip.types import ImageRef

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor, nn

_BLOCK = 256
Progress = Callable[[int, int], None]
"""Called with images done and images in all."""


@dataclass(frozen=True, slots=True)
class RowLoader:
    """Loads the row of example ``i``; opens the file at first use, so worker processes map it too."""

    path: Path
    rows: np.ndarray

    def __call__(self, i: int) -> Tensor:
        """Copy one row out of the map."""
        return torch.from_numpy(_open(self.path)[self.rows[i]].copy())


@dataclass(frozen=True)
class ImageCache:
    """Rows of distinct images; ``unreadable`` says for those that have none why."""

    path: Path
    unreadable: dict[ImageRef, str]
    _row: dict[ImageRef, int] = field(repr=False)

    def usable(self, refs: Iterable[ImageRef]) -> list[bool]:
        """Whether each image could be read: drop the other examples before :meth:`loader`."""
        return [ref in self._row and ref not in self.unreadable for ref in refs]

    def loader(self, refs: Sequence[ImageRef]) -> RowLoader:
        """Return what loads the row of ``refs[i]`` given ``i``.

        Raises:
            ValueError: An image is not in the cache or was unreadable.
        """
        for ref, usable in zip(refs, self.usable(refs), strict=True):
            if not usable:
                reason = self.unreadable.get(ref, "it was not there when the cache was built")
                raise ValueError(f"the cache has no row for {ref.path}: {reason}; repair or leave it out")
        return RowLoader(self.path / "rows.npy", np.array([self._row[ref] for ref in refs], dtype=np.int64))


@dataclass(frozen=True)
class PixelCache(ImageCache):
    """Decoded, resized and cropped images, uint8 ``[n, 3, H, W]``; ``normalize`` is for the batch."""

    preprocess: SplitPreprocess

    @classmethod
    def build(
        cls,
        refs: Iterable[ImageRef],
        *,
        preprocess: Preprocess,
        folder: Path,
        threads: int | None = None,
        tolerated: float = TOLERATED_SHARE,
        progress: Progress | None = None,
    ) -> Self:
        """Open the cache of these images, or make it first.

        Args:
            refs: Images; repetitions are stored once.
            preprocess: A torchvision ``Compose`` ending in ``Normalize``, as open_clip's.
            folder: Where caches live.
            threads: That decode; as many as there are processors when None. Pillow decodes and resizes
                outside Python's lock, so threads share the work as processes would.
            tolerated: Share of the images that may be unreadable.
            progress: Called after each block of images.

        Raises:
            ValueError: More of the images are unreadable; the first are named.
        """
        split = SplitPreprocess.of(preprocess)
        distinct = list(dict.fromkeys(refs))
        path = folder / f"pixels-{_key(distinct, fingerprint(preprocess))}"
        if not path.exists():
            row = split.pixels(probe_image()).numpy()
            blocks = _decoded(distinct, split.pixels, _BLOCK, threads)
            _write(path, distinct, row, blocks, _stack, tolerated, progress)
        return cls(path, *_index(path, distinct, tolerated), split)

    def batch(self, refs: Sequence[ImageRef]) -> Float[Tensor, "V 3 H W"]:
        """Preprocessed pixels of V images.

        Raises:
            ValueError: One is not in the cache or was unreadable.
        """
        load = self.loader(refs)
        return self.normalize(torch.stack([load(index) for index in range(len(refs))]))

    def normalize(self, pixels: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """Finish the model's preprocess on a batch of rows."""
        return self.preprocess.normalize(pixels)


@dataclass(frozen=True)
class TrunkCache(ImageCache):
    """Outputs of a locked image trunk, float16 ``[n, ...]``."""

    @classmethod
    def build(
        cls,
        refs: Iterable[ImageRef],
        *,
        trunk: Callable[[Float[Tensor, "B 3 H W"]], Float[Tensor, "B ..."]],
        module: nn.Module,
        preprocess: Preprocess,
        folder: Path,
        batch_size: int = 64,
        threads: int | None = None,
        tolerated: float = TOLERATED_SHARE,
        progress: Progress | None = None,
    ) -> Self:
        """Open the cache of these images, or make it first.

        Args:
            refs: Images; repetitions are stored once.
            trunk: Preprocessed images -> features.
            module: What ``trunk`` computes with: its weights are part of the key, its device is used.
            preprocess: As the model's.
            folder: Where caches live.
            batch_size: Images through the trunk at once.
            threads: That decode; as many as there are processors when None.
            tolerated: Share of the images that may be unreadable.
            progress: Called after each batch.

        Raises:
            ValueError: ``module`` is in training mode, features overflow float16, or more of the images are
                unreadable.
        """
        if any(part.training for part in module.modules()):
            raise ValueError("a locked trunk is cached in eval mode: call .eval() on it first")
        weights = list(module.state_dict().items())
        device = weights[0][1].device if weights else torch.device("cpu")
        distinct = list(dict.fromkeys(refs))

        def features(images: list[Tensor]) -> np.ndarray:
            with torch.inference_mode():
                output = trunk(torch.stack(images).to(device)).half().cpu()
            if not output.isfinite().all():
                raise ValueError("the trunk's features are not finite in float16: train without the cache")
            return output.numpy()

        row = features([preprocess(probe_image())])[0]
        path = (
            folder
            / f"trunk-{_key(distinct, fingerprint(preprocess), _hash_weights(weights), str(row.shape))}"
        )
        if not path.exists():
            blocks = _decoded(distinct, preprocess, batch_size, threads)
            _write(path, distinct, row, blocks, features, tolerated, progress)
        return cls(path, *_index(path, distinct, tolerated))


def _key(refs: Sequence[ImageRef], *what: str) -> str:
    """Hash the state of the image files and what is done to them."""
    digest = hashlib.blake2b("\n".join(what).encode(), digest_size=12)
    for ref in refs:
        try:
            status = os.stat(ref.path)
            state = (status.st_size, status.st_mtime_ns)
        except OSError:
            state = None
        digest.update(repr((os.path.abspath(ref.path), ref.box, state)).encode())
    return digest.hexdigest()


def _hash_weights(weights: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(weights, key=lambda item: item[0]):
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _decoded(
    refs: Sequence[ImageRef], transform: Callable, size: int, threads: int | None
) -> Iterator[list[Tensor | str]]:
    """Blocks of images, in order, or of the reason why one has none; the next block is decoded meanwhile."""

    def attempt(ref: ImageRef) -> Tensor | str:
        try:
            return prepared(ref, transform)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        pending: deque = deque()
        for start in range(0, len(refs), size):
            pending.append([pool.submit(attempt, ref) for ref in refs[start : start + size]])
            if len(pending) > 1:
                yield [future.result() for future in pending.popleft()]
        yield from ([future.result() for future in block] for block in pending)


def _write(
    path: Path,
    refs: Sequence[ImageRef],
    row: np.ndarray,
    blocks: Iterable[list[Tensor | str]],
    encode: Callable[[list[Tensor]], np.ndarray],
    tolerated: float,
    progress: Progress | None,
) -> None:
    """Write rows shaped like ``row`` in order; an image without one leaves zeros and its reason.

    By plain writes, not through a memory map: on a full disk those raise, a map kills the process.
    """
    unreadable: dict[int, str] = {}
    with atomic_folder(path) as folder:
        with open(folder / "rows.npy", "wb") as file:
            header = {
                "descr": np.lib.format.dtype_to_descr(row.dtype),
                "fortran_order": False,
                "shape": (len(refs), *row.shape),
            }
            np.lib.format.write_array_header_1_0(file, header)
            done = 0
            for block in blocks:
                # zeros for the unreadable, so that row numbers stay those of the list
                rows = np.zeros((len(block), *row.shape), row.dtype)
                good = [i for i, image in enumerate(block) if not isinstance(image, str)]
                unreadable |= {done + i: image for i, image in enumerate(block) if isinstance(image, str)}
                if good:
                    rows[good] = encode([block[i] for i in good])
                file.write(rows)
                done += len(block)
                if progress is not None:
                    progress(done, len(refs))
        refuse_many(list(unreadable.values()), len(refs), tolerated=tolerated)
        (folder / "unreadable.json").write_text(json.dumps(unreadable), encoding="utf-8")


def _stack(images: list[Tensor]) -> np.ndarray:
    return torch.stack(images).numpy()


def _index(
    path: Path, refs: Sequence[ImageRef], tolerated: float
) -> tuple[dict[ImageRef, str], dict[ImageRef, int]]:
    """Why images are unreadable, and in which row each image is."""
    reasons = json.loads((path / "unreadable.json").read_text(encoding="utf-8"))
    refuse_many(list(reasons.values()), len(refs), tolerated=tolerated)
    return {refs[int(i)]: reason for i, reason in reasons.items()}, {ref: i for i, ref in enumerate(refs)}


@lru_cache(maxsize=8)
def _open(path: Path) -> np.ndarray:
    return np.asarray(
        np.load(path, mmap_mode="r")
    )  # a plain array over the map: memmap objects are slow to index
