"""What an index keeps, and the graph of neighbours that follows from it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from knowclip.search.scan import FileState
from knowclip.search.store import NAME, Store, is_index
from knowclip.search.vectors import NAME as GRAPH
from knowclip.search.vectors import NearestImages

pytest.importorskip("usearch")
STATE = FileState(10, 20, 30)
WIDTH = 6


def vectors(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fill(store: Store, rows: np.ndarray, start: int = 0) -> None:
    with store.changing():
        for number, row in enumerate(rows, start):
            store.add_image(bytes([number]), row)
            store.put_file(f"/photos/{number}.jpg", store.image(bytes([number])), STATE)
        store.changed()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path, model="m", fingerprint="f", width=WIDTH)


def test_vectors_come_back_bit_by_bit_in_the_order_asked_for(store: Store) -> None:
    rows = vectors(1200)
    with store.changing():
        for number, row in enumerate(rows):
            store.add_image(number.to_bytes(2), row)
    order = np.random.default_rng(1).permutation(1200)
    assert (store.vectors(order + 1) == rows[order]).all()


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError, match="stop"), store.changing():
        store.add_image(b"a", vectors(1)[0])
        raise RuntimeError("stop")
    assert store.digests() == set()


def test_paths_need_not_be_text(store: Store) -> None:
    path = b"/photos/caf\xe9.jpg".decode("utf-8", "surrogateescape")
    with store.changing():
        store.put_file(path, 1, STATE)
    assert list(store.paths(missing=False)) == [path]
    assert store.file(path).state == STATE


def test_the_nearest_are_found_and_those_that_have_gone_are_not(store: Store) -> None:
    rows = vectors(50)
    fill(store, rows)
    assert NearestImages(store, save=True).nearest(rows[7], 3)[0] == 8
    with store.changing():
        store.set_missing("/photos/7.jpg")
        store.changed()
    for nearest in (NearestImages(store), NearestImages(store, save=True), NearestImages(store)):
        ids = nearest.nearest(rows[7], 100)
        assert len(ids) == len(nearest) == 49 and 8 not in ids
    with store.changing():
        store.put_file("/photos/7.jpg", 8, STATE)
        store.changed()
    assert NearestImages(store).nearest(rows[7], 3)[0] == 8


def test_a_graph_that_is_lost_or_cut_off_is_made_again(store: Store) -> None:
    rows = vectors(50)
    fill(store, rows)
    whole = NearestImages(store, save=True).nearest(rows[3], 50)
    path = store.folder / GRAPH
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], b"", b"no graph"):
        path.write_bytes(broken)
        with pytest.warns(UserWarning, match="is made again from photos.db"):
            assert (NearestImages(store).nearest(rows[3], 50) == whole).all()
    path.unlink()
    assert (NearestImages(store).nearest(rows[3], 50) == whole).all()


def test_an_older_graph_is_completed_when_most_of_it_has_gone(store: Store) -> None:
    rows = vectors(40)
    fill(store, rows[:30])
    NearestImages(store, save=True)
    with store.changing():
        for number in range(25):
            store.set_missing(f"/photos/{number}.jpg")
        store.changed()
    fill(store, rows[30:], start=30)
    assert sorted(NearestImages(store).nearest(rows[0], 100)) == list(range(26, 41))


def test_an_empty_index_finds_nothing(store: Store) -> None:
    assert len(NearestImages(store, save=True).nearest(vectors(1)[0], 10)) == 0


def test_pruning_forgets_images_without_files_and_ids_are_not_used_again(store: Store) -> None:
    fill(store, vectors(3))
    with store.changing():
        store.set_missing("/photos/2.jpg")
        assert store.prune() == 1
    assert store.digests() == {b"\0", b"\1"} and store.counts() == (2, 2, 0)
    fill(store, vectors(1), start=9)
    assert store.image(bytes([9])) == 4


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no index"):
        Store(tmp_path)
    (tmp_path / "letter.txt").touch()
    with pytest.raises(ValueError, match=r"holds other files \(letter.txt\)"):
        Store.create(tmp_path, model="m", fingerprint="f", width=WIDTH)
    (tmp_path / NAME).write_text("no database, by far too long to be an empty one " * 100)
    with pytest.raises(ValueError, match="cannot be read as an index"):
        is_index(tmp_path)


def test_an_index_of_another_version_is_refused(store: Store) -> None:
    with sqlite3.connect(store.folder / NAME) as db:
        db.execute("PRAGMA user_version = 7")
    with pytest.raises(ValueError, match="version 7, and this knowclip reads version 1"):
        Store(store.folder)


def test_an_index_whose_making_was_killed_at_once_is_made_again(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    assert not is_index(tmp_path)
    Store.create(tmp_path, model="m", fingerprint="f", width=WIDTH)
    assert is_index(tmp_path)
