"""``knowclip --help`` and shell completion: what a person sees before any command runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from knowclip.cli import COMMANDS, GROUPS, build_app


def test_help_groups_every_command_by_what_it_is_for() -> None:
    shown = CliRunner().invoke(build_app(), ["--help"], env={"COLUMNS": "200"}).output
    for panel, commands in GROUPS.items():
        box = shown.partition(f"─ {panel} ─")[2].partition("╰")[0]
        assert [name for name in commands if f"│ {name} " not in box] == [], panel
    assert sum(map(len, GROUPS.values())) == len(COMMANDS), "a command stands in two groups"
    assert typer.main.get_command(build_app()).commands.keys() == COMMANDS.keys()


def test_help_of_a_command_is_its_docstring() -> None:
    for command, told in (("evaluate", "(exit code 4 if it was asked for)"), ("index", "known by its bytes")):
        shown = CliRunner().invoke(build_app(), [command, "--help"], env={"COLUMNS": "200"}).output
        assert told in " ".join(shown.split())


@pytest.mark.parametrize("command", [["train"], ["demo"], ["ablate"], ["cache", "clear"]])
def test_what_may_be_given_several_times_stands_in_one_pair_of_brackets(command: list[str]) -> None:
    shown = CliRunner().invoke(build_app(), [*command, "--help"], env={"COLUMNS": "80"}).output
    usage = " ".join(shown.split())
    assert "[KEY=VALUE]..." in usage or "NAME}..." in usage
    assert "[[" not in usage and "......" not in usage


@pytest.mark.parametrize("command", [[], ["serve"], ["evaluate"], ["graph", "import"], ["cache", "clear"]])
def test_flags_are_shown_without_a_value(command: list[str]) -> None:
    shown = CliRunner().invoke(build_app(), [*command, "--help"], env={"COLUMNS": "80"}).output
    assert "--help" in shown and "bool" not in shown.lower()


def every(command: Any, *names: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Names and help of all commands, and of those that groups hold."""
    for name, one in getattr(command, "commands", {}).items():
        yield (*names, name), one.help or ""
        yield from every(one, *names, name)


def test_paragraphs_are_wrapped_once() -> None:
    """A line ends where the next word does not fit into 80 columns, or the paragraph ends."""
    checked = 0
    for names, text in every(typer.main.get_command(build_app())):
        shown = CliRunner().invoke(build_app(), [*names, "--help"], env={"COLUMNS": "80"}).output
        lines = [line.strip() for line in shown.partition("╭")[0].splitlines()]
        for line, following in pairwise(lines):
            if line and following and line in " ".join(text.split()):
                assert len(f"{line} {following.split()[0]}") > 72, (names, line)
                checked += 1
    assert checked > 20


def completed(words: str, number: int) -> list[str]:
    """What bash is offered for the word of that number."""
    asked = {"_KNOWCLIP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    return CliRunner().invoke(build_app(), [], env=asked, prog_name="knowclip").output.split()


def test_completion_knows_commands_options_and_what_a_group_holds() -> None:
    assert completed("knowclip ev", 1) == ["evaluate"]
    assert completed("knowclip evaluate m --lan", 3) == ["--language-model"]
    assert completed("knowclip graph imp", 2) == ["import"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_a_shell_names_the_command(
    shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    shown = CliRunner().invoke(build_app(), ["--show-completion"], prog_name="knowclip")
    assert shown.exit_code == 0 and "_KNOWCLIP_COMPLETE" in shown.output
