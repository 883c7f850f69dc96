"""Shared fixtures: genuine data under KNOWCLIP_REAL_DATA; with KNOWCLIP_REQUIRE_REAL_DATA=1 a skip fails."""

from __future__ import annotations

import gc
import logging
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

_skipped_conformance: list[str] = []


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of genuine files; skips (or fails, on request) where there is none."""
    root = os.environ.get("KNOWCLIP_REAL_DATA", "")
    if root and Path(root).is_dir():
        return Path(root).resolve()
    message = f"KNOWCLIP_REAL_DATA={root!r} is not a folder of genuine data"
    if os.environ.get("KNOWCLIP_REQUIRE_REAL_DATA") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(autouse=True)
def forgotten_precision() -> Iterator[None]:
    """Accelerate keeps the first precision of a process: without this the next test would train in it."""
    yield
    if (state := sys.modules.get("accelerate.state")) is not None:
        state.AcceleratorState._reset_state()


@pytest.fixture(autouse=True)
def forgotten_notes() -> Iterator[None]:
    """The console command gives our logger a handler: without this the next test would print notes."""
    own, plain = logging.getLogger("knowclip"), warnings.formatwarning
    handlers, level = own.handlers[:], own.level
    yield
    own.handlers[:] = handlers
    own.setLevel(level)
    warnings.formatwarning = plain


@pytest.fixture
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes and maps are fitted in a fraction of their steps, with one penalty, or two, and one rate."""
    from knowclip.evaluation.diagnosis import alignment, fitting
    from knowclip.evaluation.tasks import linear_probe

    monkeypatch.setattr(fitting, "STEPS", 60)
    monkeypatch.setattr(fitting, "PENALTIES", (1e-4,))
    monkeypatch.setattr(fitting, "CHECK", 20)
    monkeypatch.setattr(alignment, "STEPS", 100)
    monkeypatch.setattr(alignment, "RATES", (1e-3,))
    monkeypatch.setattr(linear_probe, "STRENGTHS", (0.1, 10.0))
    monkeypatch.setattr(linear_probe, "MAX_ITERATIONS", 100)


def pytest_sessionstart() -> None:
    """Nothing that is imported and collected here is ever freed: no time goes into looking at it again."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 100)
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # DuckDB takes what is frozen at the end for a leak, and prints it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most slow tests first: of two processes none is left with a long one at the end."""
    slow = Counter(item.path for item in items if "slow" in item.keywords)
    items.sort(key=lambda item: -slow[item.path])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and "conformance" in report.keywords:
        _skipped_conformance.append(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(
        f"conformance tests skipped for want of real data: {len(_skipped_conformance)}"
    )
