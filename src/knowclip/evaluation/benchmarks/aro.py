"""ARO: Attribution, Relation and Order (Yuksekgonul et al., ICLR 2023), its two Visual Genome parts.

Its order tests stand in ``order.py``.

Official layout: ``visual_genome_relation.json`` and ``visual_genome_attribution.json``, each a list of
``{image_id, image_path, bbox_x, bbox_y, bbox_w, bbox_h, true_caption, false_caption}`` with
``relation_name`` or ``attributes: [a1, a2]``, beside a folder ``images``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.records import Record, json_records
from knowclip.evaluation.metrics import NoDataError, NotHereError
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
_COMMON: dict[str, Any] = {
    "paper": PAPER,
    "address": ADDRESS,
    "licence": "MIT (annotations; images: Visual Genome, CC BY 4.0)",
    "protocol": "right if the true caption scores strictly above the false one",
    "flaws": "Some false captions are implausible, so text alone helps; Visual Genome overlaps COCO.",
    "crop": "image cropped to the case's box",
    "fixed": False,  # the scenes come in this format too
    "chance": 0.5,
    "revision": "09e1fcffea60b7e8f31f93cb0844b344af1d0642",
    "obtain": "Annotations and images are on Google Drive; ARO's `--download` fetches them.",
}

VG_RELATION = Card(
    name="vg_relation",
    title="VG-Relation",
    main="vg_relation",
    layout="visual_genome_relation.json, images/",
    average="mean over relation names; _micro over all cases is ARO's own Accuracy",
    drop="the 157 symmetric or ill-posed relation names of ARO's notebook (in the macro average)",
    differs="CLIP_benchmark and others report the micro average over all 23,937 cases, dropped names "
    "included, and give ties to the first option.",
    n=23937,
    **_COMMON,
)
VG_ATTRIBUTION = Card(
    name="vg_attribution",
    title="VG-Attribution",
    main="vg_attribution",
    layout="visual_genome_attribution.json, images/",
    average="mean over ordered attribute pairs a1_a2; _micro over all cases",
    drop="attribute pairs with fewer than 25 cases (in the macro average)",
    differs="Others report the micro average over all 28,748 cases.",
    n=28748,
    **_COMMON,
)


def read_vg_relation(
    folder: Path, *, split: str = "test", allow_missing: bool = False, images: Path | None = None
) -> ChoiceBenchmark:
    """VG-Relation from ARO's folder, or from its place in a scenes folder (``aro/``; ``aro_val/``)."""
    cases, skipped = _read(VG_RELATION, folder, split, images, allow_missing, _relation)
    return ChoiceBenchmark(VG_RELATION, cases, drop=DROPPED_RELATIONS, skipped=skipped)


def read_vg_attribution(
    folder: Path,
    *,
    split: str = "test",
    allow_missing: bool = False,
    images: Path | None = None,
    minimum: int = 25,
) -> ChoiceBenchmark:
    """VG-Attribution from the same places; ARO's own metric has ``minimum`` 25."""
    cases, skipped = _read(VG_ATTRIBUTION, folder, split, images, allow_missing, _attributes)
    return ChoiceBenchmark(VG_ATTRIBUTION, cases, minimum=minimum, skipped=skipped)


def _relation(record: dict[str, Any]) -> str:
    return record["relation_name"]


def _attributes(record: dict[str, Any]) -> str:
    return "_".join(record["attributes"])


def _read(
    card: Card,
    folder: Path,
    split: str,
    images: Path | None,
    allow_missing: bool,
    group: Callable[[dict[str, Any]], str],
) -> tuple[tuple[Choice, ...], dict[str, int]]:
    name = card.layout.split(",")[0]
    places = {"test": (folder, folder / "aro"), "val": (folder / "aro_val",)}.get(split, ())
    path = next((place / name for place in places if (place / name).is_file()), None)
    if path is None:
        looked = ", ".join(map(str, places)) or "no folder: it has no such split"
        there = any((place / name).is_file() for place in (folder, folder / "aro"))
        kind = NoDataError if there else NotHereError  # there for another split, or not at all
        raise kind(f"no {name} for split {split!r} under {folder} (looked in {looked})")
    if images is None:
        images = next((d for d in (path.parent / "images", folder / "images") if d.is_dir()), None)
    if images is None:
        raise ValueError(f"{path}: no folder images/ beside it or in {folder}; say where the images are")
    root = images

    def make(record: Record) -> Choice:
        row = record.content
        box = (row["bbox_x"], row["bbox_y"], row["bbox_w"], row["bbox_h"])
        ref = ImageRef(root / row["image_path"], box)
        true, false = text(row["true_caption"]), text(row["false_caption"])
        return Choice(record.name, ref, true, false, group(row), str(row["image_id"]))

    return collect(card, json_records(path), make, allow_missing=allow_missing)
