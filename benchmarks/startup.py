"""How long a person waits for help, for a refusal and for the first caption, against what must be imported.

    python benchmarks/startup.py                 five rounds
    python benchmarks/startup.py --rounds 11

Every round starts each of these processes once, in turn, so that a machine that is not quiet is as slow for
all of them; a ratio is that of the medians, and CPU seconds stand beside wall seconds.

- ``help``: ``knowclip --help``, against ``import torch``; it should be under a quarter.
- ``typo``: ``knowclip train clip with.a.typo=1``, against the same; under a half.
- ``parse``: ``knowclip parse`` of one caption until its graph is written, against spaCy's own import, the
  loading of its pipeline and the parsing of that caption; under 1.3.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from knowclip.knowledge.parsing.spacy_parser import installed_model

CAPTION = "A brown dog chases a red ball"
BOUNDS = {("help", "torch"): 0.25, ("typo", "torch"): 0.5, ("parse", "spacy"): 1.3}
"""What is measured, against what, and the ratio that it should stay under."""


def processes(folder: Path) -> dict[str, tuple[list[str], int]]:
    """Command line and expected exit status of each process."""
    captions = folder / "captions.txt"
    captions.write_text(f"{CAPTION}\n", encoding="utf-8")
    knowclip = ["-m", "knowclip.cli"]
    load = f"import spacy; spacy.load({installed_model()!r})({CAPTION!r})"
    return {
        "torch": (["-c", "import torch"], 0),
        "help": ([*knowclip, "--help"], 0),
        "typo": ([*knowclip, "train", "clip", "with.a.typo=1"], 1),
        "spacy": (["-c", load], 0),
        "parse": ([*knowclip, "parse", str(captions), "--out", str(folder / "graphs.jsonl")], 0),
    }


def seconds(arguments: list[str], expected: int) -> tuple[float, float]:
    """Wall and CPU seconds of one process of this interpreter."""
    before, start = os.times(), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode != expected:
        raise SystemExit(f"{arguments} ended with {done.returncode}: {done.stderr}")
    children = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, children


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        started = processes(Path(folder))
        for number in range(rounds + 1):
            for name, (arguments, expected) in started.items():
                measured = seconds(arguments, expected)
                if number:  # the first round reads the files into the system's cache
                    taken[name].append(measured)
    medians = {name: tuple(median(kind) for kind in zip(*each, strict=True)) for name, each in taken.items()}
    print(f"{rounds} rounds, median seconds: {'wall':>8}{'CPU':>8}")
    for name, (wall, cpu) in medians.items():
        print(f"{name:>25}{wall:>8.2f}{cpu:>8.2f}")
    for (ours, theirs), bound in BOUNDS.items():
        wall, cpu = (ours_ / theirs_ for ours_, theirs_ in zip(medians[ours], medians[theirs], strict=True))
        verdict = "holds" if wall < bound else "DOES NOT HOLD"
        print(f"{ours} / {theirs}: {wall:.2f} wall, {cpu:.2f} CPU; under {bound}: {verdict}")


if __name__ == "__main__":
    main()
