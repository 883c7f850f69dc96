"""VALSE: captions against foils, by linguistic phenomenon.

Official layout (read from genuine records): ``existence.json`` and ten more, ``{key: {image_file, dataset,
caption, foil, mturk: {caption, foil, other}, ...}}``; images under the names of their sources.
"""

from __future__ import annotations

from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card, Download
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import CocoImages
from knowclip.evaluation.benchmarks.locating import locate
from knowclip.evaluation.benchmarks.records import Record, json_records

PIECES = (
    "existence",
    "plurals",
    "counting-hard",
    "counting-small-quant",
    "counting-adversarial",
    "relations",
    "action-replacement",
    "actant-swap",
    "coreference-standard",
    "coreference-hard",
    "foil-it",
)
IMAGES = (
    "visual7w/images",
    "plurals/test_images",
    "relations/test_images",
    "actions/images_512",
    "coref/release_too_many_is_this_in_color/images",
    "coref/release_v18/test_images",
)
"""As in the official config; COCO's are looked for where they usually lie."""
VALID_VOTES = 2
_REVISION = "932265b9a047bfb89ce40365d21e86532e68a89c"

VALSE = Card(
    name="valse",
    title="VALSE",
    paper="Parcalabescu et al., VALSE: A task-independent benchmark for vision and language models centered "
    "on linguistic phenomena (ACL 2022)",
    address="https://github.com/Heidelberg-NLP/VALSE",
    licence="as the repository states (annotations; images: COCO, Visual7W, SWiG, VisDial, as upstream)",
    main="valse",
    protocol="right if the caption scores strictly above its foil (the pairwise accuracy acc_r)",
    layout="data/*.json (eleven pieces); images in the folders of the official config, or images/",
    flaws="Plural and counting foils are partly given away by their wording.",
    crop="whole image",
    average="mean of the eleven pieces",
    drop=f"foils that fewer than {VALID_VOTES} of 3 annotators rejected, as the authors ask",
    differs="The paper's other metrics (acc, p_c, p_f) threshold a match probability, which CLIP has not; "
    "harnesses that skip the annotators' filter have 14% more items (8,782 against 7,702).",
    chance=0.5,
    revision=_REVISION,
    downloads=tuple(
        Download(
            f"https://raw.githubusercontent.com/Heidelberg-NLP/VALSE/{_REVISION}/data/{piece}.json",
            f"{piece}.json",
        )
        for piece in PIECES
    ),
    obtain="Images of COCO 2014 and 2017, Visual7W, SWiG (images_512) and VisDial, each from its own page, "
    "in the folders of the layout.",
)


def read_valse(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ChoiceBenchmark:
    """The valid foils of all pieces; pieces are the groups."""
    base = locate(VALSE, folder, ["existence.json"], split=split, places=["valse/data", "data"])
    images = CocoImages(base, base.parent, folder, places=IMAGES)
    found = [path for piece in PIECES if (path := base / f"{piece}.json").is_file()]
    if len(found) < len(PIECES) and not allow_missing:
        raise ValueError(
            f"valse: {len(found)} of its {len(PIECES)} pieces are in {base} "
            f"({', '.join(path.stem for path in found)}); see `knowclip data valse`, or pass "
            "--allow-missing (allow_missing=True)"
        )

    def make(record: Record) -> Choice | None:
        row = record.content
        true, false, ref = text(row["caption"]), text(row["foil"]), images(row["image_file"])
        if row["mturk"]["caption"] < VALID_VOTES:
            return None
        return Choice(record.key, ref, true, false, record.file, row["image_file"])

    records = [record for path in found for record in json_records(path, one_of_several=True)]
    cases, skipped = collect(VALSE, records, make, allow_missing=allow_missing)
    return ChoiceBenchmark(VALSE, cases, skipped=skipped)
