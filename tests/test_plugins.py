"""What other packages add is found by entry point, imported when its name is used, and named in errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowclip import plugins
from knowclip.cli import main
from knowclip.data.captions.read import read_captions
from knowclip.data.formats import registry as formats
from knowclip.evaluation.benchmarks import registry as benchmarks
from knowclip.evaluation.suites.folder import read_suite
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.readers.registry import import_graph, parse_options, reader_options
from plugin_packages import Site, installed

PARSER = """
from knowclip.types import SceneGraph, SceneObject

def parse(captions, batch_size, model):
    for caption in captions:
        yield SceneGraph((SceneObject(caption.split()[-1]),))

def lazy(captions, batch_size, model):
    next(iter(captions))
    return iter(())

def broken(captions, batch_size, model):
    for caption in captions:
        raise KeyError("no such word")
        yield
"""
BENCHMARK = """
from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.registry import Entry
from knowclip.evaluation.metrics import NotHereError
from knowclip.types import ImageRef

CARD = Card("lefts", "Lefts", "Doe", "https://example.org", "MIT", "lefts", "right if higher", "lefts.json")

def read(folder, *, split="test", allow_missing=False):
    if not (folder / "lefts.json").is_file():
        raise NotHereError("lefts.json is not there")
    image = ImageRef(folder / "a.png")
    return ChoiceBenchmark(CARD, (Choice("1", image, "a dog left of a cat", "a cat left of a dog", "", "a"),))

LEFTS = Entry(CARD, read, ability="general")
OTHER_NAME = Entry(CARD, read)
"""
READER = """
from pathlib import Path
from knowclip.knowledge.graph.store import Source

def read_pairs(path: Path, build, *, relation: str = "near", limit: int | None = None):
    '''Text of two words a line.'''
    build.relation(relation, relation)
    for number, line in enumerate(path.read_text().splitlines()[:limit]):
        build.records += 1
        head, tail = line.split()
        build.entity(head, head)
        build.entity(tail, tail)
        build.triplet(head, relation, tail)
    return Source("pairs", "MIT")
"""
FORMAT = """
from knowclip.data.formats.rows import Format, Row

def rows(path, content, options):
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        image, star, caption = line.partition(" * ")
        yield Row(f"line {number}", image, caption, fault="" if star else "line without a star")

STARS = Format("stars", "`.star`", {"a.star": "a.jpg * A dog.\\n"}, rows, endings=(".star",))
NOT_A_FORMAT = "stars"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    yield from installed(tmp_path / "site", monkeypatch)


def offer(site: Site, group: str, entries: dict[str, str], text: str, *, name: str = "some-package") -> None:
    module = name.replace("-", "_")
    site.install(name, {group: {k: f"{module}:{v}" for k, v in entries.items()}}, {f"{module}.py": text})


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Exit status of a command, and everything it printed."""
    monkeypatch.setattr(sys, "argv", ["knowclip", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out + printed.err


def test_nothing_is_imported_before_its_name_is_used(site: Site) -> None:
    offer(site, "knowclip.parsers", {"last_word": "parse"}, "raise SystemExit('imported')")
    assert "last_word" in plugins.names("parser", ("spacy",))
    assert "some_package" not in sys.modules
    code = "import sys, knowclip.cli as c; c.build_app(); print('some_package' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site.folder)!r}); {code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"


def test_a_parser_is_found_and_gives_a_graph_for_each_caption(site: Site) -> None:
    offer(site, "knowclip.parsers", {"last_word": "parse", "lazy": "lazy"}, PARSER)
    graphs = list(parse(["a dog", "two cats"], parser="last_word"))
    assert [graph.objects[0].name for graph in graphs] == ["dog", "cats"]
    with pytest.raises(ValueError, match=r"'lazy' of some-package 1.0 .* gave 0 graphs and left"):
        list(parse(["a dog", "two cats"], parser="lazy"))


def test_unknown_names_are_told_with_those_of_plugins(site: Site) -> None:
    offer(site, "knowclip.parsers", {"last_word": "parse"}, PARSER)
    with pytest.raises(ValueError, match="'last_wrod': choose one of spacy, factual, last_word"):
        parse(["a dog"], parser="last_wrod")
    with pytest.raises(ValueError, match="Did you mean 'last_word'"):
        parse(["a dog"], parser="last_wrod")


def test_two_packages_of_one_name_and_a_name_of_our_own(site: Site) -> None:
    offer(site, "knowclip.parsers", {"mine": "parse", "spacy": "parse"}, PARSER, name="one-package")
    offer(site, "knowclip.parsers", {"mine": "parse"}, PARSER, name="other-package")
    with pytest.raises(ValueError, match=r"'mine' is given twice, by .*one-package 1.0.* and by .*other"):
        parse(["a dog"], parser="mine")
    with pytest.raises(ValueError, match=r"'spacy' is given twice, by knowclip itself and .*one-package 1"):
        parse(["a dog"], parser="spacy")


@pytest.mark.parametrize("text", ["import no_such_module", "raise SystemExit(3)", "x = ("])
def test_a_package_that_cannot_be_imported_is_named_and_harms_nothing_else(site: Site, text: str) -> None:
    offer(site, "knowclip.parsers", {"mine": "parse"}, text)
    with pytest.raises(ValueError, match=r"'mine' of some-package 1.0 \(some_package:parse\) cannot be"):
        list(parse(["a dog"], parser="mine"))
    assert len(list(parse(["a dog"]))) == 1


def test_an_object_that_is_not_there_and_one_of_another_kind(site: Site, tmp_path: Path) -> None:
    entries = {"gone": "GONE", "word": "NOT_A_FORMAT", "starred": "STARS"}
    offer(site, "knowclip.caption_formats", entries, FORMAT)
    for name, message in {
        "gone": "has no attribute 'GONE'",
        "word": "is 'stars'; the group knowclip.caption_formats is for a Format",
        "starred": "calls itself 'stars'",
    }.items():
        with pytest.raises(plugins.PluginError, match=f"some-package 1.0.*{message}"):
            formats.named(name)


def test_a_caption_format_by_name_by_ending_and_in_a_folder(site: Site, tmp_path: Path) -> None:
    offer(site, "knowclip.caption_formats", {"stars": "STARS"}, FORMAT)
    path = tmp_path / "captions.star"
    path.write_text("a.jpg * A dog.\nb.jpg A cat.\n")
    (tmp_path / "a.jpg").touch()
    for source, form in ((path, None), (path, "stars"), (tmp_path, "stars")):
        pairs = read_captions(source, format=form, allow_missing=True)
        assert pairs.format == "stars" and [e.caption for e in pairs.examples] == ["A dog."]
        assert pairs.skipped == {"line without a star": 1}
    with pytest.raises(ValueError, match=r"format 'star': choose one of coco.*Did you mean 'stars'"):
        read_captions(path, format="star")


def test_a_broken_format_is_told_where_endings_are_asked_for(site: Site, tmp_path: Path) -> None:
    offer(site, "knowclip.caption_formats", {"stars": "STARS"}, FORMAT)
    offer(site, "knowclip.caption_formats", {"worse": "X"}, "import no_such_module", name="worse-package")
    path = tmp_path / "captions.star"
    path.write_text("a.jpg * A dog.\n")
    (tmp_path / "a.jpg").touch()
    with pytest.warns(UserWarning, match="'worse' of worse-package 1.0"):
        assert read_captions(path).format == "stars"


def test_benchmarks_are_listed_read_and_counted(site: Site, tmp_path: Path) -> None:
    offer(site, "knowclip.benchmarks", {"lefts": "LEFTS", "rights": "OTHER_NAME"}, BENCHMARK)
    (tmp_path / "lefts.json").touch()
    with pytest.warns(UserWarning, match="'rights' of some-package 1.0.* calls itself 'lefts'"):
        assert benchmarks.members("all") == (*benchmarks.BENCHMARKS, "lefts")
    assert benchmarks.ability("lefts") == "general" and benchmarks.ability("rights") is None
    found, absent = read_suite(tmp_path, names=["lefts"])
    assert [each.card.name for each in found] == ["lefts"] and not absent
    found, absent = read_suite(tmp_path)
    assert [each.card.name for each in found] == ["lefts"]
    assert "calls itself 'lefts'" in absent["rights"] and set(absent) > {"vsr", "valse"}
    with pytest.raises(ValueError, match=r"unknown benchmark 'leftz': .*Did you mean 'lefts'"):
        read_suite(tmp_path, names=["leftz"])


def test_a_reader_has_typed_options_and_makes_a_graph(site: Site, tmp_path: Path) -> None:
    offer(site, "knowclip.readers", {"word-pairs": "read_pairs"}, READER)
    (tmp_path / "pairs.txt").write_text("dog cat\ncat mouse\n")
    assert list(reader_options("word-pairs")) == ["relation", "limit"]
    options = parse_options("word-pairs", ["relation=beside", "limit=1"])
    with pytest.raises(ValueError, match="did you mean 'limit'"):
        parse_options("word-pairs", ["limits=1"])
    with pytest.raises(ValueError, match="int expected"):
        parse_options("word-pairs", ["limit=few"])
    graph = import_graph("word-pairs", tmp_path / "pairs.txt", tmp_path / "graph", options=options)
    assert graph.sql("select count(*) from triplets").fetchone() == (1,)


def test_errors_tell_the_package_that_they_came_through(site, tmp_path, monkeypatch, capsys) -> None:
    offer(site, "knowclip.readers", {"word-pairs": "read_pairs"}, READER)
    (tmp_path / "pairs.txt").write_text("dog cat mouse\n")
    monkeypatch.chdir(tmp_path)
    status, printed = run(monkeypatch, capsys, "graph", "import", "word-pairs", "pairs.txt", "--out", "graph")
    assert status == 1 and "too many values to unpack" in printed
    assert (
        "this came through another package: reader 'word-pairs' of some-package 1.0 (some_package:" in printed
    )


def test_tracebacks_too_tell_the_package(site, tmp_path, monkeypatch, capsys) -> None:
    """Mistakes in its code, as ``KeyError``, also where it stands beside the module of the entry point."""
    place = "from some_code import broken as parse"
    site.install("some-package", {"knowclip.parsers": {"x": "some_code.here:parse"}}, {
        "some_code/__init__.py": PARSER, "some_code/here.py": place,
    })  # fmt: skip
    (tmp_path / "captions.txt").write_text("a dog\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["knowclip", "parse", "captions.txt", "--parser", "x"])
    with pytest.raises(KeyError):
        main()
    assert "this came through another package: parser 'x' of some-package 1.0" in capsys.readouterr().err


def test_the_list_of_plugins_and_what_is_wrong_with_them(site, monkeypatch, capsys) -> None:
    status, printed = run(monkeypatch, capsys, "plugins")
    assert status == 0 and "no installed package adds anything" in printed
    offer(site, "knowclip.readers", {"word-pairs": "read_pairs"}, READER, name="good-package")
    offer(site, "knowclip.parsers", {"mine": "parse"}, "import no_such_module", name="bad-package")
    monkeypatch.setenv("COLUMNS", "300")
    status, printed = run(monkeypatch, capsys, "plugins")
    assert status == 0 and "good-package 1.0" in printed and "bad-package 1.0" in printed
    status, printed = run(monkeypatch, capsys, "plugins", "--check")
    assert status == 1 and "ok" in printed and "No module named 'no_such_module'" in printed


def test_negatives_are_kept_apart_for_another_version_or_code(site: Site) -> None:
    assert plugins.fingerprint("parser", "spacy") == b""
    offer(site, "knowclip.parsers", {"last_word": "parse"}, PARSER)
    before = plugins.fingerprint("parser", "last_word")
    assert before and plugins.fingerprint("parser", "last_word") == before
    (site.folder / "some_package.py").write_text(PARSER + "\n# changed\n")
    changed = plugins.fingerprint("parser", "last_word")
    version = site.folder / "some_package-1.0.dist-info"
    (version / "METADATA").write_text("Metadata-Version: 2.1\nName: some-package\nVersion: 1.1\n")
    version.rename(site.folder / "some_package-1.1.dist-info")
    plugins.forget()
    assert len({before, changed, plugins.fingerprint("parser", "last_word")}) == 3
