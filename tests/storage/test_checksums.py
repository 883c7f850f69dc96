from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from knowclip.storage.checksums import SUMS, refuse_damaged, refuse_damaged_folder, write_checksums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "part").mkdir()
    (tmp_path / "weights").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "README.md").write_text("may be edited")
    (tmp_path / "part" / "a name with spaces, ü").write_text("state")
    write_checksums(tmp_path)
    return tmp_path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_whole_folder_passes_and_coreutils_agree(folder: Path) -> None:
    refuse_damaged_folder(folder)
    refuse_damaged(folder / "weights")
    assert sorted(line.partition("  ")[2] for line in (folder / SUMS).read_text().splitlines()) == [
        "part/a name with spaces, ü",
        "weights",
    ]
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=folder, check=True)


@pytest.mark.parametrize("name", ["weights", "part/a name with spaces, ü"])
def test_a_bit_that_flipped_is_told_by_its_file(folder: Path, name: str) -> None:
    flip(folder / name)
    with pytest.raises(ValueError, match=f"{name} is damaged: its SHA-256 begins with .*{SUMS}"):
        refuse_damaged_folder(folder)


def test_one_file_is_compared_alone(folder: Path) -> None:
    flip(folder / "weights")
    with pytest.raises(ValueError, match="weights is damaged"):
        refuse_damaged(folder / "weights")
    (folder / "unknown").write_text("put here later")
    refuse_damaged(folder / "unknown")


def test_a_missing_file_is_told(folder: Path) -> None:
    (folder / "weights").unlink()
    with pytest.raises(ValueError, match=f"weights is missing, and {SUMS} lists it"):
        refuse_damaged_folder(folder)


def test_damaged_checksums_are_told_by_their_line(folder: Path) -> None:
    (folder / SUMS).write_bytes((folder / SUMS).read_bytes()[:100])
    with pytest.raises(ValueError, match=f"{SUMS}, line 2: expected a SHA-256 and a name"):
        refuse_damaged_folder(folder)


def test_a_folder_of_an_older_version_has_none(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("anything")
    refuse_damaged_folder(tmp_path)
    refuse_damaged(tmp_path / "weights")
