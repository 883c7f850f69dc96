"""Packages that are installed for a test: modules and metadata in a folder that joins ``sys.path``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from knowclip import plugins


class Site:
    """A folder of installed packages, the last of ``sys.path``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        name: str,
        groups: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str],
        *,
        version: str = "1.0",
    ) -> None:
        """Write a distribution with its entry points (group -> name -> object) and modules (file -> text)."""
        for file, text in modules.items():
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        metadata = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [
            line
            for group, entries in groups.items()
            for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()))
        ]
        (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
        plugins.forget()


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that lasts for one test; what was imported from it is forgotten."""
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    plugins.forget()
    before = set(sys.modules)
    yield Site(folder)
    for module in set(sys.modules) - before:
        file = getattr(sys.modules[module], "__file__", None)
        if file is not None and Path(file).is_relative_to(folder):
            del sys.modules[module]
    monkeypatch.undo()
    plugins.forget()
