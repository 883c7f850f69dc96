"""SVO-Probes: two images, of which one shows the sentence's subject, verb and object.

Layout from the official notebook's documented fields: ``svo_probes.csv`` with ``sentence, pos_triplet,
neg_triplet, pos_url, neg_url, pos_image_id, neg_image_id, subj_neg, verb_neg, obj_neg``. The images are
published as addresses only; here they lie as ``images/<image id>.jpg``.
"""

from __future__ import annotations

from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card, Download
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import Images
from knowclip.evaluation.benchmarks.locating import locate
from knowclip.evaluation.benchmarks.protocols import ImageChoice, ImageChoiceBenchmark
from knowclip.evaluation.benchmarks.records import Record, csv_records

FILE = "svo_probes.csv"
KINDS = {"subj_neg": "subject", "verb_neg": "verb", "obj_neg": "object"}

SVO_PROBES = Card(
    name="svo_probes",
    title="SVO-Probes",
    paper="Hendricks & Nematzadeh, Probing image-language transformers for verb understanding (ACL Findings "
    "2021)",
    address="https://github.com/google-deepmind/svo_probes",
    licence="CC BY 4.0 (annotations; images: found by web search, rights with their owners)",
    main="svo_probes",
    protocol="one sentence, two images; right if the positive image scores strictly above the negative one",
    layout=f"{FILE}; images/<image id>.jpg",
    flaws="Many addresses are dead by now: compare only runs on the same images.",
    crop="whole image",
    average="mean over pairs; _macro over subject, verb and object",
    drop="rows whose negative differs in more than one of subject, verb and object, as the notebook does",
    differs="The paper thresholds a match probability at 0.5 and averages the accuracies of positive and "
    "negative images, which needs a match head; with CLIP the field compares the two images.",
    n=36841,
    chance=0.5,
    revision="206219e2afd9640b8bbe6ef95f49b52b0d4ed350",
    downloads=(Download(f"https://storage.googleapis.com/dm-mmt-models/{FILE}", FILE),),
    obtain="Images: fetch pos_url and neg_url of each row to images/<image id>.jpg; use --allow-missing for "
    "those that are gone.",
)


def read_svo_probes(
    folder: Path, *, split: str = "test", allow_missing: bool = False
) -> ImageChoiceBenchmark:
    """SVO-Probes' pairs of images; what the negative changes is the group."""
    base = locate(SVO_PROBES, folder, [FILE], split=split)
    images = Images((base,), ("images",))

    def make(record: Record) -> ImageChoice | None:
        row = record.content
        changed = [kind for column, kind in KINDS.items() if row[column].strip().lower() == "true"]
        true, false = images(f"{int(row['pos_image_id'])}.jpg"), images(f"{int(row['neg_image_id'])}.jpg")
        sentence = text(row["sentence"])
        return ImageChoice(record.key, sentence, true, (false,), changed[0]) if len(changed) == 1 else None

    cases, skipped = collect(SVO_PROBES, csv_records(base / FILE), make, allow_missing=allow_missing)
    return ImageChoiceBenchmark(SVO_PROBES, cases, macro=False, skipped=skipped)
