"""EqBen: pairs of images that differ minimally, from videos and engines.

Layout from the official loader's documented fields: a list of ``{image0, image1, caption0, caption1}``, paths
under the image folder beginning with the sub-dataset. YouCook2 frames are NumPy arrays in BGR order.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from knowclip.evaluation.benchmarks.base import Card, Download
from knowclip.evaluation.benchmarks.files import (
    Images,
    Record,
    collect,
    json_records,
    locate,
    text,
    write_once,
)
from knowclip.evaluation.benchmarks.protocols import TwoByTwo, TwoByTwoBenchmark
from knowclip.evaluation.benchmarks.winoground import RULE
from knowclip.types import ImageRef

FILE = "eqben_subset_10percent_final.json"
_STORE = "https://storage.googleapis.com/eqben-data"

EQBEN = Card(
    name="eqben",
    title="EqBen (10% subset)",
    paper="Wang et al., Equivariant similarity for vision-language foundation models (ICCV 2023)",
    address="https://github.com/Wangt-CN/EqBen",
    licence="that of the sources (Action Genome, GEBC, YouCook2: research; generated parts: none stated)",
    main="eqben_group",
    protocol=RULE,
    layout=f"{FILE} with image_subset/<sub-dataset>/...; YouCook2 frames as .npy",
    flaws="Neighbouring video frames can be indistinguishable at 224 pixels.",
    crop="whole image",
    average="mean over items; _macro over sub-datasets",
    differs="The full set (about 250,000 items) is a separate file; the paper reports each sub-dataset.",
    chance=1 / 6,
    revision="006c1cdddba4c4e62e7ac9bd4359b3af6357e46f",
    downloads=(
        Download(f"{_STORE}/eqben_subset/{FILE}", FILE),
        Download(f"{_STORE}/eqben_subset/subset_image.tar.gz", "subset_image.tar.gz"),
    ),
    obtain="Unpack subset_image.tar.gz where it lies (10 GB).",
)


def read_eqben(folder: Path, *, split: str = "test", allow_missing: bool = False) -> TwoByTwoBenchmark:
    """EqBen's quadruples; sub-datasets are the groups."""
    base = locate(EQBEN, folder, [FILE], split=split)
    images = Images((base,), ("image_subset", "subset_image", "images", ""))

    def make(record: Record) -> TwoByTwo:
        row = record.content
        refs = (_decodable(images(row["image0"])), _decodable(images(row["image1"])))
        captions = (_caption(row["caption0"]), _caption(row["caption1"]))
        return TwoByTwo(record.key, refs, captions, row["image0"].split("/")[0])

    cases, skipped = collect(EQBEN, json_records(base / FILE), make, allow_missing=allow_missing)
    return TwoByTwoBenchmark(EQBEN, cases, skipped)


def _caption(value: Any) -> str:
    """Action Genome has lists of captions, of which EqBen uses the first."""
    return text(value[0] if isinstance(value, list) else value)


def _decodable(ref: ImageRef) -> ImageRef:
    """A PNG beside a frame that is stored as a BGR array; other images as they are."""
    if ref.path.suffix != ".npy" or not ref.path.is_file():
        return ref
    target = ref.path.with_suffix(".png")
    if not target.is_file():
        pixels = np.load(ref.path, allow_pickle=False)[:, :, ::-1]
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG")
        write_once(target, buffer.getvalue())
    return ImageRef(target)
