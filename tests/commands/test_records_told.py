"""Every command that reads captioned images ends with read = kept + skipped, and names what it left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from knowclip.cli import build_app
from knowclip.commands import convert, diagnose
from knowclip.console.counts import amount
from knowclip.evaluation.diagnosis import sources

PHOTOS = 120


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """One photo is not there, one is broken, one has no words: of 122 records."""
    rows = ["image,caption"]
    for number in range(PHOTOS):
        Image.new("RGB", (16, 16), (2 * number, 90, 200)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,A red dog chases a blue cat.")
    (tmp_path / "7.png").write_bytes(b"no picture")
    rows += ["gone.png,A red dog chases a blue cat.", "8.png,"]
    path = tmp_path / "captions.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def told(*arguments: object) -> str:
    """What a command prints, lines that the terminal broke put together."""
    ended = CliRunner().invoke(build_app(), [str(argument) for argument in arguments])
    assert ended.exit_code == 0, ended.output or ended.exception
    return " ".join(ended.output.split())


WITHOUT_TWO = "122 captions read = 120 kept + 2 skipped (image not found: 1, empty caption: 1)"
WITHOUT_THREE = (
    "122 captions read = 119 kept + 3 skipped (image not found: 1, empty caption: 1, unreadable image: 1)"
)


def test_a_selection_and_an_audit_name_what_is_not_there(captions: Path, tmp_path: Path) -> None:
    data = tmp_path / "benchmark"
    data.mkdir()
    Image.new("RGB", (16, 16)).save(data / "1.png")
    (data / "captions.csv").write_text("image,caption,split\n1.png,a dog,test\n")
    for command in (
        ("select", captions, "--out", tmp_path / "chosen.csv"),
        ("audit", captions, data, "--no-look"),
    ):
        said = told(*command)
        assert "gone.png" in said and said.endswith(WITHOUT_TWO), command
    said = told("audit", captions, data)  # which opens every photo
    assert "7.png cannot be decoded" in said and said.endswith(WITHOUT_THREE)
    assert f"among {PHOTOS - 1} training images" in said


def test_a_graph_of_captions_names_what_is_not_there(captions: Path, tmp_path: Path) -> None:
    assert "gone.png" in told("graph", "import", "captions", captions, "--out", tmp_path / "graph")


def test_eight_bits_count_all_captions(captions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert._tell_read(convert._calibration(captions, {}))
    said = " ".join(capsys.readouterr().out.split())
    assert "gone.png" in said and "7.png" in said and said.endswith(WITHOUT_THREE)


def test_a_diagnosis_counts_all_captions(captions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit, asked, read = sources._parts(captions, {}, 10, 0)
    broken = {example.image: "7.png is broken" for example in asked if example.image.path.name == "7.png"}
    read = read.without_images(broken)
    assert len(read.kept) == len(fit) + len(asked) - len(broken) and len(fit) == 10
    assert len(read.kept) + read.skipped.total() == PHOTOS + 2
    assert read.skipped[sources.BEYOND] == PHOTOS - len(fit) - len(asked)
    assert len(read.left_out) == 1 + len(broken)
    records = {"what": read.what, "kept": len(read.kept), "skipped": read.skipped, "left_out": read.left_out}
    diagnose._show({"ladders": [], "not_measured": {}, "skipped": {}, "records": records}, json=True)
    said = " ".join(capsys.readouterr().err.split())
    assert "gone.png" in said and "122 captions read = " in said and "of an image beyond --most: " in said


@pytest.mark.parametrize(
    ("command", "column"), [("parse", "--column"), ("negatives", "--column"), ("select", "--caption-column")]
)
def test_what_is_there_already_is_said_before_it_is_replaced(
    command: str, column: str, tmp_path: Path
) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "1.png")
    (tmp_path / "captions.csv").write_text("image,caption\n1.png,A red dog chases a blue cat.\n")
    asked = (command, tmp_path / "captions.csv", "--out", tmp_path / "out.file")
    assert "is replaced" not in told(*asked)
    again = told(*asked)
    assert f"{tmp_path / 'out.file'} is there, and is replaced when all is done" in again
    assert again.index("is replaced") < again.index("written: ")
    assert "1 caption read = 1 kept" in again
    refused = CliRunner().invoke(build_app(), [*map(str, asked), column, "Satz"])
    assert "Satz" in str(refused.exception) and "is replaced" not in refused.output


def test_what_is_refused_does_not_say_that_it_replaces(tmp_path: Path) -> None:
    """Of the commands that find out late: swaps of a column that is not there, a picture of nothing known."""
    rows = ["image,caption"]
    for number, animal in enumerate(
        ("dog", "cat", "horse", "cow", "sheep", "bird", "bear", "zebra", "rabbit", "fox")
    ):
        Image.new("RGB", (16, 16), (20 * number, 90, 0)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,A red {animal} chases a blue mouse.")
    (tmp_path / "captions.csv").write_text("\n".join(rows) + "\n")
    graph, picture = tmp_path / "graph", tmp_path / "graph.png"
    told("graph", "import", "captions", tmp_path / "captions.csv", "--out", graph)
    show = ("graph", "show", graph, "--picture", picture)
    swaps = ("swaps", tmp_path / "captions.csv", "--out", tmp_path / "swaps")
    for asked, out, refused in (
        ((*show, "captions/caption/0.png#0"), picture, (*show, "giraffe")),
        ((*swaps,), tmp_path / "swaps" / "swaps.jsonl", (*swaps, "--caption-column", "Satz")),
    ):
        assert "is replaced" not in told(*asked)
        assert f"{out} is there, and is replaced when all is done" in told(*asked)
        ended = CliRunner().invoke(build_app(), [*map(str, refused)])
        assert refused[-1] in str(ended.exception) and "is replaced" not in ended.output


def test_one_of_a_kind_is_told_so() -> None:
    assert (amount(1, "entities"), amount(1, "captions")) == ("1 entity", "1 caption")
    assert (amount(0, "entities"), amount(2_000, "annotated images")) == (
        "0 entities",
        "2,000 annotated images",
    )
