"""CREPE: systematicity and productivity on regions of Visual Genome.

Layout from the official loader's documented fields: ``syst_hard_negatives/syst_vg_hard_negs_<seen|unseen>_
compounds_in_<training set>.csv`` and ``prod_hard_negatives/<atom|negate|swap>/prod_vg_hard_negs_*_complexity_
<4..12>.csv`` with ``image_id, x, y, width, height, caption`` and hard negatives as Python lists.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.cola import VG_OBTAIN
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import VG_IMAGES, Images
from knowclip.evaluation.benchmarks.locating import locate, matching
from knowclip.evaluation.benchmarks.records import Record, csv_records
from knowclip.types import ImageRef

SYSTEMATIC = "syst_hard_negatives/syst_vg_hard_negs_*.csv"
PRODUCTIVE = "prod_hard_negatives/*/prod_vg_hard_negs_*_complexity_*.csv"
_COMMON: dict[str, Any] = {
    "paper": "Ma et al., CREPE: Can vision-language foundation models reason compositionally? (CVPR 2023)",
    "address": "https://github.com/RAIVNLab/CREPE",
    "licence": "none stated (images: Visual Genome, CC BY 4.0)",
    "crop": "image cropped to the region",
    "revision": "1fa81c425f442396fe304f170c8eb6dc0747c814",
    "obtain": f"`git clone https://github.com/RAIVNLab/CREPE`, its data/crepe as DATA/crepe; {VG_OBTAIN}",
}
CREPE_SYSTEMATICITY = Card(
    name="crepe_systematicity",
    title="CREPE systematicity",
    main="crepe_systematicity",
    protocol="right if the region's caption scores strictly above all its hard negatives (the paper's R@1)",
    layout=f"{SYSTEMATIC}; VG_100K/, VG_100K_2/",
    flaws="Seen and unseen compounds are those of CC12M, YFCC15M and LAION-400M: other training sets do not "
    "fit the question.",
    average="mean over file and kind of negative (atom, comp)",
    **_COMMON,
)
CREPE_PRODUCTIVITY = Card(
    name="crepe_productivity",
    title="CREPE productivity",
    main="crepe_productivity",
    protocol="right if the caption scores strictly above all its hard negatives (the paper's R@1)",
    layout=f"{PRODUCTIVE}; VG_100K/, VG_100K_2/",
    flaws="Hard negatives are ungrammatical often enough that text alone finds them (SugarCrepe, section 3).",
    average="mean over kind of negative and complexity (27 files)",
    chance=1 / 6,
    **_COMMON,
)


def read_crepe_systematicity(
    folder: Path, *, split: str = "test", allow_missing: bool = False
) -> ChoiceBenchmark:
    """Every systematicity file there is, once for each kind of negative."""
    return _read(CREPE_SYSTEMATICITY, folder, SYSTEMATIC, ("atom", "comp"), split, allow_missing)


def read_crepe_productivity(
    folder: Path, *, split: str = "test", allow_missing: bool = False
) -> ChoiceBenchmark:
    """Every productivity file there is."""
    return _read(CREPE_PRODUCTIVITY, folder, PRODUCTIVE, ("",), split, allow_missing)


def _read(
    card: Card, folder: Path, pattern: str, kinds: tuple[str, ...], split: str, allow_missing: bool
) -> ChoiceBenchmark:
    base = locate(card, folder, [pattern], split=split, places=["crepe", "data/crepe", "data"])
    images = Images((base, folder), VG_IMAGES)
    records = [
        Record(f"{path.stem}/{kind}".rstrip("/"), row.name, (row.content, kind))
        for path in matching(base, pattern)
        for kind in kinds
        for row in csv_records(path, one_of_several=True)
    ]

    def make(record: Record) -> Choice | None:
        row, kind = record.content
        listed = ast.literal_eval(row[f"valid_hard_negs_{kind}" if kind else "hard_negs"])
        if not listed:
            return None
        true = text(row["caption"])
        false, *others = (text(caption) for caption in listed)
        x, y, width, height = (int(float(row[name])) for name in ("x", "y", "width", "height"))
        ref = ImageRef(images(f"{row['image_id']}.jpg").path, (x, y, width, height))
        also = tuple((true, other) for other in others)
        return Choice(record.key, ref, true, false, record.file, row["image_id"], also)

    cases, skipped = collect(card, records, make, allow_missing=allow_missing)
    return ChoiceBenchmark(card, cases, skipped=skipped)
