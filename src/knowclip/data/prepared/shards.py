"""A unit of work -> a Parquet shard as bytes, and back: a row a caption, with its graph and its negatives.

Columns: ``key``, ``image`` (null where none is named), ``caption``, ``parser``, ``graph`` (JSON: objects,
attributes and relations as in ``graphs.jsonl``) and ``negatives``, a list of ``negative``, ``kind``,
``changed`` (spans), ``seed`` and ``graph``. The metadata of a shard say what made it and count what it holds.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from socket import gethostname
from typing import Any

from knowclip.data.formats.pairs import GIVEN, Pair, pairs_of
from knowclip.data.formats.rows import EMPTY
from knowclip.data.prepared.corpus import rows_of_unit
from knowclip.knowledge.negatives.images import Making, OneImage, made, made_by
from knowclip.types import Negative

_METADATA = b"knowclip"
_READ = ["key", "caption", "graph", "negatives"]
_GRAPH = ("objects", "attributes", "relations")


@dataclass(frozen=True, slots=True)
class UnitWork:
    """Makes the shard of a unit, in any process on any machine: bytes in, bytes out.

    ``run`` names what all shards of a folder have in common; ``by`` is the code and the parser that make it.
    """

    making: Making
    run: str
    by: Mapping[str, str]

    def __call__(self, content: bytes) -> bytes:
        """Parse the captions of a unit and make their negatives.

        Raises:
            ValueError: This machine has another parser than the one that asks.
        """
        if (here := _made_by(self.making.parser)) != self.by:
            differs = ", ".join(
                f"{k} {here.get(k)}, not {self.by[k]}" for k in self.by if here.get(k) != self.by[k]
            )
            raise ValueError(f"{gethostname()} has {differs}: install the same everywhere")
        skipped: Counter[str] = Counter()
        pairs = pairs_of(rows_of_unit(content), skipped)
        del skipped[EMPTY]  # they were counted when the corpus was read
        by_image: dict[str, list[Pair]] = {}
        for pair in pairs:
            by_image.setdefault(pair.image or f"\0{pair.key}", []).append(pair)
        ordered = [pair for together in by_image.values() for pair in together]
        records = [_sound(record) for record in made([*map(_image, by_image.values())], self.making)]
        counts = _counts(ordered, records, skipped)
        chosen = self.making._asdict()
        metadata = {"run": self.run, "counts": counts, "options": chosen, "made_by": self.by}
        return _encoded(ordered, records, self.making.parser or "", metadata)


_made_by = cache(made_by)


def _image(pairs: Sequence[Pair]) -> OneImage:
    own = (tuple(Negative(text, GIVEN) for text in pair.negatives) for pair in pairs)
    return OneImage(tuple(pair.caption for pair in pairs), (None,) * len(pairs), tuple(own))


def _sound(record: dict[str, Any] | None) -> dict[str, Any]:
    if record is None:
        raise ValueError("a caption was left without a graph: captions are prepared with a parser")
    return record


def _counts(
    pairs: Sequence[Pair], records: Sequence[Mapping[str, Any]], skipped: Mapping[str, int]
) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    without: Counter[str] = Counter()
    for pair, record in zip(pairs, records, strict=True):
        kinds.update(dict.fromkeys(negative["kind"] for negative in record["negatives"]).keys())
        if not record["negatives"]:
            claims = record["relations"] or record["attributes"] or pair.negatives
            without["no valid negative" if claims else "no relation and no attribute"] += 1
    negatives = sum(len(record["negatives"]) for record in records)
    found = {"captions": len(records), "negatives": negatives, "skipped": dict(skipped)}
    return found | {"kinds": dict(kinds), "without": dict(without)}


def _schema(metadata: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    text, spans = pa.string(), pa.list_(pa.list_(pa.int32()))
    negative = pa.struct(
        [("negative", text), ("kind", text), ("changed", spans), ("seed", pa.int64()), ("graph", text)]
    )
    columns = [("key", text), ("image", text), ("caption", text), ("parser", text), ("graph", text)]
    schema = pa.schema([*columns, ("negatives", pa.list_(negative))])
    return schema.with_metadata({_METADATA: json.dumps(metadata, sort_keys=True).encode()})


def _encoded(
    pairs: Sequence[Pair], records: Sequence[Mapping[str, Any]], parser: str, metadata: Mapping[str, Any]
) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        "key": [pair.key for pair in pairs],
        "image": [pair.image for pair in pairs],
        "caption": [pair.caption for pair in pairs],
        "parser": [parser] * len(pairs),
        "graph": [_graph(record) for record in records],
        "negatives": [[_negative(one) for one in record["negatives"]] for record in records],
    }
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns, schema=_schema(metadata)), buffer, compression="zstd")
    return buffer.getvalue()


def _graph(record: Mapping[str, Any]) -> str | None:
    claims = {name: record[name] for name in _GRAPH if name in record}
    return json.dumps(claims, ensure_ascii=False) if claims else None


def _negative(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in _GRAPH} | {"graph": _graph(record)}


def counts_of(path: Path, run: str) -> dict[str, Any] | None:
    """What a shard holds, by its metadata; None where it is no whole shard of this run."""
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        metadata = json.loads((file.schema_arrow.metadata or {})[_METADATA])
    except (pyarrow.ArrowException, OSError, KeyError, ValueError):
        return None
    counts = metadata["counts"]
    return counts if metadata["run"] == run and counts["captions"] == file.metadata.num_rows else None


def records_of(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Key, caption and record (graph and negatives, as ``made`` gives them) of each row.

    Raises:
        ValueError: It is no whole shard.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=1024, columns=_READ):
            for row in batch.to_pylist():
                record = json.loads(row["graph"]) | {"negatives": [*map(_restored, row["negatives"])]}
                yield row["key"], row["caption"], record
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is no whole shard ({error}): 'knowclip prepare', given as before, makes it again"
        ) from error


def _restored(negative: dict[str, Any]) -> dict[str, Any]:
    graph = negative.pop("graph")
    return negative | (json.loads(graph) if graph else {})
