"""What a run was trained on, in a few bytes a pair: a resumed run compares it with what it finds.

Nothing in it depends on where the files are, so data may move between two stretches of one run.

Shape legend: P pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from knowclip.data.images.identity import ImageFiles
from knowclip.data.prepared import join
from knowclip.types import Example, ImageRef

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor


@dataclass(frozen=True)
class DataFingerprint:
    """Hashes of everything a run learns from and is selected on, made when first asked for.

    Args:
        pairs: Part of the data, such as "training pairs" -> its examples, in the order of training.
        files: Other things it depends on, such as "knowledge graph" -> what tells its content.
    """

    pairs: Mapping[str, Sequence[Example]]
    files: Mapping[str, str]

    @cached_property
    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: ``{part: {"keys", "captions", "images": [P]}}`` and ``files``."""
        images = _contents(e.image for examples in self.pairs.values() for e in examples)
        parts = {
            name: {
                "keys": _hashes([example.key for example in examples]),
                "captions": _hashes([example.caption for example in examples]),
                "images": _hashes([images[e.image] for e in examples]),
            }
            for name, examples in self.pairs.items()
        }
        return {"pairs": parts, "files": dict(self.files)}

    def difference(self, saved: Mapping[str, Any]) -> str | None:
        """What differs between these data and those of a saved ``state``, in words; None: nothing."""
        now = self.state
        for name, examples in self.pairs.items():
            before = saved["pairs"].get(name)
            told = _difference(name, examples, before or now["pairs"][name], now["pairs"][name])
            if told:
                return told
        for name in {**saved["files"], **now["files"]}:
            if saved["files"].get(name) != now["files"].get(name):
                return f"the {name} has another content"
        return None


def image_hashes(images: Sequence[ImageRef]) -> Int[Tensor, " P"]:
    """What a ``state`` has as ``images``, of these."""
    contents = _contents(images)
    return _hashes([contents[image] for image in images])


def file_content(path: Path) -> str:
    """Hash of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def graphs_content(path: Path) -> str:
    """What tells the content of ``data.negatives.graphs``: a file, prepared folders, or Visual Genome's."""
    if path.is_file():
        return file_content(path)
    return join.runs(path) or " ".join(map(file_content, sorted(path.glob("*.json"))))


def _difference(
    name: str, examples: Sequence[Example], before: Mapping[str, Tensor], now: Mapping[str, Tensor]
) -> str | None:
    total = f"{len(examples):,}"
    if len(before["keys"]) != len(examples):
        told = f"{len(before['keys']):,} {name} when it was saved, {total} now"
        return told + _first(examples, before, now)
    if not torch.equal(before["keys"], now["keys"]):
        same = torch.equal(before["keys"].sort().values, now["keys"].sort().values)
        told = f"{_changed(before, now, 'keys'):,} of {total} {name} are others"
        told = f"the {total} {name} are the same in another order" if same else told
        return told + _first(examples, before, now)
    for field, what in (("captions", "have another caption"), ("images", "have another image file")):
        if changed := _changed(before, now, field):
            first = examples[int((before[field] != now[field]).nonzero()[0])]
            shown = first.caption if field == "captions" else str(first.image.path)
            return f"{changed:,} of {total} {name} {what}, the first is {first.key!r}: {shown!r} now"
    return None


def _first(examples: Sequence[Example], before: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> str:
    """Name the first pair that is another one than at its place before."""
    common = min(len(before["keys"]), len(examples))
    differs = (before["keys"][:common] != now["keys"][:common]).nonzero()
    place = int(differs[0]) if len(differs) else common
    if place < len(examples):
        return f"; the first that differs is number {place + 1:,}, {examples[place].key!r} now"
    return f"; from number {place + 1:,} on they are missing now"


def _changed(before: Mapping[str, Tensor], now: Mapping[str, Tensor], field: str) -> int:
    return int((before[field] != now[field]).sum())


def _contents(images: Iterable[ImageRef]) -> dict[ImageRef, str]:
    distinct = list(dict.fromkeys(images))
    files = ImageFiles(image.path for image in distinct).contents()
    return {image: f"{files[image.path]} {image.box}" for image in distinct}


def _hashes(texts: Sequence[str]) -> Int[Tensor, " P"]:
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return torch.tensor([int.from_bytes(digest, "big", signed=True) for digest in digests], dtype=torch.int64)
