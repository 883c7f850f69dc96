"""Runs: all stored results of one model on one split, found by its folder or by what it is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.evaluation.benchmarks.registry import BENCHMARKS
from knowclip.evaluation.store import opened, read, read_absent, read_cases
from knowclip.types import Result

_ORDER = {name: place for place, name in enumerate(BENCHMARKS)}


@dataclass(frozen=True)
class Run:
    """All results of one model; ``cases`` are those of its choice benchmarks, with pictures and captions.

    ``absent`` says of benchmarks that were tried, and have no result, why; ``begun`` is when the first was
    written, in nanoseconds, and ``checkpoint`` which of a run's it is.
    """

    name: str
    model_hash: str
    folder: Path
    split: str = "test"
    results: list[Result] = field(default_factory=list)
    cases: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    begun: int = 0
    checkpoint: str = ""


def read_run(folder: Path) -> Run:
    """Read all results of one model on one split, of every benchmark the latest.

    Raises:
        ValueError: there are none, or of several models.
    """
    abouts = {path: opened(path)[1] for path in sorted(folder.glob("*.parquet"))}
    if not abouts:
        raise ValueError(f"{folder} holds no results; {how_to_write(folder)}")
    owners = {(about["hash"], about["split"]) for about in abouts.values()}
    if len(owners) > 1:
        told = ", ".join(f"{model} on {split}" for model, split in sorted(owners))
        raise ValueError(f"{folder} mixes results of several models or splits: {told}")
    latest: dict[str, Path] = {}
    # written, not the file's time: copies of a folder keep the order
    for path in sorted(abouts, key=lambda path: abouts[path]["written"]):
        latest[abouts[path]["benchmark"]] = path
    about = next(iter(abouts.values()))
    name = about["model"] if about["split"] == "test" else f"{about['model']} ({about['split']})"
    begun = min(about["written"] for about in abouts.values())
    checkpoint = str(about.get("provenance", {}).get("checkpoint", ""))
    run = Run(name, about["hash"], folder, about["split"], begun=begun, checkpoint=checkpoint)
    run.absent.update({name: reason for name, reason in read_absent(folder).items() if name not in latest})
    for benchmark in sorted(latest, key=lambda name: (_ORDER.get(name, len(_ORDER)), name)):
        run.results.append(read(latest[benchmark]))
        cases = read_cases(latest[benchmark])
        if cases:
            run.cases[benchmark] = cases
    return run


def named_run(path: Path) -> Run:
    """The run of a folder, or of ``FOLDER/NAME``, where NAME is what a model of FOLDER is called by.

    ``runs-clip-<hash>`` in FOLDER goes by ``clip``, by ``runs-clip`` and by its whole name;
    ``runs-clip-<hash>-val`` likewise, and by ``clip-val``.

    Raises:
        ValueError: there is no such run, or more than one; tells those that there are.
    """
    if path.is_dir() and any(path.glob("*.parquet")):
        return read_run(path)
    inside = _held(path)
    held = [] if inside else _held(path.parent)
    found = [run for run in held if path.name in _names(run)]
    if len(inside + found) == 1:
        return (inside + found)[0]
    problem = f"{path} holds no results"
    if found:
        names = ", ".join(run.folder.name for run in found)
        problem = f"{len(found)} models in {path.parent} go by {path.name!r}: {names}"
    elif inside:
        problem = f"{path} holds results of {len(inside)} models"
    folder, runs = (path, inside) if inside else (path.parent, held)
    known = ", ".join(f"{folder / _typed(run, runs)} ({run.name})" for run in runs)
    hint = f"name one of {known}" if known else how_to_write(path)
    raise ValueError(f"{problem}; {hint}")


def two_runs(folder: Path) -> tuple[Run, Run]:
    """The two runs of a folder, the later one first: a model and the baseline it was measured with.

    Raises:
        ValueError: it holds more or fewer.
    """
    runs = _held(folder) or ([read_run(folder)] if any(folder.glob("*.parquet")) else [])
    if len(runs) != 2:
        raise ValueError(f"{folder} {_not_two(folder, runs)}")
    return runs[1], runs[0]


def _not_two(folder: Path, runs: Sequence[Run]) -> str:
    """What is there in place of two runs, and how to come to two."""
    if not runs:
        return f"holds no results; {how_to_write(folder)}"
    if len(runs) == 1:
        return (
            f"holds results of one model ({runs[0].name}), and two are compared: measure another with "
            f"`knowclip evaluate MODEL --data DATA --out {quote(str(runs[0].folder.parent))}` and the same "
            f"DATA, or name its results: `knowclip compare {quote(str(folder))} OTHER`"
        )
    names = ", ".join(f"{folder / _typed(run, runs)} ({run.name})" for run in runs)
    return f"holds results of {len(runs)} models, not of two: name both to compare, of {names}"


def _held(folder: Path) -> list[Run]:
    """Runs whose folders stand in ``folder``, among whatever else does, in the order of their measuring."""
    runs = []
    for place in sorted({path.parent for path in folder.glob("*/*.parquet")}) if folder.is_dir() else ():
        with suppress(ValueError):  # Parquet files of somebody else
            runs.append(read_run(place))
    return sorted(runs, key=lambda run: run.begun)


def _typed(run: Run, among: Sequence[Run]) -> str:
    """The shortest name that tells a run from the others."""
    taken = Counter(name for other in among for name in _names(other))
    return min((name for name in _names(run) if taken[name] == 1 and "/" not in name), key=len)


def _names(run: Run) -> set[str]:
    """What a run may be called by."""
    stem = run.folder.name.partition(f"-{run.model_hash}")[0]
    bare = run.name.removesuffix(f" ({run.split})")
    parts = [part for part in bare.split("/") if part not in ("", "best", "last")]
    return {
        run.folder.name,
        stem,
        run.name,
        bare,
        *parts[-1:],
        *(f"{part}-{run.split}" for part in parts[-1:]),
    }


def how_to_write(path: Path) -> str:
    """What to type where results were expected: a model's folder is a thing to measure, no place for them."""
    if any((path / name).is_dir() for name in ("best", "last")):
        return (
            f"it is a model: measure it with `knowclip evaluate {quote(str(path))} --data DATA --out FOLDER`"
        )
    return "write them with `knowclip evaluate MODEL --data DATA --out FOLDER`"


def find_runs(paths: Iterable[Path]) -> dict[str, Run]:
    """Runs by the end of their name: each path is a folder of one or of several, or FOLDER/NAME.

    Those of one folder come in the order they were measured in: `evaluate` begins with the baseline.

    Equal names get their hash.

    Raises:
        ValueError: a path holds no results, and goes by the name of none (``named_run``).
    """
    runs: list[Run] = []
    for path in paths:
        whole = any(path.glob("*.parquet"))
        inside = [path] if whole else {place.parent for place in path.rglob("*.parquet")}
        found = sorted(map(read_run, sorted(inside)), key=lambda run: run.begun)
        runs += found or [named_run(path)]
    names = ["/".join(run.name.split("/")[-2:]) for run in runs]  # enough of a path to tell it by
    told = [
        name if names.count(name) == 1 else f"{name} {run.model_hash[:6]}"
        for name, run in zip(names, runs, strict=True)
    ]
    return dict(zip(told, runs, strict=True))


def absent_of(runs: Mapping[str, Run]) -> dict[str, str]:
    """Benchmarks that could not be measured and why; the run is named where another was measured on it."""
    measured = {result.benchmark for run in runs.values() for result in run.results}
    return {
        f"{benchmark} ({name})" if benchmark in measured else benchmark: reason
        for name, run in runs.items()
        for benchmark, reason in run.absent.items()
    }
