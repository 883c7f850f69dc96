"""ConceptNet 5.7 and CN-100K: hand-made lines, damage, the genuine files."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from graph_contents import Calls, entities, facts, relations
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.graph.tally import Tally
from knowclip.knowledge.readers.conceptnet import TEMPLATES, concept, relation_text
from knowclip.knowledge.readers.registry import import_graph
from knowclip.types import Triplet


def line(relation: str, head: str, tail: str, weight: object = 1.0, **info: object) -> str:
    record = json.dumps({"dataset": "/d/test", **info, "weight": weight})
    return f"/a/[/r/{relation}/,{head}/,{tail}/]\t/r/{relation}\t{head}\t{tail}\t{record}"


LINES = [
    line("IsA", "/c/en/dog", "/c/en/animal", 2.5),
    line("IsA", "/c/en/dog/n/wn/animal", "/c/en/animal/n", 4.0),
    line("AtLocation", "/c/en/hot_dog", "/c/en/stadium", surfaceText='a "[[hot dog]]" \\" quoted'),
    line("IsA", "/c/fr/chien", "/c/en/animal"),
    line("NotDesires", "/c/en/dog", "/c/en/bath", 0.5),
    line("Synonym", "/c/en/dog/n", "/c/en/dog/v"),
    line("ExternalURL", "/c/en/dog", "http://wordnet-rdf.princeton.edu/x"),
]


def write(path: Path, lines: list[str]) -> Path:
    data = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def triplets(graph: KnowledgeGraph) -> set[Triplet]:
    return {graph.triplet(row) for row in range(graph.counts["triplets"])}


@pytest.mark.parametrize("name", ["cn.csv", "cn.csv.gz"])
def test_english_pairs_with_joined_senses(tmp_path: Path, name: str) -> None:
    graph = import_graph("conceptnet", write(tmp_path / name, LINES), tmp_path / "g")
    assert triplets(graph) == {
        Triplet("/c/en/dog", "/r/IsA", "/c/en/animal"),
        Triplet("/c/en/hot_dog", "/r/AtLocation", "/c/en/stadium"),
    }
    assert graph.sources[0].skipped == {"head equals tail": 1, "negated relation": 1, "other language": 2}
    dog = graph.outgoing(graph.entity("dog"))
    assert graph.arrays.weight[dog].tolist() == [4.0]
    assert graph.arrays.entity_text[graph.entity("/c/en/hot_dog")] == "hot dog"
    assert graph.arrays.relation_text[0] == "is located at"


def test_options(tmp_path: Path) -> None:
    file = write(tmp_path / "cn.csv", LINES)
    graph = import_graph("conceptnet", file, tmp_path / "senses", options={"senses": True})
    assert Triplet("/c/en/dog/n/wn/animal", "/r/IsA", "/c/en/animal/n") in triplets(graph)
    assert Triplet("/c/en/dog/n", "/r/Synonym", "/c/en/dog/v") in triplets(graph)
    assert graph.arrays.entity_text[graph.entity("/c/en/dog/n/wn/animal")] == "dog"
    graph = import_graph(
        "conceptnet", file, tmp_path / "negated", options={"negated": True, "relations": ("NotDesires",)}
    )
    assert triplets(graph) == {Triplet("/c/en/dog", "/r/NotDesires", "/c/en/bath")}
    assert graph.arrays.relation_text[0] == "does not desire"
    graph = import_graph("conceptnet", file, tmp_path / "heavy", options={"min_weight": 3})
    assert triplets(graph) == {Triplet("/c/en/dog", "/r/IsA", "/c/en/animal")}
    assert graph.sources[0].skipped["weight too low"] == 3 and graph.sources[0].options == {"min_weight": 3}
    with pytest.raises(ValueError, match=r"no relations 'IsNot'; it has Antonym"):
        import_graph("conceptnet", file, tmp_path / "x", options={"relations": ("IsNot",)})
    with pytest.raises(ValueError, match="no triplet left of 7 records"):
        import_graph("conceptnet", file, tmp_path / "x", options={"language": "xx"})


BAD = {
    "two columns": "a\tb",
    "six columns": LINES[0] + "\tmore",
    "no relation": LINES[0].replace("\t/r/IsA", "\tIsA"),
    "no concept": LINES[0].replace("\t/c/en/dog", "\tdog"),
    "empty tail": LINES[0].replace("\t/c/en/animal", "\t"),
    "blank relation": LINES[0].replace("\t/r/IsA", "\t/r/ "),
    "no words": LINES[0].replace("\t/c/en/animal", "\t/c/en/_"),
    "no weight": LINES[0].replace('"weight": 2.5', '"mass": 2.5'),
    "cut off": LINES[0][:70],
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_malformed_lines_are_counted_then_refused_by_line(tmp_path: Path, bad: str) -> None:
    file = write(tmp_path / "few.csv", [*LINES, bad, bad])
    graph = import_graph("conceptnet", file, tmp_path / "g")
    malformed = {why: n for why, n in graph.sources[0].skipped.items() if why.startswith("malformed")}
    assert list(malformed.values()) == [2] and graph.counts["triplets"] == 2
    file = write(tmp_path / "many.csv", [*LINES, *[bad] * 11])
    with pytest.raises(ValueError, match=r"many\.csv, line 8: .*11 of 18 records are malformed"):
        import_graph("conceptnet", file, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_bytes_that_are_no_text_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "cn.csv"
    file.write_bytes(("\n".join(LINES)).encode() + b"\n/a/x\t/r/IsA\t/c/en/\xff\xfe\t/c/en/x\t{}\n")
    skipped = import_graph("conceptnet", file, tmp_path / "g").sources[0].skipped
    assert sum(count for why, count in skipped.items() if why.startswith("malformed")) == 1


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_download_is_refused(tmp_path: Path, share: float) -> None:
    data = gzip.compress("\n".join(LINES * 2000).encode())
    file = tmp_path / "cn.csv.gz"
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=r"cn\.csv\.gz: .*cut off \(after line \d+\): download"):
        import_graph("conceptnet", file, tmp_path / "g")
    assert not (tmp_path / "g").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv: no such file"):
        import_graph("conceptnet", tmp_path / "nothing.csv", tmp_path / "g")


def test_cn100k(tmp_path: Path) -> None:
    rows = ["AtLocation\tferret\tpet store\t2.0", "NotIsA\tcat\tdog\t1", "IsA\tcat\tcat\t1", "IsA\tcat\t\t1"]
    graph = import_graph("cn100k", write(tmp_path / "train100k.txt.gz", rows), tmp_path / "train")
    assert triplets(graph) == {Triplet("/c/en/ferret", "/r/AtLocation", "/c/en/pet_store")}
    assert sum(graph.sources[0].skipped.values()) == 3
    blank = [*rows, " \tcat\tpet\t1", "IsA\t _\tpet\t1", " IsA\tcat \t pet\t1"]
    graph = import_graph("cn100k", write(tmp_path / "blank.txt", blank), tmp_path / "blank")
    assert triplets(graph) == {
        Triplet("/c/en/ferret", "/r/AtLocation", "/c/en/pet_store"),
        Triplet("/c/en/cat", "/r/IsA", "/c/en/pet"),
    }
    assert graph.sources[0].skipped["malformed: not of the form Relation, head, tail, weight"] == 3
    dev = ["IsA\ttool\tobject\t1", "IsA\ttool\tmonkey\t0"]
    graph = import_graph("cn100k", write(tmp_path / "dev1.txt.gz", dev), tmp_path / "dev")
    assert triplets(graph) == {Triplet("/c/en/tool", "/r/IsA", "/c/en/object")}
    assert graph.sources[0].skipped == {"labelled false": 1}


def test_relation_texts_and_concepts() -> None:
    assert relation_text("AtLocation") == "is located at"
    assert relation_text("dbpedia/fieldOf") == "field of"
    assert relation_text("HasNewThing") == "has new thing"
    assert concept("  Hot  dog ") == "/c/en/hot_dog"


@pytest.mark.conformance
def test_the_genuine_assertions(real_data: Path, tmp_path: Path) -> None:
    file = real_data / "conceptnet" / "assertions-5.7-sample.csv"
    rows = [row.split("\t") for row in file.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 764
    english = [row for row in rows if row[2].startswith("/c/en/") and row[3].startswith("/c/en/")]
    assert len(english) == 96
    stripped = [(r[1], r[2].split("/")[3], r[3].split("/")[3], json.loads(r[4])["weight"]) for r in english]
    expected = Counter((relation, head, tail) for relation, head, tail, _ in stripped if head != tail)
    graph = import_graph("conceptnet", file, tmp_path / "g")
    found = {
        (t.relation, t.head.removeprefix("/c/en/"), t.tail.removeprefix("/c/en/")) for t in triplets(graph)
    }
    assert found == set(expected)
    skipped = graph.sources[0].skipped
    assert skipped == {"other language": 764 - 96, "head equals tail": 96 - sum(expected.values())}
    for row in range(graph.counts["triplets"]):
        t = graph.triplet(row)
        key = (t.relation, t.head.removeprefix("/c/en/"), t.tail.removeprefix("/c/en/"))
        weights = [w for relation, head, tail, w in stripped if (relation, head, tail) == key]
        assert graph.arrays.weight[row] == pytest.approx(max(weights))
    raw = import_graph("conceptnet", file, tmp_path / "raw", options={"senses": True})
    assert raw.counts["triplets"] == len({(r[1], r[2], r[3]) for r in english if r[2] != r[3]})


@pytest.mark.conformance
@pytest.mark.parametrize(("name", "size"), [("train100k", 100_000), ("dev1", 1200), ("dev2", 1200)])
def test_the_genuine_cn100k(real_data: Path, tmp_path: Path, name: str, size: int) -> None:
    file = real_data / "conceptnet" / "cn100k" / f"{name}.txt.gz"
    rows = [row.split("\t") for row in gzip.decompress(file.read_bytes()).decode().splitlines()]
    assert len(rows) == size
    true = [row for row in rows if not (name.startswith("dev") and row[3] == "0")]
    expected = {
        (relation, *(concept.lower().strip().replace(" ", "_") for concept in (head, tail)))
        for relation, head, tail, _ in true
        if not relation.startswith("Not") and head != tail
    }
    graph = import_graph("cn100k", file, tmp_path / "g")
    assert graph.counts["triplets"] == len(expected)
    assert {relation for relation, _, _ in expected} <= set(TEMPLATES)


EXPECTED = "not of the form /a/[..] /r/Relation /c/lang/head /c/lang/tail {json with a weight}"


def test_all_that_the_graph_holds_of_assertions(tmp_path: Path) -> None:
    lines = [
        line("IsA", "/c/en/dog/n/wn/animal", "/c/en/animal", 0.5),
        line("IsA", "/c/en/dog", "/c/en/animal/n", 0),
        line("dbpedia/fieldOf", "/c/en/dog", "/c/en/tail", "1E1").replace('"1E1"', "1E1"),
        line("HasA", "/c/de/hund", "/c/en/tail"),
        line("HasA", "/c/en/dog", "/c/de/schwanz"),
        line("NotIsA", "/c/en/dog", "/c/en/cat"),
        line("IsA", "/c/en/dog", "/c/en/dog/v"),
        line("IsA", "/c/en/_", "/c/en/dog"),
        line("IsA", "/c/en/dog", "/c/en/_/n"),
        "one column",
    ]
    file = write(tmp_path / "cn.csv", lines)
    calls: Calls = []
    graph = import_graph("conceptnet", file, tmp_path / "g", report=lambda *call: calls.append(call))
    assert facts(graph) == {
        ("/c/en/dog", "/r/IsA", "/c/en/animal"): 0.5,
        ("/c/en/dog", "/r/dbpedia/fieldOf", "/c/en/tail"): 10.0,
    }
    assert entities(graph) == {"/c/en/dog": "dog", "/c/en/animal": "animal", "/c/en/tail": "tail"}
    assert relations(graph) == {"/r/IsA": "is a", "/r/dbpedia/fieldOf": "field of"}
    wide = f"malformed: too few columns (wanted: {EXPECTED.removeprefix('not of the form ')})"
    skipped = {
        "other language": 2,
        "negated relation": 1,
        "head equals tail": 1,
        f"malformed: {EXPECTED}": 2,
        wide: 1,
    }
    first = {f"malformed: {EXPECTED}": f"{file}, line 8", wide: f"{file}, line 10"}
    assert graph.tally == Tally(read=10, kept=2, merged=1, skipped=skipped, first=first)
    url = "https://github.com/commonsense/conceptnet5/wiki/Downloads"
    assert graph.sources == (Source("conceptnet", "CC BY-SA 4.0", url, path=str(file), skipped=skipped),)
    assert ("reading cn.csv", 0.0) in calls


def test_all_that_the_graph_holds_of_cn100k(tmp_path: Path) -> None:
    rows = ["AtLocation\t Ferret\tpet store \t2", "AtLocation\tferret\tPet store\t3", "NotIsA\tcat\tdog\t1",
            "IsA\tcat\tpet\t0", "IsA\tdog\tpet\tmuch", "IsA\t_\tpet\t1", "IsA\tpet\t \t1"]  # fmt: skip
    file = write(tmp_path / "train100k.txt", rows)
    graph = import_graph("cn100k", file, tmp_path / "g")
    assert facts(graph) == {
        ("/c/en/ferret", "/r/AtLocation", "/c/en/pet_store"): 3.0,
        ("/c/en/cat", "/r/IsA", "/c/en/pet"): 0.0,
    }
    assert relations(graph) == {"/r/AtLocation": "is located at", "/r/IsA": "is a"}
    malformed = "malformed: not of the form Relation, head, tail, weight"
    skipped = {malformed: 3, "negated relation": 1}
    # the first reason of those in their order, of which the head's is one: line 6 before line 5
    assert graph.tally == Tally(
        read=7, kept=2, merged=1, skipped=skipped, first={malformed: f"{file}, line 6"}
    )
    url = "https://home.ttic.edu/~kgimpel/commonsense.html"
    assert graph.sources == (Source("cn100k", "CC BY-SA 4.0", url, path=str(file), skipped=skipped),)


@pytest.mark.parametrize("reader", ["conceptnet", "cn100k"])
@pytest.mark.parametrize(
    ("options", "taken", "skipped"),
    [
        ({"relations": ("IsA",)}, {"/r/IsA"}, {"relation not asked for": 2}),
        ({"relations": ("IsA", "HasA")}, {"/r/IsA", "/r/HasA"}, {"relation not asked for": 1}),
        ({"negated": True}, {"/r/IsA", "/r/HasA", "/r/NotIsA"}, {}),
        ({"negated": True, "relations": ("NotIsA",)}, {"/r/NotIsA"}, {"relation not asked for": 2}),
    ],
)
def test_which_relations_are_taken(
    tmp_path: Path, reader: str, options: dict[str, object], taken: set[str], skipped: dict[str, int]
) -> None:
    names = ("IsA", "HasA", "NotIsA")
    file = tmp_path / "train.txt"
    if reader == "conceptnet":
        write(file, [line(name, "/c/en/a", "/c/en/b") for name in names])
    else:
        write(file, [f"{name}\ta\tb\t1" for name in names])
    graph = import_graph(reader, file, tmp_path / "g", options=options)
    assert set(relations(graph)) == taken
    assert graph.sources[0].skipped == skipped


@pytest.mark.parametrize("reader", ["conceptnet", "cn100k"])
def test_relations_that_there_are_not_are_named(tmp_path: Path, reader: str) -> None:
    options = {"relations": ("IsNot", "IsA", "Is")}
    with pytest.raises(ValueError) as error:
        import_graph(reader, write(tmp_path / "train.txt", []), tmp_path / "g", options=options)
    assert str(error.value) == (f"ConceptNet has no relations 'Is', 'IsNot'; it has {', '.join(TEMPLATES)}")


@pytest.mark.parametrize("name", ["dev1.txt", "test.txt.gz"])
def test_a_labelled_set_gives_its_true_triples(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / name, ["IsA\ttool\tobject\t1", "IsA\ttool\tmonkey\t0"])
    graph = import_graph("cn100k", file, tmp_path / "g")
    assert facts(graph) == {("/c/en/tool", "/r/IsA", "/c/en/object"): 1.0}
    assert graph.sources[0].skipped == {"labelled false": 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("IsA", "is a"),
        ("dbpedia/x/fieldOf", "field of"),
        ("Has_new_Thing", "has new  thing"),
        ("genus", "genus"),
    ],
)
def test_a_relation_without_a_template_is_split_at_its_capitals(name: str, text: str) -> None:
    assert relation_text(name) == text


def test_a_concept_is_of_its_language_and_has_no_slash() -> None:
    assert concept(" Rot/Weiss \n ", "de") == "/c/de/rot_weiss"
    assert concept("a/b") == "/c/en/a_b"
