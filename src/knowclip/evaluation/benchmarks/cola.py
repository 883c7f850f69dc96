"""Cola, multi-object setting: attributes bound to the right one of two objects.

Layout read from a genuine earlier release of the file: a list of ``[image 1, caption 1, image 2, caption 2]``
whose images are addresses ending in the Visual Genome name.
"""

from __future__ import annotations

from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card, Download
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import VG_IMAGES, Images
from knowclip.evaluation.benchmarks.locating import locate
from knowclip.evaluation.benchmarks.protocols import TwoByTwo, TwoByTwoBenchmark
from knowclip.evaluation.benchmarks.records import Record, json_records

FILE = "COLA_multiobjects_matching_benchmark.json"
VG_OBTAIN = (
    "Visual Genome images: https://homes.cs.washington.edu/~ranjay/visualgenome/api.html, unpacked to "
    "vg/VG_100K and vg/VG_100K_2"
)
_REVISION = "8aa452751565773d377b3d6b61623cfb227bb2ab"

COLA = Card(
    name="cola",
    title="Cola (multi-object)",
    paper="Ray et al., Cola: A benchmark for compositional text-to-image retrieval (NeurIPS 2023)",
    address="https://github.com/arijitray1993/COLA",
    licence="the repository's LICENSE (annotations; images: Visual Genome, CC BY 4.0)",
    main="cola_image",
    protocol="two images, two captions; right if for both captions the own image scores strictly above the "
    "other (the image score); text and group scores beside it",
    layout=f"data/{FILE}; Visual Genome images by number",
    flaws="Attributes are crowd labels: a caption is sometimes true of the other image too.",
    crop="whole image",
    average="mean over items",
    n=210,
    n_confirmed=False,
    chance=0.25,
    revision=_REVISION,
    downloads=(
        Download(f"https://raw.githubusercontent.com/arijitray1993/COLA/{_REVISION}/data/{FILE}", FILE),
    ),
    obtain=VG_OBTAIN,
)


def read_cola(folder: Path, *, split: str = "test", allow_missing: bool = False) -> TwoByTwoBenchmark:
    """Cola's 210 multi-object quadruples."""
    base = locate(COLA, folder, [FILE], split=split, places=["cola/data", "data"])
    images = Images((base, folder), VG_IMAGES)

    def make(record: Record) -> TwoByTwo:
        image_1, text_1, image_2, text_2 = record.content
        refs = images(image_1.rsplit("/", 1)[-1]), images(image_2.rsplit("/", 1)[-1])
        return TwoByTwo(record.key, refs, (text(text_1), text(text_2)), "all")

    cases, skipped = collect(COLA, json_records(base / FILE), make, allow_missing=allow_missing)
    return TwoByTwoBenchmark(COLA, cases, skipped)
