"""SNLI-VE: does the image entail, contradict, or leave open the hypothesis? A three-way head."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.collect import MALFORMED
from knowclip.evaluation.benchmarks.locating import matching, only
from knowclip.evaluation.metrics import NoDataError, NotHereError, macro_average
from knowclip.evaluation.tasks.image_folders import find_images
from knowclip.evaluation.tasks.objectives import Classification
from knowclip.evaluation.tasks.task import Logits, Rows, Task, TaskItems, Unusable, refuse_gaps
from knowclip.storage.text_files import read_table, read_text
from knowclip.types import ImageRef

LABELS = ("entailment", "neutral", "contradiction")
UNDECIDED = ("-", "", "nan")
"""What stands where annotators did not agree."""
SNLI_VE = Card(
    name="snli_ve",
    title="SNLI-VE",
    paper="Xie et al., Visual entailment: a novel task for fine-grained image understanding",
    address="https://github.com/necla-ml/SNLI-VE",
    licence="CC BY-SA 4.0 (SNLI), Flickr30k's terms (images)",
    main="snli_ve_accuracy",
    protocol="Three-way accuracy, micro average (mean per class beside it); frozen towers, head selected on "
    "held-out images of train.",
    layout="snli_ve_<split>.jsonl or esnlive_<split>.csv, here or in snli_ve/; images by Flickr id below",
    flaws="The hypothesis alone is worth about 66%: see the text-only control. About 31% of the neutral "
    "labels of test are wrong for the image (Do et al. 2020, e-SNLI-VE).",
)
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class Pair:
    """One record: name, image name without suffix, hypothesis, label, and its split where a column says."""

    key: str
    image: str
    hypothesis: str
    label: str
    split: str | None


def read_snli_ve(folder: Path, *, split: str | None = None, allow_missing: bool = False) -> Task:
    """Read SNLI-VE's jsonl or e-SNLI-VE's CSV files under ``folder``; train on train, measure on ``split``.

    Args:
        folder: holds the files, or has them in ``snli_ve/``.
        split: default: test if it is there, else dev. A CSV file with a column ``flickr8k_split`` is split
            by that.
        allow_missing: go on where more than 1% of the records lack image or label.

    Raises:
        NoDataError: a split has no records with images.
        ValueError: a file is broken (names the line), two hold the same split, or too many records cannot
            be used.
    """
    home = folder / "snli_ve" if (folder / "snli_ve").is_dir() else folder
    files = [path for path in matching(home, "*") if _split_of(path)]
    if not files:
        raise NotHereError(f"snli_ve: no snli_ve_<split>.jsonl and no esnlive_<split>.csv in {home}")
    by_split: dict[str, list[Pair]] = {name: [] for name in SPLITS}
    sources: dict[str, list[Path]] = {}
    for path in files:
        for pair in _read(path):
            part = pair.split or _split_of(path)
            by_split.setdefault(part, []).append(pair)
            if path not in sources.setdefault(part, []):
                sources[part].append(path)
    name = split or ("test" if by_split["test"] else "dev")
    for part in ("train", name):
        only(SNLI_VE, sources.get(part, files[:1]))
    images = {path.stem: path for path in find_images(folder)}
    skipped = Unusable()
    train, test = (_usable(by_split.get(part, []), images, skipped, folder) for part in ("train", name))
    for part, pairs in (("train", train), (name, test)):
        if not pairs:
            raise NoDataError(f"snli_ve: nothing to use of {part!r} in {home}: {skipped.told()}")
    total = len(train) + len(test) + sum(skipped.values())
    refuse_gaps(SNLI_VE, skipped, total=total, allow_missing=allow_missing)
    import torch

    labels = [_labels(pairs) for pairs in (train, test)]

    def grade(logits: Logits, rows: Rows) -> Mapping[str, float]:
        correct = logits.argmax(1) == labels[1][rows]
        per_class = macro_average(correct, [LABELS[label] for label in labels[1][rows]])
        return {"snli_ve_accuracy": float(correct.mean()), "snli_ve_mean_per_class": per_class.value}

    return Task(
        card=SNLI_VE,
        train=_items(train, images),
        test=_items(test, images),
        objective=Classification(torch.from_numpy(labels[0]), len(LABELS)),
        grade=grade,
        outcomes=lambda logits: (logits.argmax(1) == labels[1]).astype(float),
        skipped=skipped,
    )


def _split_of(path: Path) -> str:
    """The split a file's name says: ``snli_ve_dev.jsonl``, ``esnlive_dev_on_flickr8k.csv``; or nothing."""
    words = path.stem.split("_")
    if path.suffix not in (".csv", ".jsonl") or not ("esnlive" in words or words[:2] == ["snli", "ve"]):
        return ""
    return next((word for word in words if word in SPLITS), "")


def _read(path: Path) -> Iterator[Pair]:
    if path.suffix == ".csv":
        records: Iterator[tuple[int, Any]] = enumerate(read_table(path), start=2)
    else:
        lines = enumerate(io.StringIO(read_text(path), newline=""), start=1)
        records = ((number, line) for number, line in lines if line.strip())
    for number, record in records:
        try:
            pair = _pair(json.loads(record) if isinstance(record, str) else record)
        except MALFORMED as error:
            raise ValueError(
                f"{path}, record {number}: no SNLI-VE record ({type(error).__name__}: {error}); is the "
                "file cut short?"
            ) from error
        if pair.label not in (*LABELS, *UNDECIDED):
            raise ValueError(
                f"{path}, record {number}: the label is {pair.label!r}, which is none of {', '.join(LABELS)} "
                "(nor '-', where annotators did not agree): write these words"
            )
        yield pair


def _pair(record: Mapping[str, Any]) -> Pair:
    """A record of the official jsonl (``Flikr30kID`` is its spelling), or of e-SNLI-VE's CSV."""
    ids = ("flickr8k_image", "Flickr30K_ID", "Flikr30kID", "Flickr30kID")
    image = next(record[name] for name in (*ids, "Flickr30kID") if record.get(name) or name == ids[-1])
    hypothesis = record["hypothesis"] if "hypothesis" in record else record["sentence2"]
    stem = str(image).removesuffix(".jpg")
    key, label = str(record["pairID"]), _label(record["gold_label"])
    return Pair(key, stem, hypothesis.strip(), label, record.get("flickr8k_split"))


def _label(written: Any) -> str:
    return "" if written is None else str(written).strip().casefold()


def _usable(pairs: list[Pair], images: Mapping[str, Path], skipped: Unusable, folder: Path) -> list[Pair]:
    usable = []
    for pair in pairs:
        if pair.label not in LABELS:
            skipped.add("no gold label")
        elif not pair.hypothesis:
            skipped.add("empty hypothesis")
        elif pair.image not in images:
            skipped.add("image not there", f"no {pair.image}.jpg or the like in {folder} or below")
        else:
            usable.append(pair)
    return usable


def _labels(pairs: list[Pair]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([LABELS.index(pair.label) for pair in pairs], dtype=np.int64)


def _items(pairs: list[Pair], images: Mapping[str, Path]) -> TaskItems:
    seen: Counter[str] = Counter()
    keys = []
    for pair in pairs:  # e-SNLI-VE repeats some pair ids
        seen[pair.key] += 1
        keys.append(pair.key if seen[pair.key] == 1 else f"{pair.key}~{seen[pair.key]}")
    return TaskItems(
        keys=keys,
        texts=[pair.hypothesis for pair in pairs],
        images=[ImageRef(images[pair.image]) for pair in pairs],
        groups=[pair.image for pair in pairs],
        kinds=[pair.label for pair in pairs],
    )
