"""``photos.db``: the photos an index knows, where their files lie, their vectors; all else follows.

Every change is one transaction of SQLite: a process that is killed loses what it had not committed, and
nothing before. An image is known by the SHA-256 of its bytes, so that a file that was moved, copied or
touched is recognised. What is gone from the disk is kept, as missing, until it is pruned: a drive that is
not mounted must not cost the work of hours.

Shape legend: n images, D embedding width.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from knowclip.models.loading.names import may_be_model
from knowclip.preflight.machine import existing
from knowclip.search.scan import FileState
from knowclip.storage.own_folder import refuse_others

IN_MEMORY = "a model in memory"
"""Name of a model that was given as an object: nothing can load it again."""
NAME, DOING = "photos.db", "indexing photos"
OURS = (NAME, ".")
"""Beginnings of names that an index which was never finished leaves behind."""
VERSION = 1
_TABLES = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, vector BLOB NOT NULL);
CREATE TABLE files (
    path BLOB PRIMARY KEY, image INTEGER NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL,
    changed INTEGER NOT NULL, missing INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX files_of_image ON files (image, missing);
"""
# ids are never used again (AUTOINCREMENT): an older vectors file cannot take one image for another
_PAGE = 16384
"""Bytes of a page: seven vectors of 512 numbers; of SQLite's own 4,096 half would be empty."""
_TIMEOUT = 60.0
"""Seconds to wait for another process that is writing."""

Vectors = NDArray[np.float32]


class FileRow(NamedTuple):
    """What is known of a file: its image, its state when it was read, whether it has gone since."""

    image: int
    state: FileState
    missing: bool


class Counts(NamedTuple):
    """Images to be found, their files, and files that have gone."""

    images: int
    files: int
    missing: int


class Store:
    """The database of an index.

    Args:
        folder: Of the index.

    Raises:
        ValueError: There is no index, or one of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not is_index(folder):
            raise ValueError(f"{folder} is no index (no {NAME}): {_way(folder)}")
        if (version := _version(folder / NAME)) != VERSION:
            raise ValueError(
                f"{folder / NAME} is of version {version}, and this knowclip reads version {VERSION}: "
                "index the photos again, into another folder"
            )
        self._db = _connected(folder / NAME)

    @classmethod
    def create(
        cls, folder: Path, *, model: str, fingerprint: str, width: int, weights: list[str] | None = None
    ) -> Self:
        """Make an empty index for the vectors of one model, whole or not at all.

        ``weights`` are those of ``weights_of``.

        Raises:
            ValueError: The folder holds other things.
        """
        refuse_others(folder, ours=OURS)
        db = _connected(folder / NAME)
        db.execute(f"PRAGMA page_size = {_PAGE}")
        about = {"model": model, "fingerprint": fingerprint, "weights": weights, "width": width}
        about |= {"changes": 0, "saved": -1}
        with db:
            db.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, _TABLES.split(";")):
                db.execute(statement)
            db.executemany("INSERT INTO about VALUES (?, ?)", [(k, json.dumps(v)) for k, v in about.items()])
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.close()
        return cls(folder)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One transaction: all that is done within, or nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield

    def about(self, key: str) -> Any:
        """``model``, its ``fingerprint`` and ``weights``, the ``width`` D; ``changes`` made, those ``saved``.

        None of what an older index does not say.
        """
        row = self._db.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def set_about(self, key: str, value: Any) -> None:
        """Change one of them."""
        self._db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (key, json.dumps(value)))

    @property
    def is_empty(self) -> bool:
        """Whether it has no vectors, so that any model may make them."""
        return self._db.execute("SELECT 1 FROM images LIMIT 1").fetchone() is None

    def bind(self, **about: Any) -> None:
        """Note the model (as ``create`` has it) that is to make the vectors of an empty index."""
        with self.changing():
            for key, value in about.items():
                self.set_about(key, value)

    def changed(self) -> None:
        """Note that other images are there to be found than before."""
        self.set_about("changes", self.about("changes") + 1)

    def counts(self) -> Counts:
        """How many images there are to be found, and how many files."""
        (images,) = self._db.execute("SELECT count(DISTINCT image) FROM files WHERE NOT missing").fetchone()
        files, missing = self._db.execute("SELECT count(*), coalesce(sum(missing), 0) FROM files").fetchone()
        return Counts(images, files - missing, missing)

    def digests(self) -> set[bytes]:
        """Of all images whose vectors are known."""
        return {digest for (digest,) in self._db.execute("SELECT digest FROM images")}

    def digest_at(self, path: str) -> bytes | None:
        """Of the image that a path shows."""
        row = self._db.execute(
            "SELECT digest FROM images JOIN files ON image = id WHERE path = ?", (os.fsencode(path),)
        ).fetchone()
        return None if row is None else row[0]

    def image(self, digest: bytes) -> int:
        """Id of the image of these bytes, which is known."""
        return self._db.execute("SELECT id FROM images WHERE digest = ?", (digest,)).fetchone()[0]

    def add_image(self, digest: bytes, vector: Vectors) -> None:
        """Keep the vector ``[D]`` of an image that was not known."""
        self._db.execute(
            "INSERT INTO images (digest, vector) VALUES (?, ?)", (digest, vector.astype("<f4").tobytes())
        )

    def file(self, path: str) -> FileRow | None:
        """What is known of a path."""
        row = self._db.execute(
            "SELECT image, size, modified, changed, missing FROM files WHERE path = ?", (os.fsencode(path),)
        ).fetchone()
        return None if row is None else FileRow(row[0], FileState(*row[1:4]), bool(row[4]))

    def put_file(self, path: str, image: int, state: FileState) -> None:
        """Note that a file is there and shows an image."""
        self._db.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, 0)", (os.fsencode(path), image, *state)
        )

    def drop_file(self, path: str) -> None:
        """Forget a path."""
        self._db.execute("DELETE FROM files WHERE path = ?", (os.fsencode(path),))

    def set_missing(self, path: str) -> None:
        """Note that a file has gone."""
        self._db.execute("UPDATE files SET missing = 1 WHERE path = ?", (os.fsencode(path),))

    def paths(self, *, missing: bool) -> Iterator[str]:
        """All paths that are there, or that have gone, in order."""
        rows = self._db.execute("SELECT path FROM files WHERE missing = ? ORDER BY path", (missing,))
        return (os.fsdecode(path) for (path,) in rows)

    def paths_of(self, image: int, *, missing: bool = False) -> list[str]:
        """The paths of an image's files that are there, or that have gone, in order."""
        rows = self._db.execute(
            "SELECT path FROM files WHERE image = ? AND missing = ? ORDER BY path", (image, missing)
        )
        return [os.fsdecode(path) for (path,) in rows]

    def prune(self) -> int:
        """Forget the files that have gone, and the images no file shows; how many files."""
        pruned = self._db.execute("DELETE FROM files WHERE missing").rowcount
        self.drop_images_without_files()
        return pruned

    def drop_images_without_files(self) -> None:
        """Forget the images whose files all show others now."""
        self._db.execute("DELETE FROM images WHERE id NOT IN (SELECT image FROM files)")

    def ids(self) -> NDArray[np.uint64]:
        """Of the images to be found, ``[n]``, rising."""
        rows = self._db.execute("SELECT DISTINCT image FROM files WHERE NOT missing ORDER BY image")
        return np.fromiter((image for (image,) in rows), dtype=np.uint64)

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """Normalised vectors of images ``[n, D]``, as the model gave them.

        Raises:
            KeyError: One is not known.
        """
        found: dict[int, bytes] = {}
        for start in range(0, len(ids), 500):  # SQLite allows 999 parameters in older releases
            part = [int(image) for image in ids[start : start + 500]]
            marks = ",".join("?" * len(part))
            found.update(self._db.execute(f"SELECT id, vector FROM images WHERE id IN ({marks})", part))
        width = self.about("width")
        joined = b"".join(found[int(image)] for image in ids)
        return np.frombuffer(joined, dtype="<f4").reshape(len(ids), width)


def check_index(folder: Path, what: str) -> None:
    """Refuse a folder that is not there or holds no index; ``what`` names the argument.

    Raises:
        ValueError: With the command that makes one.
    """
    existing(folder, what, folder=True, way=_way(folder))
    Store(folder).close()


def _way(folder: Path) -> str:
    photos, out = "PHOTOS", str(folder)
    if may_be_model(folder):
        model, out = quote(str(folder)), quote(f"{folder.name}.index")
        return f"it is a model, with which `knowclip index {photos} --model {model} --out {out}` makes one"
    if folder.is_dir() and any(folder.iterdir()):  # it is what is to be searched, more likely than a place
        photos, out = quote(str(folder)), f"{folder.name}.index"
    return f"`knowclip index {photos} --model MODEL --out {quote(out)}` makes one"


def is_index(folder: Path) -> bool:
    """Whether an index stands in a folder; one whose making was killed at the first moment is none.

    Raises:
        ValueError: There is a file of its name that is no database.
    """
    return (folder / NAME).is_file() and _version(folder / NAME) > 0


def _version(path: Path) -> int:
    with closing(_connected(path)) as db:
        try:
            return db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path} cannot be read as an index: {error}") from error


def _connected(path: Path) -> sqlite3.Connection:
    # autocommit: transactions begin where they are said to; a service asks from several threads, in turn
    return sqlite3.connect(path, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False)
