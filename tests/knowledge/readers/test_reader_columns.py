"""Tables of triples as people have them: headers, guessed columns, encodings, line ends, placeholders."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import pytest

from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.readers.registry import import_graph
from knowclip.types import Triplet

FACT = {Triplet("dog", "is", "animal")}


def read(tmp_path: Path, name: str, content: bytes | str) -> KnowledgeGraph:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_graph("triples", tmp_path / name, tmp_path / "g")


def triplets(graph: KnowledgeGraph) -> set[Triplet]:
    return {graph.triplet(row) for row in range(graph.counts["triplets"])}


@pytest.mark.parametrize(
    "header",
    ["head,relation,tail", "Subject,Predicate,Object", "h,r,t", "source,relation,target", "S,P,O",
     "head_id,relation_id,tail_id", '"head","relation","tail"', "\ufeffhead,relation,tail",
     "node1,relationship,node2", "from,edge type,to"],
)  # fmt: skip
def test_other_names_of_the_columns_are_known(tmp_path: Path, header: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert triplets(read(tmp_path, "t.csv", f"{header}\ndog,is,animal\n")) == FACT


def test_columns_beside_the_triple_do_not_matter(tmp_path: Path) -> None:
    graph = read(tmp_path, "t.csv", ",head,relation,tail,source\n0,dog,is,animal,wikipedia\n")
    assert triplets(graph) == FACT


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("subject,verb,object", r"line 1: .*looks like a header and names no column 'relation'"),
        ("head,head,relation,tail", r"several columns may be the head"),
        ("subject,source,relation,tail,note", r"several columns may be the head \('subject', 'source'\)"),
        ("head;relation;tail", r"1 columns; it has 3 by semicolons"),
        ("head|relation|tail", r"1 columns; it has 3 by bars"),
    ],
)
def test_a_header_that_leaves_it_open_is_refused(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, "t.csv", f"{header}\n1,2,3,4\n")
    assert not (tmp_path / "g").exists()


def test_a_first_column_that_counts_the_rows_is_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"column 1 counts the rows \(0, 1, \.\.\.\) and is read as"):
        read(tmp_path, "t.tsv", "0\t12\t3\t45\n1\t12\t4\t46\n")


def test_a_column_of_row_numbers_before_a_triple_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="column 1 counts the rows, and column 4 is no weight"),
        pytest.warns(),
    ):
        read(tmp_path, "t.tsv", "1\tdog\tis\tanimal\n2\tcat\tis\tpet\n")


@pytest.mark.parametrize("order", ["htr", "rht"])
def test_another_order_is_told(tmp_path: Path, order: str) -> None:
    facts = [{"h": f"head {i}", "r": f"rel {i % 2}", "t": f"tail {i}"} for i in range(12)]
    lines = "".join("\t".join(fact[letter] for letter in order) + "\n" for fact in facts)
    with pytest.warns(UserWarning, match=r"they may be in another order"):
        read(tmp_path, "t.tsv", lines)


@pytest.mark.parametrize("ids", [("Q42", "P31", "Q5"), ("/m/02mjmr", "is", "/m/09c7w0"), ("12", "3", "45")])
def test_ids_in_place_of_names_are_told(tmp_path: Path, ids: tuple[str, str, str]) -> None:
    with pytest.warns(UserWarning, match=r"entities are ids .* which a text encoder reads"):
        read(tmp_path, "t.csv", f"head,relation,tail\n{','.join(ids)}\n")


def test_words_are_not_doubted(tmp_path: Path) -> None:
    lines = "".join(f"thing {i}\t{('is', 'has')[i % 2]}\tpart {i % 7}\t1\n" for i in range(50))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(tmp_path, "t.tsv", lines).counts["triplets"] == 50


def test_placeholders_for_a_missing_id_are_left_out(tmp_path: Path) -> None:
    rows = [("nan", "is", "x"), ("x", "NULL", "y"), ("x", "is", "-1"), ("None", "is", "x"),
            ("x", "is", " NaN "), ("none", "is", "number"),
            ("nanny", "is", "woman"), ("naan", "is", "bread")]  # fmt: skip
    graph = read(tmp_path, "t.csv", "".join(",".join(row) + "\n" for row in rows))
    assert graph.counts["triplets"] == 3
    assert graph.sources[0].skipped == {"a placeholder (nan, NULL, -1, ...) for a missing id": 5}


@pytest.mark.parametrize("blank", ["", "  "])
@pytest.mark.parametrize("end", ["csv", "tsv"])
def test_an_empty_weight_is_that_of_a_table_without_weights(tmp_path: Path, blank: str, end: str) -> None:
    rows = [("dog", "is", "animal", "2"), ("dog", "is", "pet", blank)]
    text = "".join(f"{(',' if end == 'csv' else chr(9)).join(row)}\n" for row in rows)
    graph = read(tmp_path, f"t.{end}", text)
    assert sorted(graph.arrays.weight.tolist()) == [1.0, 2.0]


@pytest.mark.parametrize("weight", ["nan", "inf", "much"])
def test_a_weight_is_a_finite_number(tmp_path: Path, weight: str) -> None:
    graph = read(tmp_path, "t.csv", f"dog,is,animal,2\ndog,is,pet,{weight}\n")
    assert triplets(graph) == FACT and sum(graph.sources[0].skipped.values()) == 1


@pytest.mark.parametrize(
    "content", [b"dog\tis\tanimal\r\n", b"\xef\xbb\xbfdog\tis\tanimal\n", b"dog\tis\tanimal"]
)
def test_windows_ends_marks_and_no_last_end(tmp_path: Path, content: bytes) -> None:
    assert triplets(read(tmp_path, "t.tsv", content)) == FACT


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.tsv", "dog\tis\tanimal\n".encode("utf-16"), r"t\.tsv is UTF-16 text.*iconv"),
        ("t.tsv", b"dog\tis\tanimal\r\ncat\tis\tanimal\n", r"t\.tsv, line 2: .*Windows and Unix are mixed"),
        ("t.csv", b'a,r,b\nc,r,"d\ne,r,f\n', r"t\.csv, line 2: a quote is opened and never closed"),
        ("t.tsv", b'"head"\t"relation"\t"tail"\n"a"\t"r"\t"b"\n', r"every field is in quotes"),
        ("t.tsv.gz", b"a\tr\tb\n", r"t\.tsv\.gz is not gzipped"),
        ("t.tsv", gzip.compress(b"a\tr\tb\n", mtime=0), r"t\.tsv is gzipped: call it \.gz"),
        ("t.tsv.gz", gzip.compress(b"a\tr\tb\n" * 9999, mtime=0)[:40], r"t\.tsv\.gz: .*cut off"),
        ("t.tsv", b"", r"t\.tsv is empty"),
        ("t.txt", b"2\n1 2 3\n4 5 6\n", r"a count of the triples, as OpenKE writes it"),
        ("t.txt", b"dog is animal\n", r"it has 3 by blanks"),
    ],
)
def test_what_is_wrong_with_the_file_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, name, content)
    assert not (tmp_path / "g").exists()


def test_a_folder_and_nothing_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").mkdir()
    with pytest.raises(ValueError, match=r"t\.tsv: a folder; a file of lines"):
        import_graph("triples", tmp_path / "t.tsv", tmp_path / "g")
    with pytest.raises(FileNotFoundError, match=r"no\.tsv: no such file"):
        import_graph("triples", tmp_path / "no.tsv", tmp_path / "g")
