"""What a command says arrives letter by letter, and a terminal's edge cuts no word."""

import io
import sys
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from knowclip import cli
from knowclip.console.screen import Screen, beside, broken

SOURCE = Path(__file__).parents[2] / "src" / "knowclip"


def printed(*objects, terminal=False, width=40, **options) -> str:
    """What a screen of this width shows."""
    file = io.StringIO()
    Screen(file=file, width=width, force_terminal=terminal, color_system=None).print(*objects, **options)
    return file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    "text",
    ['pip install "knowclip[photos]"', "photos [2024]/[/x] :dog:.jpg", "a \\[bold] b", "[image, text]"],
)
def test_brackets_and_colons_are_letters(text, terminal):
    assert printed(text, terminal=terminal) == f"{text}\n"
    table = Table(show_header=False, box=None, padding=0)
    table.add_row(text)
    assert printed(table, terminal=terminal).strip() == text


def test_an_error_keeps_what_it_names(monkeypatch, capsys):
    def refuse():
        raise ValueError('the extra is missing: pip install "knowclip[photos]"; photos/[2024].jpg')

    monkeypatch.setattr(cli, "build_app", lambda: refuse)
    with pytest.raises(SystemExit):
        cli.main()
    said = 'error: the extra is missing: pip install "knowclip[photos]"; photos/[2024].jpg\n'
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("loaded", "frozen"), [(["torch"], True), ([], False), (["torch", "duckdb"], False), (["duckdb"], False)]
)
def test_a_command_ends_without_a_search_for_cycles_where_none_calls_it_a_leak(monkeypatch, loaded, frozen):
    last, done = [], []
    monkeypatch.setattr(cli.atexit, "register", last.append)
    monkeypatch.setattr(cli, "build_app", lambda: lambda: None)
    cli.main()
    assert last == [cli.leave]
    monkeypatch.setattr(cli.gc, "freeze", lambda: done.append("frozen"))
    for name in ("torch", "duckdb"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in loaded:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    cli.leave()
    assert bool(done) is frozen


def test_a_terminal_breaks_sentences_between_words_and_a_pipe_does_not():
    text = (
        "words before photos-of-mine/a-very-long-name-that-no-line-of-forty-columns-holds.jpg and some more"
    )
    assert printed(text) == f"{text}\n"
    assert printed(text, terminal=True).splitlines() == [
        "words before",
        "photos-of-mine/a-very-long-name-that-no-line-of-forty-columns-holds.jpg",
        "and some more",
    ]
    assert printed(text, terminal=True, soft_wrap=True) == f"{text}\n"  # to be copied


def test_broken_lines_fit_where_words_do_and_characters_keep_their_places():
    text = "aa bb cc dddd\n  e ffffff g"
    assert broken(text, 5) == "aa bb\ncc\ndddd\n  e\nffffff\ng"
    assert broken("aa bb", 5) == "aa bb" and broken("", 5) == "" and broken("aaaaaaaa", 5) == "aaaaaaaa"


def test_what_stands_beside_a_name_stays_in_its_column():
    told = "lacks wandb, for output.wandb of a recipe: pip install knowclip"
    assert beside("wandb", told, column=19, width=None) == f"  wandb            {told}"
    first, *rest = beside("wandb", told, column=19, width=50).splitlines()
    assert first.startswith("  wandb            lacks wandb, ") and len(rest) == 2
    assert all(line.startswith(" " * 19) and line[19] != " " and len(line) <= 50 for line in rest)


def test_no_word_of_a_table_is_cut():
    cells = ("image_to_text_recall", "a_heading_of_many_letters", "image_to_text_recall_at_one", "1,000")
    table = Table(*cells[:2])
    table.add_row(*cells[2:])
    shown = printed(table, terminal=True)
    assert "…" not in shown and max(map(len, shown.splitlines())) <= 40
    assert sorted(filter(str.isalnum, shown)) == sorted(filter(str.isalnum, "".join(cells)))


def test_commands_print_through_it():
    """Rich's own console takes brackets in names and messages for markup, and leaves them out."""
    files = [*SOURCE.glob("commands/*.py"), SOURCE / "cli.py", *SOURCE.glob("training/*.py")]
    assert len(files) > 20
    assert not [file for file in files if " Console(" in file.read_text(encoding="utf-8")]


def test_sentences_on_standard_error_know_how_wide_the_terminal_is():
    plain = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if "file=sys.stderr" in path.read_text(encoding="utf-8")
    }
    assert plain == {"console/progress.py", "storage/locks.py"}  # lines of a log; below the console


def test_what_is_said_beside_a_bar_stands_on_a_line_of_its_own(monkeypatch):
    """As a terminal shows it: rich erases the bar, writes the line, and draws the bar below."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress(console=Console(stderr=True, width=80), auto_refresh=False) as bars:
        bars.add_task("reading captions", total=None)
        bars.refresh()
        before = len(terminal.getvalue())
        Screen(stderr=True, width=80).print("list.tsv: the image is its column 'picture'")
    after = terminal.getvalue()[before:]
    assert after.startswith("\r\x1b[2K") and "list.tsv: the image is its column 'picture'\n" in after
