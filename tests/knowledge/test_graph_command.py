"""The command ``knowclip graph``, end to end on small files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from knowclip.commands.graph import app


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_import_merge_filter_split_stats_show(tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text("".join(f"/c/en/horse\teats\t/c/en/apple_{i}\n" for i in range(40)))
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "pictures" / "horse.png")
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    assert json.loads(run("import", "concepts", "--out", one, "--json"))["sources"][0]["licence"] == "MIT"
    run("import", "triples", tmp_path / "mine.tsv", "name=mine", "licence=CC0", "--out", two)
    run("import", "depictions", tmp_path / "pictures", "--out", three)
    facts = json.loads(run("merge", one, two, three, "--out", tmp_path / "all", "--json"))
    assert [source["name"] for source in facts["sources"]] == ["concepts", "mine", "depictions"]
    assert facts["relation_histogram"]["eats"] == 40 and facts["images"] == 1
    facts = json.loads(
        run("filter", tmp_path / "all", "--source", "mine", "--out", tmp_path / "kept", "--json")
    )
    assert (facts["entities"], facts["relations"], facts["triplets"]) == (41, 1, 40)
    counts = json.loads(
        run("split", tmp_path / "all", "--val", 0.1, "--test", 0.1, "--out", tmp_path / "parts", "--json")
    )
    assert (
        sum(counts["triplets"].values()) == json.loads(run("stats", tmp_path / "all", "--json"))["triplets"]
    )
    assert "mine" in run("stats", tmp_path / "all", "--plot", tmp_path / "degrees.png", "--verify")
    shown = json.loads(run("show", tmp_path / "all", "horse", "--picture", tmp_path / "horse.svg", "--json"))
    assert shown["id"] == "/c/en/horse" and "horse  is a  animal" in shown["shown"]
    assert "horse  eats  apple 3" in run("show", tmp_path / "all", "horse", "--limit", 100)
    assert (tmp_path / "degrees.png").stat().st_size > 1000 and "<svg" in (tmp_path / "horse.svg").read_text()


def test_captions_come_through_the_caption_readers(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    (tmp_path / "captions.csv").write_text("image,caption\na.jpg,a dog\na.jpg,a brown dog\n")
    facts = json.loads(
        run("import", "captions", tmp_path / "captions.csv", "name=mine", "--out", tmp_path / "g", "--json")
    )
    assert facts["relation_histogram"] == {"caption of": 2, "image of": 2}


def test_readers_are_listed() -> None:
    listed = json.loads(run("readers", "--json"))
    assert listed["conceptnet"]["options"]["language"] == "en" and "wordnet" in listed


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wordnet needs a PATH: WordNet's dict folder"):
        run("import", "wordnet", "--out", tmp_path / "g")
    with pytest.raises(ValueError, match=r"pictures are written as \.png, \.svg or \.pdf"):
        run("import", "concepts", "--out", tmp_path / "g")
        run("stats", tmp_path / "g", "--plot", tmp_path / "degrees.gif")
