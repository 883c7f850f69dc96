"""Structure-CLIP's choice of training pairs (S5): captions of several objects, attributes and relations."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from knowclip.data.captions.read import image_roots
from knowclip.knowledge.parsing.parsers import parse
from knowclip.storage.atomic import atomic_file
from knowclip.storage.members import exists
from knowclip.storage.remote import is_remote
from knowclip.types import Example


@dataclass(frozen=True, slots=True)
class Selection:
    """Chosen examples, and how many were left out for which reason."""

    examples: list[Example] = field(repr=False)
    left_out: Counter[str]


def select(
    examples: Sequence[Example],
    *,
    objects: int,
    attributes: int,
    relations: int,
    parser: str = "spacy",
    progress: Callable[[int], None] = lambda done: None,
) -> Selection:
    """Keep the pairs whose captions say enough to be swapped and to be encoded as triples.

    Args:
        examples: Image-caption pairs.
        objects: Fewest objects in the graph of a caption.
        attributes: Fewest attribute pairs.
        relations: Fewest relations.
        parser: Of ``knowledge.parsing``.
        progress: Called with the number of captions done.
    """
    least = {"objects": objects, "attributes": attributes, "relations": relations}
    chosen: list[Example] = []
    left_out: Counter[str] = Counter()
    graphs = parse((example.caption for example in examples), parser=parser)
    for number, (example, graph) in enumerate(zip(examples, graphs, strict=True), start=1):
        lacking = next((name for name, count in least.items() if len(getattr(graph, name)) < count), None)
        if lacking is None:
            chosen.append(example)
        else:
            fewest = least[lacking]
            left_out[f"no {lacking}" if fewest == 1 else f"fewer than {fewest} {lacking}"] += 1
        progress(number)
    return Selection(chosen, left_out)


def write_table(path: Path, examples: Iterable[Example]) -> None:
    """Write pairs as CSV that ``read_captions`` reads where it lies: the image, and the caption.

    Images keep the names that their own file gave them if all are found by these beside the table; if not,
    each that is there is named by its whole path. Negatives that the captions brought themselves
    go with them.
    """
    examples = list(examples)
    beside = any(all(_lies(example, root) for example in examples) for root in image_roots(path))
    own = any(example.negatives for example in examples)
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "caption", *(["neg_caption"] if own else [])))
        for example in examples:
            false = [json.dumps([negative.caption for negative in example.negatives])] if own else []
            writer.writerow((example.image_id if beside else _elsewhere(example), example.caption, *false))


def _lies(example: Example, root: Path) -> bool:
    """Whether the image is the one that its name leads to from ``root``."""
    return os.path.abspath(root / example.image_id) == _whole(example)


def _elsewhere(example: Example) -> str:
    path = example.image.path
    return example.image_id if is_remote(path) or not exists(path) else _whole(example)


def _whole(example: Example) -> str:
    return os.path.abspath(example.image.path)
