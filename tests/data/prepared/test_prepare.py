"""Captions prepared in shards: the same as ``negatives_for`` gives, whatever was killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow.parquet
import pytest

from knowclip.data.captions.negatives import negatives_for
from knowclip.data.captions.read import read_captions
from knowclip.data.prepared.engines import in_processes, on_ray
from knowclip.data.prepared.manifest import NAME, UNITS
from knowclip.data.prepared.prepare import Preparation, prepare
from knowclip.knowledge.negatives.generate import SWAPS
from knowclip.knowledge.negatives.images import Making
from knowclip.types import Example

MAKING = Making("spacy", SWAPS, False, 0)
ALONE = partial(in_processes, processes=1)
COLOURS, THINGS = ("red", "blue", "white", "black"), ("dog", "cat", "horse", "man", "woman")


def sentences() -> list[tuple[str, str]]:
    """Image and caption: two captions an image, those of one image far apart, as COCO has them."""
    pairs = [(a, b) for a in THINGS for b in THINGS if a != b]
    first = [(f"{i}.jpg", f"A {a} chases a {b}.") for i, (a, b) in enumerate(pairs)]
    second = [(f"{i}.jpg", f"A {COLOURS[i % 4]} {b} and a green {a}.") for i, (a, b) in enumerate(pairs)]
    return first + second


@pytest.fixture
def captions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of 40 captions of 20 images, with one empty caption and one broken row."""
    monkeypatch.setattr("knowclip.data.formats.broken.TOLERATED_SHARE", 0.1)  # else of 42 none may be broken
    path = tmp_path / "captions.csv"
    lines = [f"{image},{caption}" for image, caption in sentences()]
    lines[3:3] = ["0.jpg,", "one field"]
    path.write_text("\n".join(["image,caption", *lines]) + "\n", encoding="utf-8")
    for image in {image for image, _ in sentences()}:
        (tmp_path / image).touch()
    return path


def run(captions: Path, out: Path, *, making: Making = MAKING, size: int = 8, engine=ALONE) -> Preparation:
    return prepare(captions, out, making=making, shard_size=size, column=None, engine=engine)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def examples(captions: Path) -> list[Example]:
    return read_captions(captions, allow_missing=True).examples


def test_shards_join_to_what_negatives_for_gives(captions: Path, tmp_path: Path, monkeypatch) -> None:
    found = run(captions, tmp_path / "out")
    assert (found.read, found.captions) == (42, 40)
    assert found.skipped == {"empty caption": 1, "row of another length than the header": 1}
    assert found.shards == found.made == 5
    pairs = examples(captions)
    made = negatives_for(pairs)
    assert negatives_for(pairs, graphs=tmp_path / "out") == made
    assert negatives_for(pairs[:7][::-1], graphs=tmp_path).examples == made.examples[:7][::-1]
    assert found.kinds == made.kinds and found.without == made.without
    assert found.negatives == sum(len(example.negatives) for example in made.examples)


def test_captions_of_an_image_are_in_one_shard_with_their_provenance(captions: Path, tmp_path: Path) -> None:
    run(captions, tmp_path / "out")
    images: set[str] = set()
    for path in sorted((tmp_path / "out").glob("*.parquet")):
        table = pyarrow.parquet.read_table(path)
        here = set(table["image"].to_pylist())
        assert here and not here & images
        images |= here
        assert set(table["parser"].to_pylist()) == {"spacy"}
        assert b'"pipeline"' in table.schema.metadata[b"knowclip"]
        assert all(one["seed"] == 0 for row in table["negatives"].to_pylist() for one in row)
    assert len(images) == 20


def test_units_are_given_to_processes_a_few_at_a_time() -> None:
    loaded: list[int] = []

    def load(number: int) -> bytes:
        loaded.append(number)
        return b"unit %d" % number

    done = in_processes(range(9), load, bytes.swapcase, processes=2)
    assert next(done)[1].startswith(b"UNIT") and len(loaded) <= 5
    results = dict(done)
    assert len(results) == 8 and all(content == b"UNIT %d" % number for number, content in results.items())
    assert list(in_processes([], load, bytes.swapcase, processes=2)) == []


class StoppedError(Exception):
    pass


def test_goes_on_after_any_shard(captions: Path, tmp_path: Path) -> None:
    """What a stop leaves is gone on with: no shard is made twice, the end is that of an undisturbed run."""

    def until(count: int):
        def engine(units, load, work):
            for number, done in enumerate(ALONE(units, load, work)):
                if number == count:
                    raise StoppedError
                yield done

        return engine

    run(captions, tmp_path / "whole")
    out = tmp_path / "out"
    for left in (5, 3):
        with pytest.raises(StoppedError):
            run(captions, out, engine=until(2))
        assert len(contents(out)) == 5 - left + 2
    assert run(captions, out).made == 1
    assert contents(out) == contents(tmp_path / "whole")
    assert run(captions, out).made == 0 and not (out / UNITS).exists()


def test_a_shard_that_is_lost_or_broken_is_made_again(captions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(captions, out)
    before = contents(out)
    first, second, *_ = sorted(out.glob("*.parquet"))
    first.unlink()
    second.write_bytes(before[second.name][:-20])
    assert run(captions, out).made == 2
    assert contents(out) == before


def test_what_changed_is_refused_and_nothing_lost(captions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(captions, out)
    before = contents(out)
    with pytest.raises(ValueError, match="begun with --seed 0, and 1"):
        run(captions, out, making=MAKING._replace(seed=1))
    with pytest.raises(ValueError, match="begun with --kind"):
        run(captions, out, making=MAKING._replace(kinds=("shuffle",)))
    with pytest.raises(ValueError, match="begun with --shard-size 8"):
        run(captions, out, size=9)
    os.utime(captions, (1, 1))  # as a copy has it: read anew, and found to be the same
    assert run(captions, out).made == 0
    captions.write_text(captions.read_text().replace("A dog chases a cat.", "A dog sees a cat."))
    with pytest.raises(ValueError, match="has changed since"):
        run(captions, out)
    assert contents(out) == before
    with pytest.raises(ValueError, match="holds other files"):
        run(captions, tmp_path)


def test_other_code_is_refused(captions: Path, tmp_path: Path, monkeypatch) -> None:
    run(captions, tmp_path / "out")
    monkeypatch.setattr("knowclip.knowledge.negatives.images.sources_of_negatives", lambda: [])
    with pytest.raises(ValueError, match="begun by code"):
        run(captions, tmp_path / "out")


def test_join_refuses_other_captions_and_fewer_of_an_image(
    captions: Path, tmp_path: Path, monkeypatch
) -> None:
    out = tmp_path / "out"
    run(captions, out)
    pairs = examples(captions)
    with pytest.raises(ValueError, match=r"prepared from other captions: '0\.jpg#0'"):
        negatives_for([replace(pairs[0], caption="A dog."), *pairs[1:]], graphs=out)
    more = replace(pairs[0], key="0.jpg#9", caption="A cat chases a dog.")
    with pytest.raises(ValueError, match=r"lacks '0.jpg#9', and holds other captions of its image"):
        negatives_for([*pairs, more], graphs=out)
    elsewhere = replace(pairs[0], key="x.jpg#0", image_id="x.jpg")
    assert negatives_for([*pairs, elsewhere], graphs=out).without[f"no graph in {out}"] == 1
    with pytest.raises(ValueError, match="no graph for any of the 1 captions"):
        negatives_for([elsewhere], graphs=out)
    with pytest.raises(ValueError, match="no negatives of kind 'shuffle'"):
        negatives_for(pairs, graphs=out, kinds=["shuffle"])
    with pytest.raises(ValueError, match="without --parse-negatives"):
        negatives_for(pairs, graphs=out, parse_negatives=True)
    next(out.glob("*.parquet")).unlink()
    with pytest.raises(ValueError, match="not finished: 1 of 5 shards"):
        negatives_for(pairs, graphs=out)


def test_negatives_that_captions_bring_and_lines_of_text(tmp_path: Path) -> None:
    """Own negatives are kept, lines of one pair joined; plain text has its line numbers as keys."""
    table = tmp_path / "own.tsv"
    rows = [
        ("a.jpg", "a dog", "['a cat']"),
        ("a.jpg", "a dog", "['a cow', 'a pet']"),
        ("a.jpg", "a pet", "[]"),
    ]
    table.write_text("\n".join("\t".join(row) for row in [("image", "caption", "neg_caption"), *rows]))
    (tmp_path / "a.jpg").touch()
    found = run(table, tmp_path / "own")
    assert found.skipped == {"joined to the same pair, with its negatives": 1} and found.read == 3
    pairs = examples(table)
    made = negatives_for(pairs)
    assert negatives_for(pairs, graphs=tmp_path / "own") == made
    assert [n.caption for n in made.examples[0].negatives] == ["a cat", "a cow"]

    text = tmp_path / "lines.txt"
    text.write_text("A dog.\n\nA red cat chases a dog.\n")
    run(text, tmp_path / "text")
    (shard,) = (tmp_path / "text").glob("*.parquet")
    assert pyarrow.parquet.read_table(shard).select(["key", "image"]).to_pylist() == [
        {"key": "1", "image": None}, {"key": "3", "image": None}
    ]  # fmt: skip
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    with pytest.raises(ValueError, match=r"gives no caption \(empty caption: 2\)"):
        run(empty, tmp_path / "none")


def test_memory_does_not_grow_with_the_corpus(captions: Path, tmp_path: Path, monkeypatch) -> None:
    """What waits to be written is bounded: units are appended to, and come out the same."""
    run(captions, tmp_path / "whole")
    monkeypatch.setattr("knowclip.data.prepared.corpus._HELD", 300)
    run(captions, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_any_moment(captions: Path, tmp_path: Path) -> None:
    """SIGKILL of the command as it works: the same command ends with the shards of an undisturbed run."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    # its own process tolerates no broken row among so few
    captions.write_text(captions.read_text().replace("one field", "1.jpg,"))
    run(captions, whole, size=1)
    command = [sys.executable, "-m", "knowclip.cli", "prepare", str(captions), "--out", str(out)]
    command += ["--shard-size", "1", "--processes", "1"]
    kills = 0
    for wanted in (1, 8):  # shards that are there when it is killed
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while len(list(out.glob("shard-*.parquet"))) < wanted and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 2
    assert (out / NAME).exists() and wanted <= len(contents(out)) < len(contents(whole))
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert contents(out) == contents(whole)
    assert "42 captions read = 40 kept + 2 skipped" in text
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".parquet") == [NAME]


@pytest.mark.slow
def test_ray_gives_the_same_files(captions: Path, tmp_path: Path, monkeypatch) -> None:
    """On a real cluster of two processors, reached by its address; its workers run this very source."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 else: beside other tests they would wait for minutes
    run(captions, tmp_path / "local", size=20)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        found = run(captions, tmp_path / "ray", size=20, engine=partial(on_ray, address=cluster.address))
    finally:
        cluster.shutdown()
    assert found.made == 2
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
