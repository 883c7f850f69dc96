"""SPEC: generated images that differ in size, position, existence or count only.

Layout from the official loader's documented fields: ``<subset>/image2text.json`` and ``text2image.json``,
lists of ``{query, keys, label}``, image paths relative to the subset, ``label`` the index of the right key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from knowclip.evaluation.benchmarks.card import Card, Download
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import Images
from knowclip.evaluation.benchmarks.locating import locate
from knowclip.evaluation.benchmarks.protocols import ImageChoice, ImageChoiceBenchmark
from knowclip.evaluation.benchmarks.records import Record, json_records

SUBSETS = ("absolute_size", "relative_size", "absolute_spatial", "relative_spatial", "existence", "count")
_COMMON: dict[str, Any] = {
    "paper": "Peng et al., Synthesize, diagnose, and optimize: Towards fine-grained vision-language "
    "understanding (CVPR 2024)",
    "address": "https://github.com/wjpoom/SPEC",
    "licence": "as the data set's page states",
    "flaws": "Generated images; pasted objects differ from photographs.",
    "crop": "whole image",
    "average": "mean of the six subsets",
    "revision": "0617e7facff29af855bc87cef0511234ec9cc55c",
    "downloads": (Download("https://huggingface.co/datasets/wjpoom/SPEC/resolve/main/data.zip", "data.zip"),),
    "obtain": "Unpack data.zip where it lies, into DATA/spec.",
}
SPEC_IMAGE_TO_TEXT = Card(
    name="spec_image_to_text",
    title="SPEC image to text",
    main="spec_image_to_text",
    protocol="right if the labelled caption scores strictly above all other candidates",
    layout="<subset>/image2text.json and the images it names",
    **_COMMON,
)
SPEC_TEXT_TO_IMAGE = Card(
    name="spec_text_to_image",
    title="SPEC text to image",
    main="spec_text_to_image",
    protocol="right if the labelled image scores strictly above all other candidates",
    layout="<subset>/text2image.json and the images it names",
    **_COMMON,
)


def read_spec_image_to_text(
    folder: Path, *, split: str = "test", allow_missing: bool = False
) -> ChoiceBenchmark:
    """Captions to choose from; subsets are the groups."""
    images, records = _read(SPEC_IMAGE_TO_TEXT, folder, "image2text.json", split)

    def make(record: Record) -> Choice:
        true, (false, *others) = _candidates(record.content)
        name = f"{record.file}/{record.content['query']}"
        also = tuple((text(true), text(other)) for other in others)
        return Choice(record.key, images(name), text(true), text(false), record.file, name, also)

    cases, skipped = collect(SPEC_IMAGE_TO_TEXT, records, make, allow_missing=allow_missing)
    return ChoiceBenchmark(SPEC_IMAGE_TO_TEXT, cases, skipped=skipped)


def read_spec_text_to_image(
    folder: Path, *, split: str = "test", allow_missing: bool = False
) -> ImageChoiceBenchmark:
    """Images to choose from; subsets are the groups."""
    images, records = _read(SPEC_TEXT_TO_IMAGE, folder, "text2image.json", split)

    def make(record: Record) -> ImageChoice:
        true, others = _candidates(record.content)
        refs = [images(f"{record.file}/{name}") for name in (true, *others)]
        return ImageChoice(record.key, text(record.content["query"]), refs[0], tuple(refs[1:]), record.file)

    cases, skipped = collect(SPEC_TEXT_TO_IMAGE, records, make, allow_missing=allow_missing)
    return ImageChoiceBenchmark(SPEC_TEXT_TO_IMAGE, cases, skipped=skipped)


def _read(card: Card, folder: Path, file: str, split: str) -> tuple[Images, list[Record]]:
    patterns = [f"{subset}/{file}" for subset in SUBSETS]
    base = locate(card, folder, patterns, split=split, places=["spec", "spec/data", "data"])
    paths = [(subset, path) for subset in SUBSETS if (path := base / subset / file).is_file()]
    return Images((base,)), [
        record for subset, path in paths for record in json_records(path, file=subset, one_of_several=True)
    ]


def _candidates(content: dict[str, Any]) -> tuple[str, list[str]]:
    """The right key and the wrong ones."""
    keys, label = list(content["keys"]), content["label"]
    if not 0 <= label < len(keys) or len(keys) < 2:
        raise ValueError(f"label {label} of {len(keys)} keys")
    return keys.pop(label), keys
