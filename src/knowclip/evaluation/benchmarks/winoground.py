"""Winoground, and in its shape ColorSwap and COCO-Counterfactuals: one file of quadruples each.

Layouts from the official loaders' documented fields: Winoground ``examples.jsonl`` ``{id, image_0, image_1,
caption_0, caption_1, tag, secondary_tag, num_main_preds, collapsed_tag}`` with ``images/<image_0>.png``;
ColorSwap ``test.json`` ``{id, caption_1, caption_2, image_1, image_2}``; COCO-Counterfactuals
``examples.jsonl`` ``{id, image_0, image_1, caption_0, caption_1}`` with ``images/<image_0>.jpg``; and the
Parquet files of the Hugging Face hub with the same fields and the images inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card, Download
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import Images
from knowclip.evaluation.benchmarks.locating import locate, matching, one_edition, only
from knowclip.evaluation.benchmarks.protocols import TwoByTwo, TwoByTwoBenchmark
from knowclip.evaluation.benchmarks.records import Record, json_records, jsonl_records, parquet_records
from knowclip.types import ImageRef

PARQUET = ("test-*.parquet", "data/test-*.parquet")
RULE = (
    "two images, two captions; text score: for both images the own caption scores strictly above the other; "
    "image score: for both captions the own image does; group score: both"
)
_COCO_CF_ADDRESS = "https://huggingface.co/datasets/Intel/COCO-Counterfactuals"
_COCO_CF = "958a3e0b32421b9f07c4c3f78aecbf98019a3402"

WINOGROUND = Card(
    name="winoground",
    title="Winoground",
    paper="Thrush et al., Winoground: Probing vision and language models for visio-linguistic "
    "compositionality (CVPR 2022)",
    address="https://huggingface.co/datasets/facebook/winoground",
    licence="META IMAGES RESEARCH LICENSE (research only, not to be redistributed)",
    main="winoground_group",
    protocol=RULE,
    layout="data/examples.jsonl with data/images/*.png, or data/test-*.parquet",
    flaws="Many items need common sense or fine vision rather than composition (Diwan et al., EMNLP 2022).",
    crop="whole image",
    average="mean over items; _macro over collapsed_tag (Object, Relation, Both)",
    n=400,
    chance=1 / 6,
    obtain="Gated: accept the terms at the address, then `hf download facebook/winoground --repo-type "
    "dataset --local-dir DATA/winoground`",
)
COLORSWAP = Card(
    name="colorswap",
    title="ColorSwap",
    paper="Burapacheep et al., ColorSwap: A color and word order dataset for multimodal evaluation (ACL "
    "Findings 2024)",
    address="https://github.com/Top34051/colorswap",
    licence="MIT",
    main="colorswap_group",
    protocol=RULE,
    layout="test.json with images/*.png, or data/test-*.parquet",
    flaws="Images are generated.",
    crop="whole image",
    average="mean over items; _macro over image_source",
    n=300,
    chance=1 / 6,
    revision="2d7d10a9091b39cefdcb33c9410d9a6800002bc0",
    obtain="Gated: accept the terms at https://huggingface.co/datasets/stanfordnlp/colorswap, then `hf "
    "download stanfordnlp/colorswap --repo-type dataset --local-dir DATA/colorswap`",
)
COCO_COUNTERFACTUALS = Card(
    name="coco_counterfactuals",
    title="COCO-Counterfactuals",
    paper="Le et al., COCO-Counterfactuals: Automatically constructed counterfactual examples for image-text "
    "pairs (NeurIPS 2023)",
    address=_COCO_CF_ADDRESS,
    licence="CC BY 4.0",
    main="coco_counterfactuals_group",
    protocol=RULE,
    layout="data/examples.jsonl with data/images/*.jpg",
    flaws="Generated images and captions, chosen with the help of a CLIP.",
    crop="whole image",
    average="mean over items",
    differs="The paper reports retrieval over the whole set instead of its pairs.",
    n=17410,
    n_confirmed=False,
    chance=1 / 6,
    revision=_COCO_CF,
    downloads=tuple(
        Download(f"{_COCO_CF_ADDRESS}/resolve/{_COCO_CF}/data/{file}", f"data/{file}")
        for file in ("examples.jsonl", "images.zip")
    ),
    obtain="Unpack data/images.zip where it lies.",
)


def read_winoground(folder: Path, *, split: str = "test", allow_missing: bool = False) -> TwoByTwoBenchmark:
    """Winoground's 400 quadruples."""
    fields = ("image_0", "image_1", "caption_0", "caption_1", "collapsed_tag")
    return read_quadruples(WINOGROUND, folder, fields, ".png", split=split, allow_missing=allow_missing)


def read_colorswap(folder: Path, *, split: str = "test", allow_missing: bool = False) -> TwoByTwoBenchmark:
    """ColorSwap's 300 test quadruples."""
    fields = ("image_1", "image_2", "caption_1", "caption_2", "image_source")
    return read_quadruples(COLORSWAP, folder, fields, "", split=split, allow_missing=allow_missing)


def read_coco_counterfactuals(
    folder: Path, *, split: str = "test", allow_missing: bool = False
) -> TwoByTwoBenchmark:
    """COCO-Counterfactuals' quadruples."""
    fields = ("image_0", "image_1", "caption_0", "caption_1", "")
    return read_quadruples(
        COCO_COUNTERFACTUALS, folder, fields, ".jpg", split=split, allow_missing=allow_missing
    )


def read_quadruples(
    card: Card, folder: Path, fields: tuple[str, ...], suffix: str, *, split: str, allow_missing: bool
) -> TwoByTwoBenchmark:
    """Read quadruples from the JSON, JSON lines or Parquet files of a benchmark's own folder.

    Args:
        card: of the benchmark.
        folder: data folder, or the benchmark's own.
        fields: first image, second image, first caption, second caption, group ("" for none).
        suffix: what image names lack in JSON.
        split: must be "test".
        allow_missing: as in ``collect``.
    """
    files = ("test.json", "examples.jsonl", "data/test.json", "data/examples.jsonl", *PARQUET)
    base = locate(card, folder, files, split=split, distinctive=False)
    found = matching(base, *files)
    shards = [path for path in found if path.suffix == ".parquet"]
    path = only(card, found if len(shards) < len(found) else found[:1])
    images = Images((path.parent,), ("images", ""))
    records: Iterable[Record]
    if shards:
        records = parquet_records(one_edition(card, shards), images=fields[:2])
    else:
        records = json_records(path) if path.suffix == ".json" else jsonl_records(path)

    def find(image: ImageRef | str) -> ImageRef:
        return image if isinstance(image, ImageRef) else images(f"{image}{suffix}")

    def make(record: Record) -> TwoByTwo:
        first, second, text_0, text_1, group = (record.content[name] if name else "" for name in fields)
        return TwoByTwo(
            record.key, (find(first), find(second)), (text(text_0), text(text_1)), str(group or "all")
        )

    cases, skipped = collect(card, records, make, allow_missing=allow_missing)
    return TwoByTwoBenchmark(card, cases, skipped)
