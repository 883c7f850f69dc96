"""A captions file of any size -> a folder of Parquet shards, gone on with after any interruption.

The order of what is written makes it so: first the units of work, then the manifest that tells of them, then
a shard for each, every one of them whole or not at all. Which shards are there is seen by looking; a run that
goes on makes the others, from the same units.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knowclip.console.progress import counting
from knowclip.data.prepared import manifest as manifests
from knowclip.data.prepared.corpus import Corpus, deal, state_of, unit_file
from knowclip.data.prepared.engines import Engine
from knowclip.data.prepared.manifest import UNITS, Manifest
from knowclip.data.prepared.shards import UnitWork, counts_of
from knowclip.knowledge.negatives.images import Making, made_by
from knowclip.storage.atomic import atomic_file, atomic_folder
from knowclip.storage.locks import locked
from knowclip.storage.own_folder import refuse_others


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a folder of shards holds: ``read`` records are ``captions`` and those ``skipped``, by reason.

    ``made`` shards of ``shards`` were made now. ``kinds`` counts the captions that have a negative of each
    kind, ``without`` those that have none, by reason.
    """

    read: int
    captions: int
    skipped: Counter[str]
    shards: int
    made: int
    negatives: int
    kinds: Counter[str] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)


def prepare(
    captions: Path, out: Path, *, making: Making, shard_size: int, column: str | None, engine: Engine
) -> Preparation:
    """Parse a corpus and make its negatives, or what of it is not there yet.

    Args:
        captions: In any format of ``data.formats``; never all in memory.
        out: Folder of the shards.
        making: Parser and kinds of negatives.
        shard_size: Captions a shard has, about.
        column: Column of the captions, where the header leaves it open.
        engine: Of ``engines``: where the work is done.

    Raises:
        ValueError: The folder holds something else, was begun with other captions, options or code, or is in
            use by another process.
    """
    options = making._asdict() | {"kinds": list(making.kinds), "shard_size": shard_size, "column": column}
    by = made_by(making.parser)
    with locked(out, doing="preparing captions"):
        before = manifests.read(out)
        if before is not None:
            manifests.refuse_changed(before, options, by, out)
        else:
            refuse_others(out, ours=(".", UNITS))
        manifest = _dealt(captions, out, before, options, by)
        todo = _missing(manifest, out)
        _make(manifest, out, todo, engine)
        shutil.rmtree(out / UNITS, ignore_errors=True)
        return _summary(manifest, out, made=len(todo))


def _dealt(
    captions: Path, out: Path, before: Manifest | None, options: dict[str, Any], by: dict[str, str]
) -> Manifest:
    """The manifest, with its units on disk where a shard is missing: read anew only where it has to be."""
    state = state_of(captions)
    if before is not None and state is not None and state == before.state:
        if all(unit_file(out / UNITS, number).is_file() for number in _missing(before, out)):
            return before
    with counting("reading captions", unit="records") as progress, atomic_folder(out / UNITS) as folder:
        corpus = deal(
            captions, folder, column=options["column"], unit=options["shard_size"], progress=progress
        )
        if before is not None:
            _refuse_other(before, corpus, captions, out)
    manifest = Manifest(str(captions), state, corpus, options, by)
    manifest.write(out)
    return manifest


def _refuse_other(before: Manifest, corpus: Corpus, captions: Path, out: Path) -> None:
    if corpus != before.corpus:
        raise ValueError(
            f"{captions} has changed since {out} was begun ({before.corpus.read:,} records then, "
            f"{corpus.read:,} now, or other words): put the captions back as they were, or give another --out"
        )


def _missing(manifest: Manifest, out: Path) -> list[int]:
    """Numbers of the shards that are not there, or not whole."""
    return [n for n in range(manifest.corpus.units) if _counts(manifest, out, n) is None]


def _make(manifest: Manifest, out: Path, todo: Sequence[int], engine: Engine) -> None:
    if not todo:
        return
    work = UnitWork(manifest.making, manifest.run, manifest.made_by)
    corpus, left = manifest.corpus, set(todo)
    total = corpus.read - sum(corpus.skipped.values())
    with counting("preparing", total=total, unit="captions") as progress:
        done = sum(_size(manifest, out, number) for number in range(corpus.units) if number not in left)
        progress(done)
        for number, shard in engine(todo, lambda number: unit_file(out / UNITS, number).read_bytes(), work):
            with atomic_file(manifest.shard(out, number)) as temporary:
                temporary.write_bytes(shard)
            done += _size(manifest, out, number)
            progress(done)


def _size(manifest: Manifest, out: Path, number: int) -> int:
    """Records of a unit, by its shard: captions, and lines that were joined to one."""
    counts = _counts(manifest, out, number) or {"captions": 0, "skipped": {}}
    return counts["captions"] + sum(counts["skipped"].values())


def _counts(manifest: Manifest, out: Path, number: int) -> dict[str, Any] | None:
    return counts_of(manifest.shard(out, number), manifest.run)


def _summary(manifest: Manifest, out: Path, *, made: int) -> Preparation:
    """Add up what the shards say of themselves.

    Raises:
        ValueError: It is not what was read.
    """
    corpus = manifest.corpus
    skipped, kinds, without = Counter(corpus.skipped), Counter(), Counter()
    captions = negatives = 0
    for number in range(corpus.units):
        counts = _counts(manifest, out, number)
        if counts is None:
            raise ValueError(
                f"{manifest.shard(out, number)} was changed while others were made: run it again"
            )
        captions += counts["captions"]
        negatives += counts["negatives"]
        skipped.update(counts["skipped"])
        kinds.update(counts["kinds"])
        without.update(counts["without"])
    if corpus.read != captions + skipped.total():
        raise ValueError(
            f"{out}: {corpus.read:,} records were read, and its shards hold {captions:,} captions with "
            f"{skipped.total():,} skipped: remove it and prepare the captions again"
        )
    return Preparation(corpus.read, captions, skipped, corpus.units, made, negatives, kinds, without)
