"""Importing the package does nothing: neither it nor the records nor the command loads a heavy library."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "spacy", "open_clip", "transformers", "sklearn", "matplotlib", "duckdb", "onnxruntime")


@pytest.mark.parametrize(
    "code", ["import knowclip", "import knowclip.types", "import knowclip.cli as c; c.build_app()"]
)
def test_importing_loads_nothing_heavy(code: str) -> None:
    script = f"import sys; {code}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
