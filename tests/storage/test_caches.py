"""One cache folder for every command and recipe, and one variable that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowclip.recipe.data import DataConfig
from knowclip.storage.caches import cache_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KNOWCLIP_CACHE", raising=False)
    return tmp_path / "home"


def test_chosen_then_variable_then_default(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == home / ".cache" / "knowclip" and cache_folder().is_dir()
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine" == cache_folder(DataConfig().cache_dir)
    assert cache_folder(tmp_path / "chosen") == tmp_path / "chosen"


def test_a_folder_that_cannot_be_written_names_the_variable(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write_text("a home that is no folder")  # root may write into a read-only one
    with pytest.raises(ValueError, match=r"~/\.cache/knowclip cannot be written .*KNOWCLIP_CACHE"):
        cache_folder()
    with pytest.raises(ValueError, match=r"set data\.cache_dir, .*KNOWCLIP_CACHE"):
        cache_folder(home / "x")
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
