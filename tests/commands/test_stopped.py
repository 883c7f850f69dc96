"""Ctrl-C in a command that has nothing of its own to say about it."""

from __future__ import annotations

import sys

import pytest

from knowclip import cli
from knowclip.commands import benchmarks


@pytest.mark.parametrize(("raised", "told"), [(KeyboardInterrupt(), True), (SystemExit(3), False)])
def test_a_stopped_command_says_so(
    raised: BaseException, told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise raised

    monkeypatch.setattr(benchmarks, "command", command)
    monkeypatch.setattr(sys, "argv", ["knowclip", "benchmarks"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == (130 if told else 3)
    assert ("stopped: what was finished" in capsys.readouterr().err) == told
