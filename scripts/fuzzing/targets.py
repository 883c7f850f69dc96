"""What is fuzzed: every reader with files it reads well, the parser, recipes."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fuzzing.damage import CELLS, IMAGES, JSON_VALUES, Example, Target, check, damaged
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests", "tests/evaluation", "tests/evaluation/tasks", "tests/knowledge/readers")
sys.path[:0] = [str(ROOT / folder) for folder in FOLDERS]
"""Good files are written as tests write them."""
WORDS = (
    "a the dog cat red blue building holding chased by sitting next to of on is and , two that 's no not n't "
    "without nothing only X-ray in-law - gives man woman his her them who which there are three photo of ."
).split()


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
    """Every benchmark, in its official layout, or over the images that those without one share."""
    import official
    import shared_images

    from knowclip.evaluation.benchmarks import registry
    from knowclip.evaluation.metrics import NoDataError

    with tempfile.TemporaryDirectory() as scratch:
        official.write_all(Path(scratch))
        places = {path.name for path in Path(scratch).iterdir()}
    with_images = {"coco", "vg"}

    def writer(place: str) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            with tempfile.TemporaryDirectory() as scratch:
                official.write_all(Path(scratch))
                for name in (place, *with_images):
                    shutil.copytree(Path(scratch) / name, folder / name, dirs_exist_ok=True)

        return write

    def reader(name: str) -> Callable[[Path], object]:
        return lambda folder: registry.read(name, folder, allow_missing=True)

    with tempfile.TemporaryDirectory() as scratch:
        shared_images.write_shared(Path(scratch))
        for name in registry.BENCHMARKS:
            try:
                reader(name)(Path(scratch))
                yield f"benchmark {name}", Target(shared_images.write_shared, (reader(name),))
            except NoDataError:
                place = max((each for each in places if name.startswith(each)), key=len)
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


def tasks() -> Iterator[tuple[str, Target]]:
    """Every layout of a task's files."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import task_files
    import test_task_glue

    from knowclip.evaluation.tasks import registry

    def vqa(folder: Path) -> None:
        for number in (1, 2, 3):
            task_files.vqa_picture(folder, "train" if number < 3 else "val", number)
        task_files.vqa_questions(folder, "train", [(1, "What color is it?", "red"), (2, "How many?", "2")])
        task_files.vqa_questions(folder, "val", [(3, "What color is it?", "a red")])

    def snli_ve(folder: Path) -> None:
        task_files.snli_ve_pictures(folder, "1", "2", "3")
        for split, image in (("train", "1"), ("dev", "2"), ("test", "3")):
            lines = [
                task_files.snli_ve_line(image, label, n) for n, label in enumerate(("neutral", "entailment"))
            ]
            (folder / f"snli_ve_{split}.jsonl").write_text("".join(lines))

    def e_snli_ve(folder: Path) -> None:
        task_files.snli_ve_pictures(folder, "7")
        for split in ("train", "test"):
            (folder / f"esnlive_{split}.csv").write_text(
                "pairID,Flickr30kID,hypothesis,gold_label,explanation\n"
                '7.jpg#1r1e,7.jpg,"A dog, running.",entailment,it runs\n'
                "7.jpg#2r1e,7.jpg,A cat.,contradiction,no\n"
            )

    def cola(folder: Path) -> None:
        for name in ("train.tsv", "dev.tsv"):
            test_task_glue.tsv(folder / "CoLA", name, 'gj04\t1\t\tA "sentence.', "gj04\t0\t*\tSentence a.")

    def stsb(folder: Path) -> None:
        columns = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [5.0, 2.5], "idx": [0, 1]}
        (folder / "stsb" / "validation").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / "stsb" / "train-00000-of-00001.parquet")
        saved = folder / "stsb" / "validation" / "data-00000-of-00001.arrow"
        with pa.ipc.new_stream(saved, pa.table(columns).schema) as sink:
            sink.write_table(pa.table(columns))

    def reader(name: str) -> Callable[[Path], object]:
        return lambda folder: registry.read(name, folder, allow_missing=True)

    layouts = {"vqa": [vqa], "snli_ve": [snli_ve, e_snli_ve], "glue_cola": [cola], "glue_stsb": [stsb]}
    for name, writers in layouts.items():
        for write in writers:
            yield f"task {name} {write.__name__}", Target(write, (reader(name),))


def own_files() -> Iterator[tuple[str, Target]]:
    """What knowclip itself has written: graphs of captions, results, a checkpoint."""
    import numpy as np
    import shared_images

    from knowclip.data.captions.user_graphs import read_graphs
    from knowclip.evaluation import runs, store
    from knowclip.evaluation.benchmarks import registry
    from knowclip.export.open_clip import save_pretrained
    from knowclip.knowledge.parsing.parsers import parse
    from knowclip.knowledge.records import graph_to_json
    from knowclip.models.loading.load import load
    from tiny_models import make

    captions = ["a red dog chases a blue cat", "an astronaut rides a horse"]

    def graphs_of_captions(folder: Path) -> None:
        found = zip(captions, parse(captions), strict=True)
        records = [{"key": str(n), "caption": c, **graph_to_json(g)} for n, (c, g) in enumerate(found)]
        (folder / "graphs.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))

    def results(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            shared_images.write_shared(Path(scratch))
            benchmark = registry.read("vg_relation", Path(scratch))
            n = len(benchmark.cases)
            graded = benchmark.grade(np.ones(n), np.zeros(n))
            place = store.save(graded, folder, model="m", model_hash="0123456789abcdef")
            store.save_absent({"cola": "no files"}, folder, model="m", model_hash="0123456789abcdef")
            assert place.is_file()

    def read_results(folder: Path) -> None:
        for place in sorted(path for path in folder.iterdir() if path.is_dir()):
            runs.read_run(place)

    yield "own graphs", Target(graphs_of_captions, (lambda folder: read_graphs(folder / "graphs.jsonl"),))
    yield "own results", Target(results, (read_results,))
    yield (
        "own checkpoint",
        Target(lambda folder: save_pretrained(make("word_level", folder), folder), (load,)),
    )


def targets(chosen: Sequence[str]) -> dict[str, Target | Example]:
    """Those whose names begin with one of ``chosen``; all of them for none."""
    every = dict(
        pair for make in (captions, graphs, benchmarks, tasks, own_files, texts, recipes) for pair in make()
    )
    found = {name: each for name, each in every.items() if not chosen or name.startswith(tuple(chosen))}
    if not found:
        raise SystemExit(f"no target begins with {', '.join(chosen)}; there are: {', '.join(every)}")
    return found
