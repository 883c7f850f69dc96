"""KnowledgeGraph on disk: contents, order, lookups, damage, half-written imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowclip.knowledge.graph import finish as graph_finish
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.staging import GraphBuilder, graph_builder
from knowclip.knowledge.graph.statistics import stats
from knowclip.knowledge.graph.store import Source, read_manifest
from knowclip.types import Triplet

SOURCE = Source("hand", "CC0")
FACTS = [("dog", "is", "animal"), ("cat", "is", "animal"), ("dog", "chases", "cat"), ("cat", "is", "dog")]


def build(out: Path, facts: list[tuple[str, str, str]], **options: object) -> KnowledgeGraph:
    with graph_builder(out, **options) as builder:  # type: ignore[arg-type]
        for fact in facts:
            builder.records += 1
            builder.triplet(*fact)
        builder.finish((SOURCE,))
    return KnowledgeGraph(out)


def test_tables_are_sorted_and_numbered(tmp_path: Path) -> None:
    graph = build(tmp_path / "g", FACTS)
    a = graph.arrays
    assert graph.counts == {"entities": 3, "relations": 2, "triplets": 4, "images": 0}
    assert [a.entity_id[i] for i in range(3)] == ["animal", "cat", "dog"]
    assert [a.relation_text[i] for i in range(2)] == ["chases", "is"]
    assert [graph.triplet(row) for row in range(4)] == [
        Triplet("cat", "is", "animal"),
        Triplet("cat", "is", "dog"),
        Triplet("dog", "chases", "cat"),
        Triplet("dog", "is", "animal"),
    ]
    assert a.out_indptr.tolist() == [0, 0, 2, 4]
    assert graph.outgoing(2).tolist() == [2, 3]
    assert graph.incoming(0).tolist() == [0, 3]
    assert graph.incoming(1).tolist() == [2]


def test_ids_that_share_a_hash_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = build(tmp_path / "hashed", FACTS)
    monkeypatch.setattr(graph_finish, "HASH", "length({})")  # "dog" and "cat" collide, "is" and "chases" not
    graph = build(tmp_path / "collided", FACTS)
    for table in ("entities", "relations", "triplets"):
        query = f"FROM {table} ORDER BY ALL"
        assert graph.sql(query).fetchall() == expected.sql(query).fetchall()


def test_equal_triplets_become_one_with_the_largest_weight(tmp_path: Path) -> None:
    with graph_builder(tmp_path / "g") as builder:
        builder.triplet("a", "r", "b", 1.0)
        builder.triplet("a", "r", "b", 3.0)
        builder.triplet("a", "r", "b", 2.0)
        builder.finish((SOURCE,))
    assert KnowledgeGraph(tmp_path / "g").arrays.weight.tolist() == [3.0]


def test_texts_come_from_descriptions_concept_uris_or_ids(tmp_path: Path) -> None:
    with graph_builder(tmp_path / "g") as builder:
        builder.triplet("/c/en/hot_dog", "r", "x1")
        builder.triplet("img", "r", "plain")
        builder.entity("x1", "described")
        builder.entity("img", None)
        builder.image("img", "a.jpg", box=(1, 2, 3, 4), image_id="img")
        builder.relation("r", "relates to")
        builder.finish((Source("hand", "CC0", image_root="/pictures"),))
    graph = KnowledgeGraph(tmp_path / "g")
    texts = {graph.arrays.entity_id[i]: graph.arrays.entity_text[i] for i in range(4)}
    assert texts == {"/c/en/hot_dog": "hot dog", "x1": "described", "img": None, "plain": "plain"}
    assert graph.arrays.relation_text[0] == "relates to"
    (image,) = graph.images(graph.entity("img"))
    assert image.path == Path("/pictures/a.jpg") and image.box == (1, 2, 3, 4)
    assert graph.images(graph.entity("x1")) == ()
    moved = KnowledgeGraph(tmp_path / "g", image_roots={"hand": "/elsewhere"})
    assert moved.images(moved.entity("img"))[0].path == Path("/elsewhere/a.jpg")
    with pytest.raises(ValueError, match=r"image_roots names.*other.*hand"):
        KnowledgeGraph(tmp_path / "g", image_roots={"other": "/x"})


@pytest.mark.parametrize(
    ("size", "expected"), [(None, (0, 5, 60, 60)), ((45, 50), (0, 5, 45, 45))], ids=["size unknown", "cut"]
)
def test_a_region_grows_by_its_margin_within_the_image(
    tmp_path: Path, size: tuple[int, int] | None, expected: tuple[int, int, int, int]
) -> None:
    with graph_builder(tmp_path / "g") as builder:
        builder.triplet("a", "r", "b")
        builder.image("a", "a.jpg", box=(10, 15, 40, 40), size=size)
        builder.finish((SOURCE,))
    assert KnowledgeGraph(tmp_path / "g").image(0, margin=0.25).box == expected


def test_find_by_id_concept_or_text(tmp_path: Path) -> None:
    with graph_builder(tmp_path / "g") as builder:
        for id, text in (("1", "Bank"), ("2", "bank"), ("3", "river")):
            builder.entity(id, text)
            builder.triplet(id, "r", "/c/en/hot_dog")
        builder.finish((SOURCE,))
    graph = KnowledgeGraph(tmp_path / "g")
    assert graph.arrays.entity_id[graph.entity("3")] == "3"
    assert graph.arrays.entity_id[graph.entity("River")] == "3"
    assert graph.arrays.entity_id[graph.entity("hot dog")] == "/c/en/hot_dog"
    with pytest.raises(ValueError, match="several entities, give an id: 1, 2"):
        graph.entity("bank")
    with pytest.raises(ValueError, match=r"no entity .*rivet.*near it: 3"):
        graph.entity("rivet")
    with pytest.raises(ValueError, match=r"no entity .*'dog'; near it: /c/en/hot_dog$"):
        graph.entity("dog")
    with pytest.raises(ValueError, match=r"'cow'; none contains it or is spelt nearly so"):
        graph.entity("cow")


def test_white_space_is_neither_id_nor_text(tmp_path: Path) -> None:
    with graph_builder(tmp_path / "g") as builder:
        builder.triplet(" dog\t", "is ", "\u00a0animal")
        builder.triplet("dog", "seen in", "picture")
        builder.entity("dog ", " a dog\n")
        builder.entity("animal", " \t")
        builder.entity(" picture", None)
        builder.image("picture ", "p.jpg")
        builder.relation(" is", " is an ")
        builder.relation("seen in", "  ")
        builder.finish((SOURCE,))
        for add in (
            lambda: builder.triplet("a", " ", "b"),
            lambda: builder.triplet("", "r", "b"),
            lambda: builder.entity("\t", "words"),
            lambda: builder.relation("", "words"),
            lambda: builder.image(" ", "p.jpg"),
        ):
            with pytest.raises(ValueError, match="is blank and cannot be the id of an entity or a relation"):
                add()
    graph = KnowledgeGraph(tmp_path / "g")
    a = graph.arrays
    assert {a.entity_id[i]: a.entity_text[i] for i in range(3)} == {
        "dog": "a dog", "animal": None, "picture": None,
    }  # fmt: skip
    assert {a.relation_id[i]: a.relation_text[i] for i in range(2)} == {"is": "is an", "seen in": "seen in"}
    assert len(graph.images(graph.entity("picture"))) == 1


names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=4)
names = names.filter(lambda name: name == name.strip())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, st.sampled_from("rst"), names), min_size=1, max_size=40))
def test_any_triplets_come_back_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, facts: list[tuple[str, str, str]]
) -> None:
    expected_facts = {Triplet(*fact) for fact in facts if fact[0] != fact[2]}
    out = tmp_path_factory.mktemp("any") / "g"
    if not expected_facts:
        with pytest.raises(ValueError, match="no triplet left"):
            build(out, facts)
        return
    graph = build(out, facts)
    E, R, T = (graph.counts[name] for name in ("entities", "relations", "triplets"))
    found = {graph.triplet(row) for row in range(T)}
    assert found == expected_facts and T == len(found)
    tally = read_manifest(out).tally
    assert tally is not None and tally.read == len(facts) and tally.kept == T
    loops = sum(head == tail for head, _, tail in facts)
    assert tally.skipped.get("head equals tail", 0) == loops and tally.merged == len(facts) - loops - T
    for index in range(E):
        assert graph.arrays.entity_id.find(str(graph.arrays.entity_id[index])) == index
    h, r, t = (x.ravel() for x in np.meshgrid(np.arange(E), np.arange(R), np.arange(E), indexing="ij"))
    a = graph.arrays
    expected = set(zip(a.head.tolist(), a.relation.tolist(), a.tail.tolist(), strict=True))
    triples = zip(h.tolist(), r.tolist(), t.tolist(), strict=True)
    assert graph.contains(h, r, t).tolist() == [triple in expected for triple in triples]


def test_stats_count_what_is_there(tmp_path: Path) -> None:
    with graph_builder(tmp_path / "g") as builder:
        builder.triplet("a", "r", "b")
        builder.triplet("a", "s", "b")
        builder.triplet("c", "s", "b")
        builder.entity("c", None)
        builder.image("c", "c.jpg")
        builder.image("a", "a.jpg")
        builder.skip("by choice", 7)
        builder.finish((Source("hand", "CC0", skipped={"by choice": 7}),))
    facts = stats(KnowledgeGraph(tmp_path / "g"))
    assert (facts["entities"], facts["relations"], facts["triplets"], facts["images"]) == (3, 2, 3, 2)
    assert facts["sources"] == [
        {"name": "hand", "licence": "CC0", "url": "", "triplets": 3, "skipped": {"by choice": 7}}
    ]
    assert facts["relation_histogram"] == {"s": 2, "r": 1}
    assert facts["degree"] == {
        "mean": 2.0, "quantile_0.5": 2, "quantile_0.9": 2, "quantile_0.99": 2, "quantile_1": 3,
    }  # fmt: skip
    assert facts["entity_modalities"] == {"text": 1, "image": 1, "text and image": 1}
    assert facts["triplet_modalities"] == {"image -> text": 1, "text and image -> text": 2}
    json.dumps(facts)


def test_sql_sees_the_tables(tmp_path: Path) -> None:
    graph = build(tmp_path / "g", FACTS)
    query = "SELECT e.id, count(*) FROM triplets t JOIN entities e ON t.tail = e.row GROUP BY 1 ORDER BY 1"
    assert graph.sql(query).fetchall() == [("animal", 2), ("cat", 1), ("dog", 1)]


def test_arrays_are_mapped_rebuilt_when_missing_and_keyed_by_contents(tmp_path: Path) -> None:
    import shutil

    graph = build(tmp_path / "g", FACTS)
    assert isinstance(graph.arrays.head.base, np.memmap) and not graph.arrays.head.flags.writeable
    shutil.rmtree(tmp_path / "g" / "arrays")
    assert KnowledgeGraph(tmp_path / "g").triplet(0) == Triplet("cat", "is", "animal")
    other = build(tmp_path / "h", FACTS[:2])
    mine, others = (next((g.path / "arrays").iterdir()).name for g in (graph, other))
    assert mine != others


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not a knowledge graph .*knowclip graph import"):
        KnowledgeGraph(tmp_path)
    build(tmp_path / "g", FACTS)
    manifest = tmp_path / "g" / "graph.json"
    good = manifest.read_text()
    manifest.write_text(good[: len(good) // 2])
    with pytest.raises(ValueError, match=r"graph.json: damaged"):
        KnowledgeGraph(tmp_path / "g")
    manifest.write_text(good.replace('"version": 1', '"version": 99'))
    with pytest.raises(
        ValueError, match=r"version 99; this knowclip reads .*version 1: a newer knowclip made it: update"
    ):
        KnowledgeGraph(tmp_path / "g")


def test_changed_tables_are_refused(tmp_path: Path) -> None:
    build(tmp_path / "g", FACTS)
    table = tmp_path / "g" / "triplets.parquet"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    KnowledgeGraph(tmp_path / "g")  # same size: only a full check sees it
    with pytest.raises(ValueError, match=r"triplets\.parquet: contents differ from the SHA-256"):
        KnowledgeGraph(tmp_path / "g", verify=True)
    table.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"triplets\.parquet: \d+ bytes, graph\.json says"):
        KnowledgeGraph(tmp_path / "g")
    table.unlink()
    with pytest.raises(ValueError, match=r"triplets\.parquet: missing"):
        KnowledgeGraph(tmp_path / "g")


def test_a_failed_import_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), graph_builder(tmp_path / "g") as builder:
        builder.triplet("a", "r", "b")
        raise RuntimeError
    with pytest.raises(ValueError, match="not a knowledge graph"), graph_builder(tmp_path / "g") as builder:
        builder.triplet("a", "r", "b")  # never finished
    with pytest.raises(ValueError, match="no triplet left of 3 records"), graph_builder(tmp_path / "g") as b:
        b.records = 3
        b.finish((SOURCE,))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_import_never_looks_whole(tmp_path: Path) -> None:
    code = """
        import sys, time
        from pathlib import Path
        from knowclip.knowledge.graph import staging as graph_build
        from knowclip.knowledge.graph.store import Source, read_manifest
        def report(stage, fraction):
            if stage == "writing triplets":
                print("now", flush=True)
                time.sleep(60)
        with graph_build.graph_builder(Path(sys.argv[1]), report=report) as builder:
            builder.triplet("a", "r", "b")
            builder.finish((Source("s", "l"),))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "g")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "now\n"
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "g").exists()
    assert build(tmp_path / "g", FACTS).counts["triplets"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["g"]  # what the dead one left is gone


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    build(tmp_path / "g", FACTS)
    with pytest.raises(ValueError, match=r"a graph is there already: remove it, or choose another .*g-new"):
        build(tmp_path / "g", FACTS)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "beach.jpg").write_text("a photo")
    with pytest.raises(ValueError, match=r"no graph: choose another folder, such as .*photos-new$"):
        build(tmp_path / "photos", FACTS)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["beach.jpg"]


def test_tables_that_spill_to_disk_are_the_same(tmp_path: Path) -> None:
    facts = [
        (f"entity {i * 7919 % 30_011}" * 3, f"r{i % 5}", f"entity {i % 20_000}" * 3) for i in range(60_000)
    ]
    small = build(tmp_path / "small", facts, memory_limit="24MB", threads=1)
    large = build(tmp_path / "large", facts)
    for name in ("entities", "triplets"):
        files = [(graph.path / f"{name}.parquet").read_bytes() for graph in (small, large)]
        tables = [pq.read_table(pa.BufferReader(file)) for file in files]
        assert tables[0].equals(tables[1])


def test_too_little_memory_says_what_to_do(tmp_path: Path) -> None:
    facts = [(f"entity {i}" * 4, "r", f"entity {i + 1}" * 4) for i in range(100_000)]
    with pytest.raises(ValueError, match=r"memory limit of 1MB is too small .*--memory-limit"):
        build(tmp_path / "g", facts, memory_limit="1MB")
    with pytest.raises(ValueError, match=r"memory limit 'lots'.*write it like"):
        build(tmp_path / "g", FACTS, memory_limit="lots")
    with pytest.raises(ValueError, match="threads=0"):
        build(tmp_path / "g", FACTS, threads=0)


def test_bad_records_are_counted_up_to_a_share(tmp_path: Path) -> None:
    def read(builder: GraphBuilder, good: int, bad: int) -> None:
        for i in range(good):
            builder.records += 1
            builder.triplet("a", "r", str(i))
        for i in range(bad):
            builder.records += 1
            builder.bad(f"file, line {i}", "no head")

    with graph_builder(tmp_path / "few") as builder:
        read(builder, 5, 10)
        assert builder.skipped == {"malformed: no head": 10}
        builder.finish((SOURCE,))
    with pytest.raises(ValueError, match="file, line 10: no head; with it 11 of 16 records"):
        with graph_builder(tmp_path / "many") as builder:
            read(builder, 5, 11)
    with graph_builder(tmp_path / "tolerant", max_bad=0.9) as builder:
        read(builder, 5, 20)
        builder.finish((SOURCE,))
    told = r"1 of 6 records are malformed, more than the allowed share of 0\.1:"
    with pytest.raises(ValueError, match=told), graph_builder(tmp_path / "asked", max_bad=0.1) as builder:
        read(builder, 5, 1)  # a share that was asked for holds, of few records too
