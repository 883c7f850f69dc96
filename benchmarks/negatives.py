"""Hard negatives of a caption set: coverage by kind, speed, and a sample to read.

    python benchmarks/negatives.py FOLDER --split val --sample 200
    python benchmarks/negatives.py FOLDER --split val --against SRC

Speed is of making negatives from parsed captions, CPU seconds of one core, best of three. SRC is the source
folder of another version (``git worktree add OTHER COMMIT``, then ``OTHER/src``), which runs its own copy of
this file, modules having moved: the two run in turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from knowclip.data.captions.dataset import draw_negatives
from knowclip.data.captions.read import read_captions
from knowclip.knowledge.negatives.falsity import Said, lemmatised
from knowclip.knowledge.negatives.generate import SEMANTIC, generate
from knowclip.knowledge.parsing.parsers import parse
from knowclip.types import Example, Negative, SceneGraph

Made = dict[str, list[Negative]]
"""Key of an example -> its negatives."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--split")
    arguments.add_argument("--sample", type=int, default=0)
    arguments.add_argument("--seed", type=int, default=2026)
    arguments.add_argument("--against", type=Path, metavar="SRC", help="compare the speed of another version")
    options = arguments.parse_args()
    if options.against:
        compare(options.folder, options.split, options.against)
        return
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


def compare(folder: Path, split: str | None, other: Path, *, turns: int = 3) -> None:
    """Captions a second of this version and of another, in turns; the best of each and their ratio."""
    here = Path(__file__).resolve().parents[1] / "src"
    speeds: dict[Path, list[float]] = {other.resolve(): [], here: []}
    options = [str(folder), *(["--split", split] if split else [])]
    for _ in range(turns):
        for source, found in speeds.items():
            script = source.parent / "benchmarks" / "negatives.py"
            output = subprocess.run(
                [sys.executable, script, *options],
                env={**os.environ, "PYTHONPATH": str(source)},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            ).stdout
            (speed,) = re.findall(r"([\d,]+) captions/s", output)
            found.append(float(speed.replace(",", "")))
    before, now = (max(found) for found in speeds.values())
    print(f"{before:,.0f} captions/s there, {now:,.0f} here: {now / before:.2f} times")


def show(examples: Sequence[Example], made: Made, count: int, seed: int) -> None:
    """Captions drawn at random with one negative each, if they have any, drawn as training draws it."""
    for number, e in enumerate(Random(seed).sample(sorted(examples, key=lambda e: e.key), count), 1):
        drawn = draw_negatives(made[e.key], 1, Random(f"{seed} {e.key}"))
        kind, text = (drawn[0].kind, drawn[0].caption) if drawn else ("none", "")
        print(f"{number} | {kind} | {e.key} | {e.caption} | {text}")


if __name__ == "__main__":
    main()
