"""What'sUp: spatial prepositions, on controlled photographs, COCO and Visual Genome.

Layout from the official loader's documented fields: ``controlled_images_dataset.json`` and
``controlled_clevr_dataset.json`` with ``{image_path, caption_options}``; ``coco_qa_{one,two}_obj.json`` and
``vg_qa_{one,two}_obj.json`` with ``[image id, true caption, false caption]``. The first option is true.
"""

from __future__ import annotations

from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import VG_IMAGES, CocoImages, Images
from knowclip.evaluation.benchmarks.locating import locate
from knowclip.evaluation.benchmarks.records import Record, json_records

CONTROLLED = ("controlled_images_dataset", "controlled_clevr_dataset")
NATURAL = {"coco_qa": "{:0>12}.jpg", "vg_qa": "{}.jpg"}
"""Prefix of a file's name, and the form of its image names."""
FILES = (*CONTROLLED, "coco_qa_one_obj", "coco_qa_two_obj", "vg_qa_one_obj", "vg_qa_two_obj")

WHATSUP = Card(
    name="whatsup",
    title="What'sUp",
    paper='Kamath et al., What\'s "up" with vision-language models? Investigating their struggle with '
    "spatial reasoning (EMNLP 2023)",
    address="https://github.com/amitakamath/whatsup_vlms",
    licence="the repository's LICENSE (COCO and Visual Genome images: CC BY 4.0)",
    main="whatsup",
    protocol="right if the first of the caption options (four for controlled images, else two) scores "
    "strictly above all others",
    layout=f"{', '.join(FILES)} (.json); controlled_images/, controlled_clevr/, val2017/, vg_images/",
    flaws="The controlled parts are 200 sets of 2 objects on one table.",
    crop="whole image",
    average="mean of the six files; _micro over items",
    differs="The paper also gives pair and set accuracies, and averages its six columns by pairs of files; "
    "its argmax gives ties to the true option.",
    n=4958,
    chance=(2 * 0.25 + 4 * 0.5) / 6,
    revision="7c1f2550eace32e7b8c77de5a792347c402960d1",
    obtain="All files: https://drive.google.com/drive/u/3/folders/164q6X9hrvP-QYpi3ioSnfMuyHpG5oRkZ",
)


def read_whatsup(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ChoiceBenchmark:
    """All six files; each is a group."""
    base = locate(WHATSUP, folder, [f"{FILES[0]}.json"], split=split, places=["whatsup/data", "data"])
    images = Images((base, folder))
    natural = {"coco_qa": CocoImages(base, folder), "vg_qa": Images((base, folder), VG_IMAGES)}
    paths = [path for file in FILES if (path := base / f"{file}.json").is_file()]

    def make(record: Record) -> Choice:
        if record.file in CONTROLLED:
            options = record.content["caption_options"]
            name = record.content["image_path"].removeprefix("data/")
        else:
            number, *options = record.content
            source = record.file.rsplit("_", 2)[0]
            name = NATURAL[source].format(number)
        true, false, *others = (text(option) for option in options)
        also = tuple((true, other) for other in others)
        find = images if record.file in CONTROLLED else natural[source]
        return Choice(record.key, find(name), true, false, record.file, name, also)

    records = [record for path in paths for record in json_records(path, one_of_several=True)]
    cases, skipped = collect(WHATSUP, records, make, allow_missing=allow_missing)
    return ChoiceBenchmark(WHATSUP, cases, skipped=skipped)
