"""Captions -> scene graphs -> hard-negative captions for a whole data set, kept on disk by content."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from knowclip import knowledge
from knowclip.data.captions.by_image import by_image
from knowclip.data.captions.token_identity import Reading
from knowclip.data.captions.user_graphs import read_graphs
from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.generate import SWAPS, generate
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.parsing.spacy_parser import installed_model
from knowclip.knowledge.records import graph_from_json, graph_to_json, negative_from_json, negative_to_json
from knowclip.plugins import fingerprint
from knowclip.storage.atomic import atomic_file
from knowclip.types import Example, Negative, SceneGraph

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


class _Image(NamedTuple):
    """All captions of an image, for a negative must be false beside each; a graph each, None to be parsed.

    ``own`` are negatives that a caption brings itself: none are made for it then.
    """

    captions: tuple[str, ...]
    graphs: tuple[SceneGraph | None, ...]
    own: tuple[tuple[Negative, ...], ...]


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
        graphs: The user's own graphs (see ``read_graphs``); nothing is parsed then.
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
        ValueError: Two examples have one key, ``graphs`` has none of these captions, or nothing is parsed but
            negatives.
    """
    if graphs is not None and parse_negatives:
        raise ValueError(f"graphs={graphs} leaves no parser to read negatives with: parse_negatives=False")
    if len({example.key for example in examples}) < len(examples):
        raise ValueError("examples have keys that are not unique; negatives are kept by key")
    find = read_graphs(graphs) if graphs is not None else (lambda example: None)
    given = [example.graph or find(example) for example in examples]
    if graphs is not None and not any(given):
        raise ValueError(
            f"{graphs} has no graph for any of the {len(examples):,} captions; a graph belongs to the "
            f"caption of the same text, such as {examples[0].caption!r}, or to the image of its image_id"
        )
    numbers = by_image(examples)
    images = [
        _Image(
            tuple(examples[i].caption for i in n),
            tuple(given[i] for i in n),
            tuple(examples[i].negatives for i in n),
        )
        for n in numbers.values()
    ]
    chosen = tuple(SWAPS if kinds is None else kinds)
    options = (parser if graphs is None else None, chosen, parse_negatives, seed)
    lines = _cached(images, options, cache, processes, progress)
    # lines come image by image, examples may not
    order = [i for several in numbers.values() for i in several]
    filled = {i: line for i, line in zip(order, lines, strict=True) if line != _NO_GRAPH}
    return _filled(examples, filled, graphs)


def _filled(examples: Sequence[Example], lines: dict[int, str], graphs: Path | None) -> Prepared:
    filled = []
    kinds: Counter[str] = Counter()
    without: Counter[str] = Counter()
    for i, example in enumerate(examples):
        if i not in lines:
            filled.append(example)
            kinds.update({negative.kind for negative in example.negatives})
            if not example.negatives:
                without[f"no graph in {graphs}"] += 1
            continue
        record = json.loads(lines[i])
        graph = graph_from_json(record, example.caption, example.key)
        negatives = tuple(negative_from_json(negative, example.key) for negative in record["negatives"])
        filled.append(replace(example, graph=graph, negatives=negatives))
        kinds.update({negative.kind for negative in negatives})
        if negatives:
            continue
        claims = graph.relations or graph.attributes or example.negatives
        without["no valid negative" if claims else "no relation and no attribute"] += 1
    return Prepared(filled, kinds, without)


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
    images: list[_Image], options: tuple, cache: Path | None, processes: int, progress: Progress | None
) -> list[str]:
    """One line of JSON a caption, from the cache if it is there."""
    if cache is None:
        return list(_run(images, options, processes, progress))
    path = cache / f"negatives-{_key(images, options)}.jsonl"
    if not path.exists():
        with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in _run(images, options, processes, progress))
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def _run(images: list[_Image], options: tuple, processes: int, progress: Progress | None) -> Iterator[str]:
    total = sum(len(image.captions) for image in images)
    chunks = list(_chunks(images))
    _, _, parse_negatives, _ = options
    texts = total * (_TEXTS if parse_negatives else 1)
    if processes == 1 or len(chunks) == 1 or texts < _WORTH_PROCESSES:
        yield from _counted((_work(chunk, *options) for chunk in chunks), total, progress)
        return
    # not forked: torch's threads do not survive a fork
    with ProcessPoolExecutor(min(processes, len(chunks)), mp_context=get_context("spawn")) as pool:
        results = pool.map(_work, chunks, *([option] * len(chunks) for option in options))
        yield from _counted(results, total, progress)


def _chunks(images: list[_Image]) -> Iterator[list[_Image]]:
    """Images in turn, with about ``_CHUNK`` captions together."""
    chunk: list[_Image] = []
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


def _work(
    images: list[_Image], parser: str | None, kinds: tuple[str, ...], parse_negatives: bool, seed: int
) -> list[str]:
    """Parse and generate for one chunk: a line of JSON a caption. Nothing is parsed without a parser."""
    pairs = [pair for image in images for pair in zip(image.captions, image.graphs, strict=True)]
    missing = list(dict.fromkeys(caption for caption, graph in pairs if graph is None)) if parser else []
    parsed = dict(zip(missing, parse(missing, parser=parser), strict=True)) if parser and missing else {}
    found: list[tuple[str, SceneGraph | None, list[Negative]]] = []
    for captions, given, own in images:
        graphs = [graph or parsed.get(caption) for caption, graph in zip(captions, given, strict=True)]
        said = Said(captions, [graph for graph in graphs if graph is not None])
        for caption, graph, brought in zip(captions, graphs, own, strict=True):
            negatives = [negative for negative in brought if negative.caption not in captions]
            if graph is not None and not brought:
                negatives = list(generate(caption, graph, kinds=kinds, said=said, seed=seed))
            found.append((caption, graph, negatives))
    if parser and parse_negatives:
        texts = list(dict.fromkeys(negative.caption for _, _, negatives in found for negative in negatives))
        read = dict(zip(texts, parse(texts, parser=parser), strict=True))
        found = [(c, g, [replace(n, graph=read[n.caption]) for n in negatives]) for c, g, negatives in found]
    return [json.dumps(_record(*one), ensure_ascii=False) for one in found]


def _record(
    caption: str, graph: SceneGraph | None, negatives: Sequence[Negative]
) -> dict[str, object] | None:
    if graph is None:
        return None
    told = [negative_to_json(negative) for negative in negatives]
    return {"caption": caption, **graph_to_json(graph), "negatives": told}


def sources_of_negatives() -> list[Path]:
    """Our code and tables that decide graphs and negatives: all of ``knowledge/``, parser and words too."""
    folder = Path(inspect.getfile(knowledge)).parent
    return [*sorted(folder.rglob("*.py")), *sorted(folder.rglob("*.gz"))]


def _key(images: list[_Image], options: tuple) -> str:
    """Hash everything that decides the result: images, options, our code and table, the parser."""
    digest = hashlib.blake2b(repr(options).encode(), digest_size=12)
    for source in sources_of_negatives():
        digest.update(source.read_bytes())
    kind, _, model = (options[0] or "").partition(":")
    if kind == "spacy" and any(None in image.graphs for image in images):
        digest.update(f"{model or installed_model()} {version('spacy')}".encode())
    digest.update(fingerprint("parser", kind))
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
