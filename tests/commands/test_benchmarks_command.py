"""``knowclip benchmarks`` and ``knowclip data``, and the table in the docs that is made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from knowclip.cli import build_app
from knowclip.commands.benchmarks import protocol_table
from knowclip.commands.data import fetch, instructions
from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.card import Download

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build_app(), list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_in_json_says_all_there_is() -> None:
    listed = {card["name"]: card for card in json.loads(run("benchmarks", "--json"))}
    assert list(listed) == list(registry.BENCHMARKS)
    wino = listed["winoground"]
    assert (wino["n"], wino["main"], wino["suites"]) == (400, "winoground_group", ["compositional", "all"])
    assert {"paper", "licence", "protocol", "rules", "flaws", "differs", "layout"} <= wino.keys()
    assert listed["valse"]["n"] is None


def test_a_suite_is_listed_by_name() -> None:
    assert [card["name"] for card in json.loads(run("benchmarks", "--suite", "aro", "--json"))] == list(
        registry.SUITES["aro"]
    )
    assert "vg_attribution" in run("benchmarks", "--suite", "aro")


@pytest.mark.parametrize("name", registry.BENCHMARKS)
def test_the_docs_hold_every_protocol_as_the_cards_say(name: str) -> None:
    card = registry.BENCHMARKS[name].card
    row = protocol_table([card]).splitlines()[-1]
    assert row in DOCS.read_text(encoding="utf-8"), (
        "docs/benchmarks.md is behind; put in what `knowclip benchmarks --markdown` prints"
    )


def test_data_says_where_files_come_from_and_how_they_lie() -> None:
    told = run("data", "bivlc")
    card = registry.BENCHMARKS["bivlc"].card
    assert card.licence in told
    assert f"--revision {card.revision} --local-dir DATA/bivlc" in told
    assert "under DATA/bivlc/: data/test-*.parquet" in told
    assert run("data", "aro").count("paper:") == 4


def test_data_fetches_to_the_benchmark_s_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, Path, str]] = []

    def download(url: str, path: Path, *, sha256: str, progress: Any) -> bool:
        progress(1, 2)
        asked.append((url, path, sha256))
        return True

    monkeypatch.setattr("knowclip.data.download.download", download)
    card = replace(
        registry.BENCHMARKS["cola"].card, downloads=(Download("https://x/y.json", "a/y.json", "0" * 64),)
    )
    fetch(card, tmp_path)
    assert asked == [("https://x/y.json", tmp_path / "a/y.json", "0" * 64)]
    fetch(replace(card, downloads=()), tmp_path)
    assert "nothing here may be downloaded" in capsys.readouterr().out
    assert "https://x/y.json -> a/y.json" in instructions(card)
