"""``knowclip cache`` and ``knowclip doctor``: what they tell, what they remove, when they end with 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from knowclip.cli import build_app
from knowclip.commands import doctor
from knowclip.console import progress
from knowclip.console.progress import Stages
from knowclip.preflight import packages

FEATURES, NEGATIVES = "features/" + "a" * 16, "negatives-" + "b" * 24 + ".jsonl"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    (tmp_path / "cache" / FEATURES).mkdir(parents=True)
    (tmp_path / "cache" / FEATURES / "1.npz").write_bytes(b"x" * 3_000)
    (tmp_path / "cache" / NEGATIVES).write_bytes(b"x" * 2_000)
    (tmp_path / "cache" / "own.txt").write_text("mine")
    return tmp_path / "cache"


def run(*arguments: str, typed: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(build_app(), [*arguments], input=typed)
    if isinstance(result.exception, ValueError):
        return 1, str(result.exception)
    return result.exit_code, result.output


def test_cache_lists_by_kind_with_sizes(folder: Path) -> None:
    code, told = run("cache")
    assert code == 0 and FEATURES in told and "3.0 kB" in told
    (line,) = [line for line in told.splitlines() if line.startswith("negatives")]
    assert line.endswith(f"  {NEGATIVES}")  # whole, however wide the terminal is: 'clear' takes it
    assert "2 entries, 5.0 kB (negatives 2.0 kB, features 3.0 kB)" in told and "1 other things" in told


def test_an_empty_cache_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "none"))
    assert "0 entries, 0 bytes" in run("cache")[1] and not (tmp_path / "none").exists()
    assert "nothing to remove" in run("cache", "clear", "all", "--yes")[1]


@pytest.mark.parametrize(("typed", "removed"), [("y\n", True), ("n\n", False), ("", False)])
def test_clearing_asks_first(folder: Path, typed: str, removed: bool) -> None:
    code, told = run("cache", "clear", "features", typed=typed)
    assert (code == 0) == removed and "Remove 1 entry, 3.0 kB (features 3.0 kB)" in told
    assert (folder / FEATURES).exists() != removed and (folder / NEGATIVES).exists()


def test_yes_does_not_ask_and_leaves_what_is_not_its_own(folder: Path) -> None:
    code, told = run("cache", "clear", "all", "--yes")
    assert code == 0 and "removed 2 entries" in told
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["own.txt"]


def test_clearing_shows_a_sign_of_life(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, float]] = []

    @contextmanager
    def noted(unit: str) -> Iterator[Stages]:
        yield lambda label, done, total: shown.append((label, done))

    monkeypatch.setattr(progress, "_shown", noted)
    assert run("cache", "clear", "all", "--yes")[0] == 0
    assert shown == [("looking", 0), *(("removing", done) for done in range(3))]
    shown.clear()
    assert run("cache")[0] == 0 and shown == [("looking", 0)]


def test_a_name_that_is_not_there_is_refused_before_anything_goes(folder: Path) -> None:
    code, told = run("cache", "clear", "features", "negative", "--yes")
    assert code == 1 and "did you mean negatives?" in told and (folder / FEATURES).exists()


def test_doctor_tells_what_there_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE", 0)
    code, told = run("doctor")
    assert code == 0, told
    for expected in (
        "knowclip ",
        "Python ",
        "torch ",
        "cpu ",
        "bf16",
        "parser ",
        f"{folder} (set by",
        "free at",
    ):
        assert expected in told
    assert "2 entries, 5.0 kB" in told


def test_doctor_says_what_to_install_for_what(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {"duckdb", "resvg_py"}
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name in gone else object())
    told = dict(doctor.extras())
    assert told["graph"] == 'lacks duckdb, for knowledge graphs: pip install "knowclip[graph]"'
    assert "resvg_py" in told["scenes"] and told["parser"] == "installed"
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    assert "pip install" in dict(doctor.extras())["parser"]


def test_doctor_ends_with_1_where_nothing_can_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(folder / "own.txt" / "below"))
    monkeypatch.setattr(doctor, "FREE", 10**18)
    code, told = run("doctor")
    assert (
        code == 1
        and "problem: the cache folder" in told
        and "problem: " in told.split("cannot be written")[1]
    )


def test_doctor_lists_every_extra() -> None:
    import tomllib

    import knowclip

    project = Path(knowclip.__file__).parents[2] / "pyproject.toml"
    if not project.is_file():
        pytest.skip("the wheel has no pyproject.toml")
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    sums = {"all", "demo", "dev"}  # of others, or to work on knowclip
    assert {name for name, _ in doctor.extras()} == set(extras) - sums
    table = (project.parent / "docs/installation.md").read_text()
    assert all(f"| `{name}` |" in table for name in set(extras) - sums)
