"""VSR: captions that state a spatial relation, true or false.

Official layout (read from genuine records): ``splits/random/{train,dev,test}.jsonl`` with ``{image, caption,
label, relation, ...}``, images of COCO train2017 and val2017 in one folder ``images``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card, Download
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import CocoImages
from knowclip.evaluation.benchmarks.locating import locate
from knowclip.evaluation.benchmarks.protocols import Statement, StatementBenchmark
from knowclip.evaluation.benchmarks.records import Record, jsonl_records
from knowclip.evaluation.metrics import NoDataError

FILES = {"test": "test.jsonl", "val": "dev.jsonl"}
_REVISION = "287e52a55c168ea6866d949c695dd4efccc6a6ea"
_RAW = (
    f"https://raw.githubusercontent.com/cambridgeltl/visual-spatial-reasoning/{_REVISION}/data/splits/random"
)

VSR = Card(
    name="vsr",
    title="VSR",
    paper="Liu et al., Visual spatial reasoning (TACL 2023)",
    address="https://github.com/cambridgeltl/visual-spatial-reasoning",
    licence="CC BY 4.0 (annotations and COCO images)",
    main="vsr",
    protocol="true or false; the captions with the highest cosines are called true, as many as are true; "
    "right if the label agrees (ties are wrong); ROC AUC beside it",
    layout="test.jsonl and dev.jsonl of splits/random; images/ (COCO train2017 and val2017)",
    flaws="Reference frames are ambiguous (the human ceiling is 95%); cosines of different images are "
    "compared with each other, which CLIP was not trained for.",
    crop="whole image",
    average="mean over items; _macro over relations",
    differs="There is no agreed protocol for CLIP: others fine-tune a classifier on the training split, or "
    "compare the caption with a negated one. The zero-shot split has 1,222 test items of its own.",
    n=2195,
    n_confirmed=False,
    chance=0.5,
    revision=_REVISION,
    downloads=tuple(Download(f"{_RAW}/{file}", file) for file in FILES.values()),
    obtain="COCO 2017 images: http://images.cocodataset.org/zips/train2017.zip and val2017.zip, unpacked to "
    "coco/train2017 and coco/val2017",
)


def read_vsr(folder: Path, *, split: str = "test", allow_missing: bool = False) -> StatementBenchmark:
    """VSR's random split; relations are the groups."""
    if split not in FILES:
        raise NoDataError(f"vsr has the splits {', '.join(FILES)}, not {split!r}")
    places = ["vsr/splits/random", "splits/random", "data/splits/random"]
    base = locate(VSR, folder, [FILES[split]], split="test", places=places, distinctive=False)
    images = CocoImages(base, base.parent.parent, folder, places=("images", "trainval2017", "data/images"))

    def make(record: Record) -> Statement:
        row = record.content
        if row["label"] not in (0, 1):
            raise ValueError(f"label {row['label']!r}; expected 0 or 1")
        ref = images(row["image"])
        return Statement(record.key, ref, text(row["caption"]), bool(row["label"]), row["relation"])

    records = jsonl_records(base / FILES[split])
    card = VSR if split == "test" else replace(VSR, n=0)
    cases, skipped = collect(card, records, make, allow_missing=allow_missing)
    return StatementBenchmark(card, cases, skipped)
