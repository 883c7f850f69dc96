"""Images of a data set on disk in the form training reads them: as pixels, or as features of a locked trunk.

A cache is a folder ``FOLDER/KIND-HASH`` of parts; the hash covers what is done to the images. A part has
``rows.npy`` (memory-mapped, one row a distinct image) and ``images.json``: what each row is of, as a hash of
the image's path, size, modification time and box, and which could not be read. So a stale row is never read,
an image is read once whatever lists and splits it stands in, and a part appears whole or not at all.

Shape legend: B batch, H height, W width.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
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
)
from knowclip.data.images.readable import refuse_many
from knowclip.storage.atomic import atomic_folder
from knowclip.storage.members import last_change
from knowclip.storage.pixels import READING
from knowclip.types import ImageRef

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor, nn

_BLOCK = 256
_PART = 8192
"""Images of one part: what an interrupted build may lose."""
_PATH = "\0"
"""Stands for the image's path in a reason that is kept: another run may write it otherwise."""
Progress = Callable[[int, int], None]
"""Called with images done and images in all."""


@dataclass(frozen=True, slots=True)
class RowLoader:
    """Loads the row of example ``i``; opens files at first use, so worker processes map them too.

    ``places`` ``[n, 2]`` has the file of each example among ``paths``, and its row there.
    """

    paths: tuple[Path, ...]
    places: np.ndarray

    def __call__(self, i: int) -> Tensor:
        """Copy one row out of the map."""
        part, row = self.places[i]
        return torch.from_numpy(_open(self.paths[part])[row].copy())


@dataclass(frozen=True)
class ImageCache:
    """Rows of distinct images; ``unreadable`` says for those that have none why."""

    path: Path
    unreadable: dict[ImageRef, str]
    _parts: tuple[Path, ...] = field(repr=False)
    _place: dict[ImageRef, tuple[int, int]] = field(repr=False)

    def usable(self, refs: Iterable[ImageRef]) -> list[bool]:
        """Whether each image could be read: drop the other examples before :meth:`loader`."""
        return [ref in self._place and ref not in self.unreadable for ref in refs]

    def loader(self, refs: Sequence[ImageRef]) -> RowLoader:
        """Return what loads the row of ``refs[i]`` given ``i``.

        Raises:
            ValueError: An image is not in the cache or was unreadable.
        """
        for ref, usable in zip(refs, self.usable(refs), strict=True):
            if not usable:
                reason = self.unreadable.get(ref, "it was not there when the cache was built")
                raise ValueError(f"the cache has no row for {ref.path}: {reason}; repair or leave it out")
        places = np.array([self._place[ref] for ref in refs], dtype=np.int64).reshape(-1, 2)
        return RowLoader(tuple(part / "rows.npy" for part in self._parts), places)


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
        of: int | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Open the cache of these images; what it lacks of them is added first.

        Args:
            refs: Images; repetitions are stored once.
            preprocess: A torchvision ``Compose`` ending in ``Normalize``, as open_clip's.
            folder: Where caches live.
            threads: That decode; as many as there are processors when None. Pillow decodes and resizes
                outside Python's lock, so threads share the work as processes would.
            tolerated: Share of the images that may be unreadable.
            of: Images that the share is of, where there were more than these.
            progress: Called after each block of images.

        Raises:
            ValueError: More of the images are unreadable; the first are named.
        """
        split = SplitPreprocess.of(preprocess)
        distinct = list(dict.fromkeys(refs))
        path = folder / f"pixels-{_hash(fingerprint(preprocess))}"
        row = split.pixels(probe_image()).numpy()
        decoded = partial(_decoded, transform=split.pixels, size=_BLOCK, threads=threads)
        found = _complete(path, distinct, row, decoded, _stack, progress)
        refuse_many([*found.unreadable.values()], len(distinct), tolerated=tolerated, of=of)
        return cls(path, found.unreadable, found.parts, found.place, split)

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
        of: int | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Open the cache of these images; what it lacks of them is added first.

        Args:
            refs: Images; repetitions are stored once.
            trunk: Preprocessed images -> features.
            module: What ``trunk`` computes with: its weights are part of the key, its device is used.
            preprocess: As the model's.
            folder: Where caches live.
            batch_size: Images through the trunk at once.
            threads: That decode; as many as there are processors when None.
            tolerated: Share of the images that may be unreadable.
            of: Images that the share is of, where there were more than these.
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
        path = folder / f"trunk-{_hash(fingerprint(preprocess), _hash_weights(weights), str(row.shape))}"
        decoded = partial(_decoded, transform=preprocess, size=batch_size, threads=threads)
        found = _complete(path, distinct, row, decoded, features, progress)
        refuse_many([*found.unreadable.values()], len(distinct), tolerated=tolerated, of=of)
        return cls(path, found.unreadable, found.parts, found.place)


@dataclass(frozen=True)
class _Found:
    """Where rows are: ``place`` has part and row of each image; ``unreadable`` says why one has none."""

    parts: tuple[Path, ...]
    place: dict[ImageRef, tuple[int, int]]
    unreadable: dict[ImageRef, str]


def _complete(
    path: Path,
    refs: Sequence[ImageRef],
    row: np.ndarray,
    decoded: Callable[[Sequence[ImageRef]], Iterator[list[Tensor | str]]],
    encode: Callable[[list[Tensor]], np.ndarray],
    progress: Progress | None,
) -> _Found:
    """Add parts with the images that no part has, ``_PART`` at a time, and find all."""
    wanted = {_image_key(ref): ref for ref in refs}
    held = _find(path, wanted)
    lacking = [(key, ref) for key, ref in wanted.items() if ref not in held.place]
    for start in range(0, len(lacking), _PART):
        part = dict(lacking[start : start + _PART])
        told = None if progress is None else partial(_ahead, progress, len(held.place) + start, len(refs))
        _write(path / _hash(*part), list(part), row, decoded([*part.values()]), encode, told)
    return _find(path, wanted) if lacking else held


def _ahead(progress: Progress, ahead: int, total: int, done: int) -> None:
    progress(ahead + done, total)


def _find(path: Path, wanted: Mapping[str, ImageRef]) -> _Found:
    """Look the images up in every part."""
    found = _Found(tuple(sorted(file.parent for file in path.glob("*/images.json"))), {}, {})
    for number, part in enumerate(found.parts):
        told = json.loads((part / "images.json").read_text(encoding="utf-8"))
        for row, key in enumerate(told["images"]):
            if key in wanted:
                found.place[wanted[key]] = number, row
                found.unreadable.pop(wanted[key], None)
                if key in told["unreadable"]:
                    reason = told["unreadable"][key].replace(_PATH, str(wanted[key].path))
                    found.unreadable[wanted[key]] = reason
    return found


def _image_key(ref: ImageRef) -> str:
    """Hash of an image, of the state of its file, and of how it is read."""
    return _hash(repr((os.path.abspath(ref.path), ref.box, last_change(ref.path))), READING)


def _hash(*what: str) -> str:
    return hashlib.blake2b("\n".join(what).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


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
            return str(error).replace(f"image {ref.path}", f"image {_PATH}", 1)

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        pending: deque = deque()
        for start in range(0, len(refs), size):
            pending.append([pool.submit(attempt, ref) for ref in refs[start : start + size]])
            if len(pending) > 1:
                yield [future.result() for future in pending.popleft()]
        yield from ([future.result() for future in block] for block in pending)


def _write(
    path: Path,
    keys: Sequence[str],
    row: np.ndarray,
    blocks: Iterable[list[Tensor | str]],
    encode: Callable[[list[Tensor]], np.ndarray],
    progress: Callable[[int], None] | None,
) -> None:
    """Write a part: rows shaped like ``row`` in order; an image without one leaves zeros and its reason.

    By plain writes, not through a memory map: on a full disk those raise, a map kills the process.
    """
    unreadable: dict[str, str] = {}
    with atomic_folder(path) as folder:
        with open(folder / "rows.npy", "wb") as file:
            header = {
                "descr": np.lib.format.dtype_to_descr(row.dtype),
                "fortran_order": False,
                "shape": (len(keys), *row.shape),
            }
            np.lib.format.write_array_header_1_0(file, header)
            done = 0
            for block in blocks:
                # zeros for the unreadable, so that row numbers stay those of the list
                rows = np.zeros((len(block), *row.shape), row.dtype)
                good = [i for i, image in enumerate(block) if not isinstance(image, str)]
                unreadable |= {
                    keys[done + i]: image for i, image in enumerate(block) if isinstance(image, str)
                }
                if good:
                    rows[good] = encode([block[i] for i in good])
                file.write(rows)
                done += len(block)
                if progress is not None:
                    progress(done)
        told = {"images": list(keys), "unreadable": unreadable}
        (folder / "images.json").write_text(json.dumps(told), encoding="utf-8")


def _stack(images: list[Tensor]) -> np.ndarray:
    return torch.stack(images).numpy()


@cache
def _open(path: Path) -> np.ndarray:
    return np.asarray(
        np.load(path, mmap_mode="r")
    )  # a plain array over the map: memmap objects are slow to index
