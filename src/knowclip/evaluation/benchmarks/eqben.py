"""EqBen: pairs of images that differ minimally, from videos and engines; the 10% subset and the full set.

Layouts from the official loader's and scorer's fields (``eqben_utils.py``, ``evaluate_eqben_locally.py``):
records ``{image0, image1, caption0, caption1}`` in a list, in lists by video, or in lists by video and
subject; or single pairs ``{image, caption, private_info: {dataset, name, sample_cnt}}``, of which those named
``c0i0`` and ``c1i1`` are true. Paths begin with the sub-dataset. YouCook2 frames are NumPy arrays in BGR
order.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from knowclip.evaluation.benchmarks.card import Card, Download
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import Images
from knowclip.evaluation.benchmarks.locating import locate
from knowclip.evaluation.benchmarks.protocols import TwoByTwo, TwoByTwoBenchmark
from knowclip.evaluation.benchmarks.records import Record, write_once
from knowclip.evaluation.benchmarks.winoground import RULE
from knowclip.storage.text_files import read_json
from knowclip.types import ImageRef

FILE = "eqben_subset_10percent_final.json"
FULL_FILES = ("private_info_global.json", "ann_json_finegrained_random.json")
"""Annotation of the full set as published last, and as it was used before."""
SIZES = {
    "eqbenag": 195_872,
    "eqbenyoucook2": 45_849,
    "eqbengebc": 1_814,
    "eqbenkubric_loc": 2_000,
    "eqbenkubric_attr": 2_000,
    "eqbenkubric_cnt": 2_000,
    "eqbensd": 1_513,
}
"""Items of each sub-dataset, as the official scorer has them."""
_STORE = "https://storage.googleapis.com/eqben-data"
_SIDES = {"c0i0": "0", "c1i1": "1"}

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
    differs="The paper reports each sub-dataset of the full set, which is eqben_full.",
    chance=1 / 6,
    revision="006c1cdddba4c4e62e7ac9bd4359b3af6357e46f",
    downloads=(
        Download(f"{_STORE}/eqben_subset/{FILE}", FILE),
        Download(f"{_STORE}/eqben_subset/subset_image.tar.gz", "subset_image.tar.gz"),
    ),
    obtain="Unpack subset_image.tar.gz where it lies (10 GB).",
)

EQBEN_FULL = replace(
    EQBEN,
    name="eqben_full",
    title="EqBen (full set)",
    main="eqben_full_group_macro",
    layout=f"{FULL_FILES[0]} (or {FULL_FILES[1]}, if it holds private_info) with <sub-dataset>/... under "
    "image/ or beside it; YouCook2 frames as .npy",
    average="mean of the seven sub-datasets; eqben_full_group is the mean over items",
    differs="The paper reports each sub-dataset; 78% of the items are Action Genome's, so the mean over "
    "items is mostly theirs.",
    n=sum(SIZES.values()),
    downloads=(
        Download(f"{_STORE}/eqben_ann/{FULL_FILES[0]}", FULL_FILES[0]),
        Download(f"{_STORE}/eqben_image_full.tar.gz", "eqben_image_full.tar.gz"),
    ),
    obtain="Unpack eqben_image_full.tar.gz where it lies (100 GB).",
)


def read_eqben(folder: Path, *, split: str = "test", allow_missing: bool = False) -> TwoByTwoBenchmark:
    """The 10% subset's quadruples; sub-datasets are the groups."""
    base = locate(EQBEN, folder, [FILE], split=split)
    return _read(EQBEN, base / FILE, allow_missing=allow_missing)


def read_eqben_full(folder: Path, *, split: str = "test", allow_missing: bool = False) -> TwoByTwoBenchmark:
    """The full set's quadruples; sub-datasets are the groups."""
    base = locate(EQBEN_FULL, folder, FULL_FILES, split=split, places=("eqben",))
    path = next(path for name in FULL_FILES if (path := base / name).is_file())
    return _read(EQBEN_FULL, path, allow_missing=allow_missing)


def _read(card: Card, path: Path, *, allow_missing: bool) -> TwoByTwoBenchmark:
    folders = ("image_subset", "subset_image", "eqben_image_full", "image_full", "image", "images", "")
    images = Images((path.parent,), folders)

    def make(record: Record) -> TwoByTwo:
        row = record.content
        refs = (_decodable(images(row["image0"])), _decodable(images(row["image1"])))
        captions = (_caption(row["caption0"]), _caption(row["caption1"]))
        return TwoByTwo(record.key, refs, captions, row["image0"].split("/")[0])

    rows = _joined(path, _rows(read_json(path)))
    cases, skipped = collect(
        card, (Record(path.stem, name, row) for name, row in rows), make, allow_missing=allow_missing
    )
    return TwoByTwoBenchmark(card, cases, skipped)


def _rows(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Rows with their place: of a list, of lists by video, of lists by video and subject."""
    if isinstance(tree, list):
        branches: Iterable[tuple[Any, Any]] = enumerate(tree)
    elif isinstance(tree, dict) and tree and all(isinstance(part, (dict, list)) for part in tree.values()):
        branches = tree.items()
    else:
        yield name, tree
        return
    for key, branch in branches:
        yield from _rows(branch, f"{name}/{key}" if name else str(key))


def _joined(path: Path, rows: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Rows as they are, and of single pairs the two true ones of each item as one row."""
    halves: dict[str, dict[str, Any]] = {}
    for name, row in rows:
        if not isinstance(row, dict) or "image" not in row:
            yield name, row
            continue
        if not isinstance(info := row.get("private_info"), Mapping):
            raise ValueError(
                f"{path}, record {name}: no private_info, so which caption is true is not told; that is the "
                f"file for the official server: take {FULL_FILES[0]}"
            )
        if (side := _SIDES.get(info["name"])) is not None:
            item = halves.setdefault(f"{info['dataset']}/{info['sample_cnt']}", {})
            item |= {f"image{side}": row["image"], f"caption{side}": row["caption"]}
    yield from halves.items()


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
