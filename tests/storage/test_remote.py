"""Files at URLs: known by paths, read by parts, copied shard by shard."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import fsspec
import pytest

from knowclip.storage import remote, shard_index
from knowclip.storage.copies import ShardCopies
from knowclip.storage.members import exists, file_state, open_file
from knowclip.storage.remote import RemoteError, is_remote, url_of

ROOT = Path("memory://shelf")


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch):
    """A server in memory with three shards; counts the bytes that are asked of it."""
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    for number in range(3):
        members = {f"{number}-{k}.jpg": bytes([number, k]) * 500 for k in range(4)}
        texts = {f"{number}-{k}.txt": f"picture {number} {k}".encode() for k in range(4)}
        fs.pipe(f"/shelf/{number}.tar", tar_of({**members, **texts, "./0.jpg": b"old", "0.jpg": b"new"}))
    for cache in (shard_index._remote_state, shard_index._places, shard_index._index):
        cache.cache_clear()
    yield fs
    fs.store.clear()


@pytest.mark.parametrize("path", ["s3://bucket/a b.tar", "gs://bucket/x", "https://host:80/x/y.tar?z=1"])
def test_urls_survive_as_paths(path: str) -> None:
    assert is_remote(path) and url_of(Path(path)) == path and url_of(Path(path) / "a") == f"{path}/a"


def test_other_paths_are_here() -> None:
    assert not any(
        map(is_remote, ("a/b", "/s3/bucket", "hf-hub:user/name", "C:/data", "C:\\data", "s3:", "."))
    )


def test_members_of_a_shard_at_a_url(shelf) -> None:
    shard = ROOT / "1.tar"
    with open_file(shard / "1-2.jpg") as file:
        assert file.read() == bytes([1, 2]) * 500
    with open_file(shard / "0.jpg") as file:
        assert file.read() == b"new"
    assert shard_index.index(shard).repeated == ["0.jpg"]
    assert exists(shard / "1-3.jpg") and not exists(shard / "1-9.jpg") and exists(shard)
    states = {file_state(shard / f"1-{k}.jpg") for k in range(4)}
    assert len(states) == 4 and {state[2] for state in states} == {1000}
    assert file_state(shard / "nothing") == file_state(ROOT / "nothing.jpg") == (-1, -1, -1)
    with pytest.raises(FileNotFoundError, match=r"no member 1-9\.jpg"):
        open_file(shard / "1-9.jpg")
    assert [path.name for path in remote.find(ROOT)] == ["0.tar", "1.tar", "2.tar"]
    assert remote.find(shard) == [shard] and remote.find(ROOT / "x") == []


def test_a_shard_is_read_from_end_to_end_once(shelf, monkeypatch) -> None:
    """The index stays on disk: another process needs the server for its images alone."""
    shard_index.index(ROOT / "0.tar")
    for cache in (shard_index._remote_state, shard_index._places, shard_index._index):
        cache.cache_clear()
    monkeypatch.setattr(remote, "stream", None)
    assert shard_index.index(ROOT / "0.tar").texts["0-1.txt"] == b"picture 0 1"
    shelf.pipe("/shelf/0.tar", tar_of({"other.jpg": b"longer than it was" * 999}))
    shard_index._remote_state.cache_clear()
    with pytest.raises(TypeError):  # another content: it has to be read
        shard_index.index(ROOT / "0.tar")


def test_what_is_no_tar_or_cannot_be_reached_is_told_apart(shelf, monkeypatch) -> None:
    whole = shelf.cat("/shelf/2.tar")
    shelf.pipe("/shelf/cut.tar", whole[: 512 + 100])
    with pytest.raises(ValueError, match=r"memory://shelf/cut\.tar is not a whole, uncompressed tar"):
        shard_index.index(ROOT / "cut.tar")
    with pytest.raises(FileNotFoundError, match=r"memory://shelf/none\.tar does not exist"):
        remote.read(ROOT / "none.tar")

    def broken(*arguments, **options):
        raise TimeoutError("no answer")

    monkeypatch.setattr(type(shelf), "cat_file", broken)
    with pytest.raises(RemoteError, match=r"memory://shelf/2\.tar cannot be read: TimeoutError: no answer"):
        remote.read(ROOT / "2.tar")
    with pytest.raises(ImportError, match=r"gs://.*knowclip\[remote\] brings what reads s3"):
        remote.read(Path("gs://bucket/x"))
    with pytest.raises(ValueError, match="nonsense"):
        remote.read(Path("nonsense://bucket/x"))


def test_copies_of_the_shards_read_last(shelf, tmp_path: Path, monkeypatch) -> None:
    """Images come from copies, of which so many stay; what another process fetches is not awaited."""
    opened = ShardCopies(tmp_path / "copies", most=2)

    def content(number: int, k: int) -> bytes:
        with opened(ROOT / f"{number}.tar" / f"{number}-{k}.jpg") as file:
            return file.read()

    for number in (0, 1, 2, 0):
        assert [content(number, k) for k in range(4)] == [bytes([number, k]) * 500 for k in range(4)]
        assert len(list((tmp_path / "copies").glob("copy-*.tar"))) <= 2
    monkeypatch.setattr(remote, "stream", None)
    assert content(0, 3) == bytes([0, 3]) * 500  # from the copy
    monkeypatch.undo()
    (tmp_path / "copies").joinpath("left.txt").touch()
    for copy in (tmp_path / "copies").glob("copy-*.tar"):
        copy.rename(copy.with_suffix(".claim"))  # as if another process were at them
    assert content(0, 3) == bytes([0, 3]) * 500
    assert not list((tmp_path / "copies").glob("copy-*.tar"))
    with pytest.raises(FileNotFoundError):
        opened(ROOT / "0.tar" / "none.jpg")
    (tmp_path / "here.jpg").write_bytes(b"here")
    with opened(tmp_path / "here.jpg") as file:
        assert file.read() == b"here"
