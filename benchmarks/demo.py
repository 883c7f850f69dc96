"""CPU seconds of `make demo` in this tree against those of another commit, one after the other.

    python benchmarks/demo.py                               d911184 and this tree, in fp32
    python benchmarks/demo.py --against REV --precision bf16
    python benchmarks/demo.py --extrapolate 25 45           each with so few steps, from which its own follow

Each demo runs in a process of its own with an empty cache, so that scenes are drawn, captions parsed and
negatives made anew. CPU seconds are those of the process and its children, in user and system; they suffer
less from a machine that is not quiet than the wall's, which stand beside them. `--extrapolate` measures four
short demos in place of two long ones: all but the steps is taken to cost the same, and every step as much as
another.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def own_steps(source: Path) -> int:
    """The steps that a tree's demo makes with each method, as its recipe says."""
    recipe = next((source / "src").rglob("scenes-negclip.yaml"))
    return yaml.safe_load(recipe.read_text())["train"]["steps"]


def extrapolated(source: Path, folder: Path, overrides: list[str], steps: list[int]) -> tuple[float, float]:
    """CPU and wall seconds at the tree's own steps, on the line through those at two smaller numbers."""
    own = own_steps(source)
    low, high = (demo(source, folder / str(n), [*overrides, f"train.steps={n}"]) for n in steps)
    share = (own - steps[0]) / (steps[1] - steps[0])
    return tuple(a + share * (b - a) for a, b in zip(low, high, strict=True))


def demo(source: Path, folder: Path, overrides: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a demo of that source tree."""
    folder.mkdir(parents=True)
    environment = os.environ | {"PYTHONPATH": str(source / "src"), "KNOWCLIP_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "knowclip.cli", "demo", "--out", str(folder / "demo"), *overrides]
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, env=environment, cwd=folder, check=True)
    wall, after = time.perf_counter() - start, os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system,
        wall,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", default="d911184", help="commit to compare with")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument(
        "--extrapolate", nargs=2, type=int, metavar="STEPS", help="two small numbers of steps"
    )
    parser.add_argument("overrides", nargs="*", help="on the recipes of both, as in train.steps=20")
    arguments = parser.parse_args()
    overrides = [f"train.precision={arguments.precision}", *arguments.overrides]
    git = ["git", "-C", str(ROOT), "worktree"]
    taken = {}
    with tempfile.TemporaryDirectory() as temporary:
        other = Path(temporary) / "tree"
        subprocess.run([*git, "add", "--detach", str(other), arguments.against], check=True)
        try:
            own = Path(temporary) / "own"  # as it stands now: the runs last, and read files to their end
            shutil.copytree(ROOT / "src", own / "src")
            for name, tree in ((arguments.against, other), ("this tree", own)):
                folder = Path(temporary) / f"run-{len(taken)}"
                if steps := arguments.extrapolate:
                    taken[name] = extrapolated(tree, folder, overrides, steps)
                else:
                    taken[name] = demo(tree, folder, overrides)
        finally:
            subprocess.run([*git, "remove", "--force", str(other)], check=True)
    old, new = taken.values()
    for name, (cpu, wall) in taken.items():
        print(f"{name:10} {cpu:7.0f} CPU s {wall:7.0f} s")
    print(f"this tree / {arguments.against}: {new[0] / old[0]:.2f} of the CPU seconds")


if __name__ == "__main__":
    main()
