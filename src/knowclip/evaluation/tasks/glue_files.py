"""GLUE's records, from a local copy in any published layout or from the hub.

Local copies: the official TSV archives (``SST-2/train.tsv``), the hub's Parquet files
(``sst2/train-00000-of-00001.parquet``), folders of ``datasets``' ``save_to_disk``
(``sst2/train/data-00000-of-00001.arrow``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowclip.console.counts import listed
from knowclip.evaluation.benchmarks.locating import matching, one_edition, only
from knowclip.evaluation.metrics import NotHereError
from knowclip.storage import parquet
from knowclip.storage.text_files import read_text, whole_table

if TYPE_CHECKING:
    from knowclip.evaluation.tasks.glue_tasks import GlueTask

HUB = "nyu-mll/glue"
REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"
Found = tuple[Mapping[Any, Any], Sequence[Any], Any]
"""A record, the names of its sentence columns, the name of its label column."""


def read_records(spec: GlueTask, folder: Path | None, stem: str, split: str) -> Iterator[Found]:
    """Records of one split, called ``stem`` in the official archive and ``split`` on the hub.

    Raises:
        NotHereError: ``folder`` holds none of the layouts.
        ImportError: the library that a layout needs is not installed.
        ValueError: a TSV file is broken (names the line), or two editions of the records lie there.
    """
    if folder is None:
        yield from ((record, spec.hub, "label") for record in _fetch(spec.name, split))
        return
    homes = [home for home in (folder, folder / "glue") if home.is_dir()]
    tsv = [path for home in homes if (path := home / spec.folder / f"{stem}.tsv").is_file()]
    tables = [
        path
        for home in homes
        for path in matching(home / spec.name, f"{split}-*.parquet", f"{split}/data-*.arrow")
    ]
    if tsv and tables:
        only(spec.card, [*tsv, *tables])
    if tsv:
        yield from ((record, spec.tsv, spec.label) for record in _read_tsv(only(spec.card, tsv), spec))
        return
    if tables:
        shards = one_edition(spec.card, tables)
        yield from ((record, spec.hub, "label") for record in _read_tables(shards))
        return
    raise NotHereError(
        f"{spec.card.name}: no {spec.folder}/{stem}.tsv, {spec.name}/{split}-*.parquet or "
        f"{spec.name}/{split}/data-*.arrow under {folder} or {folder / 'glue'}; leave out --data to fetch "
        "them through the library `datasets`"
    )


def _fetch(name: str, split: str) -> Iterable[Mapping[str, Any]]:
    """A split from the hub, at the pinned revision; ``datasets`` keeps it in its cache."""
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise ImportError(
            'GLUE is fetched through the library `datasets`: pip install "knowclip[glue]", or give a local '
            "copy with --data"
        ) from error
    return load_dataset(HUB, name, split=split, revision=REVISION)


def _read_tsv(path: Path, spec: GlueTask) -> Iterator[Mapping[Any, Any]]:
    """Rows by column name, or by number where the file has no header (CoLA); quotes mean nothing in them."""
    columns = (*spec.tsv, spec.label)
    text = io.StringIO(read_text(path), newline="")
    with whole_table(path):
        lines = iter([*csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)])
    header: Sequence[Any] = range(4) if isinstance(spec.label, int) else next(lines, [])
    if missing := [column for column in columns if column not in header]:
        raise ValueError(f"{path}: no column {listed(missing)}; its header is {listed(header)}")
    for number, line in enumerate(lines, start=1):
        record = dict(zip(header, line, strict=False))
        if any(column not in record for column in columns):
            raise ValueError(f"{path}, record {number}: {len(line)} columns; is the file cut short?")
        yield record


def _read_tables(paths: Sequence[Path]) -> Iterator[Mapping[Any, Any]]:
    for path in paths:
        if path.suffix == ".parquet":
            yield from parquet.rows(path)
            continue
        with parquet.whole(path):
            import pyarrow as pa

            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_stream(source).read_all()
                table.validate(full=True)
                yield from table.to_pylist()
