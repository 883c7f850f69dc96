from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from knowclip.storage import atomic
from knowclip.storage.atomic import atomic_file, atomic_folder, recover


def write(path: Path, text: str) -> None:
    with atomic_folder(path) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "weights").write_text(text)


def entries(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
def test_a_folder_is_replaced_whole(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    dest = tmp_path / "runs" / "best"
    write(dest, "old")
    (dest / "stale").write_text("must not survive")
    write(dest, "new")
    assert (dest / "sub" / "weights").read_text() == "new"
    assert entries(dest) == ["sub"]
    assert entries(dest.parent) == ["best"]


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
def test_a_full_disk_leaves_the_old_folder(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    write(tmp_path / "best", "old")
    with pytest.raises(OSError, match="No space left"), atomic_folder(tmp_path / "best") as folder:
        (folder / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (tmp_path / "best" / "sub" / "weights").read_text() == "old"
    assert entries(tmp_path) == ["best"]


def test_a_failing_second_rename_puts_the_old_folder_back(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    write(tmp_path / "best", "old")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".tmp"):
            raise OSError(errno.EIO, "I/O error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="I/O error"):
        write(tmp_path / "best", "new")
    assert (tmp_path / "best" / "sub" / "weights").read_text() == "old"
    assert entries(tmp_path) == ["best"]


def test_recover_puts_back_what_was_killed_between_two_renames(tmp_path):
    write(tmp_path / "best", "old")
    (tmp_path / "best").rename(tmp_path / ".best.previous")
    recover(tmp_path / "best")
    assert (tmp_path / "best" / "sub" / "weights").read_text() == "old"
    recover(tmp_path / "absent")
    assert entries(tmp_path) == ["best"]


KILLED = """
import sys, time
from knowclip.storage.atomic import atomic_folder
with atomic_folder(sys.argv[1]) as folder:
    (folder / "half").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_killed_writer_leaves_the_old_folder_and_is_swept_up(tmp_path):
    dest = tmp_path / "best"
    write(dest, "old")
    command = [sys.executable, "-c", KILLED, str(dest)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        os.kill(writer.pid, signal.SIGKILL)
    assert (dest / "sub" / "weights").read_text() == "old"
    assert len(entries(tmp_path)) == 2
    write(dest, "new")
    assert entries(tmp_path) == ["best"]


def test_another_live_writer_is_left_alone(tmp_path):
    dest = tmp_path / "best"
    other = atomic._temporary(dest).with_name(atomic._temporary(dest).name.replace(str(os.getpid()), "1"))
    other.mkdir()
    write(dest, "new")
    assert other.is_dir()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    dest = tmp_path / "results.json"
    with atomic_file(dest) as path:
        path.write_text("old")
    with pytest.raises(OSError), atomic_file(dest) as path:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert dest.read_text() == "old"
    with atomic_file(dest) as path:
        path.write_text("new")
    assert dest.read_text() == "new"
    assert entries(tmp_path) == ["results.json"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "best").write_text("a file")
    with pytest.raises(ValueError, match="best is a file"), atomic_folder(tmp_path / "best"):
        pass


def test_permissions_are_those_of_any_new_folder(tmp_path):
    write(tmp_path / "best", "x")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "best").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_get_the_rights_that_the_umask_grants(tmp_path, umask):
    """safetensors writes files that only their owner may read."""

    def private(path: Path) -> None:
        path.touch(mode=0o600)
        path.write_text("weights")

    before = os.umask(umask)
    try:
        with atomic_folder(tmp_path / "best") as folder:
            (folder / "trainer").mkdir(mode=0o700)
            private(folder / "model.safetensors")
            private(folder / "trainer" / "state.pt")
        with atomic_folder(tmp_path / "many", durable=False) as folder:
            private(folder / "one")
        with atomic_file(tmp_path / "file") as path:
            private(path)
        (tmp_path / "plain").touch()
        (tmp_path / "folder").mkdir()
    finally:
        os.umask(before)
    usual, usual_folder = (tmp_path / "plain").stat().st_mode, (tmp_path / "folder").stat().st_mode
    for name in ("best/model.safetensors", "best/trainer/state.pt", "many/one", "file"):
        assert (tmp_path / name).stat().st_mode == usual, name
    assert (tmp_path / "best" / "trainer").stat().st_mode == usual_folder
