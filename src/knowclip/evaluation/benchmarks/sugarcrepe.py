"""SugarCrepe and SugarCrepe++: captions of COCO val2017 against fluent hard negatives.

Official layout (read from genuine records): ``replace_obj.json`` and so on, ``{"0": {filename, caption,
negative_caption}}``; SugarCrepe++ a list of ``{id, filename, caption, caption2, negative_caption}``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card, Download
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import CocoImages, Images
from knowclip.evaluation.benchmarks.locating import locate
from knowclip.evaluation.benchmarks.protocols import Paraphrase, ParaphraseBenchmark
from knowclip.evaluation.benchmarks.records import Record, json_records
from knowclip.evaluation.metrics import NoDataError

SPLITS = ("add_obj", "add_att", "replace_obj", "replace_att", "replace_rel", "swap_obj", "swap_att")
SPLITS_PP = SPLITS[2:]
COCO_VAL = "COCO val2017 images: http://images.cocodataset.org/zips/val2017.zip, unpacked to coco/val2017"
_REVISION = "e2fa6d8747d933a1c6873e4ae3b866642667f1c4"
_REVISION_PP = "dea2a1b6f9e1069c609f676aa55ec61e9b65fb61"
_SHA256_PP = {
    "replace_att": "6826413592894754eeca02aeebbcbbc8b95a7456998abcc714e71c033ce6fe87",
    "replace_obj": "5c6dc499ec8f511a8aa4ec1b7b5eb0eca90317488abe36ec39573355e2d361ab",
    "replace_rel": "040fb95d3f0619bf515db60879e99709a87a5e9b4f524ec3403b127243480fd4",
    "swap_att": "450d0fd9fcad3e6f44950dc634e7f901ab1c6d9c60a569ade5ae8ffb3d203ad8",
    "swap_obj": "5f33cae824de431a7ecd3c5de6301f689815f9497aa36d96b154bbaf117b201b",
}
_DOWNLOADS_PP = tuple(
    Download(
        f"https://huggingface.co/datasets/Aman-J/SugarCrepe_pp/resolve/{_REVISION_PP}/data/{split}.json",
        f"{split}.json",
        sha256,
    )
    for split, sha256 in _SHA256_PP.items()
)

SUGARCREPE = Card(
    name="sugarcrepe",
    title="SugarCrepe",
    paper="Hsieh et al., SugarCrepe: Fixing hackable benchmarks for vision-language compositionality "
    "(NeurIPS 2023)",
    address="https://github.com/RAIVNLab/sugar-crepe",
    licence="MIT (annotations; images: COCO, CC BY 4.0)",
    main="sugarcrepe",
    protocol="right if the caption scores strictly above its hard negative",
    layout="the seven official files data/{add,replace,swap}_{obj,att,rel}.json; COCO val2017 images",
    flaws="In the add splits the negative is the longer caption, so a preference for short texts helps. In "
    "18.4% of the items only the false caption ends in a full stop, never the other way round.",
    crop="whole image",
    average="mean of the seven files",
    differs="Some papers report the micro average over all records, others means of add, replace and swap.",
    n=7511,
    chance=0.5,
    revision=_REVISION,
    downloads=tuple(
        Download(
            f"https://raw.githubusercontent.com/RAIVNLab/sugar-crepe/{_REVISION}/data/{s}.json", f"{s}.json"
        )
        for s in SPLITS
    ),
    obtain=COCO_VAL,
)
SUGARCREPE_PP = Card(
    name="sugarcrepe_pp",
    title="SugarCrepe++ (image-text)",
    paper="Dumpala et al., SUGARCREPE++ dataset: Vision-language model sensitivity to semantic and lexical "
    "alterations (NeurIPS 2024)",
    address="https://github.com/Sri-Harsha/scpp",
    licence="CC BY 4.0 (annotations and COCO images)",
    main="sugarcrepe_pp",
    protocol="ITT: right if both captions of the image score strictly above the hard negative",
    layout="the five official files {replace,swap}_{obj,att,rel}.json; COCO val2017 images",
    flaws="The second captions were written by a language model and are not all faithful.",
    crop="whole image",
    average="mean of the five files",
    n=4757,
    chance=1 / 3,
    revision=_REVISION_PP,
    downloads=_DOWNLOADS_PP,
    obtain=COCO_VAL,
)
SUGARCREPE_PP_TEXT = Card(
    name="sugarcrepe_pp_text",
    title="SugarCrepe++ (text only)",
    paper=SUGARCREPE_PP.paper,
    address=SUGARCREPE_PP.address,
    licence=SUGARCREPE_PP.licence,
    main="sugarcrepe_pp_text",
    protocol="TOT: right if the text tower puts the two captions strictly nearer each other than either is "
    "to the hard negative",
    layout="as sugarcrepe_pp; no images",
    flaws=SUGARCREPE_PP.flaws,
    average="mean of the five files",
    n=4757,
    chance=1 / 3,
    revision=_REVISION_PP,
    downloads=_DOWNLOADS_PP,
)


def read_sugarcrepe(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ChoiceBenchmark:
    """The seven splits of SugarCrepe as groups."""
    base = locate(SUGARCREPE, folder, ["add_obj.json"], split=split, places=["sugarcrepe/data", "data"])
    images = CocoImages(base, folder)
    cases, skipped = collect(
        SUGARCREPE,
        _records(base, SPLITS),
        lambda record: _choice(record, images),
        allow_missing=allow_missing,
    )
    return ChoiceBenchmark(SUGARCREPE, cases, skipped=skipped)


def read_sugarcrepe_pp(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ChoiceBenchmark:
    """Image-text task of SugarCrepe++; the splits are the groups."""
    base = _base_pp(SUGARCREPE_PP, folder, split)
    images = CocoImages(base, folder)

    def make(record: Record) -> Choice:
        return _choice(record, images, text(record.content["caption2"]))

    cases, skipped = collect(SUGARCREPE_PP, _records(base, SPLITS_PP), make, allow_missing=allow_missing)
    return ChoiceBenchmark(SUGARCREPE_PP, cases, skipped=skipped)


def read_sugarcrepe_pp_text(
    folder: Path, *, split: str = "test", allow_missing: bool = False
) -> ParaphraseBenchmark:
    """Text-only task of SugarCrepe++; the splits are the groups."""
    base = _base_pp(SUGARCREPE_PP_TEXT, folder, split)

    def make(record: Record) -> Paraphrase:
        first, second, false = (
            text(record.content[name]) for name in ("caption", "caption2", "negative_caption")
        )
        return Paraphrase(record.key, first, second, false, record.file)

    cases, skipped = collect(SUGARCREPE_PP_TEXT, _records(base, SPLITS_PP), make, allow_missing=allow_missing)
    return ParaphraseBenchmark(SUGARCREPE_PP_TEXT, cases, skipped=skipped)


def _base_pp(card: Card, folder: Path, split: str) -> Path:
    base = locate(card, folder, ["swap_obj.json"], split=split, places=[SUGARCREPE_PP.name, "data"])
    if (base / "add_obj.json").is_file():
        raise NoDataError(f"{card.name}: {base} holds SugarCrepe, not SugarCrepe++ (which has no add splits)")
    return base


def _records(base: Path, splits: Iterable[str]) -> list[Record]:
    paths = [path for split in splits if (path := base / f"{split}.json").is_file()]
    return [record for path in paths for record in json_records(path, one_of_several=True)]


def _choice(record: Record, images: Images, second: str = "") -> Choice:
    content = record.content
    true, false = text(content["caption"]), text(content["negative_caption"])
    also = ((second, false),) if second else ()
    ref = images(content["filename"])
    return Choice(record.key, ref, true, false, record.file, content["filename"], also)
