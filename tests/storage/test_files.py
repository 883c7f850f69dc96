from __future__ import annotations

from pathlib import PurePath

import pytest

from knowclip.storage.text_files import is_junk

JUNK = (
    "._0001.jpg",
    "a/._0001.jpg",
    ".DS_Store",
    "Thumbs.db",
    "thumbs.DB",
    "__MACOSX/a.jpg",
    ".git/a.jpg",
    "@eaDir/a",
)
DATA = ("a.jpg", "./a.jpg", "../a.jpg", "a/b.c.jpg", "photo.v1.jpg", "thumbs/a.jpg", "_a.jpg")


@pytest.mark.parametrize("kind", [str, PurePath])
def test_junk_is_told_from_data(kind) -> None:
    assert all(is_junk(kind(name)) for name in JUNK)
    assert not any(is_junk(kind(name)) for name in DATA)


def test_readers_of_folders_leave_junk_out(tmp_path) -> None:
    """The folder itself may lie in a hidden one: only what is below it counts."""
    from knowclip.evaluation.benchmarks.classification import read_classification
    from knowclip.evaluation.tasks.image_folders import find_images
    from knowclip.knowledge.graph.image_files import ImageFolder

    home = tmp_path / ".cache" / "data"
    names = ("test/cat/a.jpg", "test/dog/b.jpg")
    junk = ("test/cat/._a.jpg", "test/cat/.DS_Store", "__MACOSX/test/cat/a.jpg", "test/.trash/a.jpg")
    for name in (*names, *junk):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(b"")
    assert sorted(path.relative_to(home).as_posix() for path in find_images(home)) == list(names)
    assert ImageFolder(home).paths == list(names)
    found = read_classification(home)
    assert found.keys == ["cat/a.jpg", "dog/b.jpg"] and found.names == ["cat", "dog"] and not found.skipped
