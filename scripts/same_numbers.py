"""Does a change of shape change a number? Runs the working tree and an older revision, and compares.

    python scripts/same_numbers.py REV [--keep FOLDER] [--only NAME ...]

Both run the same commands, one after the other, in one environment: scenes, parsed captions, negatives, an
imported and split graph, twenty steps of every method, an evaluation. Files are compared byte for byte,
losses and scores as numbers, to the last digit; what tells the time is left out. With KNOWCLIP_REAL_DATA, the
first captions of Flickr8k are parsed too. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CAPTIONS = """\
A man in a red shirt hands a woman a blue cup while two dogs sleep under the wooden table.
The small brown dog is chasing a white cat across the green grass.
A girl who is not wearing a hat rides a horse on the beach without a saddle.
Two children in yellow raincoats are jumping over puddles near an old bus.
An unidentified man leans against an SUV next to an 11-year-old boy holding a skateboard.
A woman gives her friend a slice of pizza and a glass of red wine.
There are no cars on the empty street, only a bicycle with a flat tire.
"""
SMALL = (
    "train.steps=20 train.batch_size=32 train.log_every=1 schedule.warmup=5 train.validate_every=20 "
    "data.cache_dir=cache data.train.path=scenes data.val.path=scenes selection.suite=scenes "
    "selection.metrics=[text_to_image_R@1]"
)
GRAPH = "data.graph.batch_size=16 data.graph.path=kg/parts/train"


@dataclass(frozen=True)
class Probe:
    """Commands, and how what they leave behind is read."""

    commands: tuple[str, ...]
    read: Callable[[Path], dict[str, object]]


def files(folder: str, *patterns: str) -> Callable[[Path], dict[str, object]]:
    """Digest every file of ``folder`` that a pattern names."""

    def read(root: Path) -> dict[str, object]:
        found = sorted({p for pattern in patterns or ("**/*",) for p in (root / folder).glob(pattern)})
        return {
            str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found if p.is_file()
        }

    return read


def losses(run: str) -> Callable[[Path], dict[str, object]]:
    """Every number of a training log that is no time."""

    def read(root: Path) -> dict[str, object]:
        records = [json.loads(line) for line in (root / run / "log.jsonl").read_text().splitlines()]
        return {
            f"{run} record {number} {key}": value
            for number, record in enumerate(records)
            for key, value in record.items()
            if not any(word in key for word in ("second", "time", "_per_s", "memory", "eta"))
        }

    return read


def scores(folder: str) -> Callable[[Path], dict[str, object]]:
    """The rows of the Markdown table of an evaluation."""

    def read(root: Path) -> dict[str, object]:
        text = (root / folder / "report.md").read_text(encoding="utf-8")
        return {
            f"{folder} line {n}": line for n, line in enumerate(text.splitlines()) if line.startswith("|")
        }

    return read


def training(recipe: str, *overrides: str) -> Probe:
    """Twenty steps of a recipe on the small scenes."""
    options = " ".join([SMALL, f"output.folder=runs/{recipe}", *overrides])
    return Probe((f"train {recipe} {options}",), losses(f"runs/{recipe}"))


PROBES = {
    "scenes": Probe(
        ("scenes scenes --train 400 --val 60 --test 60 --workers 1",),
        files("scenes", "**/*.json", "**/*.png", "**/*.jpg"),
    ),
    "parse": Probe(("parse captions.txt --out graphs.jsonl",), files(".", "graphs.jsonl")),
    "negatives": Probe(("negatives captions.txt --out negatives.jsonl",), files(".", "negatives.jsonl")),
    "graph": Probe(
        (
            "graph import visual-genome scenes/visual_genome name=scenes objects=true --out kg/scenes",
            "graph import concepts --out kg/concepts",
            "graph merge kg/scenes kg/concepts --out kg/demo",
            "graph split kg/demo --val 0.05 --test 0.05 --benchmark scenes/dataset.json --out kg/parts",
        ),
        files("kg", "**/*.parquet", "**/*.npy", "**/*.bin"),
    ),
    "clip": training("scenes-clip"),
    "negclip": training("scenes-negclip"),
    "structure_clip": training("scenes-structure-clip"),
    "knowledge_clip": training(
        "scenes-knowledge-clip", GRAPH, "data.graph.proportions=null", "selection.links.path=kg/parts"
    ),
    "joint": training("scenes-joint", GRAPH, "data.graph.proportions=null"),
    "evaluate": Probe(("evaluate runs/scenes-clip --data scenes --out evaluation",), scores("evaluation")),
}


@contextmanager
def older(revision: str) -> Iterator[Path]:
    """Check a revision out beside the working tree."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", tree, revision], cwd=ROOT, check=True
        )
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def write_inputs(folder: Path) -> None:
    """Captions of our own, and the first of Flickr8k where they are at hand."""
    captions = CAPTIONS
    original = Path(os.environ.get("KNOWCLIP_REAL_DATA", "")) / "flickr8k" / "Flickr8k.token.txt"
    if original.is_file():
        lines = original.read_text(encoding="utf-8").splitlines()[:1000]
        captions += "".join(line.split("\t")[1] + "\n" for line in lines)
    (folder / "captions.txt").write_text(captions, encoding="utf-8")


def run(tree: Path, folder: Path, names: list[str]) -> dict[str, dict[str, object]]:
    """Run the commands of the probes with one tree's source; their readings by probe."""
    folder.mkdir(parents=True)
    write_inputs(folder)
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "KNOWCLIP_CACHE": str(folder / "cache")}
    readings = {}
    for name in names:
        for command in PROBES[name].commands:
            print(f"  {command[:100]}", flush=True)
            done = subprocess.run(
                [sys.executable, "-m", "knowclip.cli", *command.split()],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"{tree}: knowclip {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        readings[name] = PROBES[name].read(folder)
        if not readings[name]:
            raise SystemExit(f"{name}: nothing to compare under {folder}")
    return readings


def compare(old: dict[str, object], new: dict[str, object]) -> list[str]:
    """Name what differs."""
    return [
        f"{key}: {old.get(key)!r} -> {new.get(key)!r}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def main() -> None:
    """Run both, compare, say what differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revision", help="what to compare the working tree with")
    parser.add_argument("--keep", type=Path, help="new folder that keeps what both wrote")
    parser.add_argument("--only", nargs="+", choices=PROBES, default=list(PROBES), help="probes to run")
    arguments = parser.parse_args()
    with older(arguments.revision) as tree, tempfile.TemporaryDirectory() as scratch:
        work = arguments.keep or Path(scratch)
        print(f"{arguments.revision}:")
        old = run(tree, work / "old", arguments.only)
        print("working tree:")
        new = run(ROOT, work / "new", arguments.only)
    differing = 0
    for name in arguments.only:
        differences = compare(old[name], new[name])
        differing += len(differences)
        print(f"{name:16} {len(new[name]):5} compared, {len(differences)} differ")
        for line in differences[:5]:
            print(f"    {line[:300]}")
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
