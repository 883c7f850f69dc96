"""Would a test notice? Changes one place of a room at a time and runs the room's tests, by mutmut.

    python scripts/mutation.py losses                    # a room of ROOMS: minutes to hours, one process
    python scripts/mutation.py readers --minutes 30      # stops then; what was not tried is counted
    python scripts/mutation.py negatives --only 'knowclip.knowledge.negatives.swaps.*'
    python scripts/mutation.py losses --keep mutated     # a folder to go on from, and to ask `mutmut show` in

Works on a copy of ``src``, ``tests`` and ``docs`` in a temporary folder. Prints how many changes were noticed
and the difference of each that was not. Exit code 1 where one survived that ``scripts/mutation.toml`` does
not explain.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXPLAINED = Path(__file__).with_suffix(".toml")
PACKAGE = "src/knowclip"
SURVIVED = (0, 5, 33)
"""mutmut's exit codes of what no test noticed, pytest having found none or there being none."""
ENDINGS = ("killed", "survived", "no tests", "timeout", "suspicious", "segfault", "skipped", "not checked")


@dataclass(frozen=True)
class Room:
    """What is changed, and the tests that have to notice: modules of the package, paths below tests/."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "losses": Room(("losses/*.py",), ("losses",)),
    "masks": Room(("losses/masks.py",), ("losses/test_masks.py",)),
    "metrics": Room(
        ("evaluation/metrics.py",),
        ("evaluation/test_evaluation_metrics.py", "evaluation/benchmarks/test_benchmark_protocols.py"),
    ),
    "negatives": Room(
        ("knowledge/negatives/*.py",),
        ("knowledge/negatives", "data/captions/test_data_prepare.py", "api/test_api.py"),
    ),
    "readers": Room(("knowledge/readers/*.py",), ("knowledge/readers",)),
    "formats": Room(("data/formats/*.py",), ("data/formats", "data/captions", "test_plugins.py")),
    "resume": Room(
        tuple(f"training/{name}.py" for name in ("checkpoint", "batches", "rng", "average", "kept")),
        tuple(
            f"training/test_training_{name}.py"
            for name in (
                "checkpoint",
                "checkpointer",
                "batches",
                "rng",
                "average",
                "kept",
                "resume",
                "step",
                "loop",
            )
        ),
    ),
}


FORGET = """

def pytest_sessionstart(session: pytest.Session) -> None:
    for name, module in list(sys.modules.items()):
        for value in vars(module).values() if name.startswith({modules!r}) else ():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    import json

    stats = Path("mutmut-stats.json")
    seconds = json.loads(stats.read_text())["duration_by_test"] if stats.is_file() else dict()
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
"""
"""Ends conftest.py: mutmut forks from a process that has run the tests once, and what that process kept would
hide changes; the first test that fails ends a run, so quick ones come first."""


def dotted(pattern: str) -> str:
    """``losses/*.py`` as the beginning of its modules' names."""
    return "knowclip." + pattern.removesuffix("*.py").removesuffix(".py").replace("/", ".").rstrip(".")


def forget_survivors(folder: Path) -> None:
    """Of an earlier run: mutmut would not try new tests on what it knows to survive, or to have no test."""
    for path in folder.glob("mutants/**/*.meta"):
        content = json.loads(path.read_text(encoding="utf-8"))
        codes = content["exit_code_by_key"]
        content["exit_code_by_key"] = {
            mutant: None if code in SURVIVED else code for mutant, code in codes.items()
        }
        path.write_text(json.dumps(content), encoding="utf-8")


def prepare(room: Room, folder: Path) -> None:
    """Copy the sources and say what is to be changed; of a folder that has them the results are kept."""
    forget_survivors(folder)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("src", "tests", "docs"):  # some tests compare with the pages
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    with (folder / "tests" / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(FORGET.format(modules=tuple(map(dotted, room.modules))))
    settings = {
        "source_paths": ["src"],
        "only_mutate": [f"{PACKAGE}/{pattern}" for pattern in room.modules],
        "also_copy": ["docs"],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:randomly", "-m", "not slow"],
        "pytest_add_cli_args_test_selection": [f"tests/{path}" for path in room.tests],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    ours = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text("\n".join([ours, "[tool.mutmut]", *lines, ""]), encoding="utf-8")


def mutmut(*arguments: str, folder: Path, seconds: float | None = None) -> str:
    """Run mutmut in the folder; with a limit it is asked to stop, and keeps what it has."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "mutmut", *arguments]
    shown = None if arguments[0] == "run" else subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=shown, text=True) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate()
        else:
            if process.returncode:
                raise SystemExit(f"mutmut {' '.join(arguments)} ended with {process.returncode}")
    return said or ""


def endings(folder: Path) -> dict[str, str]:
    """Mutant -> how it ended."""
    lines = mutmut("results", "--all", "true", folder=folder).splitlines()
    return dict(line.strip().rsplit(": ", 1) for line in lines if ": " in line)


def tell(name: str, found: dict[str, str], folder: Path) -> int:
    """Print the table and what was not noticed; the number of survivors without an explanation."""
    counts = {ending: sum(each == ending for each in found.values()) for ending in ENDINGS}
    told = [f"{ending} {count:,}" for ending, count in counts.items() if count]
    print(f"{name}: {len(found):,} changes: {', '.join(told)}")
    equal = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["equal"]
    survivors = {mutant for mutant, ending in found.items() if ending in ("survived", "no tests")}
    unexplained = 0
    for mutant in sorted(survivors):
        difference = difference_of(mutant, folder)
        reason = why(mutant, difference, equal)
        unexplained += reason is None
        print(f"\n{mutant}: {reason or 'NOT EXPLAINED'}\n{difference if reason is None else ''}".rstrip())
    return unexplained


def difference_of(mutant: str, folder: Path) -> str:
    """As ``mutmut show`` tells it, which takes seconds a mutant."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    with contextlib.chdir(folder):
        return get_diff_for_mutant(mutant).strip()


def why(mutant: str, difference: str, equal: list[dict[str, str]]) -> str | None:
    """The reason that an entry gives for this change; None where none does."""
    changed = [line[1:] for line in difference.splitlines() if line[:1] == "+" != line[1:2]]
    for entry in equal:
        if fnmatch(mutant, entry["mutants"]) and any(re.search(entry["line"], line) for line in changed):
            return entry["why"]
    return None


def main() -> None:
    """Read the command line, change, test, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--only", nargs="*", default=[], help="names of mutants, with * for any")
    parser.add_argument("--minutes", type=float, help="after which no further one is tried")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder to work in, and to go on from")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        prepare(ROOMS[chosen.room], folder)
        seconds = chosen.minutes and chosen.minutes * 60
        mutmut("run", "--max-children", str(chosen.processes), *chosen.only, folder=folder, seconds=seconds)
        unexplained = tell(chosen.room, endings(folder), folder)
    sys.exit(unexplained > 0)


if __name__ == "__main__":
    main()
