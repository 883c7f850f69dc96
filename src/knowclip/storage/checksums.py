"""Checksums beside a folder's files: what a disk or a copy has changed since is told, not loaded.

``SHA256SUMS`` is in the format of coreutils: ``sha256sum --check SHA256SUMS`` reads it too. SHA-256, because
processors compute it at a gigabyte a second and more. A folder without it is one of an older version.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SUMS = "SHA256SUMS"
_FOR_PEOPLE = "README.md"
_WIDTH = 64


def write_checksums(folder: Path) -> None:
    """Write the checksum of every file in a folder, those in folders inside it too.

    Not of a ``README.md``: people and ``knowclip report --card`` write it anew.

    Raises:
        OSError: A file cannot be read, or the disk is full.
    """
    left_out = {folder / SUMS, folder / _FOR_PEOPLE}
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path not in left_out]
    lines = [f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8", newline="\n")


def refuse_damaged_folder(folder: Path) -> None:
    """Compare every file with its checksum.

    Raises:
        ValueError: One is another or is missing; the message names the first such file.
    """
    for name, expected in _expected(folder).items():
        _compare(folder / name, expected)


def refuse_damaged(path: Path) -> None:
    """Compare one file with its checksum, if there is one beside it.

    Raises:
        ValueError: It is another.
    """
    if (expected := _expected(path.parent).get(path.name)) is not None:
        _compare(path, expected)


def _expected(folder: Path) -> dict[str, str]:
    """Name -> checksum; empty where the folder has none."""
    path = folder / SUMS
    if not path.is_file():
        return {}
    expected = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        checksum, _, name = line.partition("  ")
        if len(checksum) != _WIDTH or not name:
            raise ValueError(
                f"{path}, line {number}: expected a SHA-256 and a name, got {line[:80]!r}: the file is "
                "damaged; copy the folder again, or remove this file to load what stands there unchecked"
            )
        expected[name] = checksum
    return expected


def _compare(path: Path, expected: str) -> None:
    try:
        found = _digest(path)
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing, and {SUMS} lists it: copy the folder again, whole") from error
    except OSError as error:  # a bad sector
        raise ValueError(
            f"{path} cannot be read ({error.strerror or error}): copy it again from another place"
        ) from error
    if found != expected:
        raise ValueError(
            f"{path} is damaged: its SHA-256 begins with {found[:12]}, and when it was saved with "
            f"{expected[:12]} ({SUMS}). Copy it again if there is another copy; if it was changed on "
            f"purpose, remove its line from {SUMS}"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
