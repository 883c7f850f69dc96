"""Hugging Face ``datasets``: folders of ``save_to_disk``, and data sets by name.

Their Arrow files are mapped into memory; images stay in them and are found by row, as members of shards are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowclip.data.formats.columns import choose, record_rows
from knowclip.data.formats.rows import SPLIT_NAMES, Format, Options, Row, check_split, of_split
from knowclip.storage.members import arrow_table
from knowclip.storage.parquet import check_images, whole
from knowclip.storage.text_files import read_json

HUB = "hf-hub:"
"""In front of the name of a data set, and of ``:CONFIGURATION`` behind it, as in front of a model's."""
MARKERS = ("dataset_dict.json", "state.json")


def is_hub(path: Path) -> bool:
    """Whether a path is the name of a data set."""
    return str(path).startswith(HUB)


def read_dataset(path: Path, content: Any, options: Options) -> Iterator[Row]:
    """Rows of a saved folder, of one Arrow file, or of a data set by name."""
    splits = _by_name(str(path)) if is_hub(path) else _saved(path)
    wanted = SPLIT_NAMES.get(options.split, (options.split,)) if options.split else tuple(splits)
    if options.split_column is not None:
        wanted = tuple(splits)  # a column tells, in whichever of them
    elif not any(name in splits for name in wanted):
        check_split(options.split, (name for name in splits if name), path)
    known: dict[tuple[str, int], str] = {}
    files = [file for name, some in splits.items() if name in wanted for file in some]
    rows = (row for file in files for row in _rows(file, path, options, known))
    if options.split_column is not None:
        yield from of_split(rows, options.split, path)
    else:
        yield from (row for _, row in rows)


def _saved(path: Path) -> dict[str, list[Path]]:
    """Split ("" where it is not known) to its Arrow files."""
    if path.is_file():
        return {"": [path]}
    if (path / MARKERS[0]).is_file():
        named = read_json(path / MARKERS[0])
        names = named.get("splits") if isinstance(named, dict) else None
        if not isinstance(names, list):
            raise ValueError(f"{path / MARKERS[0]} lists no 'splits'")
        return {str(name): _files(path / str(name))[1] for name in names}
    name, files = _files(path)
    return {name: files}


def _files(folder: Path) -> tuple[str, list[Path]]:
    state = read_json(folder / MARKERS[1])
    try:
        files = [folder / one["filename"] for one in state["_data_files"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder / MARKERS[1]} lists no '_data_files'") from error
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing[:3])}: is it copied whole?")
    return str(state.get("_split") or ""), files


def _by_name(name: str) -> dict[str, list[Path]]:
    """Split to Arrow files of a data set on the hub or in a local folder, which ``datasets`` caches."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError(f'{name} needs datasets: pip install "knowclip[datasets]"') from error
    data_set, _, configuration = name.removeprefix(HUB).partition(":")
    try:
        loaded = datasets.load_dataset(data_set, configuration or None)
    except Exception as error:  # its own kinds of error, the hub client's and the network's
        raise ValueError(f"{name} cannot be loaded: {type(error).__name__}: {error}") from error
    return {split: [Path(file["filename"]) for file in part.cache_files] for split, part in loaded.items()}


def _rows(
    file: Path, path: Path, options: Options, known: dict[tuple[str, int], str]
) -> Iterator[tuple[str | None, Row]]:
    """Split and row of one Arrow file; a packed image is called by its file, column and row.

    ``known`` are images by the name they had and their size: in one row a caption, an image comes often.
    """
    table = arrow_table(file)
    columns = choose(table.column_names, options, path)
    wanted = dict.fromkeys((*columns.captions, columns.key, columns.negatives, columns.split))
    names = [name for name in wanted if name is not None]
    with whole(file):
        records = table.select(names).to_pylist()
        if columns.image is not None:
            images = _images(table, columns.image, file, path, known)
            records = [
                {**record, columns.image: image} for record, image in zip(records, images, strict=True)
            ]
    placed = ((f"{file.name}, row {number}", record, "") for number, record in enumerate(records))
    yield from record_rows(placed, columns)


def _images(
    table: Any, column: str, file: Path, path: Path, known: dict[tuple[str, int], str]
) -> list[str | None]:
    """Names of the images of a column: as written, or of the place in the table that holds them."""
    import pyarrow.compute as pc
    from pyarrow import types

    kind = table.schema.field(column).type
    if types.is_string(kind) or types.is_large_string(kind):
        return table.column(column).to_pylist()
    cells = table.column(column)
    names: list[str | None] = [None] * len(cells)
    if types.is_struct(kind):
        check_images(file, column, table.schema)
        if kind.get_field_index("path") >= 0:
            names = pc.struct_field(cells, "path").to_pylist()
        cells = pc.struct_field(cells, "bytes")
    elif not types.is_binary(kind) and not types.is_large_binary(kind):
        raise ValueError(f"{path}: its column {column!r} holds {kind}, no images")
    base = Path(file.name) if file == path else file.relative_to(path) if file.is_relative_to(path) else file
    found: list[str | None] = []
    for row, (name, size) in enumerate(zip(names, pc.binary_length(cells).to_pylist(), strict=True)):
        here = f"{base.as_posix()}/{column}/{row}"
        inside = here if name is None or size is None else known.setdefault((name, size), here)
        found.append(name if size is None else inside)
    return found


DATASETS = Format(
    name="huggingface",
    told="a folder that `save_to_disk` wrote, an `.arrow` file, `hf-hub:NAME` or `hf-hub:NAME:CONFIGURATION`",
    samples={
        "write.py": "from datasets import Dataset, Image\n"
        'columns = {"image": ["a.jpg", "b.jpg"], "caption": ["A dog runs.", "A cat sleeps."]}\n'
        'Dataset.from_dict(columns).cast_column("image", Image()).save_to_disk("saved")\n'
    },
    read=read_dataset,
    columns=True,
    endings=(".arrow",),
)
