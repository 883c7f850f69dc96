"""Which pictures the page shows: those of the folders given, and of an index those that were indexed."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import knowclip
from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.serving.page import views
from knowclip.serving.page.browsing import Sheet
from knowclip.serving.page.contents import Contents, opened
from knowclip.types import ImageRef
from tiny import tiny_model

pytest.importorskip("jinja2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place in ("given", "private"):
        (tmp_path / place).mkdir()
        Image.new("RGB", (20, 20), "red").save(tmp_path / place / "photo.png")
    (tmp_path / "given" / "link.png").symlink_to(tmp_path / "private" / "photo.png")
    return tmp_path


def shown(contents: Contents, path: Path) -> str:
    case = Choice("0", ImageRef(path), "true", "false", "", "0")
    sheet = Sheet((case,), ({"a": 0.1},), dict.fromkeys(("lost", "mended", "wrong", "right"), 1), (), 1, 1, 1)
    return views.cases(sheet, "lost", shows=contents.shows)


def test_results_show_pictures_of_the_folders_given_alone(folder: Path) -> None:
    contents = Contents({}, folders=(folder / "given",))
    assert "<img" in shown(contents, folder / "given" / "photo.png")
    for path in ("private/photo.png", "given/../private/photo.png", "given/link.png"):
        html = shown(contents, folder / path)
        assert "<img" not in html and "--images FOLDER" in html, path
    assert "image missing" in shown(contents, folder / "given" / "none.png")
    assert "<img" not in shown(replace(contents, folders=()), folder / "given" / "photo.png")
    assert "<img" in shown(replace(contents, folders=None), folder / "private" / "photo.png")


def test_an_entity_shows_pictures_of_the_folders_given_alone(folder: Path, monkeypatch) -> None:
    pytest.importorskip("duckdb")
    from knowclip.knowledge.graph import picture
    from knowclip.serving.limits import Limits
    from knowclip.serving.page.graph_view import neighbourhood
    from tiny_graph import make_graph

    graph = make_graph(folder / "graph")
    with_image = next(i for i in range(graph.counts["entities"]) if graph.images(i))
    name = str(graph.arrays.entity_id[with_image])
    read: list[Path] = []
    monkeypatch.setattr(picture, "_thumbnail", lambda image: read.append(image.path))
    neighbourhood(graph, name, Limits(), shows=Contents({}, folders=(folder / "given",)).shows)
    assert read == []
    neighbourhood(graph, name, Limits())
    assert read


def test_a_photo_that_is_not_the_indexed_one_is_not_shown(folder: Path) -> None:
    pytest.importorskip("usearch")
    index = knowclip.Index.build(folder / "given", folder / "index", model=tiny_model())
    photo = folder / "given" / "photo.png"
    found = index.search("a red dog", rerank=False)
    assert index.holds(str(photo)) and "<img" in views.found_photos(found, holds=index.holds)
    Image.new("RGB", (20, 20), "blue").save(folder / "private" / "photo.png")
    photo.write_bytes((folder / "private" / "photo.png").read_bytes())
    html = views.found_photos(found, holds=index.holds)
    assert "<img" not in html and "changed since it was indexed" in html
    assert not index.holds(str(folder / "private" / "photo.png"))
    assert not index.holds(str(folder / "none.png"))


def test_a_part_is_waited_for() -> None:
    part: Future[int] = Future()
    part.set_result(3)
    assert opened(part) == 3 and opened(4) == 4
