"""Where the official files of a benchmark lie, and which of them are one edition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from knowclip.data.captions.read import CaptionSet, read_captions
from knowclip.data.formats.rows import NoSuchSplitError
from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.metrics import NoDataError, NotHereError
from knowclip.storage.text_files import is_junk

NO_PAIR = "no image-caption pair"
"""What ``read_captions`` says of a folder or file without captions."""


def locate(
    card: Card,
    folder: Path,
    files: Sequence[str],
    *,
    split: str,
    places: Sequence[str] = (),
    distinctive: bool = True,
) -> Path:
    """The folder that holds any of ``files``: ``folder/<name>``, one of ``places`` in it, or ``folder``.

    Args:
        card: of the benchmark.
        folder: the data folder, or the benchmark's own.
        files: patterns.
        split: must be "test".
        places: further subfolders.
        distinctive: whether the file names tell the benchmark by themselves; if not, ``folder`` must bear
            the benchmark's name.

    Raises:
        NoDataError: none does, or another split is asked of a benchmark that has only a test split.
    """
    candidates = [folder / place for place in (card.name, *places)]
    if distinctive or _plain(folder.resolve().name).startswith(_plain(card.name)):
        candidates.append(folder)
    for candidate in candidates:
        if any(next(candidate.glob(pattern), None) for pattern in files):
            if split != "test":
                raise NoDataError(f"{card.name} has a test split only, not {split!r}")
            return candidate
    looked = ", ".join(map(str, candidates))
    raise NotHereError(
        f"{card.name}: none of {', '.join(files)} in {looked}; see `knowclip data {card.name}`"
    )


def matching(folder: Path, *patterns: str) -> list[Path]:
    """Files of ``folder`` that fit one of ``patterns``, in their order, without the system's own."""
    found = (path for pattern in patterns for path in sorted(folder.glob(pattern)))
    return list(dict.fromkeys(path for path in found if not is_junk(path.relative_to(folder))))


def only(card: Card, paths: Sequence[Path]) -> Path:
    """The one file of ``paths``: two editions of one set are never pooled, and none is chosen in silence."""
    if len(paths) > 1:
        raise ValueError(
            f"{card.name}: several editions of the same records lie in the folder: "
            f"{', '.join(map(str, paths))}; keep one of them there"
        )
    return paths[0]


_SHARD = re.compile(r"(.*)-(\d+)-of-(\d+)")


def one_edition(card: Card, paths: Sequence[Path]) -> list[Path]:
    """Shards ``test-00000-of-00002.parquet`` of one edition, all of them and in order.

    Raises:
        ValueError: they are of several editions (folders or counts), or some are not there.
    """
    matches = [(path, _SHARD.fullmatch(path.stem)) for path in paths]
    editions = {(path.parent, match[1], match[3]) if match else (path, "", "1") for path, match in matches}
    if len(editions) > 1:
        only(card, paths)
    # a file that is not called a shard is the only one of one
    count = int(next(iter(editions))[2])
    if len(paths) != count:
        raise ValueError(
            f"{card.name}: {len(paths)} of {count} parts are there: {', '.join(map(str, paths))}"
        )
    return sorted(paths)


def captioned(folder: Path, split: str, *, allow_missing: bool) -> CaptionSet:
    """The captioned images of ``folder``.

    Raises:
        NotHereError: there are none.
        NoDataError: there are, and they cannot be read, or have no such split.
    """
    try:
        return read_captions(folder, split=split, allow_missing=allow_missing)
    except ValueError as error:
        told = _why_none(folder, error)
        raise (NotHereError if NO_PAIR in told else NoDataError)(told) from error


def _why_none(folder: Path, error: ValueError) -> str:
    """What is wrong: a folder of images without any captions has no splits either."""
    if isinstance(error, NoSuchSplitError):
        try:
            read_captions(folder, allow_missing=True)
        except ValueError as other:
            return str(other if NO_PAIR in str(other) else error)
    return str(error)


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
