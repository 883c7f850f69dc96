"""Captions -> scene graphs -> hard-negative captions for a whole data set, kept on disk by content."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any

from knowclip.data.captions.by_image import by_image
from knowclip.data.captions.token_identity import Reading
from knowclip.data.captions.user_graphs import read_graphs
from knowclip.data.prepared import join
from knowclip.knowledge.negatives.generate import SWAPS
from knowclip.knowledge.negatives.images import Making, OneImage, made, made_by
from knowclip.knowledge.records import graph_from_json, negative_from_json
from knowclip.storage import collector
from knowclip.storage.atomic import atomic_file
from knowclip.storage.processes import process_pool
from knowclip.types import Example, SceneGraph

_CHUNK = 500
_WORTH_PROCESSES = 3_000
"""Texts to parse below which further processes take longer to start (3 CPU seconds each) than they save."""
_TEXTS = 3
"""Texts to parse a caption, about, where its negatives are parsed too."""
_NO_GRAPH = "null"
Progress = Callable[[int, int], None]
"""Called with captions done and captions in all."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Examples with their ``graph`` and ``negatives`` filled in, and what came of it.

    ``kinds`` counts the captions that have a negative of each kind, ``without`` those with none, by reason.
    """

    examples: list[Example] = field(repr=False)
    kinds: Counter[str]
    without: Counter[str]
    alike: int = 0
    """Negatives left out by ``told_apart``."""


def negatives_for(
    examples: Sequence[Example],
    *,
    parser: str = "spacy",
    graphs: Path | None = None,
    kinds: Sequence[str] | None = None,
    parse_negatives: bool = False,
    seed: int = 0,
    cache: Path | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> Prepared:
    """Fill in the scene graph and the hard negatives of every example.

    Args:
        examples: Those that have a graph keep it, and those with negatives (NegCLIP's tables bring them) keep
            these; what one caption of an image says is no other's negative.
        parser: Of ``knowclip.knowledge.parsing.parsers``, for captions without a graph.
        graphs: The user's own graphs (see ``read_graphs``), or a folder of ``knowclip prepare`` with graphs
            and negatives; nothing is parsed then.
        kinds: Of negatives, from ``knowclip.knowledge.negatives.generate.KINDS``; its ``SWAPS`` by default.
        parse_negatives: Whether a negative's graph is what ``parser`` reads in its text, as a KEE meets it
            later (S4); else it is its caption's graph, edited.
        seed: Of the draw and the order of a caption's negatives, which depend on nothing else but the
            captions of its image: not on the order of the examples, nor on the number of processes.
        cache: Folder that keeps the result, under a hash of everything it depends on, the code included.
        processes: Local processes at most; few captions start none. More than one need a main module that
            can be imported (a script under ``if __name__ == "__main__"``), as always in Python.
        progress: Called as captions are done.

    Raises:
        ValueError: Two examples have one key, ``graphs`` has none of these captions, or others of their
            images (see ``data.prepared.join``), or nothing is parsed but negatives.
    """
    if len({example.key for example in examples}) < len(examples):
        raise ValueError("examples have keys that are not unique; negatives are kept by key")
    chosen = tuple(SWAPS if kinds is None else kinds)
    if graphs is not None and join.folders(graphs):
        join.refuse_unfit(graphs, kinds=chosen, parse_negatives=parse_negatives)
        return _filled(examples, join.records_for(examples, graphs, kinds=chosen), graphs)
    if graphs is not None and parse_negatives:
        raise ValueError(f"graphs={graphs} leaves no parser to read negatives with: parse_negatives=False")
    find = read_graphs(graphs) if graphs is not None else (lambda example: None)
    given = [example.graph or find(example) for example in examples]
    if graphs is not None and not any(given):
        raise _found_none(graphs, examples)
    numbers = by_image(examples)
    images = [_one_image([examples[i] for i in n], [given[i] for i in n]) for n in numbers.values()]
    making = Making(parser if graphs is None else None, chosen, parse_negatives, seed)
    lines = _cached(images, making, cache, processes, progress)
    # lines come image by image, examples may not
    order = [i for several in numbers.values() for i in several]
    records = ((i, json.loads(line)) for i, line in zip(order, lines, strict=True) if line != _NO_GRAPH)
    return _filled(examples, records, graphs)


def _found_none(graphs: Path, examples: Sequence[Example]) -> ValueError:
    return ValueError(
        f"{graphs} has no graph for any of the {len(examples):,} captions; a graph belongs to the caption of "
        f"the same text, such as {examples[0].caption!r}, or to the image of its image_id; in a folder of "
        f"'knowclip prepare' to the caption of its key, such as {examples[0].key!r}"
    )


def _one_image(examples: Sequence[Example], graphs: Sequence[SceneGraph | None]) -> OneImage:
    captions, own = tuple(e.caption for e in examples), tuple(e.negatives for e in examples)
    return OneImage(captions, tuple(graphs), own)


@collector.paused()
def _filled(
    examples: Sequence[Example], records: Iterable[tuple[int, dict[str, Any]]], graphs: Path | None
) -> Prepared:
    """Examples with the graphs and negatives of their numbers' records, and what came of it."""
    filled = list(examples)
    given: set[int] = set()
    for i, record in records:
        example = examples[i]
        graph = graph_from_json(record, example.caption, example.key)
        negatives = tuple(negative_from_json(negative, example.key) for negative in record["negatives"])
        filled[i] = replace(example, graph=graph, negatives=negatives)
        given.add(i)
    if graphs is not None and examples and not given:
        raise _found_none(graphs, examples)
    kinds: Counter[str] = Counter()
    without: Counter[str] = Counter()
    for i, (example, before) in enumerate(zip(filled, examples, strict=True)):
        kinds.update(dict.fromkeys(negative.kind for negative in example.negatives).keys())
        if example.negatives:
            continue
        if i not in given:
            without[f"no graph in {graphs}"] += 1
            continue
        claims = example.graph.relations or example.graph.attributes or before.negatives
        without["no valid negative" if claims else "no relation and no attribute"] += 1
    return Prepared(filled, kinds, without)


@collector.paused()
def told_apart(prepared: Prepared, tokenizer: Callable[[list[str]], Any]) -> Prepared:
    """Leave out the negatives whose token ids are those of their caption: no model can tell the two apart.

    Such are texts that differ beyond the context length, or in words, case or marks that the tokenizer drops.

    Args:
        prepared: What ``negatives_for`` gave.
        tokenizer: Texts -> ids of full context length.
    """
    reading = Reading(tokenizer)
    pairs = ((e.caption, n.caption) for e in prepared.examples for n in e.negatives)
    suspects = dict.fromkeys(text for pair in pairs if reading.may_be_alike(*pair) for text in pair)
    read = dict(zip(suspects, reading(list(suspects)), strict=True))
    examples, kinds, without = [], Counter(prepared.kinds), Counter(prepared.without)
    alike = 0
    for example in prepared.examples:
        own = read.get(example.caption)
        kept = tuple(n for n in example.negatives if own is None or read.get(n.caption) != own)
        alike += len(example.negatives) - len(kept)
        kinds -= Counter({n.kind for n in example.negatives} - {n.kind for n in kept})
        if example.negatives and not kept:
            without[f"its negatives read like it in the model's {reading.context_length} tokens"] += 1
        examples.append(replace(example, negatives=kept))
    return Prepared(examples, kinds, without, alike)


def _cached(
    images: list[OneImage], making: Making, cache: Path | None, processes: int, progress: Progress | None
) -> list[str]:
    """One line of JSON a caption, from the cache if it is there."""
    if cache is None:
        return list(_run(images, making, processes, progress))
    path = cache / f"negatives-{_key(images, making)}.jsonl"
    if not path.exists():
        with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in _run(images, making, processes, progress))
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def _run(images: list[OneImage], making: Making, processes: int, progress: Progress | None) -> Iterator[str]:
    total = sum(len(image.captions) for image in images)
    chunks = list(_chunks(images))
    texts = total * (_TEXTS if making.parse_negatives else 1)
    if processes == 1 or len(chunks) == 1 or texts < _WORTH_PROCESSES:
        yield from _counted((_work(chunk, making) for chunk in chunks), total, progress)
        return
    with process_pool(min(processes, len(chunks))) as pool:
        results = pool.map(_work, chunks, repeat(making))
        yield from _counted(results, total, progress)


def _chunks(images: list[OneImage]) -> Iterator[list[OneImage]]:
    """Images in turn, with about ``_CHUNK`` captions together."""
    chunk: list[OneImage] = []
    captions = 0
    for image in images:
        chunk.append(image)
        captions += len(image.captions)
        if captions >= _CHUNK:
            yield chunk
            chunk, captions = [], 0
    if chunk:
        yield chunk


def _counted(results: Iterator[list[str]], total: int, progress: Progress | None) -> Iterator[str]:
    done = 0
    for lines in results:
        yield from lines
        done += len(lines)
        if progress is not None:
            progress(done, total)


def _work(images: list[OneImage], making: Making) -> list[str]:
    """Parse and generate for one chunk: a line of JSON a caption."""
    return [json.dumps(record, ensure_ascii=False) for record in made(images, making)]


def _key(images: list[OneImage], making: Making) -> str:
    """Hash everything that decides the result: images, options, our code and table, the parser."""
    digest = hashlib.blake2b(repr(making).encode(), digest_size=12)
    parses = making.parse_negatives or any(None in image.graphs for image in images)
    digest.update(repr(made_by(making.parser if parses else None)).encode())
    for image in images:
        digest.update(repr(image).encode())
    return digest.hexdigest()


def group_ids(examples: Sequence[Example]) -> list[int]:
    """Number examples so that those whose graphs name the same objects, equally often, share a number.

    For ``GlobalBatchSampler(groups=...)``: such scenes are each other's hard negatives. An example without a
    graph, or without objects in it, is a group of its own.
    """
    numbers: dict[tuple, int] = {}
    result = []
    for example in examples:
        names = sorted(item.name for item in example.graph.objects) if example.graph is not None else []
        result.append(numbers.setdefault(tuple(names) or (None, example.key), len(numbers)))
    return result
