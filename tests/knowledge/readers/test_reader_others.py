"""VisualSem, WordNet, triples, captions, depictions, concepts, and reading JSON in pieces."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.readers import json_stream
from knowclip.knowledge.readers.json_stream import iterate_array, iterate_object
from knowclip.knowledge.readers.registry import READERS, import_graph, parse_options, reader_options
from knowclip.types import Example, ImageRef, Triplet


def triplets(graph: KnowledgeGraph) -> set[Triplet]:
    return {graph.triplet(row) for row in range(graph.counts["triplets"])}


# VisualSem


def visualsem(folder: Path, tuples: Any = None) -> Path:
    nodes = {
        "bn:1n": {"ms": "dog", "se": ["dog", "hound"], "ims": ["abc1", "abc2", "gone"]},
        "bn:2n": {"ms": "domestic_animal", "se": [], "ims": []},
        "bn:3n": {"se": []},
    }
    if tuples is None:
        tuples = {"bn:2n": [{"s": "bn:1n", "r": "is-a", "r_id": 3}]}
    glosses = [
        {"available_languages": ["en", "de"]},
        {"bn:1n": {"en": [" a member\nof Canis ", "x"], "de": ["Hund"]}},
    ]
    (folder / "images" / "ab").mkdir(parents=True)
    (folder / "gloss_files").mkdir()
    for name in ("abc1", "abc2"):
        Image.new("RGB", (4, 4)).save(folder / "images" / "ab" / f"{name}.jpg")
    (folder / "nodes.v2.json").write_text(json.dumps(nodes))
    (folder / "tuples.v2.json").write_text(json.dumps(tuples))
    (folder / "gloss_files" / "nodes.glosses.json").write_text(json.dumps(glosses))
    return folder


def test_visualsem_is_keyed_by_the_tail(tmp_path: Path) -> None:
    folder = visualsem(tmp_path / "vs")
    graph = import_graph("visualsem", folder, tmp_path / "g")
    assert triplets(graph) == {Triplet("bn:1n", "visualsem:is-a", "bn:2n")}
    dog, animal = graph.entity("bn:1n"), graph.entity("bn:2n")
    assert graph.arrays.entity_text[dog] == "dog: a member of Canis"
    assert graph.arrays.entity_text[animal] == "domestic animal"
    root = (folder / "images").resolve()
    assert [image.path for image in graph.images(dog)] == [root / "ab/abc1.jpg", root / "ab/abc2.jpg"]
    assert graph.sources[0].skipped == {
        "image that is not in the image folder": 1,
        "malformed: no id or no main sense 'ms'": 1,
    }
    assert graph.arrays.group.tolist() == [-1, -1]  # illustrations, not parts of an image
    german = import_graph("visualsem", folder, tmp_path / "de", options={"language": "de", "max_images": 1})
    assert german.arrays.entity_text[german.entity("bn:1n")] == "dog: Hund" and german.counts["images"] == 1


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"s": "bn:1n"}, "no head 's' or no relation 'r'"),
        ({"s": "bn:9n", "r": "is-a"}, "head or tail is no node"),
        ({"s": "bn:1n", "r": "eats"}, "relation 'eats' is none of VisualSem's 13"),
        ("bn:1n", "no head 's' or no relation 'r'"),
    ],
)
def test_visualsem_names_bad_tuples(tmp_path: Path, entry: Any, reason: str) -> None:
    good = {"s": "bn:1n", "r": "is-a", "r_id": 3}
    folder = visualsem(tmp_path / "few", {"bn:2n": [good, entry]})
    skipped = import_graph("visualsem", folder, tmp_path / "g").sources[0].skipped
    assert skipped[f"malformed: {reason}"] == 1
    folder = visualsem(tmp_path / "many", {"bn:2n": [good, *[entry] * 11]})
    with pytest.raises(ValueError, match=r"tuples\.v2\.json: \$\.bn:2n\[\d+\]"):
        import_graph("visualsem", folder, tmp_path / "x")


def test_visualsem_truncated_or_absent(tmp_path: Path) -> None:
    folder = visualsem(tmp_path / "vs")
    file = folder / "tuples.v2.json"
    file.write_text(file.read_text()[:-3])
    with pytest.raises(ValueError, match=r"tuples\.v2\.json: broken JSON"):
        import_graph("visualsem", folder, tmp_path / "g")
    file.unlink()
    with pytest.raises(FileNotFoundError, match="both needed"):
        import_graph("visualsem", folder, tmp_path / "g")


# WordNet


def test_visualsem_nodes_need_an_id_and_a_sense_with_words(tmp_path: Path) -> None:
    folder = visualsem(
        tmp_path / "vs", {"bn:2n": [{"s": "bn:1n", "r": "is-a"}], " ": [{"s": "bn:1n", "r": "is-a"}]}
    )
    nodes = {"bn:1n": {"ms": "dog"}, "bn:2n": {"ms": "pet_"}, "bn:3n": {"ms": "_"}, " ": {"ms": "nothing"}}
    (folder / "nodes.v2.json").write_text(json.dumps(nodes))
    graph = import_graph("visualsem", folder, tmp_path / "g")
    assert [graph.arrays.entity_text[index] for index in range(2)] == ["dog: a member of Canis", "pet"]
    assert graph.sources[0].skipped == {
        "malformed: head or tail is no node": 1,
        "malformed: no id or no main sense 'ms'": 2,
    }


def test_visualsem_counts_half_surrogate_pairs(tmp_path: Path) -> None:
    entry = {"s": "bn:1n", "r": "is-a"}
    folder = visualsem(tmp_path / "vs", {"bn:2n": [entry], "bn:3n": [entry], "bn:\ud83d": [entry]})
    nodes = {
        "bn:1n": {"ms": "dog"},
        "bn:2n": {"ms": "pet"},
        "bn:3n": {"ms": "fox \ud83d"},
        "bn:\ud83d": {"ms": "x"},
    }
    (folder / "nodes.v2.json").write_text(json.dumps(nodes))
    glosses = [{"available_languages": ["en"]}, {"bn:2n": {"en": ["kept \ud83d"]}}]
    (folder / "gloss_files" / "nodes.glosses.json").write_text(json.dumps(glosses))
    graph = import_graph("visualsem", folder, tmp_path / "g")
    assert [graph.arrays.entity_text[index] for index in range(2)] == ["dog", "pet: kept ?"]
    assert sorted(graph.sources[0].skipped.values()) == [2, 2]


@pytest.mark.parametrize("gloss", [5, {"a": 1}, [None], [["x"]], [3, "x"], True])
def test_visualsem_counts_glosses_that_are_no_texts(tmp_path: Path, gloss: object) -> None:
    folder = visualsem(tmp_path / "vs", {"bn:2n": [{"s": "bn:1n", "r": "is-a"}]})
    glosses = [
        {"available_languages": ["en"]},
        {"bn:1n": {"en": gloss}},
        {"bn:2n": {"en": ["", "y"], "de": 5}},
    ]
    (folder / "gloss_files" / "nodes.glosses.json").write_text(json.dumps(glosses))
    graph = import_graph("visualsem", folder, tmp_path / "g")
    assert [graph.arrays.entity_text[index] for index in range(2)] == ["dog", "domestic animal"]
    assert graph.sources[0].skipped["malformed: not of the form {id: {language: [gloss, ...]}}"] == 1


@pytest.mark.parametrize("languages", [["de"], None, 5, {"en": 1}])
def test_visualsem_says_which_languages_its_glosses_have(tmp_path: Path, languages: object) -> None:
    folder = visualsem(tmp_path / "vs", {"bn:2n": [{"s": "bn:1n", "r": "is-a"}]})
    (folder / "gloss_files" / "nodes.glosses.json").write_text(
        json.dumps([{"available_languages": languages}])
    )
    with pytest.raises(ValueError, match=r"nodes\.glosses\.json: no glosses in language='en'; there are"):
        import_graph("visualsem", folder, tmp_path / "g")


def test_concepts_read_no_file_and_readers_know_their_options(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"'concepts' ships with the package and reads no file, got .*facts\.csv"
    ):
        import_graph("concepts", tmp_path / "facts.csv", tmp_path / "g")
    with pytest.raises(ValueError, match=r"wordnet has no options 'language'; it has 'glosses'"):
        import_graph("wordnet", tmp_path, tmp_path / "g", options={"language": "en"})
    assert not (tmp_path / "g").exists()


DOG = (
    "00000010 05 n 02 dog 0 Canis_familiaris 0 003 "
    "@ 00000020 n 0000 #m 00000030 n 0000 ! 00000020 n 0101 | pet"
)
ANIMAL = (
    "00000020 05 n 01 animal 0 003 ~ 00000010 n 0000 ! 00000010 n 0101 @ 99999999 n 0000 | a living thing"
)
PACK = "00000030 05 n 01 pack 0 000 | a group of dogs"
GOOD = '00000001 00 s 01 good(p) 0 001 & 00000001 a 0000 | fine; "a good | one"'


def wordnet(folder: Path, lines: list[str]) -> Path:
    folder.mkdir()
    text = "\n".join(f"{line}  " for line in ["  1 This software and database", *lines])
    (folder / "data.noun").write_text(text + "\n")
    return folder


def test_wordnet_states_each_fact_once(tmp_path: Path) -> None:
    folder = wordnet(tmp_path / "wn", [DOG, ANIMAL, PACK])
    (folder / "data.adj").write_text(GOOD + "\n")
    graph = import_graph("wordnet", folder, tmp_path / "g")
    dog, animal, pack, good = "wn/00000010-n", "wn/00000020-n", "wn/00000030-n", "wn/00000001-a"
    assert triplets(graph) == {
        Triplet(dog, "wn:hypernym", animal),
        Triplet(dog, "wn:member_holonym", pack),
        Triplet(dog, "wn:antonym", animal),
    }
    assert graph.sources[0].skipped == {
        "head equals tail": 1,
        "pointer to a synset that is not there": 1,
        "stated the other way round": 2,
    }
    assert graph.arrays.entity_text[graph.entity(good)] == "good"
    full = import_graph(
        "wordnet", folder, tmp_path / "full", options=dict(inverses=True, glosses=True, names=True)
    )
    assert triplets(full) - triplets(graph) == {
        Triplet(animal, "wn:hyponym", dog),
        Triplet(animal, "wn:antonym", dog),
        *(Triplet(f"/c/en/{w}", "wn:names", dog) for w in ("dog", "canis_familiaris")),
        Triplet("/c/en/animal", "wn:names", animal),
        Triplet("/c/en/pack", "wn:names", pack),
        Triplet("/c/en/good", "wn:names", good),
    }
    assert full.arrays.entity_text[full.entity(dog)] == "dog: pet"


@pytest.mark.parametrize("cut", range(0, 80, 16))
def test_wordnet_cut_lines_are_named(tmp_path: Path, cut: int) -> None:
    cut_line = DOG[: len(DOG) - 8 - cut]
    folder = wordnet(tmp_path / "wn", [DOG, ANIMAL, PACK, *[cut_line] * 11])
    with pytest.raises(ValueError, match=r"data\.noun, line 15: not a synset .*11 of 20 records"):
        import_graph("wordnet", folder, tmp_path / "g")


def test_wordnet_words_that_are_none_are_malformed(tmp_path: Path) -> None:
    lines = [DOG, ANIMAL, PACK, PACK.replace("00000030", "00000040").replace("pack", "_")]
    graph = import_graph("wordnet", wordnet(tmp_path / "wn", lines), tmp_path / "g")
    skipped = graph.sources[0].skipped
    assert [count for why, count in skipped.items() if why.startswith("malformed: not a synset")] == [1]


def test_wordnet_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no data\.noun"):
        import_graph("wordnet", tmp_path, tmp_path / "g")


@pytest.mark.conformance
def test_the_genuine_wordnet(tmp_path: Path) -> None:
    folder = Path(os.environ.get("KNOWCLIP_WORDNET", "/usr/share/wordnet"))
    if not (folder / "data.noun").is_file():
        pytest.skip("no WordNet: install wordnet-base or set KNOWCLIP_WORDNET to its dict folder")
    pointers: Counter[str] = Counter()
    synsets = 0
    for part in ("noun", "verb", "adj", "adv"):  # counted from the text alone, without the reader's parsing
        for line in (folder / f"data.{part}").read_text().splitlines():
            if not line.startswith("  "):
                synsets += 1
                fields = line.split(" | ")[0].split()
                pointers.update(field for field in fields if field in ("@", "@i", "#m", "#p", "#s", "*", ">"))
    graph = import_graph("wordnet", folder, tmp_path / "g")
    counts = dict(
        graph.sql(
            "SELECT r.id, count(*) FROM triplets t JOIN relations r ON t.relation = r.row GROUP BY 1"
        ).fetchall()
    )
    assert synsets == graph.counts["entities"]
    named = {"hypernym": "@", "instance_hypernym": "@i", "member_holonym": "#m", "part_holonym": "#p",
             "substance_holonym": "#s", "entailment": "*", "cause": ">"}  # fmt: skip
    for name, symbol in named.items():
        assert counts[f"wn:{name}"] == pointers[symbol], name


# Triples


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.tsv", 'a\tr\tb\n"c\ts\td e\n'),
        ("t.txt", 'a\tr\tb\n"c\ts\td e'),
        ("t.tsv", '"c\ts\td e\na\tr\tb\n'),
        ("t.csv", 'a,r,b\n"""c",s,d e\n'),
        ("t.tsv", 'extra\ttail\thead\trelation\n1\tb\ta\tr\n2\td e\t"c\ts\n'),
        ("t.csv", 'head,relation,tail,weight\na,r,b,1\n"""c",s,d e,2.5\n'),
        ("t.tsv", 'a\tr\tb\t1\n"c\ts\td e\t2.5\n'),
    ],
)
def test_text_triples(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    graph = import_graph(
        "triples", tmp_path / name, tmp_path / "g", options={"name": "mine", "licence": "MIT"}
    )
    assert triplets(graph) == {Triplet("a", "r", "b"), Triplet('"c', "s", "d e")}
    assert graph.sources[0].licence == "MIT" and graph.sources[0].name == "mine"
    if "2.5" in text:
        assert sorted(graph.arrays.weight.tolist()) == [1.0, 2.5]


def test_parquet_triples(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"tail": ["b", None, "d"], "relation": ["r"] * 3, "head": [1, 2, 3]}), tmp_path / "t.parquet"
    )
    graph = import_graph("triples", tmp_path / "t.parquet", tmp_path / "g")
    assert triplets(graph) == {Triplet("1", "r", "b"), Triplet("3", "r", "d")}
    assert sum(graph.sources[0].skipped.values()) == 1
    pq.write_table(pa.table({"h": ["a"], "r": ["r"]}), tmp_path / "u.parquet")
    with pytest.raises(ValueError, match=r"no columns 'head', 'relation', 'tail'; it has 'h', 'r'"):
        import_graph("triples", tmp_path / "u.parquet", tmp_path / "x")
    data = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="damaged or cut off"):
        import_graph("triples", tmp_path / "t.parquet", tmp_path / "x")


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.parquet"])
def test_blank_triples_are_malformed(tmp_path: Path, name: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        ("a ", "r", "\u00a0b"),
        ("a", "  ", "b"),
        (" ", "r", "b"),
        ("a", "r", "\u3000"),
        ("\u00e9", "r", "~"),
    ]
    if name.endswith("parquet"):
        table = dict(zip(("head", "relation", "tail"), zip(*rows, strict=True), strict=True))
        pq.write_table(pa.table(table), tmp_path / name)
    else:
        separator = "," if name.endswith("csv") else "\t"
        (tmp_path / name).write_text("\n".join(separator.join(row) for row in rows))
    graph = import_graph("triples", tmp_path / name, tmp_path / "g")
    assert triplets(graph) == {Triplet("a", "r", "b"), Triplet("\u00e9", "r", "~")}
    assert list(graph.sources[0].skipped.values()) == [3]


def test_bad_triples(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a\tr\tb\n" + "a\t\tb\n" * 11)
    with pytest.raises(ValueError, match=r"t\.tsv, line 2: .*11 of 12"):
        import_graph("triples", tmp_path / "t.tsv", tmp_path / "x")
    (tmp_path / "t.tsv").write_text("a\tb\n")
    with pytest.raises(ValueError, match=r"t\.tsv, line 1: 2 columns"):
        import_graph("triples", tmp_path / "t.tsv", tmp_path / "x")
    (tmp_path / "t.xlsx").write_text("a")
    with pytest.raises(ValueError, match=r"\.tsv, \.txt, \.csv .* or \.parquet expected"):
        import_graph("triples", tmp_path / "t.xlsx", tmp_path / "x")


# Captions, depictions, concepts


def test_captions_as_triplets(tmp_path: Path) -> None:
    def example(name: str, k: int) -> Example:
        return Example(f"{name}#{k}", name, ImageRef(tmp_path / "photos" / name), f"caption {k} of {name}")

    examples = [example("000000000139.jpg", 0), example("000000000139.jpg", 1), example("x.jpg", 0)]
    graph = import_graph("captions", examples, tmp_path / "g", options={"name": "coco"})
    assert graph.counts == {"entities": 5, "relations": 2, "triplets": 6, "images": 2}
    image = graph.entity("coco/image/000000000139.jpg")
    texts = {graph.arrays.entity_text[graph.arrays.tail[row]] for row in graph.outgoing(image)}
    assert texts == {"caption 0 of 000000000139.jpg", "caption 1 of 000000000139.jpg"}
    assert graph.images(image)[0].path == tmp_path / "photos" / "000000000139.jpg"
    assert graph.sql("SELECT coco_id FROM images ORDER BY 1").fetchall() == [(139,), (None,)]
    with pytest.raises(ValueError, match="no image-caption pairs"):
        import_graph("captions", [], tmp_path / "x")


def test_depictions_by_name_or_folder(tmp_path: Path) -> None:
    for name in ("dog.png", "hot_dog-2.png", "cat/17.png", "cat/b.png"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "pictures" / name)
    graph = import_graph("depictions", tmp_path / "pictures", tmp_path / "g")
    assert Counter(triplet.head for triplet in triplets(graph)) == {
        "/c/en/dog": 1,
        "/c/en/hot_dog": 1,
        "/c/en/cat": 2,
    }
    tail = graph.arrays.tail[graph.outgoing(graph.entity("cat"))[0]]
    assert graph.images(int(tail))[0].path == tmp_path / "pictures" / "cat" / "17.png"


def test_every_noun_of_the_scenes_has_facts(tmp_path: Path) -> None:
    from knowclip.data.scenes.nouns import NOUNS

    graph = import_graph("concepts", None, tmp_path / "g")
    facts = Counter(triplet.head for triplet in triplets(graph))
    assert min(facts[f"/c/en/{noun.replace(' ', '_')}"] for noun in NOUNS) >= 4
    assert not any(why.startswith("malformed") for why in graph.sources[0].skipped)
    assert {
        "/r/IsA",
        "/r/HasProperty",
        "/r/CapableOf",
        "/r/AtLocation",
        "/r/UsedFor",
        "/r/HasA",
        "/r/PartOf",
        "/r/MadeOf",
    } <= {triplet.relation for triplet in triplets(graph)}


# Options, JSON in pieces


def test_options_are_typed_and_known() -> None:
    given_ = ["language=de", "min_weight=2", "senses=true", "relations=IsA,HasA"]
    assert parse_options("conceptnet", given_) == {
        "language": "de", "min_weight": 2.0, "senses": True, "relations": ("IsA", "HasA"),
    }  # fmt: skip
    assert parse_options("visual-genome", ["images=/x", "max_relations=5"]) == {
        "images": Path("/x"),
        "max_relations": 5,
    }
    with pytest.raises(ValueError, match="did you mean 'language'"):
        parse_options("conceptnet", ["langage=de"])
    with pytest.raises(ValueError, match="true or false expected"):
        parse_options("conceptnet", ["senses=1"])
    with pytest.raises(ValueError, match="float expected"):
        parse_options("conceptnet", ["min_weight=much"])
    with pytest.raises(ValueError, match="Did you mean 'conceptnet'"):
        reader_options("concept-net")
    for name in READERS:
        assert isinstance(reader_options(name), dict)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.lists(values, max_size=6), st.integers(1, 7), st.booleans())
def test_json_in_pieces_is_json(tmp_path_factory: Any, content: list[Any], chunk: int, pretty: bool) -> None:
    path = tmp_path_factory.mktemp("json") / "x.json"
    path.write_text(json.dumps(content, indent=2 if pretty else None, ensure_ascii=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK_CHARACTERS", chunk)
        assert list(iterate_array(path)) == content
        keyed = {str(index): value for index, value in enumerate(content)}
        path.write_text(json.dumps(keyed), encoding="utf-8")
        assert dict(iterate_object(path)) == keyed


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=4), st.data())
def test_cut_json_is_refused(tmp_path_factory: Any, content: list[Any], data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("json") / "x.json"
    text = json.dumps(content)
    path.write_text(text[: data.draw(st.integers(0, len(text) - 1))])
    with pytest.raises(ValueError, match=r"x\.json: broken JSON"):
        list(iterate_array(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}', r"at its beginning: '\[' expected, got '\{'"),
        ('[{"a": 1}, {"b" 2}]', r"in element \$\[1\]: Expecting ':'"),
        ("[1 2]", r"in element \$\[1\]: ',' expected, got '2'"),
        (
            '[{"a": 1}, {"b": 2',
            r"in element \$\[1\]: Expecting ',' delimiter \(the file ends there: it is cut off\)",
        ),
        ('["one", "tw', r"in element \$\[1\]: Unterminated string .* cut off"),
        ("[" * 100_000 + "]" * 100_000, r"in element \$\[0\]: maximum recursion depth"),
        ("[1, " + "9" * 5000 + "]", r"in element \$\[1\]: Exceeds the limit"),
        ("<html>", "is an HTML or XML page"),
        ("", "cut off"),
    ],
)
def test_broken_json_says_where(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        list(iterate_array(tmp_path / "x.json"))
