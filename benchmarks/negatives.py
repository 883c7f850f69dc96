"""Hard negatives of a caption set: coverage by kind, speed, and a sample to read.

    python benchmarks/negatives.py FOLDER --split val --sample 100

Speed is of making negatives from parsed captions, on one core, best of three.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from knowclip.data.captions import read_captions
from knowclip.data.dataset import draw_negatives
from knowclip.knowledge.falsity import Said, lemmatised
from knowclip.knowledge.negatives import SEMANTIC, generate
from knowclip.knowledge.parsing import parse
from knowclip.types import Example, Negative, SceneGraph

Made = dict[str, list[Negative]]
"""Key of an example -> its negatives."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--split")
    arguments.add_argument("--sample", type=int, default=0)
    arguments.add_argument("--seed", type=int, default=2026)
    options = arguments.parse_args()
    examples = read_captions(options.folder, split=options.split).examples
    graphs = dict(zip([e.key for e in examples], parse(e.caption for e in examples), strict=True))
    made, seconds = timed(examples, graphs)
    repeated = sum(
        lemmatised(n.caption) in {lemmatised(e.caption) for e in own}
        for own in images(examples).values() for e in own for n in made[e.key]
    )  # fmt: skip
    print(
        f"{sum(map(bool, made.values())) / len(examples):.1%} of {len(examples):,} captions have a negative"
    )
    print(f"{len(examples) / seconds:,.0f} captions/s; {repeated} negatives equal a caption of their image")
    for kind, n in Counter(n.kind for several in made.values() for n in several).items():
        share = sum(any(n.kind == kind for n in several) for several in made.values()) / len(examples)
        print(f"  {kind}: {n:,}, of {share:.1%} of the captions")
    if options.sample:
        show(examples, made, options.sample, options.seed)


def images(examples: Sequence[Example]) -> Mapping[str, list[Example]]:
    found: dict[str, list[Example]] = {}
    for example in examples:
        found.setdefault(example.image_id, []).append(example)
    return found


def timed(examples: Sequence[Example], graphs: Mapping[str, SceneGraph]) -> tuple[Made, float]:
    best = float("inf")
    for _ in range(3):
        start, made = time.process_time(), Made()
        for own in images(examples).values():
            said = Said([e.caption for e in own], [graphs[e.key] for e in own])
            for e in own:
                made[e.key] = generate(e.caption, graphs[e.key], kinds=SEMANTIC, said=said)
        best = min(best, time.process_time() - start)
    return made, best


def show(examples: Sequence[Example], made: Made, count: int, seed: int) -> None:
    """Captions drawn at random with one negative each, drawn as training draws it."""
    drawn = Random(seed).sample(sorted((e for e in examples if made[e.key]), key=lambda e: e.key), count)
    for number, e in enumerate(drawn, 1):
        (negative,) = draw_negatives(made[e.key], 1, Random(f"{seed} {e.key}"))
        print(f"{number} | {negative.kind} | {e.key} | {e.caption} | {negative.caption}")


if __name__ == "__main__":
    main()
