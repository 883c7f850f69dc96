"""The scenes' swapped twins, two by two: the strict score of whoever knows who acts and whose a colour is."""

from __future__ import annotations

from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.protocols import TwoByTwo, TwoByTwoBenchmark
from knowclip.evaluation.benchmarks.records import Record, json_records
from knowclip.evaluation.benchmarks.winoground import RULE
from knowclip.evaluation.metrics import NotHereError
from knowclip.types import ImageRef

SCENE_TWINS = Card(
    name="scene_twins",
    title="Scene twins",
    paper="the protocol of Thrush et al., Winoground (CVPR 2022), on drawn scenes",
    address="knowclip scenes",
    licence="CC BY-SA 4.0 (OpenMoji)",
    main="scene_twins_group",
    protocol=RULE,
    crop="whole image",
    average="mean over twins, half of each kind; apart as _relation_group and _attribute_group",
    chance=1 / 6,
    layout="twins/twins_<split>.json and twins/images/, as 'knowclip scenes' writes them",
    flaws="Drawn scenes. Both captions have the same words, both pictures the same places and background.",
)


def read_scene_twins(folder: Path, *, split: str = "test", allow_missing: bool = False) -> TwoByTwoBenchmark:
    """Read the quadruples of ``twins/twins_<split>.json``."""
    path = folder / "twins" / f"twins_{split}.json"
    if not path.is_file():
        raise NotHereError(f"no {path.relative_to(folder)} under {folder}; 'knowclip scenes' writes it")
    images = path.parent / "images"

    def make(record: Record) -> TwoByTwo:
        row = record.content
        refs = ImageRef(images / row["image_0"]), ImageRef(images / row["image_1"])
        return TwoByTwo(record.key, refs, (text(row["caption_0"]), text(row["caption_1"])), row["tag"])

    cases, skipped = collect(SCENE_TWINS, json_records(path), make, allow_missing=allow_missing)
    return TwoByTwoBenchmark(SCENE_TWINS, cases, skipped, apart=True)
