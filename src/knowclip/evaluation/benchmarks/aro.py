"""ARO: Attribution, Relation and Order (Yuksekgonul et al., ICLR 2023), its two Visual Genome parts.

Official layout: ``visual_genome_relation.json`` and ``visual_genome_attribution.json``, each a list of
``{image_id, image_path, bbox_x, bbox_y, bbox_w, bbox_h, true_caption, false_caption}`` with
``relation_name`` or ``attributes: [a1, a2]``, beside a folder ``images``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from knowclip.data.caption_formats import read_json
from knowclip.evaluation.benchmarks.base import Card, Choice, ChoiceBenchmark
from knowclip.evaluation.metrics import NoDataError
from knowclip.types import ImageRef

DROPPED_RELATIONS = frozenset(
    files("knowclip.evaluation.benchmarks")
    .joinpath("aro_dropped_relations.txt")
    .read_text("utf-8")
    .splitlines()
)
"""The 157 relations, symmetric or ill-posed when swapped, that ARO leaves out of its VG-Relation average.

Source: the notebook "Replicate ARO! VG-Relation, VG-Attribution" in mertyg/vision-language-models-are-bows.
"""

PAPER = (
    "Yuksekgonul et al., When and why vision-language models behave like bags-of-words, and what to do "
    "about it? (ICLR 2023)"
)
ADDRESS = "https://github.com/mertyg/vision-language-models-are-bows"
LICENCE = "MIT (annotations; images: Visual Genome, CC BY 4.0)"
MICRO = "The micro average is over all cases, as ARO's own Accuracy."

VG_RELATION = Card(
    name="vg_relation",
    title="VG-Relation",
    paper=PAPER,
    address=ADDRESS,
    licence=LICENCE,
    main="vg_relation",
    protocol="Image cropped to the case's box; true > false strictly; macro average over relation names "
    f"without ARO's 157 dropped names. {MICRO}",
    layout="visual_genome_relation.json, images/",
    flaws="Some false captions are implausible, so text alone helps; Visual Genome overlaps COCO.",
)
VG_ATTRIBUTION = Card(
    name="vg_attribution",
    title="VG-Attribution",
    paper=PAPER,
    address=ADDRESS,
    licence=LICENCE,
    main="vg_attribution",
    protocol="Image cropped to the case's box; true > false strictly; macro average over ordered attribute "
    f"pairs a1_a2 with at least 25 cases. {MICRO}",
    layout="visual_genome_attribution.json, images/",
    flaws="Some false captions are implausible, so text alone helps; Visual Genome overlaps COCO.",
)


def read_vg_relation(folder: Path, *, split: str = "test", images: Path | None = None) -> ChoiceBenchmark:
    """VG-Relation from ARO's folder, or from its place in a scenes folder (``aro/``; ``aro_val/``)."""
    cases = _read(
        folder, split, "visual_genome_relation.json", images, lambda record: record["relation_name"]
    )
    return ChoiceBenchmark(VG_RELATION, cases, drop=DROPPED_RELATIONS)


def read_vg_attribution(
    folder: Path, *, split: str = "test", images: Path | None = None, minimum: int = 25
) -> ChoiceBenchmark:
    """VG-Attribution from the same places; ARO's own metric has ``minimum`` 25."""
    cases = _read(
        folder, split, "visual_genome_attribution.json", images, lambda record: "_".join(record["attributes"])
    )
    return ChoiceBenchmark(VG_ATTRIBUTION, cases, minimum=minimum)


def _read(
    folder: Path, split: str, name: str, images: Path | None, group: Callable[[dict[str, Any]], str]
) -> tuple[Choice, ...]:
    places = {"test": (folder, folder / "aro"), "val": (folder / "aro_val",)}.get(split, ())
    path = next((place / name for place in places if (place / name).is_file()), None)
    if path is None:
        raise NoDataError(
            f"no {name} for split {split!r} under {folder} (looked in {[str(p) for p in places]})"
        )
    if images is None:
        images = next((d for d in (path.parent / "images", folder / "images") if d.is_dir()), None)
    if images is None:
        raise ValueError(f"{path}: no folder images/ beside it or in {folder}; say where the images are")
    return tuple(_case(path, index, record, images, group) for index, record in enumerate(read_json(path)))


def _case(
    path: Path, index: int, record: dict[str, Any], images: Path, group: Callable[[dict[str, Any]], str]
) -> Choice:
    try:
        box = (record["bbox_x"], record["bbox_y"], record["bbox_w"], record["bbox_h"])
        return Choice(
            key=str(index),
            image=ImageRef(images / record["image_path"], box),
            true=record["true_caption"],
            false=record["false_caption"],
            group=group(record),
            image_id=str(record["image_id"]),
        )
    except KeyError as error:
        raise ValueError(f"{path}, record {index}: no field {error}; got {sorted(record)}") from error
