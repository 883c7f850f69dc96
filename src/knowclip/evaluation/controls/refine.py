"""Adversarial refinement: the items of a choice test that no blind reader can solve.

As SugarCrepe (Hsieh et al., NeurIPS 2023) did: every item gets the score gap ``true - false`` of several
readers that never see the image, and items are kept so that the gaps lie symmetrically about zero. These
readers then stand at 50%; what a model scores above that is not in what they read.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowclip.console.progress import Stages
from knowclip.evaluation.controls.text_only import CaptionClassifier, NgramModel
from knowclip.evaluation.metrics import NoDataError
from knowclip.storage.atomic import atomic_file
from knowclip.types import Example, Negative

FOLDS = 5
"""Parts, by image, of captions that have no training captions beside them."""
BINS = 3
"""Magnitudes of a gap that are told apart."""
UNBALANCED = "no item of the opposite gap for the blind readers"
BEYOND = "beyond the most of a kind"
"""Why an item is left out."""

Reader = Callable[[Sequence[str]], NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True)
class Item:
    """A caption against one negative, with the blind readers' scores of both."""

    example: Example
    negative: Negative
    blind: Mapping[str, tuple[float, float]]

    @property
    def gaps(self) -> tuple[float, ...]:
        """True minus false, reader by reader."""
        return tuple(true - false for true, false in self.blind.values())


def scored_items(
    examples: Sequence[Example],
    training: Sequence[Example],
    *,
    seed: int = 0,
    progress: Stages | None = None,
) -> list[Item]:
    """Every negative of every example, scored by readers that saw neither it nor any caption of its image.

    Args:
        examples: To be tested, with their negatives.
        training: Others with theirs, to train the readers on. Without any, they are cross-fitted: trained on
            the other ``FOLDS - 1`` parts of ``examples``.
        seed: Of the classifier.
        progress: Told of the parts that are scored: one of many captions takes seconds.

    Raises:
        NoDataError: If there is no negative to test on or to train on.
    """
    told = partial(progress or (lambda label, done, total: None), "training readers that see no image")
    if training:
        told(0, None)
        tested = {example.image_id for example in examples}
        training = [example for example in training if example.image_id not in tested]
        return _items(examples, _readers(training, seed))
    items = []
    for fold in range(FOLDS):
        told(fold, FOLDS)
        held_out = [e for e in examples if _fold(e.image_id) == fold]
        if held_out:
            items += _items(held_out, _readers([e for e in examples if _fold(e.image_id) != fold], seed))
    return items


def _fold(image_id: str) -> int:
    # by a hash: an image keeps its fold whatever else is tested
    return blake2b(image_id.encode("utf-8", "surrogatepass"), digest_size=4).digest()[0] % FOLDS


def _readers(training: Sequence[Example], seed: int) -> dict[str, Reader]:
    pairs = [(e.caption, negative.caption) for e in training for negative in e.negatives]
    if not pairs:
        raise NoDataError("no caption to train the blind readers on has a negative")
    captions, negatives = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    classifier = CaptionClassifier(captions, negatives, seed=seed)
    return {"ngram": NgramModel([example.caption for example in training]), "classifier": classifier}


def _items(examples: Sequence[Example], readers: Mapping[str, Reader]) -> list[Item]:
    pairs = [(example, negative) for example in examples for negative in example.negatives]
    if not pairs:
        raise NoDataError("no caption has a negative")
    scores = {
        name: (reader([e.caption for e, _ in pairs]), reader([n.caption for _, n in pairs]))
        for name, reader in readers.items()
    }
    return [
        Item(*pair, {name: (float(true[i]), float(false[i])) for name, (true, false) in scores.items()})
        for i, pair in enumerate(pairs)
    ]


def refine(
    items: Sequence[Item], *, most: int = 0, seed: int = 0, skipped: Counter[str] | None = None
) -> list[Item]:
    """Items of each kind whose gaps lie symmetrically about zero, for all readers at once.

    The space of gaps is cut into cells by sign and by tercile of magnitude; of each cell and its mirror image
    equally many items stay, drawn by ``seed``; an item that some reader cannot decide goes.

    Args:
        items: With gaps of the same readers.
        most: Items of one kind, at most (0: no limit).
        seed: Of the draw.
        skipped: Told how many items are left out, by reason.
    """
    skipped = Counter() if skipped is None else skipped
    rng = np.random.default_rng(seed)
    kept: list[Item] = []
    for kind in sorted({item.negative.kind for item in items}):
        # sorted, so that the draw does not depend on the order of the files
        own = sorted(
            (i for i in items if i.negative.kind == kind), key=lambda i: (i.example.key, i.negative.caption)
        )
        pairs = _mirrored(np.array([item.gaps for item in own]), rng)
        rng.shuffle(pairs)
        # whole pairs only: half of one would tip the readers from 50%
        chosen = pairs[: most // 2] if most else pairs
        kept += [own[i] for i in sorted(i for pair in chosen for i in pair)]
        skipped[UNBALANCED] += len(own) - 2 * len(pairs)
        skipped[BEYOND] += 2 * (len(pairs) - len(chosen))
    return kept


def _mirrored(gaps: NDArray[np.floating[Any]], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Pairs of items from a cell and from its mirror image; ``gaps`` is ``[items, readers]``."""
    edges = np.quantile(np.abs(gaps), np.arange(1, BINS) / BINS, axis=0)
    cells: dict[tuple[int, ...], list[int]] = {}
    for i in rng.permutation(len(gaps)):
        # a gap of 0 has no mirror image: such an item is right half the time and decides nothing
        if np.all(gaps[i] != 0):
            magnitude = 1 + (np.abs(gaps[i]) > edges).sum(axis=0)
            cells.setdefault(tuple((np.sign(gaps[i]) * magnitude).astype(int)), []).append(int(i))
    return [
        pair
        for cell, members in sorted(cells.items())
        if cell > (mirror := tuple(-part for part in cell))
        for pair in zip(members, cells.get(mirror, []), strict=False)
    ]


def blind_accuracy(items: Sequence[Item]) -> dict[str, dict[str, float | int]]:
    """By kind: how many items, and the share that each blind reader solves."""
    found: dict[str, dict[str, float | int]] = {}
    for kind, n in sorted(Counter(item.negative.kind for item in items).items()):
        own = [item for item in items if item.negative.kind == kind]
        solved = np.array([item.gaps for item in own]) > 0
        found[kind] = {"n": n} | dict(zip(own[0].blind, solved.mean(axis=0).tolist(), strict=True))
    return found


def write_items(path: Path, items: Sequence[Item]) -> None:
    """Write items as JSON lines that the benchmark ``swaps`` reads; images relative to the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        for item in items:
            example, negative = item.example, item.negative
            record = {
                "key": example.key,
                "image_id": example.image_id,
                "image": Path(os.path.relpath(example.image.path, path.parent)).as_posix(),
                "caption": example.caption,
                "negative": negative.caption,
                "kind": negative.kind,
                "changed": negative.changed,
                "seed": negative.seed,
                "blind": item.blind,
            }
            file.write(json.dumps(record) + "\n")
