"""Every reader, and merge, filter and split: what is read is what is kept, merged, described or left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from knowclip.knowledge.graph.edit import filter_graph, merge
from knowclip.knowledge.graph.excluded_images import ImageSet
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.split import split, split_as_given
from knowclip.knowledge.graph.staging import graph_builder
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.graph.tally import SELF_LOOP, Tally
from knowclip.knowledge.readers.registry import READERS, import_graph
from knowclip.types import Example, ImageRef


def adds_up(tally: Tally | None) -> Tally:
    assert tally is not None
    assert tally.read == tally.kept + tally.merged + tally.described + sum(tally.skipped.values()), tally
    return tally


WEIGHT = json.dumps({"dataset": "/d/test", "weight": 1.0})
BOX = {"x": 1, "y": 2, "w": 3, "h": 4}
MAN, HAT = {"object_id": 1, "name": "man", **BOX}, {"object_id": 2, "names": ["hat"], **BOX}
WEARS = {"predicate": "wears", "subject": MAN, "object": HAT}


def assertions(folder: Path) -> Path:
    lines = [
        ("IsA", "/c/en/dog", "/c/en/animal", WEIGHT),
        ("IsA", "/c/en/dog/n", "/c/en/animal", WEIGHT),  # the same
        ("IsA", "/c/en/dog/n", "/c/en/dog/v", WEIGHT),  # a loop once senses are joined
        ("IsA", "/c/xx/dog", "/c/en/animal", WEIGHT),
        ("IsA", "/c/en/_", "/c/en/animal", WEIGHT),
        ("IsA", "/c/en/cat", "/c/en/animal", "{}"),
        ("NotIsA", "/c/en/cat", "/c/en/dog", WEIGHT),
    ]
    rows = ["\t".join((f"/a/{n}", f"/r/{r}", h, t, w)) for n, (r, h, t, w) in enumerate(lines)]
    data = "\n".join([*rows, "one column", ""]).encode() + b"/a/x\t/r/IsA\t/c/en/\xff\t/c/en/x\t{}\n"
    (folder / "a.csv").write_bytes(data)
    return folder / "a.csv"


def cn100k(folder: Path) -> Path:
    rows = ["IsA\tdog\tpet\t1", "IsA\tdog\tpet\t2", "IsA\tDog\tdog\t1", "IsA\t \tdog\t1", "IsA\tcat\tpet\t",
            "IsA\tcat\tpet\tnan", "Foo\tcat\tpet\t1", "IsA\tcat"]  # fmt: skip
    (folder / "train.txt").write_bytes("\n".join([*rows, ""]).encode() + b"IsA\tc\xffat\tpet\t1\n")
    return folder / "train.txt"


def triples(folder: Path, name: str = "t.tsv", separator: str = "\t") -> Path:
    rows = [("dog", "is", "pet", "1"), ("dog", "is", "pet", "2"), ("dog ", "is", " dog", "1"),
            (" ", "is", "pet", "1"), ("cat", "is", "pet", ""), ("cat", "is", "pet", "nan"),
            ("NULL", "is", "pet", "1"), ("/c/en/", "is", "pet", "1"), ("cat", "is"),
            ("a", "b", "c", "1", "d")]  # fmt: skip
    text = (
        "\r\n".join(separator.join(row) for row in (("head", "relation", "tail", "weight"), *rows)) + "\r\n"
    )
    (folder / name).write_bytes(
        text.encode() + separator.join(("caf\xe9", "is", "c", "1\r\n")).encode("latin-1")
    )
    return folder / name


def wordnet(folder: Path) -> Path:
    lines = [
        b"00000010 05 n 01 dog 0 004 @ 00000020 n 0000 @ 00000020 n 0000 + 00000010 n 0101 "
        b"@ 99999999 n 0000 | pet",
        b"00000020 05 n 01 pet 0 001 ~ 00000010 n 0000 | x",
        b"00000030 05 n 01 _ 0 000 | x",
        b"00000040 05 n 01 caf\xe9 0 000 | x",
        b"00000050 05 n",
    ]
    (folder / "data.noun").write_bytes(b"\n".join(lines) + b"\n")
    return folder


def visual_genome(folder: Path) -> Path:
    loop, blank = {**WEARS, "object": MAN}, {**WEARS, "predicate": " "}
    unknown = {"predicate": "on", "subject_id": 1, "object_id": 9}
    relations = [WEARS, WEARS, loop, blank, unknown, {**WEARS, "subject": {**MAN, "name": ""}}, 3]
    files: dict[str, Any] = {
        "relationships": [{"image_id": 5, "relationships": relations}, {"image_id": 6}, 7],
        "attributes": [{"image_id": 5, "attributes": [{**HAT, "attributes": ["red", "Red"]}, MAN]}],
        "objects": [{"image_id": 5, "objects": [HAT, {**HAT, "name": None, "names": []}]}],
        "region_descriptions": [{"image_id": 5, "regions": [{"region_id": 1, "phrase": "a man", **BOX}] * 2}],
        "image_data": [{"image_id": 5, "width": 60, "height": 80, "coco_id": -1}, {"width": 3}],
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8-sig")
    return folder


def visualsem(folder: Path) -> Path:
    is_a = {"s": "bn:1n", "r": "is-a"}
    tuples = [
        is_a,
        is_a,
        {"s": "bn:2n", "r": "is-a"},
        {"s": "bn:9n", "r": "is-a"},
        {"s": "bn:1n", "r": "eats"},
        5,
    ]
    nodes = {"bn:1n": {"ms": "dog", "ims": ["x"]}, "bn:2n": {"ms": "pet"}, "bn:3n": {"ms": "_"}}
    glosses = [{"available_languages": ["en"]}, {"bn:1n": {"en": ["x"]}}, []]
    for name, content in (("nodes.v2", nodes), ("tuples.v2", {"bn:2n": tuples}), ("nodes.glosses", glosses)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def depictions(folder: Path) -> Path:
    for name in ("dog.png", "dog_2.png", "17.png"):
        Image.new("RGB", (4, 4)).save(folder / name)
    return folder


def captions(folder: Path) -> list[Example]:
    return [
        Example(f"a#{k}", "a.jpg", ImageRef(folder / "a.jpg"), text) for k, text in enumerate(["a dog", " "])
    ]


FAULTY: dict[str, tuple[Callable[[Path], Any], dict[str, Any], dict[str, int]]] = {
    "conceptnet": (assertions, {}, {"read": 9, "kept": 1, "merged": 1, SELF_LOOP: 1, "other language": 1}),
    "cn100k": (cn100k, {}, {"read": 9, "kept": 2, "merged": 1, SELF_LOOP: 1}),
    "triples": (triples, {}, {"read": 11, "kept": 2, "merged": 1, SELF_LOOP: 1}),  # a weight left empty is 1
    "wordnet": (wordnet, {"names": True}, {"read": 12, "kept": 3, "merged": 1, "described": 2, SELF_LOOP: 1}),
    "visual-genome": (
        visual_genome,
        {"objects": True, "regions": True},
        {"kept": 5, "merged": 4, "described": 1, SELF_LOOP: 1, "object without attributes": 1},
    ),
    "visualsem": (visualsem, {}, {"read": 11, "kept": 1, "merged": 1, "described": 3, SELF_LOOP: 1}),
    "depictions": (depictions, {}, {"read": 3, "kept": 2}),
    "captions": (captions, {}, {"read": 4, "kept": 2, "empty caption": 2}),
    "concepts": (lambda folder: None, {}, {}),
}


@pytest.mark.parametrize("reader", READERS)
def test_one_record_of_each_fault(tmp_path: Path, reader: str) -> None:
    make, options, expected = FAULTY[reader]  # a new reader has its faults here
    (tmp_path / "files").mkdir()
    graph = import_graph(reader, make(tmp_path / "files"), tmp_path / "g", options=options)
    tally = adds_up(graph.tally)
    found = {"read": tally.read, "kept": tally.kept, "merged": tally.merged, "described": tally.described}
    assert {key: (found | dict(tally.skipped)).get(key) for key in expected} == expected
    malformed = {reason for reason in tally.skipped if reason.startswith("malformed")}
    assert set(tally.first) == malformed and all(str(tmp_path) in where for where in tally.first.values())
    assert not any(t.head == t.tail for t in map(graph.triplet, range(graph.counts["triplets"])))
    assert graph.counts["triplets"] == tally.kept
    assert tally.lines()[0].startswith(f"{tally.read:,} records read = {tally.kept:,} kept")


def test_what_the_reader_of_captions_left_out_counts_too(tmp_path: Path) -> None:
    graph = import_graph("captions", captions(tmp_path), tmp_path / "g", left_out={"image not found": 3})
    assert adds_up(graph.tally).skipped == {"empty caption": 2, "image not found": 3}


def old_graph(out: Path, *facts: tuple[str, str, str, float], source: str = "s") -> Path:
    """A graph as knowclip wrote them before it left out triplets whose head is their tail."""
    with pytest.MonkeyPatch.context() as patch, graph_builder(out) as builder:
        patch.setattr(type(builder), "_without_loops", lambda self: len(facts))
        for fact in facts:
            builder.triplet(*fact)
        builder.finish((Source(source, "CC0"),))
    return out


def test_merge_filter_and_split_add_up_and_leave_out_loops(tmp_path: Path) -> None:
    facts = [(f"a{i}", "r", f"b{i}", float(i)) for i in range(60)]
    one = old_graph(tmp_path / "one", *facts, ("a", "r", "a", 1.0), source="one")
    two = old_graph(tmp_path / "two", *facts[:5], ("x", "s", "y", 1.0), source="two")
    assert KnowledgeGraph(one).counts["triplets"] == 61
    tally = adds_up(merge([one, two], tmp_path / "merged").tally)
    assert (tally.read, tally.kept, tally.merged, tally.skipped) == (67, 61, 5, {SELF_LOOP: 1})
    tally = adds_up(split(one, tmp_path / "parts", val=0.2, test=0.2).tally)
    assert (tally.read, tally.kept, tally.skipped) == (61, 60, {SELF_LOOP: 1})
    tally = adds_up(split_as_given({"train": one, "test": two}, tmp_path / "given").tally)
    assert (tally.read, tally.kept, tally.merged, tally.skipped) == (67, 61, 5, {SELF_LOOP: 1})
    merge([one, two], tmp_path / "again")
    kept = filter_graph(tmp_path / "again", tmp_path / "kept", without_relations=["s"], min_weight=10.0)
    tally = adds_up(kept.tally)
    assert tally.skipped == {"relation not asked for": 1, "weight too low": 10} and tally.kept == 50
    tally = adds_up(filter_graph(one, tmp_path / "loopless", min_relation_count=2).tally)
    assert tally.skipped == {SELF_LOOP: 1}


def test_a_set_of_images_that_is_not_there_is_told(tmp_path: Path) -> None:
    one = old_graph(tmp_path / "one", ("a", "r", "b", 1.0))
    with pytest.warns(UserWarning, match=r"none of the 1 images to keep out is in .*one"):
        filter_graph(one, tmp_path / "kept", without_images=ImageSet(frozenset({"a.jpg"})))
