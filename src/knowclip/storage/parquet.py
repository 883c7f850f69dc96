"""Parquet and Arrow files that may be damaged: what pyarrow raises of them names no file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROWS = 64
"""Read at once: a row may hold an image."""


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises while ``path`` is read into an error that names it.

    Raises:
        ValueError: It is damaged, cut short or no such file.
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError('Parquet files need pyarrow: pip install "knowclip[graph]"') from error
    try:
        yield
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no whole {path.suffix[1:].title()} file: {error}") from error


def rows(path: Path, *, images: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file, a few at a time.

    Args:
        path: of the file.
        images: columns that hold images as the Hugging Face hub has them, ``{bytes, path}`` or null.

    Raises:
        ValueError: It is no whole Parquet file, or a column of images is missing or holds something else.
    """
    with whole(path):
        from pyarrow import parquet

        file = parquet.ParquetFile(path)
        for name in images:
            check_images(path, name, file.schema_arrow)
        for batch in file.iter_batches(batch_size=ROWS):
            yield from batch.to_pylist()


def check_images(path: Path, name: str, schema: Any) -> None:
    """Refuse a column that does not hold images as the Hugging Face hub has them, ``{bytes, path}`` or null.

    Raises:
        ValueError: There is none of this name, or it holds something else.
    """
    from pyarrow import types

    if name not in schema.names:
        raise ValueError(f"{path} has no column {name!r} of images; it has {', '.join(schema.names)}")
    kind = schema.field(name).type
    packed = types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    binary = packed and any(
        of(kind.field("bytes").type) for of in (types.is_binary, types.is_large_binary, types.is_null)
    )
    if not (binary or types.is_null(kind)):
        raise ValueError(f"{path}, column {name!r} should hold images, as {{bytes, path}}; got {kind}")
