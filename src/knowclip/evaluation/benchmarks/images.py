"""Finds the images of benchmarks by name; where those of COCO and Visual Genome lie, which many share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from knowclip.types import ImageRef

_COCO_HOMES = ("", "images", "coco", "coco/images", "COCO", "COCO/images", "mscoco", "mscoco/images")
_COCO_PARTS = (
    "val2017",
    "train2017",
    "test2017",
    "trainval2017",
    "val2014",
    "train2014",
    "test2014",
    "test2015",
)
COCO_IMAGES = (*(f"{home}/{part}".lstrip("/") for home in _COCO_HOMES for part in _COCO_PARTS), *_COCO_HOMES)
"""Where COCO's images lie, under a data folder or a benchmark's: every release, in every usual place."""
_COCO_BESIDE = tuple(place for place in COCO_IMAGES if place.lower().startswith(("coco", "mscoco")))
_VG_HOMES = ("", "vg", "VG", "visual_genome", "images", "vg/images", "visual_genome/images")
VG_IMAGES = (
    *(f"{home}/{part}".lstrip("/") for home in _VG_HOMES for part in ("VG_100K", "VG_100K_2", "vg_images")),
    *_VG_HOMES,
)
"""Where Visual Genome's images are looked for, under the benchmark's folder and the data folder."""


class Images:
    """Finds image files by name in the folders where a benchmark's images may lie."""

    def __init__(self, folders: Iterable[Path], subfolders: Sequence[str] = ("",)) -> None:
        self.roots = [root for folder in folders for name in subfolders if (root := folder / name).is_dir()]

    def __call__(self, name: str) -> ImageRef:
        """The first file of that name; a path that does not exist where there is none."""
        # folder / "/x" is "/x": an absolute name would be looked for outside of the folder
        if not name or name.startswith("/"):
            raise ValueError(f"{name!r} is no image name")
        found = next((path for root in self.roots if os.path.isfile(path := root / name)), None)
        return ImageRef(found or (self.roots[0] if self.roots else Path("no image folder")) / name)


class CocoImages(Images):
    """Finds COCO's images for every benchmark that uses them, whatever the release and the folder layout.

    Args:
        folders: of the benchmark and of the data; COCO may also lie beside them (``DATA/coco``).
        places: further subfolders, looked into before COCO's.
    """

    def __init__(self, *folders: Path, places: Sequence[str] = ()) -> None:
        super().__init__(folders, (*places, *COCO_IMAGES))
        self.roots += Images([folder.parent for folder in folders], _COCO_BESIDE).roots

    def __call__(self, name: str) -> ImageRef:
        """As ever; a name with its folder (``val2014/COCO_val2014_...``) is found in other folders too."""
        ref = super().__call__(name)
        if "/" in name and not os.path.isfile(ref.path):
            bare = super().__call__(name.rsplit("/", 1)[-1])
            return bare if os.path.isfile(bare.path) else ref
        return ref


def coco_home(*folders: Path) -> Path | None:
    """The folder that holds COCO's ``val2014``, which Karpathy's file names are relative to."""
    homes = Images(folders, _COCO_HOMES).roots
    return next((home for home in homes if (home / "val2014").is_dir()), None)
