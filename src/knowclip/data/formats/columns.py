"""Which column holds what: guessed from the names people use, and only where one guess is possible."""

from __future__ import annotations

import ast
import json
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from knowclip.console import spelling
from knowclip.console.counts import listed, some
from knowclip.data.formats.rows import MALFORMED, Options, Row, said
from knowclip.storage.text_files import IMAGE_SUFFIXES

IMAGE_COLUMNS = (
    ("image", "filepath", "filename"),
    (
        "image_name",
        "image_path",
        "image_file",
        "image_filename",
        "file_name",
        "file_path",
        "img_path",
        "img_name",
        "path",
        "file",
        "photo",
        "picture",
        "img",
    ),
)
"""Names of image columns: the second row is looked at where the first has none."""
CAPTION_COLUMNS = (
    ("caption", "title", "text"),
    (
        "captions",
        "comment",
        "sentence",
        "sentences",
        "description",
        "raw",
        "alt",
        "alt_text",
        "image_caption",
        "image_description",
        "prompt",
    ),
)
"""Names of caption columns: beside ``caption`` the second row is not looked at; else two are too many."""
NEGATIVE_COLUMNS = ("neg_caption", "neg_captions", "negative", "negatives", "negative_caption")
Record = tuple[str, Mapping[str, Any] | str | None, str]
"""Where it stands, values by column, "" or why it cannot be read."""
UNUSED_COLUMNS = ("neg_image",)
"""NegCLIP's lists of similar images: batches are drawn otherwise here, and readers are told."""
SPLIT_COLUMN = "split"
LISTS = ("captions", "sentences", "raw")
"""Caption columns whose cells may be lists written as text."""
_NUMBERED = re.compile(r"[ _-]?\d+")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns of a file: several of captions where they are numbered."""

    image: str | None
    captions: tuple[str, ...]
    key: str | None
    negatives: str | None
    split: str | None


def choose(names: Sequence[str], options: Options, path: Path | str) -> Columns:
    """Decide what the columns ``names`` hold; what is taken for a caption or an image by its name is logged.

    Raises:
        ValueError: a column that is asked for is not there, or more than one guess is possible; lists the
            columns and says how to name the right one; there are none.
    """
    if not names:
        raise ValueError(f"{path} has no columns: it is empty, or none of its records has named fields")
    image = _one(names, options.image_column, IMAGE_COLUMNS, "image", path, required=options.with_images)
    captions = _captions(names, options.caption_column, path)
    for given, role in ((options.key_column, "key"), (options.split_column, "split")):
        if given is not None and given not in names:
            raise _refusal(names, given, (), role, path)
    folded = {_plain(name): name for name in names}
    negatives = next((folded[name] for name in NEGATIVE_COLUMNS if name in folded), None)
    columns = Columns(
        image, captions, options.key_column, negatives, options.split_column or folded.get(SPLIT_COLUMN)
    )
    if options.caption_column is None:
        _tell_guessed(captions, "caption", path, others=_unused(names, columns))
    if image and options.image_column is None:
        _tell_guessed((image,), "image", path)
    return columns


def _unused(names: Sequence[str], columns: Columns) -> list[str]:
    used = {columns.image, *columns.captions, columns.key, columns.negatives, columns.split}
    return [name for name in names if name not in used]


def _tell_guessed(names: Sequence[str], role: str, path: Path | str, others: Sequence[str] = ()) -> None:
    """Log which columns are taken, where they are not called by their role, and which might be meant."""
    if any(_stem(name) != role for name in names):
        beside = f" (not used: {some([*map(repr, others)])})" if others else ""
        _log.info("%s: the %s is its column %s%s", path, role, some([*map(repr, names)]), beside)


def _plain(name: str) -> str:
    """``File Name`` as ``file_name``."""
    return re.sub(r"[ _-]+", "_", name.casefold())


def _stem(name: str) -> str:
    return _NUMBERED.sub("", _plain(name))


def tell_unused(names: Sequence[str], columns: Columns, path: Path | str, options: Options) -> None:
    """Warn of columns that NegCLIP trains on and that are not used here; of images that no column names."""
    if not options.with_images:
        if columns.image is None and columns.key is None and len(names) > len(columns.captions):
            warnings.warn(
                f"{path}: none of its columns ({listed(names)}) is known to name images, so each row counts "
                "as one of its own; name one that says which captions belong together: "
                f"{spelling.option('key_column')}",
                stacklevel=2,
            )
        return
    for name in names:
        if _plain(name) in UNUSED_COLUMNS:
            used = f"; the negatives of its column {columns.negatives!r} are" if columns.negatives else ""
            warnings.warn(f"{path}: its column {name!r} (similar images) is not used{used}", stacklevel=2)


def guessable(names: Sequence[str]) -> bool:
    """Whether the names look like a header: an image column and captions, be it one of each or more."""
    images = any(_plain(name) in tier for name in names for tier in IMAGE_COLUMNS)
    return images and any(_stem(name) in tier for name in names for tier in CAPTION_COLUMNS)


def _captions(names: Sequence[str], given: str | None, path: Path | str) -> tuple[str, ...]:
    """The caption column, or all of a numbered row of them (``caption_0``, ``caption_1``)."""
    if given is not None:
        return (str(_one(names, given, CAPTION_COLUMNS, "caption", path)),)
    first, other = ([name for name in names if _stem(name) in tier] for tier in CAPTION_COLUMNS)
    found = first if {*map(_stem, first)} == {CAPTION_COLUMNS[0][0]} else first + other
    if len({*map(_stem, found)}) == 1 and len(set(found)) == len(found):
        return tuple(found)
    raise _refusal(names, None, CAPTION_COLUMNS[0], "caption", path, found)


def _one(
    names: Sequence[str],
    given: str | None,
    known: Sequence[tuple[str, ...]],
    role: str,
    path: Path | str,
    *,
    required: bool = True,
) -> str | None:
    """Name the one column that is meant."""
    tiers = [[name for name in names if _plain(name) in tier] for tier in known]
    found = (
        [name for name in names if name == given]
        if given is not None
        else next((tier for tier in tiers if tier), [])
    )
    if len(found) == 1:
        return found[0]
    if not required and given is None:
        return None
    raise _refusal(names, given, known[0], role, path, found)


def _refusal(
    names: Sequence[str],
    given: str | None,
    known: tuple[str, ...],
    role: str,
    path: Path | str,
    found: Sequence[str] = (),
) -> ValueError:
    wanted = repr(given) if given is not None else " or ".join(map(repr, known))
    option = spelling.option(f"{role}_column", *(["column"] if role == "caption" else []))
    image = next((name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES), None)
    near = get_close_matches(given or "", names, n=1)
    hint = f" ({image!r} is an image's name: is its first line no header?)." if image else "."
    if len(names) == 1 and re.search(r"\W", names[0]):
        hint = ": a single one. If it is several, separate them by comma, semicolon, tab or '|'."
    hint = f"; did you mean {near[0]!r}?" if near else hint
    hint += f" Each of {listed(found)} may be meant." if len({*found}) > 1 else ""
    return ValueError(
        f"{path} needs one {role} column, {wanted}, but has {len(found) or 'none'}; its columns are "
        f"{listed(names)}{hint} {f'Name the right one: {option}' if option else 'Rename the right one'}"
    )


def record_rows(records: Iterable[Record], columns: Columns) -> Iterator[tuple[str | None, Row]]:
    """Split and row for every caption of the records: a list, and every numbered column, is several.

    Args:
        records: Where it stands, its values by column, and why it cannot be read (then its text, if any).
        columns: Of :func:`choose`.
    """
    for where, record, fault in records:
        if fault or not isinstance(record, Mapping):
            yield None, Row(where, None, record, fault=fault or MALFORMED)
            continue
        split = str(record.get(columns.split)) if columns.split else None
        image = record.get(columns.image) if columns.image else None
        key = record.get(columns.key) if columns.key else None
        name = str(key) if key is not None else None
        negatives = parse_negatives(record.get(columns.negatives)) if columns.negatives else ()
        for caption in captions_of([_cell(record.get(column), column) for column in columns.captions]):
            if negatives is None:
                yield split, Row(where, None, None, fault=MALFORMED)
            else:
                yield split, Row(where, image, caption, negatives, name)


def _cell(value: Any, column: str) -> Any:
    """Flickr30k's table writes the captions of an image as one list in the column ``raw``."""
    if isinstance(value, str) and value.startswith("[") and column.casefold() in LISTS:
        listed = parse_list(value)
        return listed if isinstance(listed, list) else value
    return value


def captions_of(values: Sequence[Any]) -> Sequence[Any]:
    """Captions of an image, from one value or several, each a text or a list of texts.

    Of several columns the empty ones hold no record: images have unequally many captions.
    """
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    if len(flat) > 1 and len(values) > 1:
        flat = [one for one in flat if one is not None and one != ""] or flat[:1]
    return flat or [""]


def parse_negatives(value: Any) -> tuple[str, ...] | None:
    """False captions of a cell: a list, a list written as text (NegCLIP's ``['a mat on a dog']``), or one.

    None where it is neither.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return (text,) if (text := said(value)) else ()
        value = parse_list(value)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return None
    return tuple(stripped for one in value if (stripped := said(one)))


def parse_list(text: str) -> Any:
    """A list written as JSON or as Python writes one; None if it is neither."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None
