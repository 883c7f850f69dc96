"""Gradio is imported without the interface files that it writes for editors."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from knowclip.serving.page.gradio_import import without_interface_files


def test_components_are_passed_over_and_all_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    gradio = pytest.importorskip("gradio")
    from gradio.component_meta import create_or_modify_pyi

    read: list[Path] = []
    whole = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda self, *a, **k: read.append(self) or whole(self, *a, **k))
    with without_interface_files():
        create_or_modify_pyi(gradio.Textbox, "Textbox", gradio.Textbox.EVENTS)
        assert inspect.getfile(Path) == inspect.getsourcefile(Path)
    assert read == []
    assert inspect.getfile(gradio.Textbox).endswith("textbox.py")
