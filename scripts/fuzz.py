"""Damaged files for every reader, odd texts for the parser: a result or an error that teaches, never a crash.

    python scripts/fuzz.py --minutes 60                # every target, an hour together
    python scripts/fuzz.py --minutes 5 graph captions  # those whose names begin so
    python scripts/fuzz.py --list

Hypothesis draws the damage: bytes anywhere, a value of a JSON file by one of another type, a field of a
table. What a reader may do with it: read what is left, or raise a ValueError that says which file. A finding
is shrunk and printed with the damaged text; the others go on. Exit code 1 where there is one.

Targets share the time, not the inputs: the next turn is of the one that had the least of it, so that a slow
one holds up no other. The table at the end says how many inputs and seconds each had.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/evaluation"), str(ROOT / "tests/knowledge/readers")]
Example = Callable[[st.DataObject], None]
FIRST = 20
"""Inputs of a target's first turn, which measures its speed."""
TURNS = 4
"""Of a target, about: each begins hypothesis anew with another seed."""
IMAGES = {".jpg", ".jpeg", ".png", ".npy"}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
NOTHING_LEFT = ("no triplet left", "none of 0 records can be measured")
"""What is said of a file without a record may do without its name."""
CELLS = st.text(max_size=8) | st.sampled_from(
    ["", "nan", "1e999", "-1", '"', "a,b", "\t", "../a.jpg", "\x00"]
)
WORDS = (
    "a the dog cat red blue building holding chased by sitting next to of on is and , two that 's no not n't "
    "without nothing only X-ray in-law - gives man woman his her them who which there are three photo of ."
).split()


@dataclass(frozen=True)
class Target:
    """Good files, written once, and what reads them."""

    write: Callable[[Path], None]
    reads: tuple[Callable[[Path], object], ...]


def at_random(value: Any, data: st.DataObject) -> Any:
    """The value with one part of it, at any depth, replaced, dropped or doubled."""
    if not isinstance(value, (dict, list)) or not value or data.draw(st.integers(0, 5)) == 0:
        return data.draw(JSON_VALUES)
    keys = sorted(value) if isinstance(value, dict) else range(len(value))
    key = data.draw(st.sampled_from(keys))
    changed = value.copy()
    if data.draw(st.integers(0, 7)) == 0:
        del changed[key]
    elif isinstance(value, list) and data.draw(st.integers(0, 7)) == 0:
        changed.insert(key, value[key])
    else:
        changed[key] = at_random(value[key], data)
    return changed


def by_bytes(content: bytes, data: st.DataObject) -> bytes:
    """Some bytes replaced, or the file cut off."""
    at, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 8))
    content = content[:at] + data.draw(st.binary(max_size=6)) + content[at + length :]
    return content[: data.draw(st.sampled_from([len(content), len(content) // 2, 0]))]


def by_line(content: bytes, data: st.DataObject) -> bytes:
    """A JSON value or a field of one line replaced."""
    lines = content.decode().splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    if lines[number].startswith(("{", "[")):
        lines[number] = json.dumps(at_random(json.loads(lines[number]), data))
    else:
        comma = "\t" if "\t" in lines[number] else ","
        cells = lines[number].split(comma)
        cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(CELLS)
        lines[number] = comma.join(cells)
    return "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


def by_column(content: bytes, data: st.DataObject) -> bytes:
    """A column of a Parquet file by other values, or gone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content))
    at = data.draw(st.integers(0, table.num_columns - 1))
    name, n = table.column_names[at], table.num_rows
    values = data.draw(
        st.sampled_from([[None] * n, list(range(n)), [["x"]] * n, [{"a": 1}] * n, ["x"] * n, [b"\xff"] * n])
    )
    table = (
        table.remove_column(at) if data.draw(st.booleans()) else table.set_column(at, name, pa.array(values))
    )
    into = io.BytesIO()
    pq.write_table(table, into)
    return into.getvalue()


def damaged(path: Path, content: bytes, data: st.DataObject) -> bytes:
    """Content of a file of this ending, damaged."""
    ways = [by_bytes]
    if path.suffix == ".yaml":
        ways.append(lambda whole, draw: yaml.safe_dump(at_random(yaml.safe_load(whole), draw)).encode())
    with contextlib.suppress(ValueError):
        json.loads(content)
        ways.append(lambda whole, draw: json.dumps(at_random(json.loads(whole), draw)).encode())
    if path.suffix == ".parquet":
        ways.append(by_column)
    elif path.suffix in (".csv", ".tsv", ".txt", ".jsonl", ".token", ".noun", ".verb") and content:
        ways.append(by_line)
    return data.draw(st.sampled_from(ways))(content, data)


def examples_of(target: Target, folder: Path) -> Example:
    """What hypothesis runs: one damage, and every reading of it; the file is whole again afterwards."""
    target.write(folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in IMAGES]

    def example(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(files))
        whole = path.read_bytes()
        path.write_bytes(damaged(path, whole, data))
        try:
            for read in target.reads:
                check(read, folder, path)
        finally:
            path.write_bytes(whole)

    return example


def check(read: Callable[[Path], object], folder: Path, path: Path) -> None:
    """Read the folder whose file ``path`` is damaged: it works, or says which file does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(folder)
    except ValueError as error:
        told = any(part in str(error) for part in (path.name, path.stem, str(path.parent), *NOTHING_LEFT))
        if not told or isinstance(error, UnicodeError | json.JSONDecodeError):
            raise AssertionError(
                f"does not name {path.name}: {error!r}: {path.read_bytes()[:300]!r}"
            ) from error
    except Exception as error:
        raise AssertionError(f"{path.relative_to(folder)}: {path.read_bytes()[:300]!r}") from error


def captions() -> Iterator[tuple[str, Target]]:
    """Every captions format, by its own sample."""
    from PIL import Image

    from knowclip.data.captions.read import read_captions
    from knowclip.data.formats.registry import CODE, FORMATS
    from knowclip.knowledge.parsing.caption_texts import read_texts

    def writer(file: str, sample: str) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            for name in ("a.jpg", "b.jpg"):
                Image.new("RGB", (8, 6)).save(folder / name)
            if file == CODE:
                with contextlib.chdir(folder):
                    exec(sample, {})
            else:
                (folder / file).write_text(sample, encoding="utf-8")

        return write

    def reads(file: str) -> list[Callable[[Path], object]]:
        def path(folder: Path) -> Path:
            made = [path for path in folder.iterdir() if path.suffix not in (*IMAGES, ".txt")]
            return folder / file if file != CODE else made[0] if made else folder

        def as_texts(folder: Path) -> None:
            assert all(text.caption.encode() for text in read_texts(path(folder), skipped=Counter()))

        def as_pairs(folder: Path) -> None:
            found = read_captions(path(folder), allow_missing=True)
            assert all(example.caption.encode() and example.image for example in found.examples)

        return [as_texts, as_pairs]

    for each in FORMATS:
        for file, sample in each.samples.items():
            chosen = tuple(reads(file)[: 2 if each.images else 1])
            yield f"captions {each.name} {file}", Target(writer(file, sample), chosen)


def graphs() -> Iterator[tuple[str, Target]]:
    """Every reader of a knowledge graph."""
    from test_reader_fuzz import FILES, FOLDERS

    from knowclip.knowledge.readers.registry import import_graph

    def writer(files: dict[str, str]) -> Callable[[Path], None]:
        return lambda folder: [(folder / name).write_text(text) for name, text in files.items()] and None

    def reader(name: str, files: dict[str, str]) -> Callable[[Path], object]:
        def read(folder: Path) -> None:
            with tempfile.TemporaryDirectory() as out:
                source = folder if name in FOLDERS else folder / next(iter(files))
                assert import_graph(name, source, Path(out) / "graph").counts["triplets"] >= 1

        return read

    for kind, (name, files) in FILES.items():
        yield f"graph {kind}", Target(writer(files), (reader(name, files),))


def benchmarks() -> Iterator[tuple[str, Target]]:
    """Every benchmark, in its official layout."""
    import official

    from knowclip.evaluation.benchmarks import registry

    with tempfile.TemporaryDirectory() as scratch:
        official.write_all(Path(scratch))
        places = {path.name for path in Path(scratch).iterdir()}
    shared = {"coco", "vg"}
    places.remove("vg")  # images alone

    def writer(place: str) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            with tempfile.TemporaryDirectory() as scratch:
                official.write_all(Path(scratch))
                for name in (place, *shared):
                    shutil.copytree(Path(scratch) / name, folder / name, dirs_exist_ok=True)

        return write

    def reader(name: str) -> Callable[[Path], object]:
        return lambda folder: registry.read(name, folder, allow_missing=True)

    for name in registry.BENCHMARKS:
        place = max((each for each in places if name.startswith(each)), key=len, default="")
        if place:
            yield f"benchmark {name}", Target(writer(place), (reader(name),))


def texts() -> Iterator[tuple[str, Example]]:
    """Captions of any letters and of captions' words: their graphs, and the negatives of these."""
    from knowclip.knowledge.content_hashes import normalised
    from knowclip.knowledge.negatives.generate import generate
    from knowclip.knowledge.parsing.parsers import parse

    drawn = st.text(max_size=80) | st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join)

    def read(data: st.DataObject) -> None:
        caption = data.draw(drawn)
        (graph,) = parse([caption])
        for item in (*graph.objects, *graph.attributes, *graph.relations):
            assert item.span is not None and 0 <= item.span[0] < item.span[1] <= len(caption)
        assert all(relation.subject != relation.object for relation in graph.relations)
        made = [normalised(negative.caption) for negative in generate(caption, graph)]
        assert len(set(made)) == len(made) and normalised(caption) not in made

    yield "parser and negatives", read


def recipes() -> Iterator[tuple[str, Example]]:
    """Every shipped recipe and study, its YAML damaged; and overrides of any keys and values."""
    from knowclip.recipe.load import RECIPES, find_recipe, load_recipe
    from knowclip.recipe.study import STUDIES, load_study

    def files(folder: Path, load: Callable[[Path], object]) -> Example:
        shipped = sorted(folder.glob("*.yaml"))

        def read(data: st.DataObject) -> None:
            source = data.draw(st.sampled_from(shipped))
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / source.name
                path.write_bytes(damaged(path, source.read_bytes(), data))
                check(lambda _: load(path), Path(scratch), path)

        return read

    def keys(values: dict[str, Any]) -> Iterator[str]:
        for key, value in values.items():
            yield key
            yield from (f"{key}.{inner}" for inner in (keys(value) if isinstance(value, dict) else ()))

    known = sorted(keys(load_recipe("scenes-joint").model_dump(mode="json")))
    values = CELLS | JSON_VALUES.map(json.dumps)
    overrides = st.lists(
        st.builds("{}={}".format, st.sampled_from(known) | st.text(max_size=12), values),
        min_size=1, max_size=3,
    )  # fmt: skip

    def read(data: st.DataObject) -> None:
        with contextlib.suppress(ValueError):
            load_recipe(find_recipe("scenes-joint"), data.draw(overrides))

    yield "recipe files", files(RECIPES, load_recipe)
    yield "recipe studies", files(STUDIES, load_study)
    yield "recipe overrides", read


def targets(chosen: Sequence[str]) -> dict[str, Target | Example]:
    """Those whose names begin with one of ``chosen``; all of them for none."""
    every = dict(pair for make in (captions, graphs, benchmarks, texts, recipes) for pair in make())
    found = {name: each for name, each in every.items() if not chosen or name.startswith(tuple(chosen))}
    if not found:
        raise SystemExit(f"no target begins with {', '.join(chosen)}; there are: {', '.join(every)}")
    return found


@dataclass
class Share:
    """What one target had so far."""

    example: Example
    inputs: int = 0
    seconds: float = 0.0
    finding: str = ""

    def counted(self, data: st.DataObject) -> None:
        """One input."""
        self.inputs += 1
        self.example(data)

    def turn(self, name: str, *, seed: int, seconds: float) -> None:
        """As many inputs as fit into ``seconds`` by the speed of those before; few in the first turn."""
        fit = seconds * self.inputs / self.seconds if self.seconds else FIRST
        chosen = settings(
            max_examples=min(max(int(fit), 1), 5000), deadline=None, database=None,
            suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
        )  # fmt: skip
        began = time.monotonic()
        try:
            seeded(seed)(chosen(given(st.data())(self.counted)))()
        except Exception:
            self.finding = f"=== {name}, seed {seed}\n{traceback.format_exc(limit=-3)}"
            print(self.finding, flush=True)
        self.seconds += time.monotonic() - began


def in_turn(shares: dict[str, Share], *, seed: int, seconds: float) -> None:
    """Give every target its turns until the time is over or each has a finding."""
    end, turns = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        waiting = [name for name, share in shares.items() if not share.finding]
        if not waiting:
            return
        name = min(waiting, key=lambda each: shares[each].seconds)
        shares[name].turn(name, seed=seed + turns, seconds=seconds / len(shares) / TURNS)
        turns += 1


def main() -> None:
    """Read the command line, fuzz in turn until the time is over, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", help="beginnings of names; all")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="name the targets and stop")
    chosen = parser.parse_args()
    found = targets(chosen.targets)
    if chosen.list:
        print("\n".join(found))
        return
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KNOWCLIP_CACHE"] = str(Path(scratch) / "cache")
        shares = {}
        for number, (name, target) in enumerate(found.items()):
            (folder := Path(scratch) / str(number)).mkdir()
            shares[name] = Share(examples_of(target, folder) if isinstance(target, Target) else target)
        in_turn(shares, seed=chosen.seed, seconds=60 * chosen.minutes)
    for name, each in shares.items():
        print(f"{each.inputs:8,} inputs {each.seconds:6.0f} s  {name}")
    inputs = sum(each.inputs for each in shares.values())
    findings = sum(bool(each.finding) for each in shares.values())
    print(f"{inputs:,} inputs in {chosen.minutes:g} minutes, {findings} findings")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
