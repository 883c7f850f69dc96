"""Folders are the data flow: imports go down only, in no circle, never through a folder's own ``__init__``.

No file, function or folder is so large that its name no longer says what stands in it.
"""

from __future__ import annotations

import ast
from collections import Counter
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import knowclip

ROOT = Path(knowclip.__file__).parent
TESTS = Path(__file__).parent
FLOORS = {
    "types": 0, "plugins": 0,
    "storage": 1, "console": 1, "losses": 1, "evaluation.metrics": 1,
    "recipe": 2, "data.formats": 2, "knowledge.words": 2,
    "knowledge": 3, "knowledge.graph": 3,
    "knowledge.parsing": 4, "knowledge.readers": 4,
    "knowledge.negatives": 5,
    "data": 6, "data.images": 6, "data.prepared": 6, "models": 6,
    "data.captions": 7, "data.scenes": 7, "models.loading": 7,
    "data.graphs": 8, "preflight": 8,
    "methods": 9, "evaluation": 9,
    "training": 10, "export": 10,
    "build": 11,
    "search": 12, "api": 12,
    "serving": 13,
    "commands": 14, "cli": 14,
}  # fmt: skip
MAX_FILE, MAX_FUNCTION, MAX_FOLDER = 400, 60, 20
"""Lines of a file, lines of a function with its docstring, modules of a folder."""
LONG_FUNCTIONS: dict[str, str] = {}
"""``path:function`` -> why it is longer."""
LISTS = {"commands": "one file a subcommand", "evaluation/benchmarks": "one file a benchmark"}
"""Folders of more modules -> what makes them a list, which is found by name."""
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def unit(module: str) -> str:
    """``data.scenes.world`` -> ``data``; the pure metrics and the formats are units of their own."""
    parts = module.split(".")
    heads = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((head for head in heads if head in FLOORS), parts[0])


def module_of(path: Path) -> str:
    """``data.scenes.world`` of its file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> list[str]:
    """Every knowclip module a file names in an import, inside functions too, without the package's name."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; write the full module path"
            base = node.module or ""
            modules = [f"{base}.{a.name}" for a in node.names]
            names += [
                m if (ROOT.parent / m.replace(".", "/")).with_suffix(".py").exists() else base
                for m in modules
            ]
    return [name.removeprefix("knowclip.") for name in names if name.startswith("knowclip.")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    here = module_of(path)
    for name in imported(path):
        mine, theirs = unit(here), unit(name)
        if mine == theirs:
            continue
        assert theirs in FLOORS, f"{here} imports {name}, which stands on no floor"
        assert FLOORS[theirs] < FLOORS[mine] or (mine == "cli" and theirs == "commands"), (
            f"{here} imports {name}"
        )


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "__init__.py"], ids=lambda p: p.parent.name)
def test_a_folder_s_init_holds_a_docstring_only(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert len(body) == 1 and ast.get_docstring(ast.Module(body, [])), f"{path} holds more than a docstring"


def test_no_import_goes_in_a_circle() -> None:
    """Nor within a floor, where the test above allows all; those inside functions and for types count."""
    graph = {module_of(path): set(imported(path)) - {module_of(path)} for path in FILES}
    TopologicalSorter(graph).prepare()  # a CycleError names the modules


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    """Of a subcommand, what it does is counted: its parameters are its options, each with its help."""
    source, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    assert len(source.splitlines()) <= MAX_FILE, f"{name}: split it by what its parts are about"
    long = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            subcommand = name.startswith("commands/") and node.name == "command"
            first = node.body[bool(ast.get_docstring(node))] if subcommand else node
            long[f"{name}:{node.name}"] = node.end_lineno - first.lineno + 1
    long = {function: lines for function, lines in long.items() if lines > MAX_FUNCTION}
    assert long.keys() == {key for key in LONG_FUNCTIONS if key.startswith(f"{name}:")}, long


def test_folders_are_rooms_not_halls() -> None:
    modules = Counter(p.parent.relative_to(ROOT).as_posix() for p in FILES if p.name != "__init__.py")
    assert {folder for folder, n in modules.items() if n > MAX_FOLDER} <= set(LISTS), modules.most_common(3)


def test_no_folder_of_tests_is_passed_over(pytestconfig: pytest.Config) -> None:
    """By its defaults pytest collects nothing in a folder named "build", and says nothing of it."""
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    passed_over = pytestconfig.getini("norecursedirs")
    assert not [f for f in folders if any(fnmatch(part, bad) for part in f.parts for bad in passed_over)]
