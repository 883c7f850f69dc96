"""BiVLC: SugarCrepe's hard negatives with an image for each of them.

Layout from the hub's dataset card: Parquet with ``image, caption, negative_caption, negative_image, type,
subtype``, images inside.
"""

from __future__ import annotations

from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.locating import locate, matching, one_edition
from knowclip.evaluation.benchmarks.protocols import TwoByTwo, TwoByTwoBenchmark
from knowclip.evaluation.benchmarks.records import Record, parquet_records
from knowclip.evaluation.benchmarks.winoground import PARQUET, RULE

BIVLC = Card(
    name="bivlc",
    title="BiVLC",
    paper="Miranda et al., BiVLC: Extending vision-language compositionality evaluation with text-to-image "
    "retrieval (NeurIPS 2024)",
    address="https://huggingface.co/datasets/imirandam/BiVLC",
    licence="MIT (images: COCO, CC BY 4.0, and generated)",
    main="bivlc_group",
    protocol=f"{RULE} (the paper's I2T is the text score, its T2I the image score)",
    layout="data/test-*.parquet",
    flaws="The image of the negative is generated, the other a photograph: style tells them apart.",
    crop="whole image",
    average="mean over items; _macro over type and subtype",
    differs="unibench calls the group score the accuracy.",
    n=2933,
    chance=1 / 6,
    revision="69d8982f28ffcdcc57982f3cf3ebbde514e519e3",
    obtain="`hf download imirandam/BiVLC --repo-type dataset --revision REVISION --local-dir DATA/bivlc`",
)


def read_bivlc(folder: Path, *, split: str = "test", allow_missing: bool = False) -> TwoByTwoBenchmark:
    """BiVLC's quadruples; type and subtype of the negative are the group."""
    base = locate(BIVLC, folder, PARQUET, split=split, distinctive=False)
    paths = one_edition(BIVLC, matching(base, *PARQUET))

    def make(record: Record) -> TwoByTwo:
        row = record.content
        return TwoByTwo(
            record.key,
            (row["image"], row["negative_image"]),
            (text(row["caption"]), text(row["negative_caption"])),
            f"{row['type']}_{row['subtype']}".lower(),
        )

    records = parquet_records(paths, images=("image", "negative_image"))
    cases, skipped = collect(BIVLC, records, make, allow_missing=allow_missing)
    return TwoByTwoBenchmark(BIVLC, cases, skipped)
