"""Captions by image -> their graphs and negatives: all captions of an image are true of it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from knowclip import knowledge
from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.generate import generate
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.parsing.spacy_parser import installed_model
from knowclip.knowledge.records import graph_to_json, negative_to_json
from knowclip.plugins import fingerprint
from knowclip.types import Negative, SceneGraph


class OneImage(NamedTuple):
    """All captions of an image, for a negative must be false beside each; a graph each, None to be parsed.

    ``own`` are negatives that a caption brings itself: none are made for it then.
    """

    captions: tuple[str, ...]
    graphs: tuple[SceneGraph | None, ...]
    own: tuple[tuple[Negative, ...], ...]


class Making(NamedTuple):
    """How graphs and negatives are made.

    Without a ``parser`` nothing is parsed; ``parse_negatives`` has it read the negatives too, in place of
    editing their captions' graphs.
    """

    parser: str | None
    kinds: tuple[str, ...]
    parse_negatives: bool
    seed: int


def made(images: Sequence[OneImage], making: Making) -> Iterator[dict[str, Any] | None]:
    """A record a caption: its graph as ``graphs.jsonl`` has it, and ``negatives``; None without a graph."""
    parser, kinds, parse_negatives, seed = making
    pairs = [pair for image in images for pair in zip(image.captions, image.graphs, strict=True)]
    missing = list(dict.fromkeys(caption for caption, graph in pairs if graph is None))
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
    return (_record(*one) for one in found)


def _record(caption: str, graph: SceneGraph | None, negatives: Sequence[Negative]) -> dict[str, Any] | None:
    if graph is None:
        return None
    told = [negative_to_json(negative) for negative in negatives]
    return {"caption": caption, **graph_to_json(graph), "negatives": told}


def sources_of_negatives() -> list[Path]:
    """Our code and tables that decide graphs and negatives: all of ``knowledge/``, parser and words too."""
    folder = Path(inspect.getfile(knowledge)).parent
    return [*sorted(folder.rglob("*.py")), *sorted(folder.rglob("*.gz"))]


def made_by(parser: str | None) -> dict[str, str]:
    """What decides graphs and negatives beside captions and options: code, tables and versions.

    Raises:
        ImportError: No pipeline of spaCy is installed, and the parser needs one.
    """
    digest = hashlib.blake2b(digest_size=12)
    for source in sources_of_negatives():
        digest.update(source.read_bytes())
    kind, _, model = (parser or "").partition(":")
    digest.update(fingerprint("parser", kind))
    told = {"knowclip": version("knowclip"), "code": digest.hexdigest()}
    if kind == "spacy":
        told |= {"spacy": version("spacy"), "pipeline": _with_version(model or installed_model())}
    elif kind == "factual":
        told |= {"transformers": version("transformers")}
    return told


def _with_version(pipeline: str) -> str:
    """A pipeline and its version, where it is a package and no folder."""
    try:
        return f"{pipeline} {version(pipeline)}"
    except (PackageNotFoundError, ValueError):
        return pipeline
