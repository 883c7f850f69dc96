"""Readers by name: their options as words of the command line, and what PATH is to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph_contents import facts
from knowclip.knowledge.graph.tally import Tally
from knowclip.knowledge.readers.registry import import_graph, parse_options, path_of, reader_options
from plugin_packages import Site, installed

READER = '''
from knowclip.knowledge.graph.store import Source

def read_pairs(path, build, *, pairs: list[int] | None = None, untyped=None, few: int | None = None):
    """Two words.

    The rest.
    """
    build.records += 1
    build.triplet("a", "r", "b")
    return Source("pairs", "MIT")

def told_nothing(path, build):
    pass
'''


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for site in installed(tmp_path / "site", monkeypatch):
        readers = {"pairs": "odd_readers:read_pairs", "silent": "odd_readers:told_nothing"}
        site.install("odd", {"knowclip.readers": readers}, {"odd_readers.py": READER})
        yield site


@pytest.mark.parametrize(
    ("name", "assignment", "options"),
    [
        ("wordnet", "glosses=TRUE", {"glosses": True}),
        ("wordnet", "glosses=False", {"glosses": False}),
        ("triples", "name=a=b", {"name": "a=b"}),
        ("triples", "name=", {"name": ""}),
        ("conceptnet", "relations=,IsA,", {"relations": ("IsA",)}),
        ("conceptnet", "min_weight=1e3", {"min_weight": 1000.0}),
        ("visualsem", "images=/a", {"images": Path("/a")}),
        ("visualsem", "max_images=-3", {"max_images": -3}),
        ("pairs", "few=3", {"few": 3}),
    ],
)
def test_an_option_is_of_its_type(site: Site, name: str, assignment: str, options: dict[str, Any]) -> None:
    assert parse_options(name, [assignment]) == options


ODD = "its reader must say of what type it is, and one of bool, int, float, str, Path (each or None), "


@pytest.mark.parametrize(
    ("name", "assignment", "told"),
    [
        ("wordnet", "gloss=x", "wordnet takes key=value options ['glosses', 'inverses', 'names']; "
                               "did you mean 'glosses'?"),
        ("wordnet", "zzz=x", "wordnet takes key=value options ['glosses', 'inverses', 'names']"),
        ("wordnet", "names", "wordnet takes key=value options ['glosses', 'inverses', 'names']; "
                             "did you mean 'names'?"),
        ("concepts", "x=1", "concepts takes key=value options (none)"),
        ("wordnet", "names=1", "true or false expected"),
        ("visualsem", "max_images=few", "int expected"),
        ("conceptnet", "min_weight=much", "float expected"),
        ("pairs", "few=some", "int expected"),
        ("pairs", "pairs=1", f"{ODD}tuple[str, ...]"),
        ("pairs", "untyped=1", f"{ODD}tuple[str, ...]"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_taken_is_named(site: Site, name: str, assignment: str, told: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_options(name, [assignment])
    assert str(error.value) == f"{assignment!r}: {told}"


def test_options_that_a_reader_does_not_have_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as error:
        import_graph("wordnet", tmp_path, tmp_path / "g", options={"b": 1, "a": 1, "names": True})
    assert str(error.value) == "wordnet has no options 'a', 'b'; it has 'glosses', 'inverses', 'names'"


def test_what_path_is_to_a_reader_is_said(site: Site) -> None:
    assert path_of("visualsem") == "folder of nodes.v2.json and tuples.v2.json"
    assert path_of("pairs") == "Two words."
    assert path_of("silent") == "as its package says"
    with pytest.raises(ValueError, match=r"^unknown reader 'none'"):
        path_of("none")


def test_options_are_those_by_keyword_alone(site: Site) -> None:
    assert list(reader_options("pairs")) == ["pairs", "untyped", "few"]
    assert reader_options("silent") == {}


def test_a_graph_keeps_where_it_is_from_and_what_was_left_out_before(site: Site, tmp_path: Path) -> None:
    options = {"few": Path("x")}
    graph = import_graph("pairs", tmp_path, tmp_path / "g", options=options, left_out={"a": 2, "b": 3})
    assert facts(graph) == {("a", "r", "b"): 1.0}
    assert (graph.sources[0].path, graph.sources[0].options) == (str(tmp_path), {"few": "x"})
    assert graph.tally == Tally(read=6, kept=1, skipped={"a": 2, "b": 3})
    again = import_graph("pairs", "no path", tmp_path / "again")
    assert (again.sources[0].path, again.sources[0].options) == ("", {})
