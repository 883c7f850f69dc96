"""Prepared captions, found again by key and caption for the examples that are trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from knowclip.data.formats.pairs import GIVEN
from knowclip.data.prepared import manifest as manifests
from knowclip.data.prepared.manifest import NAME, Manifest
from knowclip.data.prepared.shards import records_of
from knowclip.types import Example


def folders(path: Path) -> list[Path]:
    """Folders of prepared captions: this one, or those that stand in it; none where it is something else."""
    return [path] if (path / NAME).is_file() else sorted(found.parent for found in path.glob(f"*/{NAME}"))


def runs(path: Path) -> str:
    """What tells the content of the folders at a path, wherever they lie."""
    return " ".join(_manifest(folder).run for folder in folders(path))


def refuse_unfit(path: Path, *, kinds: Sequence[str], parse_negatives: bool) -> None:
    """Raise ValueError if what is prepared there is not finished, or not what is asked for."""
    for folder in folders(path):
        manifest = _manifest(folder)
        shards = [manifest.shard(folder, number) for number in range(manifest.corpus.units)]
        if missing := sum(not shard.is_file() for shard in shards):
            raise ValueError(
                f"{folder} is not finished: {missing:,} of {len(shards):,} shards are missing. Give "
                "'knowclip prepare' once more, as before"
            )
        if lacking := [kind for kind in kinds if kind not in manifest.making.kinds]:
            raise ValueError(
                f"{folder} has no negatives of kind {lacking[0]!r}, but {', '.join(manifest.making.kinds)}: "
                "set data.negatives.kinds to these, or prepare with --kind for each that is wanted"
            )
        if parse_negatives and not manifest.making.parse_negatives:
            raise ValueError(
                f"{folder} was prepared without --parse-negatives, and a method with a KEE reads the triples "
                "of negatives: prepare with it"
            )


def records_for(
    examples: Sequence[Example], path: Path, *, kinds: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and record (graph, negatives) of the examples that were prepared, shard by shard.

    Args:
        examples: With unique keys.
        path: See :func:`folders`.
        kinds: Of negatives to give, beside those that captions brought.

    Raises:
        ValueError: A key was prepared with another caption, or an image with fewer captions than it has here:
            its negatives may be true beside the others.
    """
    number_of = {example.key: number for number, example in enumerate(examples)}
    others: dict[str, str] = {}
    found: set[str] = set()
    for folder in folders(path):
        manifest = _manifest(folder)
        for shard in range(manifest.corpus.units):
            for key, caption, record in records_of(manifest.shard(folder, shard)):
                number = number_of.get(key)
                if number is None or key in found:
                    continue
                if examples[number].caption != caption:
                    others[key] = caption
                    continue
                found.add(key)
                record["negatives"] = [n for n in record["negatives"] if n["kind"] in (*kinds, GIVEN)]
                yield number, record
    _refuse_others(examples, found, others, path)


def _refuse_others(examples: Sequence[Example], found: set[str], others: dict[str, str], path: Path) -> None:
    known = {example.image_id for example in examples if example.key in found}
    for example in examples:
        if example.key in found:
            continue
        if (other := others.get(example.key)) is not None:
            raise ValueError(
                f"{path} was prepared from other captions: {example.key!r} is {other!r} there, and "
                f"{example.caption!r} here. Prepare the captions that are trained on"
            )
        if example.image_id in known:
            raise ValueError(
                f"{path} lacks {example.key!r}, and holds other captions of its image: their negatives may "
                "be true beside it. Prepare the captions that are trained on"
            )


def _manifest(folder: Path) -> Manifest:
    manifest = manifests.read(folder)
    assert manifest is not None, folder
    return manifest
