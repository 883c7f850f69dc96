"""Graphs and negatives by image, and what decides them."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from hand_graphs import graph

from knowclip import knowledge
from knowclip.knowledge.negatives import images
from knowclip.knowledge.negatives.images import Making, OneImage, made, made_by, sources_of_negatives
from knowclip.types import Negative, Relation, SceneGraph, SceneObject

RIDE, FLIP, FOG = "a man riding a horse", "a horse riding a man", "fog"
MAN = SceneGraph(
    (SceneObject("man", (2, 5)), SceneObject("horse", (15, 20))), (), (Relation(0, "ride", 1, (6, 12)),)
)
HORSE = SceneGraph(
    (SceneObject("horse", (2, 7)), SceneObject("man", (17, 20))), (), (Relation(0, "ride", 1, (8, 14)),)
)
MAN_WRITTEN = {
    "objects": [{"name": "man", "span": (2, 5)}, {"name": "horse", "span": (15, 20)}],
    "attributes": [], "relations": [[0, "ride", 1, (6, 12)]],
}  # fmt: skip
HORSE_WRITTEN = {
    "objects": [{"name": "horse", "span": (2, 7)}, {"name": "man", "span": (17, 20)}],
    "attributes": [], "relations": [[0, "ride", 1, (8, 14)]],
}  # fmt: skip
EDITED = {
    "objects": [{"name": "man", "span": (17, 20)}, {"name": "horse", "span": (2, 7)}],
    "attributes": [], "relations": [[1, "ride", 0, (8, 14)]],
}  # fmt: skip
NOTHING: dict[str, Any] = {"objects": [], "attributes": [], "relations": []}
SWAP = {"negative": FLIP, "kind": "relation_swap", "changed": ((0, 7), (15, 20)), "seed": 3}
GIVEN = {"negative": FLIP, "kind": "given", "changed": (), "seed": 0}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """What was given to which parser, in place of parsing it."""
    calls: list[tuple[list[str], str]] = []

    def parse(captions: Iterable[str], *, parser: str) -> list[SceneGraph]:
        calls.append((list(captions), parser))
        return [{RIDE: MAN, FLIP: HORSE}.get(caption, SceneGraph()) for caption in calls[-1][0]]

    monkeypatch.setattr(images, "parse", parse)
    return calls


def making(parser: str | None = "factual", *, parse_negatives: bool = False) -> Making:
    return Making(parser, ("relation_swap",), parse_negatives, 3)


def alone(caption: str, graph: SceneGraph | None = None, *own: Negative) -> OneImage:
    return OneImage((caption,), (graph,), (own,))


def test_captions_without_a_graph_are_parsed_once_and_make_negatives_beside_those_of_their_image(
    parsed: list[tuple[list[str], str]],
) -> None:
    both = OneImage((RIDE, FLIP), (None, None), ((), ()))
    found = list(made([alone(RIDE), alone(FOG), alone(RIDE, MAN), both], making()))
    assert parsed == [([RIDE, FOG, FLIP], "factual")]
    ridden = {"caption": RIDE, **MAN_WRITTEN, "negatives": [SWAP | EDITED]}
    assert found == [
        ridden,
        {"caption": FOG, **NOTHING, "negatives": []},
        ridden,
        {"caption": RIDE, **MAN_WRITTEN, "negatives": []},
        {"caption": FLIP, **HORSE_WRITTEN, "negatives": []},
    ]


def test_without_a_parser_a_caption_without_a_graph_has_no_record(
    parsed: list[tuple[list[str], str]],
) -> None:
    kept = making(None, parse_negatives=True)
    found = list(made([alone(RIDE), alone(RIDE, MAN)], kept))
    assert found == [None, {"caption": RIDE, **MAN_WRITTEN, "negatives": [SWAP | EDITED]}] and parsed == []


def test_nothing_is_parsed_where_every_caption_has_a_graph(parsed: list[tuple[list[str], str]]) -> None:
    assert [record and record["caption"] for record in made([alone(RIDE, MAN)], making())] == [RIDE]
    assert parsed == []


def test_negatives_that_a_caption_brings_stay_but_for_those_that_its_image_says(
    parsed: list[tuple[list[str], str]],
) -> None:
    flip, fog = Negative(FLIP, "given"), Negative(FOG, "given")
    image = OneImage((RIDE, FOG), (None, None), ((flip, fog), ()))
    assert list(made([image], making())) == [
        {"caption": RIDE, **MAN_WRITTEN, "negatives": [GIVEN]},
        {"caption": FOG, **NOTHING, "negatives": []},
    ]
    only_true = OneImage((RIDE, FOG), (None, None), ((fog,), ()))
    assert [record and record["negatives"] for record in made([only_true], making())] == [[], []]


def test_negatives_may_be_parsed_themselves_each_text_once(parsed: list[tuple[list[str], str]]) -> None:
    flip = Negative(FLIP, "given")
    found = list(made([alone(RIDE, MAN), alone(RIDE, None, flip)], making(parse_negatives=True)))
    assert parsed == [([RIDE], "factual"), ([FLIP], "factual")]
    assert found == [
        {"caption": RIDE, **MAN_WRITTEN, "negatives": [SWAP | HORSE_WRITTEN]},
        {"caption": RIDE, **MAN_WRITTEN, "negatives": [GIVEN | HORSE_WRITTEN]},
    ]


def test_every_caption_of_an_image_has_its_own_graph_and_negatives_or_it_is_refused() -> None:
    for image in (OneImage((RIDE,), (MAN, MAN), ((),)), OneImage((RIDE,), (MAN,), ((), ()))):
        with pytest.raises(ValueError, match=r"zip\(\) argument \d is longer"):
            made([image], making())


def test_what_a_caption_of_the_image_states_in_other_words_is_no_negative_of_another() -> None:
    pony = graph("a pony rides a guy", "pony guy", "", "0 ride:rides 1")
    image = OneImage((RIDE, "a pony rides a guy"), (MAN, pony), ((), ()))
    assert [record and record["negatives"] for record in made([image], making())] == [[], []]


def test_the_kinds_are_those_that_are_asked_for() -> None:
    (record,) = made([alone(RIDE, MAN)], Making(None, ("shuffle",), False, 3))
    assert record is not None and {n["kind"] for n in record["negatives"]} == {"shuffle"}


@pytest.mark.parametrize("given", [None, MAN])
def test_a_parser_that_gives_too_few_graphs_is_refused(given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "parse", lambda captions, *, parser: [])
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter"):
        made([alone(RIDE, given)], making(parse_negatives=True))


def test_every_module_and_table_of_knowledge_decides() -> None:
    folder = Path(knowledge.__file__).parent
    code = sorted(path for path in folder.rglob("*") if path.suffix == ".py")
    tables = sorted(path for path in folder.rglob("*") if path.suffix == ".gz")
    assert sources_of_negatives() == code + tables and code and tables


@pytest.mark.parametrize(
    ("parser", "asked", "more"),
    [
        (None, "", {}),
        ("own", "own", {}),
        ("factual", "factual", {"transformers": "1 of transformers"}),
        ("factual:t5", "factual", {"transformers": "1 of transformers"}),
        ("spacy", "spacy", {"spacy": "1 of spacy", "pipeline": "en_small 1 of en_small"}),
        ("spacy:en_big", "spacy", {"spacy": "1 of spacy", "pipeline": "en_big 1 of en_big"}),
        ("spacy:./folder", "spacy", {"spacy": "1 of spacy", "pipeline": "./folder"}),
        ("spacy:folder", "spacy", {"spacy": "1 of spacy", "pipeline": "folder"}),
    ],
)
def test_made_by_tells_code_tables_and_versions(
    parser: str | None, asked: str, more: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        if package.endswith("folder"):
            raise ValueError(package) if package.startswith(".") else PackageNotFoundError(package)
        return f"1 of {package}"

    monkeypatch.setattr(images, "version", version)
    for name, content in (("one.py", b"one"), ("two.gz", b"two")):
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(images, "sources_of_negatives", lambda: [tmp_path / "one.py", tmp_path / "two.gz"])
    monkeypatch.setattr(images, "fingerprint", lambda kind, name: f"{kind} {name}".encode())
    monkeypatch.setattr(images, "installed_model", lambda: "en_small")
    code = blake2b(f"onetwoparser {asked}".encode(), digest_size=12).hexdigest()
    assert made_by(parser) == {"knowclip": "1 of knowclip", "code": code} | more
