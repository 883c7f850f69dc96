from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowclip.data.captions import negatives as prepare
from knowclip.data.captions.negatives import group_ids, negatives_for
from knowclip.data.captions.read import read_captions
from knowclip.data.captions.user_graphs import ground, read_graphs
from knowclip.knowledge.negatives.images import sources_of_negatives
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.records import graph_from_json, graph_to_json, negative_from_json, negative_to_json
from knowclip.types import Attribute, Example, ImageRef, Negative, Relation, SceneGraph, SceneObject

RIDE = "a man riding a horse"
RIDING = SceneGraph(
    (SceneObject("man", (2, 5)), SceneObject("horse", (15, 20))), (), (Relation(0, "riding", 1, (6, 12)),)
)


def example(key: str, caption: str, image: str | None = None, graph: SceneGraph | None = None) -> Example:
    image = image or key
    return Example(key, image, ImageRef(Path(image)), caption, graph)


def names(graph: SceneGraph) -> list[str]:
    return [item.name for item in graph.objects]


@pytest.fixture
def count_work(monkeypatch) -> list[int]:
    calls: list[int] = []
    work = prepare._work
    monkeypatch.setattr(
        prepare, "_work", lambda jobs, *options: calls.append(len(jobs)) or work(jobs, *options)
    )
    return calls


def test_given_graphs_are_kept_and_make_negatives():
    prepared = negatives_for([example("1.jpg", RIDE, graph=RIDING)])
    (filled,) = prepared.examples
    assert filled.graph == RIDING
    assert [(n.caption, n.kind) for n in filled.negatives] == [("a horse riding a man", "relation_swap")]
    assert names(filled.negatives[0].graph) == ["man", "horse"]
    assert prepared.kinds == {"relation_swap": 1} and not prepared.without


@pytest.mark.parametrize("parse_negatives", [False, True])
def test_negatives_that_captions_bring_are_kept(parse_negatives):
    """As NegCLIP's tables do; one that another caption of the image says is dropped."""
    own = (Negative("a horse riding a man", "given"), Negative("a man", "given"))
    brings = replace(example("a#0", RIDE, "a.jpg"), negatives=own)
    said = replace(example("a#1", "a man", "a.jpg"), negatives=own[1:])
    prepared = negatives_for([brings, said, example("b", RIDE)], parse_negatives=parse_negatives)
    kinds = [[negative.kind for negative in filled.negatives] for filled in prepared.examples]
    assert kinds == [["given"], [], ["relation_swap"]]
    assert prepared.kinds == {"given": 1, "relation_swap": 1}
    assert prepared.without == {"no valid negative": 1}
    graph = prepared.examples[0].negatives[0].graph
    assert names(graph) == ["horse", "man"] if parse_negatives else graph is None


def test_own_negatives_need_no_graph(tmp_path):
    path = tmp_path / "graphs.jsonl"
    record = {"key": "b", "caption": "x", **graph_to_json(RIDING)}
    path.write_text(json.dumps(record | {"caption": RIDE}) + "\n")
    alone = replace(example("a", "a dog"), negatives=(Negative("a cat", "given"),))
    prepared = negatives_for([alone, example("b", RIDE)], graphs=path)
    assert prepared.examples[0].negatives == alone.negatives
    assert prepared.kinds == {"given": 1, "relation_swap": 1} and not prepared.without


def test_other_captions_of_the_image_are_no_negatives():
    twins = [
        example("1", RIDE, "a.jpg", RIDING),
        example("2", "A horse riding a man!", "a.jpg", SceneGraph()),
    ]
    prepared = negatives_for(twins)
    assert [e.negatives for e in prepared.examples] == [(), ()]
    assert prepared.without == {"no valid negative": 1, "no relation and no attribute": 1}
    apart = [
        example("1", RIDE, "a.jpg", RIDING),
        example("2", "A horse riding a man!", "b.jpg", SceneGraph()),
    ]
    assert len(negatives_for(apart).examples[0].negatives) == 1


def test_captions_are_parsed_where_no_graph_is_given():
    prepared = negatives_for(
        [example("1", "A black dog chases a white cat."), example("2", RIDE, graph=RIDING)]
    )
    assert names(prepared.examples[0].graph) == ["dog", "cat"]
    assert {n.caption for n in prepared.examples[0].negatives} == {
        "A white cat chases a black dog.",
        "A white dog chases a black cat.",
    }
    assert prepared.kinds == {"relation_swap": 2, "attribute_swap": 1}


def test_kinds_can_be_chosen():
    prepared = negatives_for([example("1", "A black dog chases a white cat.")], kinds=["attribute_swap"])
    assert [n.caption for n in prepared.examples[0].negatives] == ["A white dog chases a black cat."]


def test_cache_gives_the_same_without_working_again(tmp_path, count_work):
    examples = [
        example(str(i), caption) for i, caption in enumerate([RIDE, "Two dogs.", "line\u2028separator"])
    ]
    first = negatives_for(examples, cache=tmp_path)
    assert count_work == [3]
    assert negatives_for(examples, cache=tmp_path) == first and count_work == [3]
    assert negatives_for(examples) == first and count_work == [3, 3]


def test_cache_is_keyed_by_captions_images_kinds_and_seed(tmp_path):
    examples = [example("1", RIDE, "a.jpg"), example("2", "A dog.", "b.jpg")]
    negatives_for(examples, cache=tmp_path)
    negatives_for(examples, cache=tmp_path, seed=1)
    negatives_for(examples, cache=tmp_path, kinds=["relation_swap"])
    negatives_for([examples[0], example("2", "A dog.", "a.jpg")], cache=tmp_path)
    negatives_for([examples[0], example("2", "A cat.", "b.jpg")], cache=tmp_path)
    negatives_for([example("1", RIDE, "a.jpg", RIDING), examples[1]], cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 6
    renamed = [example("x", RIDE, "c.jpg"), example("y", "A dog.", "d.jpg")]
    assert negatives_for(renamed, cache=tmp_path).examples[0].key == "x"
    assert len(list(tmp_path.iterdir())) == 6  # names of files decide nothing


def test_cache_is_keyed_by_all_code_and_tables_that_decide(tmp_path, monkeypatch):
    sources = sources_of_negatives()
    decisive = {"spacy_parser.py", "negation.py", "lexicon.py", "generate.py", "swaps.py", "wordnet.json.gz"}
    assert decisive <= {path.name for path in sources}
    caches = [tmp_path / "before", tmp_path / "after"]
    negatives_for([example("1", RIDE, "a.jpg")], cache=caches[0])
    (tmp_path / "lexicon.py").write_text("another word list")
    changed = [*sources[1:], tmp_path / "lexicon.py"]
    monkeypatch.setattr("knowclip.knowledge.negatives.images.sources_of_negatives", lambda: changed)
    negatives_for([example("1", RIDE, "a.jpg")], cache=caches[1])
    before, after = ({path.name for path in cache.iterdir()} for cache in caches)
    assert before and after and before.isdisjoint(after)


def test_interrupted_preparation_leaves_no_cache(tmp_path):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        negatives_for([example("1", RIDE, graph=RIDING)], cache=tmp_path, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_processes_give_the_same_in_order(monkeypatch):
    monkeypatch.setattr(prepare, "_CHUNK", 2)
    monkeypatch.setattr(prepare, "_WORTH_PROCESSES", 0)
    examples = [example(str(i), f"A dog chases {i} cats.", graph=RIDING) for i in range(5)]
    seen = []
    together = negatives_for(examples, processes=2, progress=lambda *done: seen.append(done))
    assert together == negatives_for(examples) and seen == [(2, 5), (4, 5), (5, 5)]


def test_few_captions_start_no_process(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a process was started")

    monkeypatch.setattr(prepare, "_CHUNK", 2)
    monkeypatch.setattr(prepare, "process_pool", refuse)
    examples = [example(str(i), f"A dog chases {i} cats.", graph=RIDING) for i in range(5)]
    assert negatives_for(examples, processes=2) == negatives_for(examples)
    monkeypatch.setattr(prepare, "_WORTH_PROCESSES", 5 * prepare._TEXTS)
    with pytest.raises(AssertionError, match="a process"):
        negatives_for(examples, processes=2, parse_negatives=True)


def test_equal_keys_are_refused():
    with pytest.raises(ValueError, match="keys that are not unique"):
        negatives_for([example("1", RIDE), example("1", "A dog.")])


def test_groups_share_the_multiset_of_objects():
    one, two = SceneObject("dog"), SceneObject("cat")
    graphs = [
        SceneGraph((one, two)),
        SceneGraph((two, one)),
        SceneGraph((one, one, two)),
        SceneGraph(),
        None,
        None,
    ]
    ids = group_ids([example(str(i), "x", graph=graph) for i, graph in enumerate(graphs)])
    assert ids == [0, 0, 1, 2, 3, 4]


def graphs_file(folder: Path, *records: dict) -> Path:
    path = folder / "graphs.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def record(key: str, caption: str, **fields) -> dict:
    return {"key": key, "caption": caption, "parser": "hand", **graph_to_json(RIDING), **fields}


def test_own_graphs_replace_parsing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "knowclip.knowledge.negatives.images.parse", lambda *args, **options: pytest.fail("parsed")
    )
    path = graphs_file(tmp_path, record("other", RIDE))
    prepared = negatives_for([example("1", RIDE), example("2", "A dog.")], graphs=path)
    assert prepared.examples[0].graph == RIDING and len(prepared.examples[0].negatives) == 1
    assert prepared.examples[1] == example("2", "A dog.")
    assert prepared.without == {f"no graph in {path}": 1}
    with pytest.raises(ValueError, match=r"graphs.jsonl has no graph for any of the 1 captions.*'A dog.'"):
        negatives_for([example("2", "A dog.")], graphs=path)


def test_own_graph_of_the_same_key_comes_first(tmp_path):
    empty = {"objects": [], "attributes": [], "relations": []}
    find = read_graphs(graphs_file(tmp_path, record("1", RIDE, **empty), record("2", RIDE)))
    assert find(example("2", RIDE)) == RIDING
    assert find(example("3", RIDE)) == SceneGraph()
    assert find(example("1", RIDE)) == SceneGraph()


def test_own_graphs_without_spans_get_them_from_the_caption(tmp_path):
    bare = {"objects": [{"name": "man"}, {"name": "horse"}], "relations": [[0, "riding", 1, None]]}
    find = read_graphs(graphs_file(tmp_path, record("1", RIDE, **bare)))
    assert find(example("1", RIDE)) == RIDING


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"objects": [{"span": None}]}, "'objects\\[0\\]', field 'name': missing"),
        ({"objects": [{"name": "man", "span": [2, 99]}]}, r"'span': \[2, 99\] is no span"),
        ({"attributes": [[2, "tall", None]]}, "there is no object 2"),
        ({"relations": [[0, "", 1, None]]}, "a name expected, got an empty text"),
        ({"relations": [[0, "on", 1]]}, "4 values expected"),
        ({"objects": 3}, "a list expected, got 3"),
    ],
)
def test_broken_graphs_name_file_and_line(tmp_path, fields, message):
    path = graphs_file(tmp_path, record("1", RIDE), record("2", RIDE, **fields))
    with pytest.raises(ValueError, match=rf"graphs.jsonl, line 2, field .*{message}"):
        read_graphs(path)


def test_what_is_no_graphs_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no scene graphs: give a \.jsonl"):
        read_graphs(tmp_path / "graphs.json")
    with pytest.raises(ValueError, match=r"no attributes\.json"):
        read_graphs(tmp_path)
    (tmp_path / "x.jsonl").write_text('{"key": 1, "cap')
    with pytest.raises(ValueError, match=r"x.jsonl, line 1 is no record"):
        read_graphs(tmp_path / "x.jsonl")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_graphs_raise_nothing_but_value_error(tmp_path, data):
    text = json.dumps(record("1", RIDE)) + "\n"
    at = data.draw(st.integers(0, len(text)))
    insert = data.draw(st.sampled_from(["", '"', "{", "[", "null", "-1", "9", ",", "]", "\n", "true", "1e9"]))
    end = data.draw(st.integers(0, 4))
    path = tmp_path / "g.jsonl"
    path.write_text(text[:at] + insert + text[at + end :])
    try:
        read_graphs(path)
    except ValueError as error:
        assert "g.jsonl" in str(error)


def visual_genome(folder: Path) -> Path:
    def item(number: int, *names: str, **fields) -> dict:
        return {"object_id": number, "names": list(names), "x": number, "y": 0, "w": 5, "h": 5, **fields}

    horse = {"object_id": 3, "name": "Horse", "x": 3, "y": 0, "w": 5, "h": 5}
    attributes = [
        item(1, "dog", attributes=["Black"]),
        item(2, "cat", attributes=["white", "small"]),
        item(9, "sky"),
    ]
    relations = [
        {"predicate": "CHASES", "subject": item(1, "dog"), "object": item(2, "cat")},
        {"predicate": "near", "subject": horse, "object": item(2, "cat")},
        {"predicate": "behind", "subject": item(2, "cat"), "object": item(4, "dog")},
    ]
    folder.mkdir()
    (folder / "attributes.json").write_text(json.dumps([{"image_id": 7, "attributes": attributes}]))
    (folder / "relationships.json").write_text(json.dumps([{"image_id": 7, "relationships": relations}]))
    return folder


def test_visual_genome_graph_is_cut_to_what_the_caption_says(tmp_path):
    find = read_graphs(visual_genome(tmp_path / "vg"))
    caption = "A black dog chases a small, white cat."
    graph = find(example("1", caption, "images/0007.jpg"))
    assert [(o.name, o.span, o.box) for o in graph.objects] == [
        ("dog", (8, 11), (1, 0, 5, 5)),
        ("cat", (34, 37), (2, 0, 5, 5)),
    ]
    assert set(graph.attributes) == {
        Attribute(0, "black", (2, 7)),
        Attribute(1, "white", (28, 33)),
        Attribute(1, "small", (21, 26)),
    }
    assert graph.relations == (Relation(0, "chases", 1, (12, 18)),)
    assert find(example("1", caption, "images/8.jpg")) is None
    assert find(example("1", caption, "images/seven.jpg")) is None


def test_broken_visual_genome_names_file_and_element(tmp_path):
    folder = visual_genome(tmp_path / "vg")
    (folder / "attributes.json").write_text('[{"image_id": 7, "attributes": [{"names": []}]}]')
    with pytest.raises(ValueError, match=r"attributes\.json: \$\[0\]\.attributes\[0\] is no record"):
        read_graphs(folder)


@pytest.mark.parametrize(
    ("caption", "attributes", "relations"),
    [
        ("a black dog and a white cat", ["black", "white"], [None]),
        ("a dog that is near a white cat", [None, "white"], ["near"]),
        ("the dog is black. near it, a cat", ["black", None], [None]),
        ("a cat near a black dog", ["black", None], [None]),  # the other way round
        ("a white dog near a black cat", [None, None], ["near"]),
        ("hotdogs near a white catwalk", [None, None], [None]),
    ],
)
def test_grounding_finds_only_what_is_plainly_said(caption, attributes, relations):
    graph = SceneGraph(
        (SceneObject("dog"), SceneObject("cat")),
        (Attribute(0, "black"), Attribute(1, "white")),
        (Relation(0, "near", 1),),
    )
    grounded = ground(graph, caption)

    def words(claims) -> list:
        return [claim.span and caption[slice(*claim.span)] for claim in claims]

    assert words(grounded.attributes) == attributes and words(grounded.relations) == relations


TEXT = st.text(min_size=1, max_size=5)


@given(st.lists(TEXT, min_size=1, max_size=3), st.data())
def test_graphs_and_negatives_survive_json(objects, data):
    index, span = st.integers(0, len(objects) - 1), st.sampled_from([None, (0, 1), (2, 9)])
    graph = SceneGraph(
        tuple(SceneObject(name, data.draw(span)) for name in objects),
        tuple(data.draw(st.lists(st.builds(Attribute, index, TEXT, span), max_size=3))),
        tuple(data.draw(st.lists(st.builds(Relation, index, TEXT, index, span), max_size=3))),
    )
    caption = "x" * 9
    assert graph_from_json(json.loads(json.dumps(graph_to_json(graph))), caption, "here") == graph
    for claims in (graph, None):
        negative = Negative(caption, "relation_swap", ((0, 2), (3, 4)), claims)
        assert negative_from_json(json.loads(json.dumps(negative_to_json(negative))), "here") == negative


@pytest.mark.conformance
def test_genuine_captions(real_data):
    examples = read_captions(real_data / "coco").examples
    prepared = negatives_for(examples)
    assert len(prepared.examples) == 560
    others = {e.image_id: {x.caption for x in examples if x.image_id == e.image_id} for e in examples}
    for e in prepared.examples:
        assert e.graph is not None
        assert not {n.caption for n in e.negatives} & others[e.image_id]
    assert sum(bool(e.negatives) for e in prepared.examples) > 280


@pytest.mark.conformance
def test_genuine_visual_genome(real_data):
    find = read_graphs(real_data / "visual_genome")
    graph = find(example("1", "A green clock is on a brick sidewalk with a tall shade.", "1.jpg"))
    assert {"clock", "sidewalk", "shade"} <= set(names(graph))
    assert "green" in [a.name for a in graph.attributes]


@pytest.mark.slow
def test_neither_order_nor_processes_matter(monkeypatch):
    captions = [
        "A dog on a red mat.",
        "A brown puppy lies on a mat.",
        "A man rides a horse.",
        "A bike and a cat.",
    ]
    examples = [example(str(i), captions[i % 4], str(i // 2)) for i in range(40)]
    kinds = ("relation_swap", "object_replacement", "attribute_replacement")

    def made(given, **options):
        return {e.key: e.negatives for e in negatives_for(given, kinds=kinds, seed=3, **options).examples}

    expected = made(examples)
    assert made(examples[::-1]) == expected
    monkeypatch.setattr(prepare, "_CHUNK", 8)
    monkeypatch.setattr(prepare, "_WORTH_PROCESSES", 0)
    assert made(examples, processes=2) == expected
    assert sum(map(bool, expected.values())) == 40


def test_what_one_caption_says_is_no_negative_of_another():
    kinds = ["object_replacement"]
    alone = [negatives_for([example("1", "A dog sleeps.")], kinds=kinds, seed=s) for s in range(20)]
    other = example("2", "A kitten is there.", "1")
    both = [negatives_for([example("1", "A dog sleeps."), other], kinds=kinds, seed=s) for s in range(20)]
    assert any("cat" in n.caption for made in alone for n in made.examples[0].negatives)
    assert not any("cat" in n.caption for made in both for n in made.examples[0].negatives)


def test_negatives_can_be_parsed_as_their_captions_are() -> None:
    captions = ["A man on a bicycle in the city watches a dog.", "A black dog chases a white cat."]
    examples = [example(str(i), caption) for i, caption in enumerate(captions)]
    edited = negatives_for(examples).examples
    parsed = negatives_for(examples, parse_negatives=True).examples
    pairs = [
        (one, other)
        for e, p in zip(edited, parsed, strict=True)
        for one, other in zip(e.negatives, p.negatives, strict=True)
    ]
    assert [one.caption for one, _ in pairs] == [other.caption for _, other in pairs]
    read = list(parse([other.caption for _, other in pairs]))
    assert [other.graph for _, other in pairs] == read
    assert any(one.graph != other.graph for one, other in pairs)


def test_nothing_parses_negatives_beside_given_graphs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leaves no parser"):
        negatives_for([example("1", RIDE)], graphs=tmp_path / "graphs.jsonl", parse_negatives=True)
