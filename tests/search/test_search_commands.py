"""``knowclip index`` and ``knowclip search``, as a person runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
from functools import partial
from pathlib import Path

import pytest
from test_index import draw

import knowclip
from knowclip.cli import build_app
from knowclip.commands.search import _show
from knowclip.console.screen import Screen
from knowclip.preflight import machine
from knowclip.search.found import Found, Hit
from knowclip.search.query import Query
from knowclip.storage.locks import locked

pytest.importorskip("usearch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    for number in range(5):
        draw(folder / "photos" / f"{number}.png", number)
    shutil.copy(folder / "photos" / "1.png", folder / "photos" / "copy of 1.png")
    (folder / "photos" / "broken.jpg").write_text("no picture")
    (folder / "photos" / "notes.txt").write_text("hello")
    return folder


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    build_app()([str(argument) for argument in arguments], standalone_mode=False)
    told = capfd.readouterr()
    return told.out, told.err


def test_an_index_in_use_is_refused_before_its_model_is_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("knowclip.search.index.Index.start", lambda *_, **__: pytest.fail("it was loaded"))
    with locked(tmp_path, doing="indexing photos"), pytest.raises(ValueError, match="is in use: process"):
        run(capfd, "index", folder / "photos", "--out", tmp_path, "--model", "scenes-base")


def test_photos_are_indexed_searched_moved_and_searched_again(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photos, idx = folder / "photos", folder / "idx"
    out, _ = run(capfd, "index", photos, "--out", idx, "--model", "scenes-base")
    assert "8 files read = 5 kept + 1 merged + 2 skipped (cannot be read: 1, .txt file: 1)" in out
    assert f"skipped: image {photos / 'broken.jpg'} cannot be decoded" in out
    assert "new: 5" in out and "5 photos in 6 files" in out

    (photos / "2.png").rename(photos / "two.png")
    (photos / "3.png").unlink()
    out, _ = run(capfd, "index", photos, "--out", idx)  # the index knows its model
    assert f"moved: {photos / '2.png'} -> {photos / 'two.png'}" in out
    assert f"gone: {photos / '3.png'}" in out and "--prune forgets them" in out
    assert "moved: 1, unchanged: 3" in out

    out, _ = run(capfd, "search", idx, "a red horse to the left of a dog", "--json", "--top", 3)
    found = json.loads(out)
    assert found["ranked_by"] == "similarity less doubt" and ["horse", "is", "red"] in found["triples"]
    assert len(found["hits"]) == 3 and found["hits"][0]["relative"] == 1 and found["photos"] == 4
    assert all(hit["rival"] in [caption for _, caption in found["negatives"]] for hit in found["hits"])

    out, _ = run(capfd, "search", idx, "a red horse to the left of a dog", "--paths", "--top", 3)
    assert out.splitlines() == [hit["path"] for hit in found["hits"]]

    out, _ = run(capfd, "search", idx, "a red horse to the left of a dog")
    assert "horse --to the left of--> dog" in out and "less where one of" in out
    assert "1.00" in out and "4 of 4 photos" in out and "not half as far above the average" in out

    out, err = run(capfd, "search", idx, "--image", photos / "two.png", "--paths")
    assert out.splitlines()[0] == str(photos / "two.png") and "no longer there" not in err
    without, _ = run(capfd, "search", idx, "--image", photos / "two.png", "--minus", "a cat", "--paths")
    assert sorted(without.splitlines()) == sorted(out.splitlines())

    (photos / "two.png").unlink()
    out, err = run(capfd, "search", idx, "a horse", "--no-rerank", "--paths")
    assert len(out.splitlines()) == 3 and "1 photo is no longer there" in err


def test_a_result_longer_than_a_terminal_is_wide_keeps_its_path_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "knowclip.commands.search.Screen", partial(Screen, force_terminal=True, width=80, color_system=None)
    )
    long, rival = f"/photos/{'a long name ' * 4}.jpg", "a cat chases a dog over a fence"
    hits = (Hit("/1.jpg", 1.0, 0.3, 0.1, rival), Hit(long, 0.9, 0.2, 0.1, rival))
    _show(Found(Query("a dog chases a cat"), hits, photos=2, ranked_by="similarity less doubt"), asked=True)
    lines = capsys.readouterr().out.splitlines()
    assert f' 1.00  +0.100  /1.jpg  over "{rival}"' in lines
    place = lines.index(f" 0.90  +0.100  {long}")
    assert lines[place + 1].strip() == f'over "{rival}"' and max(map(len, lines)) <= 80


DOCUMENT = Path(knowclip.__file__).parents[2] / "docs" / "search.md"


@pytest.mark.skipif(not DOCUMENT.is_file(), reason="the wheel has no docs")
def test_the_documented_python_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (snippet,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    exec(snippet, {})
    told = capsys.readouterr().out.splitlines()
    assert told and all(line.startswith(str(folder / "photos")) for line in told)
    assert "1.0" in told[0]


def test_names_that_are_no_text_reach_a_pipe_as_they_are(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    photos = os.fsencode(folder / "other")
    os.makedirs(photos)
    name = photos + b"/caf\xe9.png"
    shutil.copy(folder / "photos" / "1.png", name)
    app, idx = build_app(), str(folder / "idx2")
    app(["index", str(folder / "other"), "--out", idx, "--model", "scenes-base"], standalone_mode=False)
    capfdbinary.readouterr()
    app(["search", idx, "a horse", "--no-rerank", "--paths"], standalone_mode=False)
    assert capfdbinary.readouterr().out == name + b"\n"
    app(["search", idx, "a horse", "--no-rerank"], standalone_mode=False)
    assert "caf\ufffd.png" in capfdbinary.readouterr().out.decode()


@pytest.mark.parametrize("arguments", [["index", ".", "--out", "x"], ["search", ".", "a dog"]])
def test_without_usearch_the_extra_to_install_is_told(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"usearch: pip install \"knowclip\[search\]\""):
        build_app()(arguments, standalone_mode=False)
