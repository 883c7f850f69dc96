"""Labelled images that come packed (tar shards, torchvision's archives) -> a folder of classes, once.

``<data set>/unpacked/<split>/<class number>/<name>`` and ``classnames.txt``, beside the packed files.
"""

from __future__ import annotations

import inspect
import io
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from knowclip.data.formats.shards import META
from knowclip.evaluation.benchmarks.locating import matching
from knowclip.storage.atomic import atomic_folder
from knowclip.storage.members import open_file
from knowclip.storage.shard_index import index
from knowclip.storage.text_files import IMAGE_SUFFIXES, is_junk

TORCHVISION: dict[str, str] = {
    "cifar-10-batches-py": "CIFAR10", "cifar-100-python": "CIFAR100", "MNIST/raw": "MNIST",
    "FashionMNIST/raw": "FashionMNIST", "stl10_binary": "STL10", "food-101": "Food101", "dtd": "DTD",
    "oxford-iiit-pet": "OxfordIIITPet", "fgvc-aircraft-2013b": "FGVCAircraft", "country211": "Country211",
    "rendered-sst2": "RenderedSST2", "stanford_cars": "StanfordCars",
}  # fmt: skip
"""What torchvision's data set leaves in its root -> the class; those that know their classes' names."""
CODED = "country211"
TRAIN_NAMES = {"OxfordIIITPet": "trainval"}
TEXTS = ("classnames.txt", "zeroshot_classification_templates.txt")
UNPACKED = "unpacked"
_DIGIT = re.compile(r"^\d - ")
"""MNIST's classes are called ``0 - zero``."""
Labelled = tuple[str, int, bytes]
"""File name, class number, content."""


def unpack(home: Path, splits: Sequence[str]) -> Path | None:
    """The folder of classes made from what is packed under ``home``; None where nothing is.

    Args:
        home: CLIP_benchmark's WebDataset (``<split>/*.tar``, ``classnames.txt``), or a torchvision root.
        splits: names the split may go by; the first that is there is taken.

    Raises:
        ValueError: shards without ``classnames.txt``, or broken ones.
    """
    for split in splits:
        target = home / UNPACKED / split
        if target.is_dir():
            return target
        # by length first, so that 10.tar comes after 9.tar
        shards = sorted(matching(home / split, "*.tar"), key=lambda path: (len(path.name), path.name))
        if shards:
            if not (home / TEXTS[0]).is_file():
                raise ValueError(f"{home} has tar shards but no {TEXTS[0]}; copy it from the data set's page")
            return _write(target, _shards(shards), lambda out: _copy_texts(home, out))
    marker = next((marker for marker in TORCHVISION if (home / marker).exists()), None)
    if marker is None:
        return None
    split = "train" if "train" in splits else "test"
    if "test" not in splits and split == "test":
        return None  # torchvision's sets have no val of their own
    if marker == CODED and not (home / TEXTS[0]).is_file():
        raise ValueError(
            f"{home / marker}: its classes are called by country codes (AD, AE, ...), which are no names: "
            f"write {home / TEXTS[0]} with a name a line, in order of the codes"
        )
    target = home / UNPACKED / split
    dataset = _torchvision(TORCHVISION[marker], home, split)
    names = "\n".join(_DIGIT.sub("", str(name)).replace("_", " ") for name in dataset.classes)
    return _write(
        target,
        _pictures(dataset),
        lambda out: (out / TEXTS[0]).write_text(names + "\n", encoding="utf-8"),
    )


def _write(target: Path, images: Iterator[Labelled], write_texts: Callable[[Path], object]) -> Path:
    with atomic_folder(target, durable=False) as folder:
        for name, label, content in images:
            place = folder / f"{label:05d}"
            place.mkdir(exist_ok=True)
            (place / name).write_bytes(content)
    write_texts(target.parent)
    return target


def _copy_texts(home: Path, out: Path) -> None:
    for name in TEXTS:
        if (home / name).is_file():
            shutil.copy(home / name, out / name)


def _shards(paths: Sequence[Path]) -> Iterator[Labelled]:
    """Samples of WebDataset shards: ``<key>.jpg`` (or png, webp) and ``<key>.cls``; keys may have dots."""
    for path in paths:
        samples: dict[str, dict[str, str]] = {}
        for member in index(path).members:
            if not is_junk(member) and not META.match(member):
                key, _, suffix = member.rpartition(".")
                samples.setdefault(key, {})[f".{suffix.lower()}"] = member
        for key, sample in samples.items():
            suffix = next((suffix for suffix in sample if suffix in IMAGE_SUFFIXES), "")
            if not suffix or ".cls" not in sample:
                raise ValueError(
                    f"{path}: sample {key!r} has {', '.join(sorted(sample))}; expected an image and .cls"
                )
            label, image = (_content(path, sample[name]) for name in (".cls", suffix))
            if not label.strip().isdigit():
                raise ValueError(f"{path}: {sample['.cls']} holds {label[:20]!r}; expected a class number")
            yield f"{path.stem}-{key.replace('/', '-')}{suffix}", int(label), image


def _content(shard: Path, member: str) -> bytes:
    with open_file(shard / member) as file:
        return file.read()


def _torchvision(name: str, root: Path, split: str) -> Any:
    from torchvision import datasets

    kind = getattr(datasets, name)
    if "train" in inspect.signature(kind.__init__).parameters:
        return kind(root, train=split == "train", download=False)
    chosen = TRAIN_NAMES.get(name, "train") if split == "train" else split
    return kind(root, split=chosen, download=False)


def _pictures(dataset: Any) -> Iterator[Labelled]:
    for number in range(len(dataset)):
        image, label = dataset[number]
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "PNG")
        yield f"{number:06d}.png", int(label), buffer.getvalue()
