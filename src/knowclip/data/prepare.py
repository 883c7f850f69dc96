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
from typing import NamedTuple

from knowclip.atomic import atomic_file
from knowclip.data.user_graphs import read_graphs
from knowclip.knowledge.negatives import generate
from knowclip.knowledge.parsing import parse
from knowclip.knowledge.records import graph_from_json, graph_to_json, negative_from_json, negative_to_json
from knowclip.knowledge.spacy_parser import installed_model
from knowclip.types import Example, SceneGraph

KINDS = ("relation_swap", "attribute_swap")
_CHUNK = 500
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


class _Job(NamedTuple):
    caption: str
    graph: SceneGraph | None
    exclude: tuple[str, ...]


def negatives_for(
    examples: Sequence[Example],
    *,
    parser: str = "spacy",
    graphs: Path | None = None,
    kinds: Sequence[str] = KINDS,
    seed: int = 0,
    cache: Path | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> Prepared:
    """Fill in the scene graph and the hard negatives of every example.

    Args:
        examples: Those that have a graph keep it; other captions of one image are never its negatives.
        parser: Of ``knowclip.knowledge.parsing``, for captions without a graph.
        graphs: The user's own graphs (see ``read_graphs``); nothing is parsed then.
        kinds: Of negatives, from ``knowclip.knowledge.negatives.KINDS``.
        seed: Of the order of a caption's negatives.
        cache: Folder that keeps the result, under a hash of everything it depends on, the code included.
        processes: Local processes. More than one need a main module that can be imported (a script under
            ``if __name__ == "__main__"``), as always in Python.
        progress: Called as captions are done.

    Raises:
        ValueError: Two examples have one key, or ``graphs`` has none of these captions.
    """
    if len({example.key for example in examples}) < len(examples):
        raise ValueError("examples have keys that are not unique; negatives are kept by key")
    find = read_graphs(graphs) if graphs is not None else (lambda example: None)
    given = [example.graph or find(example) for example in examples]
    wanted = [i for i, graph in enumerate(given) if graph is not None or graphs is None]
    if not wanted:
        raise ValueError(
            f"{graphs} has no graph for any of the {len(examples):,} captions; a graph belongs to the "
            f"caption of the same text, such as {examples[0].caption!r}, or to the image of its image_id"
        )
    siblings = _captions_by_image(examples)
    jobs = [
        _Job(e.caption, given[i], tuple(c for c in siblings[e.image_id] if c != e.caption))
        for i in wanted
        for e in [examples[i]]
    ]
    options = (parser, tuple(kinds), seed)
    lines = _cached(jobs, options, cache, processes, progress)
    return _filled(examples, dict(zip(wanted, lines, strict=True)), graphs)


def _captions_by_image(examples: Sequence[Example]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for example in examples:
        found.setdefault(example.image_id, []).append(example.caption)
    return found


def _filled(examples: Sequence[Example], lines: dict[int, str], graphs: Path | None) -> Prepared:
    filled = []
    kinds: Counter[str] = Counter()
    without: Counter[str] = Counter()
    for i, example in enumerate(examples):
        if i not in lines:
            filled.append(example)
            without[f"no graph in {graphs}"] += 1
            continue
        record = json.loads(lines[i])
        graph = graph_from_json(record, example.caption, example.key)
        negatives = tuple(negative_from_json(negative, example.key) for negative in record["negatives"])
        filled.append(replace(example, graph=graph, negatives=negatives))
        kinds.update({negative.kind for negative in negatives})
        if not graph.relations and not graph.attributes:
            without["no relation and no attribute"] += 1
        elif not negatives:
            without["no valid negative"] += 1
    return Prepared(filled, kinds, without)


def _cached(
    jobs: list[_Job], options: tuple, cache: Path | None, processes: int, progress: Progress | None
) -> list[str]:
    """One line of JSON a job, from the cache if it is there."""
    if cache is None:
        return list(_run(jobs, options, processes, progress))
    path = cache / f"negatives-{_key(jobs, options)}.jsonl"
    if not path.exists():
        with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in _run(jobs, options, processes, progress))
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def _run(jobs: list[_Job], options: tuple, processes: int, progress: Progress | None) -> Iterator[str]:
    chunks = [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]
    if processes == 1 or len(chunks) == 1:
        yield from _counted((_work(chunk, *options) for chunk in chunks), len(jobs), progress)
        return
    # not forked: torch's threads do not survive a fork
    with ProcessPoolExecutor(min(processes, len(chunks)), mp_context=get_context("spawn")) as pool:
        results = pool.map(_work, chunks, *([option] * len(chunks) for option in options))
        yield from _counted(results, len(jobs), progress)


def _counted(results: Iterator[list[str]], total: int, progress: Progress | None) -> Iterator[str]:
    done = 0
    for lines in results:
        yield from lines
        done += len(lines)
        if progress is not None:
            progress(done, total)


def _work(jobs: list[_Job], parser: str, kinds: tuple[str, ...], seed: int) -> list[str]:
    """Parse and generate for one chunk: a line of JSON a job."""
    captions = list(dict.fromkeys(job.caption for job in jobs if job.graph is None))
    parsed = dict(zip(captions, parse(captions, parser=parser), strict=True)) if captions else {}
    lines = []
    for caption, given, exclude in jobs:
        graph = given or parsed[caption]
        negatives = generate(caption, graph, kinds=kinds, exclude=exclude, seed=seed)
        record = {
            "caption": caption,
            **graph_to_json(graph),
            "negatives": [negative_to_json(n) for n in negatives],
        }
        lines.append(json.dumps(record, ensure_ascii=False))
    return lines


def _key(jobs: list[_Job], options: tuple) -> str:
    """Hash everything that decides the result: jobs, options, our code, and the parser's model."""
    digest = hashlib.blake2b(repr(options).encode(), digest_size=12)
    for source in sorted(Path(inspect.getfile(generate)).parent.glob("*.py")):
        digest.update(source.read_bytes())
    if options[0] == "spacy" and any(job.graph is None for job in jobs):
        digest.update(f"{installed_model()} {version('spacy')}".encode())
    for job in jobs:
        digest.update(repr(job).encode())
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
