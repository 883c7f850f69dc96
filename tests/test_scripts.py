"""What scripts outside CI lean on: good files of fuzzed readers, modules and tests of mutated rooms."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="the wheel has no scripts")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_is_fuzzed_is_read_while_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    from fuzzing.damage import Target, examples_of
    from fuzzing.targets import targets

    found = {name: target for name, target in targets([]).items() if isinstance(target, Target)}
    assert len(found) > 60
    for number, (name, target) in enumerate(found.items()):
        (folder := tmp_path / str(number)).mkdir()
        assert callable(examples_of(target, folder)) and any(folder.rglob("*")), name
        for read in target.reads:
            read(folder)


def test_the_rooms_of_the_mutation_check_are_there() -> None:
    script = runpy.run_path(str(SCRIPTS / "mutation.py"))
    for name, room in script["ROOMS"].items():
        for pattern in room.modules:
            assert list((ROOT / "src/knowclip").glob(pattern)), f"{name}: {pattern}"
        for tests in room.tests:
            assert (ROOT / "tests" / tests).exists(), f"{name}: {tests}"


def test_an_explanation_of_the_mutation_check_names_mutants_a_line_and_why() -> None:
    entries = tomllib.loads((SCRIPTS / "mutation.toml").read_text(encoding="utf-8"))["equal"]
    for entry in entries:
        assert set(entry) == {"mutants", "line", "why"} and re.compile(entry["line"]), entry
        module = re.split(r"\.[x*]", entry["mutants"])[0]
        place = ROOT / "src" / module.replace(".", "/")
        assert place.is_dir() or place.with_suffix(".py").is_file(), entry
