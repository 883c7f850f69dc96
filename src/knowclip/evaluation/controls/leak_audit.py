"""Which images of a benchmark were in the training data? By COCO id, by file name, by look.

Visual Genome and COCO share about 51,000 images under different names, Flickr sets and web crawls share
others: a "zero-shot" number over shared images is none. Three independent signs are counted, because each
misses some: ids need both sides to say them, names are changed by many distributions, looks are only alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.image_data import images_by_id
from knowclip.evaluation.images import images_shown
from knowclip.evaluation.scoring import UNREADABLE
from knowclip.storage.pixels import load_pixels
from knowclip.types import ImageRef

NEAR = 4
"""Images whose 64-bit hashes differ in at most this many bits look the same: resized or compressed again."""
EXAMPLES = 10

_MOST = 10**12
"""COCO writes its ids with twelve digits."""
_COCO_NAME = re.compile(r"(?:COCO_(?:train|val|test)20\d\d_)?(\d{12})\.jpe?g", re.IGNORECASE)


def images_of(benchmark: Benchmark) -> list[Path]:
    """Files of all images that a benchmark asks a model for."""
    return list(dict.fromkeys(ref.path for ref in images_shown([benchmark])))


def coco_ids(places: Iterable[Path]) -> dict[str, int]:
    """File name to COCO id, from Visual Genome's ``image_data.json``, where there is one.

    Args:
        places: folders, or files of captions, beside which it is looked for.
    """
    found: dict[str, int] = {}
    for place in places:
        folder = place if place.is_dir() else place.parent
        for path in (folder / "image_data.json", folder / "visual_genome" / "image_data.json"):
            if path.is_file():
                for image in images_by_id(path)[0].values():
                    if (number := _told_id(image.get("coco_id"))) is not None and image["url"]:
                        found[image["url"].rpartition("/")[2]] = number
    return found


def _told_id(value: Any) -> int | None:
    """A COCO id; None for what stands in its place where there is none (null, "", -1, 0, NaN)."""
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or value < 1:
        return None
    return int(value) if value == int(min(value, _MOST)) else None


def coco_id(path: Path, known: Mapping[str, int]) -> int | None:
    """COCO id of an image: as ``known`` says, or in the file name as COCO writes it."""
    match = _COCO_NAME.fullmatch(path.name)
    return known.get(path.name, int(match[1]) if match else None)


def audit(
    train: Sequence[Path],
    benchmarks: Mapping[str, Sequence[Path]],
    *,
    known: Mapping[str, int] | None = None,
    look: bool = True,
    progress: Callable[[int], None] = lambda done: None,
    left_out: Callable[[Path, str], None] = lambda path, why: None,
) -> dict[str, Any]:
    """Count the images of each benchmark that are also in the training data.

    Args:
        train: image files trained on.
        benchmarks: image files by benchmark.
        known: file name to COCO id; see ``coco_ids``.
        look: compare perceptual hashes too, which reads every image.
        progress: told how many images were read so far.
        left_out: told of each training image that cannot be read, and why: nothing was learned from it. Only
            where looks are compared.

    Returns:
        By benchmark ``{"images", "shared", "by": {sign: count}, "unreadable", "examples"}`` in JSON types:
        ``shared`` are images found by any sign, ``unreadable`` those without a look.
    """
    known = known or {}
    read = _Hashes(progress) if look else None
    looks = read(train, left_out) if read else None
    train = looks[0] if looks else train
    by_id = {number: path for path in train if (number := coco_id(path, known)) is not None}
    by_name = {path.name: path for path in train}
    told = {}
    for name, paths in benchmarks.items():
        found: dict[str, dict[Path, Path]] = {
            "coco_id": {p: by_id[i] for p in paths if (i := coco_id(p, known)) in by_id and i is not None},
            # a name may be shared by chance (1.jpg), so signs are counted apart
            "file_name": {p: by_name[p.name] for p in paths if p.name in by_name},
        }
        own = read(paths) if read else None
        if looks is not None and own is not None:
            found["look"] = _nearest(own, looks)
        shared = list(dict.fromkeys(path for signs in found.values() for path in signs))
        told[name] = {
            "images": len(paths),
            "shared": len(shared),
            "by": {sign: len(pairs) for sign, pairs in found.items()},
            "unreadable": len(paths) - len(own[0]) if own is not None else 0,
            "examples": [_example(path, found) for path in shared[:EXAMPLES]],
        }
    return told


def _example(path: Path, found: Mapping[str, Mapping[Path, Path]]) -> dict[str, Any]:
    signs = {sign: pairs[path] for sign, pairs in found.items() if path in pairs}
    return {"image": str(path), "by": list(signs), "train": sorted({str(other) for other in signs.values()})}


Looks = tuple[list[Path], NDArray[np.float32]]
"""Readable files, and their hashes as ``[n, 64]`` of +1 and -1."""


class _Hashes:
    """Perceptual hashes (pHash: signs of the lowest frequencies of a small grey copy) of image files."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self.progress = progress
        self.done = 0

    def __call__(
        self, paths: Sequence[Path], left_out: Callable[[Path, str], None] = lambda path, why: None
    ) -> Looks:
        import imagehash

        readable, rows = [], []
        for path in paths:
            self.done += 1
            self.progress(self.done)
            try:
                rows.append(imagehash.phash(load_pixels(ImageRef(path))).hash.ravel())
            except UNREADABLE as error:
                left_out(path, str(error))
                continue
            readable.append(path)
        return readable, np.where(np.reshape(rows, (-1, 64)), 1, -1).astype(np.float32)


def _nearest(own: Looks, train: Looks, *, chunk: int = 1024) -> dict[Path, Path]:
    """Nearest training image of each image that has one within ``NEAR`` bits."""
    found: dict[Path, Path] = {}
    if not train[0]:
        return found
    for start in range(0, len(own[0]), chunk):
        # the product of two hashes of +1 and -1 is 64 less twice the number of bits that differ
        distances = (64 - own[1][start : start + chunk] @ train[1].T) / 2
        nearest = distances.argmin(axis=1)
        for row, column in enumerate(nearest):
            if distances[row, column] <= NEAR:
                found[own[0][start + row]] = train[0][column]
    return found
