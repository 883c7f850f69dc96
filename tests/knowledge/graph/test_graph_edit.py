"""Merging, filtering and splitting graphs."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from knowclip.knowledge.graph.edit import filter_graph, merge
from knowclip.knowledge.graph.excluded_images import ImageSet, read_image_set
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.split import split, split_as_given
from knowclip.knowledge.graph.staging import graph_builder
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.readers.conceptnet import concept
from knowclip.knowledge.readers.registry import import_graph
from knowclip.knowledge.readers.triples import WORDLESS


def make(out: Path, facts: list[tuple[str, str, str, float]], source: Source) -> Path:
    with graph_builder(out) as builder:
        for fact in facts:
            builder.triplet(*fact)
        builder.finish((source,))
    return out


def triplets(graph: KnowledgeGraph) -> set[tuple[str, str, str]]:
    found = (graph.triplet(row) for row in range(graph.counts["triplets"]))
    return {(t.head, t.relation, t.tail) for t in found}


@pytest.fixture
def words(tmp_path: Path) -> Path:
    facts = [("dog", "is", "animal", 1.0), ("cat", "is", "animal", 2.0), ("dog", "chases", "cat", 3.0)]
    return make(tmp_path / "words", facts, Source("words", "CC0"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two regions in each of 40 images, related both ways, and an attribute of the first."""
    with graph_builder(tmp_path / "pictures") as builder:
        for image in range(40):
            for region in range(2):
                id = f"vg/{image}/{region}"
                builder.entity(id, "thing")
                builder.image(
                    id, f"{image}.jpg", box=(region, 0, 5, 5), image_id=f"vg/{image}", coco_id=image + 100
                )
            builder.triplet(f"vg/{image}/0", "on", f"vg/{image}/1")
            builder.triplet(f"vg/{image}/1", "under", f"vg/{image}/0")
            builder.triplet(f"vg/{image}/0", "is", "red")
        builder.finish((Source("pictures", "CC BY", image_root="/images"),))
    return tmp_path / "pictures"


def test_merge_joins_by_id_and_keeps_sources_images_weights(
    words: Path, pictures: Path, tmp_path: Path
) -> None:
    more = make(
        tmp_path / "more", [("dog", "is", "animal", 9.0), ("red", "is", "colour", 1.0)], Source("more", "MIT")
    )
    graph = merge([words, pictures, more], tmp_path / "merged")
    assert [source.name for source in graph.sources] == ["words", "pictures", "more"]
    assert graph.counts["triplets"] == 3 + 120 + 1
    by_source = np.diff(graph.arrays.source_indptr).tolist()
    assert by_source == [2, 120, 2]  # "dog is animal" came with the larger weight from the third
    row = graph.outgoing(graph.entity("dog"))
    facts = {graph.triplet(r).relation: float(graph.arrays.weight[r]) for r in row}
    assert facts == {"is": 9.0, "chases": 3.0}
    (image,) = graph.images(graph.entity("vg/7/1"))
    assert image.path == Path("/images/7.jpg") and image.box == (1, 0, 5, 5)


@pytest.mark.parametrize("name", ["facts.csv", "facts.parquet"])
def test_a_table_of_words_meets_the_concepts(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        ("Dog", "chases", "hot  dog"),
        ("dog", "near", "/c/en/horse"),
        ("a/b", "r", "_"),
        ("nan", "r", "b"),
    ]
    if name.endswith("csv"):
        (tmp_path / name).write_text("".join(",".join(row) + "\n" for row in rows))
    else:
        columns = dict(zip(("head", "relation", "tail"), map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns), tmp_path / name)
    import_graph("concepts", None, tmp_path / "concepts")
    words = import_graph("triples", tmp_path / name, tmp_path / "words", options={"words": True})
    assert triplets(words) == {
        (concept("Dog"), "chases", concept("hot  dog")),
        ("/c/en/dog", "near", "/c/en/horse"),
    }
    assert words.sources[0].skipped[WORDLESS] == 1
    with caplog.at_level("INFO", "knowclip"), warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = merge([tmp_path / "concepts", tmp_path / "words"], tmp_path / "met")
    assert "2 entities in more than one of the 2 graphs" in caplog.text
    assert {graph.triplet(row).relation for row in graph.outgoing(graph.entity("dog"))} > {"chases", "near"}


def test_graphs_that_share_names_and_no_entity_are_told(
    words: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import_graph("concepts", None, tmp_path / "concepts")
    with (
        caplog.at_level("INFO", "knowclip"),
        pytest.warns(UserWarning, match=r"share no entity, though 3 names \(such as 'animal'\).*words=true"),
    ):
        merge([words, tmp_path / "concepts"], tmp_path / "both")
    assert "0 entities in more than one of the 2 graphs" in caplog.text


def test_merge_is_the_same_as_importing_together(words: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", [("a", "is", "dog", 1.0)], Source("words", "CC0"))
    graph = merge([words, other], tmp_path / "merged")
    assert [source.name for source in graph.sources] == ["words"]  # an equal source is the same source
    assert triplets(graph) == triplets(KnowledgeGraph(words)) | {("a", "is", "dog")}


def test_merge_tells_apart_sources_of_one_name(words: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", [("a", "is", "dog", 1.0)], Source("words", "GPL"))
    graph = merge([words, other], tmp_path / "merged")
    assert [(source.name, source.licence) for source in graph.sources] == [
        ("words", "CC0"),
        ("words-2", "GPL"),
    ]
    with pytest.raises(ValueError, match="two graphs or more"):
        merge([words], tmp_path / "alone")


def test_filter_keeps_what_passes_and_what_it_uses(words: Path, tmp_path: Path) -> None:
    graph = filter_graph(words, tmp_path / "is", relations=["is"], min_weight=2.0)
    assert triplets(graph) == {("cat", "is", "animal")}
    assert graph.counts == {"entities": 2, "relations": 1, "triplets": 1, "images": 0}
    graph = filter_graph(words, tmp_path / "often", min_relation_count=2)
    assert triplets(graph) == {("dog", "is", "animal"), ("cat", "is", "animal")}
    with pytest.raises(ValueError, match="the graph has no relation runs; it has chases, is"):
        filter_graph(words, tmp_path / "x", without_relations=["runs"])
    with pytest.raises(ValueError, match="no triplet left"):
        filter_graph(words, tmp_path / "x", min_weight=100)


def test_filter_by_source_renumbers_it(words: Path, pictures: Path, tmp_path: Path) -> None:
    merge([words, pictures], tmp_path / "merged")
    graph = filter_graph(tmp_path / "merged", tmp_path / "kept", sources=["pictures"])
    assert [source.name for source in graph.sources] == ["pictures"]
    assert triplets(graph) == triplets(KnowledgeGraph(pictures)) and graph.counts["images"] == 80
    assert graph.images(graph.entity("vg/0/0"))[0].path.parent == Path("/images")


def test_filter_drops_the_images_of_a_benchmark(pictures: Path, tmp_path: Path) -> None:
    held = ImageSet(frozenset({"vg/3"}), frozenset({104, 999}))
    graph = filter_graph(pictures, tmp_path / "kept", without_images=held)
    gone = triplets(KnowledgeGraph(pictures)) - triplets(graph)
    assert {head.split("/")[1] for head, _, _ in gone} == {"3", "4"} and len(gone) == 6
    assert not any(id.startswith(("vg/3/", "vg/4/")) for id, _, _ in triplets(graph))


def test_split_keeps_pairs_and_images_together(words: Path, pictures: Path, tmp_path: Path) -> None:
    pairs = [(f"a{i}", "r", f"b{i}", 1.0) for i in range(300)]
    pairs += [(f"b{i}", "inverse of r", f"a{i}", 1.0) for i in range(300)]
    pairs += [(f"a{i}", "same as r", f"b{i}", 1.0) for i in range(300)]
    make(tmp_path / "pairs", pairs, Source("pairs", "CC0"))
    whole = merge([pictures, tmp_path / "pairs"], tmp_path / "whole")
    report = split(tmp_path / "whole", tmp_path / "parts", val=0.2, test=0.2)
    parts = {part: KnowledgeGraph(tmp_path / "parts" / part) for part in ("train", "val", "test")}
    facts = {part: triplets(graph) for part, graph in parts.items()}
    assert {part: len(found) for part, found in facts.items()} == report.triplets
    assert facts["train"] | facts["val"] | facts["test"] == triplets(whole)
    assert sum(report.triplets.values()) == whole.counts["triplets"]
    assert 0.14 < report.triplets["test"] / whole.counts["triplets"] < 0.26

    def groups(found: set[tuple[str, str, str]]) -> set[frozenset[str]]:
        image = {frozenset(["/".join(h.split("/")[:2])]) for h, _, _ in found if h.startswith("vg/")}
        return image | {frozenset((h, t)) for h, _, t in found if not h.startswith("vg/")}

    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not groups(facts[one]) & groups(facts[other])
    train = {end for h, _, t in facts["train"] for end in (h, t)}
    test = {end for h, _, t in facts["test"] for end in (h, t)}
    assert report.unseen_entities["test"] == len(test - train)
    for graph in parts.values():  # same vocabulary, same indices
        assert {name: graph.counts[name] for name in ("entities", "relations")} == {
            name: whole.counts[name] for name in ("entities", "relations")
        }
        assert graph.arrays.relation_id[1] == whole.arrays.relation_id[1]


def test_split_does_not_depend_on_numbering_and_follows_the_seed(
    words: Path, pictures: Path, tmp_path: Path
) -> None:
    split(pictures, tmp_path / "one", val=0.2, test=0.2, seed=1)
    merge([words, pictures], tmp_path / "grown")
    split(tmp_path / "grown", tmp_path / "two", val=0.2, test=0.2, seed=1)
    split(pictures, tmp_path / "three", val=0.2, test=0.2, seed=2)
    one, two, three = (triplets(KnowledgeGraph(tmp_path / name / "test")) for name in ("one", "two", "three"))
    assert one == {fact for fact in two if fact[0].startswith("vg/")} and one != three


def test_split_puts_benchmark_images_into_test(pictures: Path, tmp_path: Path) -> None:
    held = ImageSet(frozenset(f"vg/{i}" for i in range(10)), frozenset(range(110, 120)))
    split(pictures, tmp_path / "parts", val=0.2, test=0.05, benchmark=held)
    for part in ("train", "val"):
        found = triplets(KnowledgeGraph(tmp_path / "parts" / part))
        assert min(int(head.split("/")[1]) for head, _, _ in found) >= 20
    with pytest.raises(ValueError, match="go to test: its share must be above 0"):
        split(pictures, tmp_path / "x", test=0.0, benchmark=held)


def test_split_refuses_shares_that_cannot_be(words: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"val=0.5 and test=0.5"):
        split(words, tmp_path / "x", val=0.5, test=0.5)
    with pytest.raises(ValueError, match="no triplet falls into"):
        split(words, tmp_path / "x", val=0.001, test=0.001)
    assert not (tmp_path / "x").exists()
    split(words, tmp_path / "two", val=0.0, test=0.5)
    assert not (tmp_path / "two" / "val").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"image_id": 5, "relation_name": "on"}, {"image_id": 7}], ImageSet(frozenset({"vg/5", "vg/7"}))),
        ({"images": [{"id": 139}, {"id": 802}], "annotations": []}, ImageSet(coco_ids=frozenset({139, 802}))),
        (
            {
                "images": [
                    {"cocoid": 1, "split": "train"},
                    {"cocoid": 2, "split": "test"},
                    {"cocoid": 3, "split": "val"},
                ]
            },
            ImageSet(coco_ids=frozenset({2, 3})),
        ),
        ("vg/5\n\ncoco/139\nflickr/3.jpg\n", ImageSet(frozenset({"vg/5", "flickr/3.jpg"}), frozenset({139}))),
    ],
    ids=["aro", "coco", "karpathy", "lines"],
)
def test_benchmark_files(tmp_path: Path, content: object, expected: ImageSet) -> None:
    file = tmp_path / "benchmark"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    assert read_image_set(file) == expected


FLICKR, COCO = "1000268201_693b08cb0e.jpg", "COCO_val2014_000000391895.jpg"
FILES = {
    "karpathy by name": {
        "images": [{"filename": FLICKR, "split": "test"}, {"filename": "b.jpg", "split": "train"}]
    },
    "karpathy of coco by name": {"images": [{"filename": COCO, "filepath": "val2014", "split": "val"}]},
    "karpathy, number as text": {"images": [{"cocoid": "391895", "filename": "x.jpg", "split": "val"}]},
    "coco": {"images": [{"id": 391895, "file_name": COCO}], "annotations": []},
    "coco's form, other images": {"images": [{"id": 0, "file_name": FLICKR}], "annotations": []},
    "vqa questions": {"questions": [{"image_id": 391895, "question": "?", "question_id": 1}]},
    "lavis": [
        {"image": f"val2014/{COCO}", "caption": ["a"]},
        {"image": f"flickr30k-images/{FLICKR}", "caption": "b"},
    ],
    "sugarcrepe": {"0": {"filename": "000000391895.jpg", "caption": "a", "negative_caption": "b"}},
    "vg image_data": [{"image_id": 5, "url": "https://x/VG_100K/5.jpg", "coco_id": 391895}],
    "vg image_data without coco": [{"image_id": 5, "url": "https://x/VG_100K/5.jpg", "coco_id": -1}],
    "vg 1.0": [{"id": 5, "url": "https://x/VG_100K_2/5.jpg", "coco_id": None}],
    "aro": [{"image_id": "5", "image_path": "5.jpg", "relation_name": "on"}],
    "json lines": f'{{"image": "{COCO}", "caption": "a"}}\n{{"image": "{FLICKR}", "caption": "b"}}\n',
    "flickr8k tokens": f"{FLICKR}#0\tA dog .\n{FLICKR}#1\tA cat .\n",
    "flickr8k test images": f"\ufeff{FLICKR}\r\n",
    "kaggle": f"image,caption\n{FLICKR},A dog , a cat\n",
    "flickr30k": f"image_name| comment_number| comment\n{FLICKR}| 0| A dog .\n",
    "list of names": [FLICKR, f"train2014/{COCO}", "VG_100K/5.jpg"],
}
HELD = {
    **dict.fromkeys(("karpathy by name", "coco's form, other images", "flickr8k tokens",
                     "flickr8k test images", "kaggle", "flickr30k"), ({FLICKR}, set())),
    **dict.fromkeys(("karpathy of coco by name", "karpathy, number as text", "coco", "vqa questions",
                     "sugarcrepe"), (set(), {391895})),
    **dict.fromkeys(("vg image_data without coco", "vg 1.0", "aro"), ({"vg/5"}, set())),
    "lavis": ({f"flickr30k-images/{FLICKR}"}, {391895}), "vg image_data": ({"vg/5"}, {391895}),
    "json lines": ({FLICKR}, {391895}), "list of names": ({FLICKR, "vg/5"}, {391895}),
}  # fmt: skip


@pytest.mark.parametrize("family", FILES)
def test_image_lists_of_every_family(tmp_path: Path, family: str) -> None:
    content = FILES[family]
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "list").write_text(text, encoding="utf-8")
    names, coco = HELD[family]
    assert read_image_set(tmp_path / "list") == ImageSet(frozenset(names), frozenset(coco))


def test_images_are_held_by_file_name(tmp_path: Path) -> None:
    with graph_builder(tmp_path / "g") as builder:
        for name in ("a", "b"):
            builder.entity(name, None)
            builder.image(name, f"Images/{name}.jpg", image_id=f"mine/image/{name}.jpg")
            builder.triplet(name, "is", "red")
        builder.finish((Source("mine", "CC0"),))
    graph = filter_graph(
        tmp_path / "g", tmp_path / "kept", without_images=ImageSet(frozenset({"Flickr/a.jpg"}))
    )
    assert triplets(graph) == {("b", "is", "red")}
    assert graph.tally is not None and graph.tally.skipped == {"within an image to keep out": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no image"),
        ("[]", "holds no image"),
        ('[{"id": 3}]', r"neither 'cocoid', 'image_id' .* in \$\[0\]: it has the keys 'id'"),
        ('[{"image_id": 3, "caption": "a"}]', r"'image_id' 3 may be of any data set"),
        ('{"annotations": []}', "holds no image"),
        ("[1", "neither JSON nor a record a line .*cut off"),
        ('{"images": [{}]}', r"neither 'cocoid'.* in \$\.images\[0\]"),
        ('{"images": [{"cocoid": -1, "split": "test"}]}', r"neither 'cocoid'.* in \$\.images\[0\]"),
        (
            '{"images": [{"filename": "a.jpg", "split": "train"}]}',
            "holds no image to keep out, as all are of train",
        ),
        ('{"pictures": []}', "neither a list nor one under 'images'.*an object of 'pictures'"),
        ("2412\n", r"line 1: '2412' may be of any data set: write vg/2412, coco/2412"),
        ("id,caption\n1,a dog\n", "line 1: 'id' is no image"),
    ],
)
def test_other_benchmark_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "benchmark").write_text(content)
    with pytest.raises(ValueError, match=f"benchmark(: |, ){message}|{message}"):
        read_image_set(tmp_path / "benchmark")


def test_an_image_list_that_is_no_file_or_no_utf8_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a folder; give the file that lists the images"):
        read_image_set(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.json: no such file"):
        read_image_set(tmp_path / "none.json")
    (tmp_path / "wide.json").write_text("[]", encoding="utf-16")
    with pytest.raises(ValueError, match=r"wide\.json is UTF-16"):
        read_image_set(tmp_path / "wide.json")


def test_a_published_split_is_kept_and_a_triplet_of_two_parts_trains_nothing(tmp_path: Path) -> None:
    source, shared = Source("facts", "CC0"), ("cat", "is", "animal", 1.0)
    given = {
        "train": make(tmp_path / "a", [("dog", "is", "animal", 2.0), shared, ("a", "in", "b", 1.0)], source),
        "val": make(tmp_path / "b", [shared, ("hen", "is", "animal", 1.0)], source),
        "test": make(tmp_path / "c", [("hen", "is", "animal", 1.0), ("b", "on", "a", 1.0)], source),
    }
    report = split_as_given(given, tmp_path / "parts")
    parts = {name: KnowledgeGraph(tmp_path / "parts" / name) for name in given}
    assert {name: triplets(graph) for name, graph in parts.items()} == {
        "train": {("dog", "is", "animal"), ("a", "in", "b")},
        "val": {("cat", "is", "animal")},
        "test": {("hen", "is", "animal"), ("b", "on", "a")},
    }
    assert report.triplets == {"train": 2, "val": 1, "test": 2}
    assert report.unseen_entities == {"val": 1, "test": 1}
    ids = {
        tuple(graph.arrays.entity_id[i] for i in range(graph.counts["entities"])) for graph in parts.values()
    }
    assert len(ids) == 1 and parts["train"].arrays.weight.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="a graph is there already"):
        split_as_given(given, tmp_path / "parts")
