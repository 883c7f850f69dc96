"""From the official files of a benchmark to its cases, with one summary of all that is wrong with them.

Nothing is left out silently: see ``collect``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from knowclip.console.counts import TOLERATED_SHARE
from knowclip.data.captions.read import CaptionSet, read_captions
from knowclip.evaluation.benchmarks.base import NOT_IN_FILE, Card
from knowclip.evaluation.metrics import NoDataError, NotHereError
from knowclip.storage.atomic import atomic_file
from knowclip.storage.text_files import is_junk, read_json, read_text
from knowclip.types import ImageRef

NO_PAIR = "no image-caption pair"
"""What ``read_captions`` says of a folder or file without captions."""


class Record(NamedTuple):
    """One record: the file (path without suffix), its name or number there, and what it says.

    ``content`` is None where it cannot be parsed.
    """

    file: str
    name: str
    content: Any

    @property
    def key(self) -> str:
        """Unique in the benchmark."""
        return f"{self.file}/{self.name}"


class Case(Protocol):
    """What ``collect`` must know of a case."""

    @property
    def refs(self) -> tuple[ImageRef, ...]:
        """The images it needs."""


C = TypeVar("C", bound=Case)


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
    if split != "test":
        raise NoDataError(f"{card.name} has a test split only, not {split!r}")
    candidates = [folder / place for place in (card.name, *places)]
    if distinctive or _plain(folder.resolve().name).startswith(_plain(card.name)):
        candidates.append(folder)
    for candidate in candidates:
        if any(next(candidate.glob(pattern), None) for pattern in files):
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
        kind = NoDataError if _holds_captions(folder, error) else NotHereError
        raise kind(str(error)) from error


def _holds_captions(folder: Path, error: ValueError) -> bool:
    """Whether captions were found at all: a folder of images without any has no splits either."""
    if "no split" not in str(error):
        return NO_PAIR not in str(error)
    try:
        read_captions(folder, allow_missing=True)
    except ValueError as other:
        return NO_PAIR not in str(other)
    return True


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def json_records(path: Path, *, file: str = "") -> list[Record]:
    """Records of a JSON list by number, or of an object by key; ``file`` is its name, else the stem."""
    content = read_json(path)
    if isinstance(content, list):
        content = dict(enumerate(content))
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no list of records, but a {type(content).__name__}")
    return [Record(file or path.stem, str(name), record) for name, record in content.items()]


def jsonl_records(path: Path) -> list[Record]:
    """One JSON object a line; a line that is cut short is a bad record."""
    lines = enumerate(read_text(path).splitlines())
    return [Record(path.stem, str(number), _parsed(line)) for number, line in lines if line.strip()]


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def csv_records(path: Path, *, file: str = "") -> list[Record]:
    """Rows of a CSV file with a header, as dictionaries; one of another length misses fields."""
    rows = csv.DictReader(io.StringIO(read_text(path)))
    return [Record(file or path.stem, str(number), row) for number, row in enumerate(rows)]


def parquet_records(paths: Iterable[Path], *, images: Sequence[str]) -> Iterator[Record]:
    """Rows of Parquet files as the Hugging Face hub distributes them.

    The columns ``images`` hold ``{bytes, path}``; the bytes are written once to ``extracted/<hash>`` beside
    the file and the row gets an ``ImageRef`` instead.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError('Parquet files need pyarrow: pip install "knowclip[graph]"') from error
    for path in paths:
        number = 0
        for batch in pq.ParquetFile(path).iter_batches(batch_size=64):
            for row in batch.to_pylist():
                extracted = {name: _extracted(row[name], path.parent / "extracted") for name in images}
                yield Record(path.stem, str(number), row | extracted)
                number += 1


def _extracted(cell: Any, folder: Path) -> ImageRef:
    content = (cell or {}).get("bytes")
    if not content:
        return ImageRef(folder / "absent")
    return ImageRef(write_once(folder / f"{hashlib.sha256(content).hexdigest()[:32]}.img", content))


def write_once(path: Path, content: bytes) -> Path:
    """Write a file named after its content, unless it is there already."""
    if not path.is_file():
        with atomic_file(path) as temporary:
            temporary.write_bytes(content)
    return path


class Images:
    """Finds image files by name in the folders where a benchmark's images may lie."""

    def __init__(self, folders: Iterable[Path], subfolders: Sequence[str] = ("",)) -> None:
        self.roots = [root for folder in folders for name in subfolders if (root := folder / name).is_dir()]

    def __call__(self, name: str) -> ImageRef:
        """The first file of that name; a path that does not exist where there is none."""
        # folder / "/x" is "/x": an absolute name would be looked for outside of the folder
        if not name or name.startswith("/"):
            raise ValueError(f"{name!r} is no image name")
        found = next((path for root in self.roots if os.path.isfile(path := root / name)), None)
        return ImageRef(found or (self.roots[0] if self.roots else Path("no image folder")) / name)


def text(value: Any) -> str:
    """A caption without blanks at its ends; anything but text with words is a bad record.

    SugarCrepe has such blanks in a seventh of its true captions and in no false one: a language model takes
    them for a token.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is no caption")
    return value.strip()


def collect(
    card: Card,
    records: Iterable[Record],
    make: Callable[[Record], C | None],
    *,
    allow_missing: bool = False,
) -> tuple[tuple[C, ...], dict[str, int]]:
    """Make a case of every record, and say what became of those that give none.

    Args:
        card: of the benchmark; ``card.n`` tells an incomplete file.
        records: as the official files hold them.
        make: a record to a case, None where the protocol leaves it out.
        allow_missing: go on with what is there. Cases without their image are then left out and counted;
            otherwise up to 1% of them stay and count as wrong answers.

    Returns:
        The cases, and how many records were left out, by reason.

    Raises:
        ValueError: more than 1% of the records is malformed, lacks its image or is not there at all, with
            all counts and the first of each.
    """
    total, skipped = 0, Counter[str]()
    example = ""
    cases: list[C] = []
    for record in records:
        total += 1
        try:
            case = make(record)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            skipped["malformed record"] += 1
            example = example or f"first {record.key}: {_reason(error, record)}"
            continue
        if case is None:
            skipped["left out by the protocol"] += 1
        else:
            cases.append(case)
    absent = {ref.path for case in cases for ref in case.refs if not os.path.isfile(ref.path)}
    lacking = [case for case in cases if any(ref.path in absent for ref in case.refs)]
    short = max(card.n - total, 0) if card.fixed else 0
    # what the protocol leaves out is not bad: it was never to be measured
    bad = skipped["malformed record"] + len(lacking) + short
    if bad > TOLERATED_SHARE * max(total, card.n if card.fixed else 0):
        if not allow_missing:
            raise ValueError(
                _refusal(card, total, short, bad - short - len(lacking), example, len(lacking), absent)
            )
        cases = [case for case in cases if not any(ref.path in absent for ref in case.refs)]
        skipped |= {"image not found": len(lacking), NOT_IN_FILE: short}
    if card.fixed and card.n and total > card.n:
        warnings.warn(
            f"{card.name}: the files hold {total:,} records, the published set {card.size}: are they of "
            "several editions?",
            stacklevel=3,
        )
    if not cases:
        raise NoDataError(_empty(card, total, +skipped, example, absent))
    return tuple(cases), dict(+skipped)


def _empty(card: Card, total: int, skipped: Counter[str], example: str, absent: set[Path]) -> str:
    """Why none of the records gives a case."""
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in skipped.items()) or "the files are empty"
    first = f"; the first image is {min(absent)}" if absent else ""
    reasons = f"{reasons}; {example}" if example else reasons
    return (
        f"{card.name}: none of {total:,} records can be measured ({reasons}){first}; see `knowclip data "
        f"{card.name}`"
    )


def _reason(error: Exception, record: Record) -> str:
    if isinstance(error, KeyError) and isinstance(record.content, dict):
        return f"no field {error}; it has {', '.join(map(str, record.content))}"
    return "not valid JSON" if record.content is None else f"{type(error).__name__}: {error}"


def _refusal(
    card: Card, total: int, short: int, malformed: int, example: str, lacking: int, absent: set[Path]
) -> str:
    """One summary of all that is missing."""
    found = [f"{total:,} of the published {card.size} records are there"] if short else []
    if malformed:
        found.append(f"malformed records: {malformed:,} of {total:,} ({example})")
    if lacking:
        files = f"{len(absent):,} files, first {min(absent)}"
        found.append(f"records whose image is not there: {lacking:,} of {total:,} ({files})")
    return (
        f"{card.name}: {'; '.join(found)}. No more than {TOLERATED_SHARE:.0%} may be missing: see `knowclip "
        f"data {card.name}` for the files, or pass --allow-missing (allow_missing=True) to measure the "
        "rest"
    )
