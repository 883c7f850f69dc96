"""COCO's captions and Karpathy's splits of COCO, Flickr30k and Flickr8k."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from knowclip.data.formats.rows import Format, Options, Row, check_split

COCO_NAME = re.compile(r"captions_([a-z]+)\d*\.json")


def _records(content: Any, key: str, path: Path) -> list[Mapping[str, Any]]:
    """``content[key]`` as the list of objects it has to be."""
    records = content.get(key) if isinstance(content, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{path} has no list of objects under the key {key!r}")
    return records


def coco_rows(path: Path, content: Any, options: Options) -> Iterator[Row]:
    """COCO captions JSON: ``images: [{id, file_name}]``, ``annotations: [{image_id, caption}]``.

    A file is one split, which its name says (``captions_val2017.json``).
    """
    named = COCO_NAME.fullmatch(path.name)
    check_split(options.split, [named[1]] if named else [], path)
    names: dict[str, Any] = {}
    for image in _records(content, "images", path):
        number, name = str(image.get("id")), image.get("file_name")
        if names.setdefault(number, name) != name:
            raise ValueError(f"{path}: the image id {number} is {names[number]!r} and {name!r}")
    for i, annotation in enumerate(_records(content, "annotations", path)):
        name = names.get(str(annotation.get("image_id")))
        yield Row(f"annotations[{i}]", name, annotation.get("caption"))


def karpathy_rows(path: Path, content: Any, options: Options) -> Iterator[Row]:
    """Karpathy's ``dataset_*.json``; his "train" takes in "restval", as papers on COCO do."""
    split = options.split
    images = _records(content, "images", path)
    check_split(split, (str(image["split"]) for image in images if "split" in image), path)
    wanted = ("train", "restval") if split == "train" else (split,)
    for i, image in enumerate(images):
        if split is not None and image.get("split") not in wanted:
            continue
        name = image.get("filename")
        folder = image.get("filepath")
        if isinstance(folder, str) and isinstance(name, str):
            name = f"{folder}/{name}" if folder else name
        sentences = image.get("sentences")
        # an image without captions is a record too, so that counts add up
        if sentences == []:
            yield Row(f"images[{i}]", name, "")
        for k, sentence in enumerate(sentences if isinstance(sentences, list) else [None]):
            caption = sentence.get("raw") if isinstance(sentence, dict) else None
            yield Row(f"images[{i}].sentences[{k}]", name, caption)


COCO = Format(
    name="coco",
    told="`.json` with `images` and `annotations`; `captions_val2017.json` is the split `val`",
    samples={
        "captions_val2017.json": '{"images": [{"id": 1, "file_name": "a.jpg"}, '
        '{"id": 2, "file_name": "b.jpg"}],\n'
        ' "annotations": [{"image_id": 1, "caption": "A dog runs."},\n'
        '                 {"image_id": 2, "caption": "A cat sleeps."}]}\n'
    },
    read=coco_rows,
)
KARPATHY = Format(
    name="karpathy",
    told="`.json` with `images` alone, each with its `sentences` and `split`",
    samples={
        "dataset_flickr8k.json": '{"images": [\n'
        ' {"filename": "a.jpg", "split": "train", '
        '"sentences": [{"raw": "A dog runs ."}, {"raw": "A dog ."}]},\n'
        ' {"filename": "b.jpg", "split": "val", "sentences": [{"raw": "A cat sleeps ."}]}]}\n'
    },
    read=karpathy_rows,
)
