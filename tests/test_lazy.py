"""Importing the package does nothing: neither it nor the records nor the command loads a heavy library."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from knowclip.cli import SPINS

HEAVY = ("torch", "spacy", "open_clip", "transformers", "sklearn", "matplotlib", "duckdb", "onnxruntime")


@pytest.mark.parametrize(
    "code", ["import knowclip", "import knowclip.types", "import knowclip.cli as c; c.build_app()"]
)
def test_importing_loads_nothing_heavy(code: str) -> None:
    script = f"import sys; {code}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, SPINS), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_the_command_tells_threads_to_share_before_torch_is_there(given: dict[str, str], found: str) -> None:
    """What somebody set stays; libgomp reads it once, when torch is imported."""
    script = (
        "import os, sys, knowclip.cli as c; c.build_app = lambda: lambda: print("
        "os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules); c.main()"
    )
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    asked = [sys.executable, "-c", script]
    done = subprocess.run(asked, env=inherited | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [found, "False"]
