"""What the documents name is there: files, commands, options, recipes; the site can be built from them."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

from documents import DOCUMENTS, ROOT, SHELLS, blocks, commands, fenced, lines
from knowclip.cli import COMMANDS, build_app
from knowclip.recipe.load import load_recipe
from knowclip.recipe.study import load_study
from knowclip.storage.cached import KINDS

FILES = [f"/{path.relative_to(ROOT)}" for path in ROOT.rglob("*.py") if ".venv" not in path.parts]
SCRIPTS = ROOT / "scripts/book"
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="the wheel has no documents")


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``scripts/book/build.py``, which imports its neighbours."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import build

    return build


@cache
def root() -> Any:
    return typer.main.get_command(build_app())


def name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_the_files_that_a_document_names_exist(document: Path) -> None:
    named = re.findall(r"`([\w/]+\.py)`", document.read_text(encoding="utf-8"))
    missing = [each for each in named if not any(path.endswith(f"/{each}") for path in FILES)]
    assert not missing, f"{document.name} names {missing}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_commands_and_options_exist(document: Path) -> None:
    for line in commands([document]):
        words = line.split()
        command = root()
        for word in words[1:3]:
            command = getattr(command, "commands", {}).get(word, command)
        assert command is not root() or words[1].startswith("-") or words[1].isupper(), line
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert asked - {"--help"} <= known, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_recipes_of_snippets_are_sound(document: Path) -> None:
    """Each ``knowclip train`` of a block with its overrides: what a person would paste."""
    for line in (line for kind, block in fenced(document) if kind in SHELLS for line in lines(block)):
        if line.startswith("knowclip train") and "own_scale" not in line:
            _, _, recipe, *overrides = shlex.split(line)
            load_recipe(recipe, [word for word in overrides if not word.startswith("--")])


def test_studies_of_snippets_are_sound(tmp_path: Path) -> None:
    studies = blocks([document for document in DOCUMENTS if document.name == "ablate.md"], "yaml")
    assert studies
    for number, written in enumerate(studies):
        path = tmp_path / f"{number}.yaml"
        path.write_text(written, encoding="utf-8")
        study = load_study(path)
        assert [study.recipe(arm, seed) for arm in study.trained for seed in study.seeds]


def test_every_page_stands_in_the_navigation_once(build: ModuleType) -> None:
    def listed(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [
            page for each in (entry.values() if isinstance(entry, dict) else entry) for page in listed(each)
        ]

    pages = listed(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"])
    there = [place for place in build.links.pages().values() if place.endswith(".md")]
    assert sorted(pages) == sorted(there)


def test_every_command_has_a_page_with_an_example(build: ModuleType) -> None:
    for command in COMMANDS:
        page = ROOT / "docs/commands" / f"{build.commands.PAGES.get(command, command)}.md"
        assert f"<!-- generated: command {command} -->" in page.read_text(encoding="utf-8"), page.name
        assert any(line.startswith(f"knowclip {command}") for line in commands([page])), page.name


def test_pages_are_written_with_what_the_code_says(build: ModuleType) -> None:
    places = build.links.pages()
    pages = {source: build.page(source, places) for source in places if source.endswith(".md")}
    assert not [source for source, text in pages.items() if build.MARKER.search(text)]
    assert "| `--window`" not in pages["docs/commands/search.md"]
    assert "| `--top` `TOP` | Photos to show. | `20` |" in pages["docs/commands/search.md"]
    assert "| `--rerank`, `--no-rerank` |" in pages["docs/commands/search.md"]
    assert "## `knowclip cache clear`" in pages["docs/commands/cache.md"]
    assert "| `train.precision` | `fp32` or `bf16` or `fp16` | `fp32` |" in pages["docs/recipe_keys.md"]
    assert "### `method` of joint" in pages["docs/recipe_keys.md"]
    assert "`arms.NAME.recipe`" in pages["docs/recipe_keys.md"]
    assert "](contributing.md)" in pages["docs/environment.md"]


def test_every_key_of_a_recipe_is_described(build: ModuleType) -> None:
    tables = build.recipe_keys.keys("recipe") + build.recipe_keys.keys("study")
    rows = re.findall(r"^\| `([\w.\[\]]+)` \| (.*) \| (.*) \| (.*) \|$", tables, re.MULTILINE)
    assert len(rows) > 150
    assert [key for key, kind, default, told in rows if not (kind and default and told)] == []


def test_a_link_that_leads_nowhere_is_refused(build: ModuleType) -> None:
    places = build.links.pages()
    moved = build.links.moved
    assert moved("[a](../../README.md#x) b", "docs/commands/parse.md", places).startswith(
        "[a](../overview.md#x)"
    )
    assert moved("[`LICENSE`](LICENSE)", "README.md", places) == "`LICENSE`"
    for bad in ("[a](nothing.md)", "[a](../pyproject.toml)", "[a](../nothing/)"):
        with pytest.raises(ValueError, match=r"docs/faq\.md links to"):
            moved(bad, "docs/faq.md", places)
    with pytest.raises(ValueError, match=r"docs/faq\.md shows gone\.png"):
        moved("![a](gone.png)", "docs/faq.md", places)


def test_pictures_lead_to_their_place_on_the_site(build: ModuleType) -> None:
    places = build.links.pages()
    assert "(docs/figures/idea.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "](figures/idea.svg)" in build.page("README.md", places)
    moved = build.links.moved("![a](../figures/idea.svg)", "docs/commands/parse.md", places)
    assert moved == "![a](../figures/idea.svg)"


def test_a_site_that_shows_a_picture_it_has_not_is_refused(build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "overview").mkdir()
    (tmp_path / "an idea.svg").write_text("<svg/>")
    page = tmp_path / "overview/index.html"
    there = '<img src="https://elsewhere/a.png"><img src="data:image/png;base64,x"><img src="/an%20idea.svg">'
    page.write_text(f'{there}<img alt="a" src="../an%20idea.svg#x">')
    build.links.refuse_lost_pictures(tmp_path)
    page.write_text(f'{there}<img alt="a" src="../docs/idea.svg">')
    with pytest.raises(ValueError, match=r"overview/index\.html shows \.\./docs/idea\.svg"):
        build.links.refuse_lost_pictures(tmp_path)


def test_the_table_of_caches_has_every_kind() -> None:
    text = (ROOT / "docs/installation.md").read_text(encoding="utf-8")
    rows = text.split("| kind | in it | made by | size |")[1].split("\n\n")[0].strip().splitlines()[1:]
    assert [row.split("|")[1].strip() for row in rows] == list(KINDS)
