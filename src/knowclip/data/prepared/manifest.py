"""What a folder of prepared captions is of: corpus, options and code; refused where they changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from knowclip.data.prepared.corpus import Corpus
from knowclip.knowledge.negatives.images import Making
from knowclip.storage.atomic import atomic_file

NAME = "prepared.json"
_FORMAT = 1
UNITS = "units"
"""Folder of the units that shards are made from; gone when all are there."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of ``prepared.json``.

    ``state`` tells the files of the corpus (``corpus.state_of``), ``made_by`` our code and the parser's
    versions, ``options`` all else that decides what the shards hold.
    """

    captions: str
    state: list[list[object]] | None
    corpus: Corpus
    options: dict[str, Any]
    made_by: dict[str, str]

    @property
    def run(self) -> str:
        """Name of what decides the shards: equal for equal captions, options and code, wherever they lie."""
        decisive = [self.corpus.content, self.corpus.units, self.options, self.made_by["code"]]
        return hashlib.blake2b(json.dumps(decisive, sort_keys=True).encode(), digest_size=12).hexdigest()

    @property
    def making(self) -> Making:
        """How graphs and negatives are made."""
        chosen = self.options
        return Making(chosen["parser"], tuple(chosen["kinds"]), chosen["parse_negatives"], chosen["seed"])

    def shard(self, folder: Path, number: int) -> Path:
        """Where a shard stands."""
        return folder / f"shard-{number:05d}-of-{self.corpus.units:05d}.parquet"

    def write(self, folder: Path) -> None:
        """Write ``prepared.json`` whole or not at all."""
        content = {"format": _FORMAT, "run": self.run, **asdict(self)}
        with atomic_file(folder / NAME) as temporary:
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where there is none.

    Raises:
        ValueError: It is broken, or of another version of knowclip.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != _FORMAT:
            raise ValueError(f"it is of another format than {_FORMAT}")
        run, corpus = content.pop("run"), Corpus(**content.pop("corpus"))
        manifest = Manifest(corpus=corpus, **content)
        if manifest.run != run:
            raise ValueError("it was edited")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read ({error}): prepare into another folder") from error
    return manifest


def refuse_changed(before: Manifest, options: dict[str, Any], made_by: dict[str, str], folder: Path) -> None:
    """Raise ValueError if a folder was begun with other options or by other code: shards would not fit."""
    for name, value in options.items():
        if (was := before.options.get(name)) != value:
            option = "kind" if name == "kinds" else name.replace("_", "-")
            raise ValueError(
                f"{folder} was begun with --{option} {was}, and {value} is asked for: give the same again, "
                "or another --out"
            )
    for name, value in made_by.items():
        if (was := before.made_by.get(name)) != value:
            raise ValueError(
                f"{folder} was begun by {name} {was}, and this is {value}, which may read captions "
                "otherwise: go on with what it was begun with, or give another --out"
            )
