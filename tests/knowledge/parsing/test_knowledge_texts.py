"""Captions from text, tables and standard input, and the two commands on them."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from knowclip.api.benchmark_data import find
from knowclip.commands import negatives, parse
from knowclip.data.captions.read import read_captions
from knowclip.data.prepared.corpus import deal
from knowclip.evaluation.suites.folder import read_suite
from knowclip.knowledge.negatives.generate import SEMANTIC
from knowclip.knowledge.parsing import caption_texts
from knowclip.knowledge.parsing.caption_texts import Text, counted_ahead, read_texts, refuse_none
from knowclip.knowledge.records import read_graphs, read_negatives

app = typer.Typer()
app.command("parse")(parse.command)
app.command("negatives")(negatives.command)


def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(
        app, [str(argument) for argument in arguments], input=stdin, catch_exceptions=False
    )


@pytest.fixture
def a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few records, of which one may be broken."""
    monkeypatch.setattr("knowclip.data.formats.broken.TOLERATED_SHARE", 0.4)


def read(path: Path, **options: Any) -> tuple[list[Text], Counter[str]]:
    skipped: Counter[str] = Counter()
    return list(read_texts(path, skipped=skipped, **options)), skipped


@pytest.mark.usefixtures("a_broken_one")
def test_text_one_caption_a_line(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_bytes("\ufeffa dog\r\n\n  a cat \n".encode() + b"\xff\xfe\nun caf\xc3\xa9")
    found, skipped = read(path)
    assert found == [Text("1", "a dog"), Text("3", "a cat"), Text("5", "un café")]
    assert skipped == {"empty caption": 1, "not UTF-8": 1}


@pytest.mark.usefixtures("a_broken_one")
def test_tables_by_column(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text('image,caption\n1.jpg,"a dog, red"\n2.jpg,"two\nlines"\n3.jpg\n4.jpg,\n')
    found, skipped = read(path, key_column="image")
    assert found == [Text("1.jpg", "a dog, red"), Text("2.jpg", "two\nlines")]
    assert skipped == {"row of another length than the header": 1, "empty caption": 1}
    path = tmp_path / "captions.tsv"
    path.write_text("words\tother\na dog\tx\n")
    assert read(path, column="words")[0] == [Text("1", "a dog")]
    with pytest.raises(
        ValueError, match=r"captions\.tsv needs one caption column.*'words', 'other'.*caption_column=NAME"
    ):
        read(path)
    with pytest.raises(ValueError, match=r"needs one key column, 'id', but has none"):
        read(path, column="words", key_column="id")


@pytest.mark.parametrize("command", ["parse", "negatives"])
@pytest.mark.parametrize("typed", [False, True])
def test_a_table_separated_in_two_ways_is_refused(command: str, typed: bool, tmp_path: Path) -> None:
    table = tmp_path / "two.csv"
    table.write_text("image,caption\n1.jpg,a dog\n2.jpg;a cat\n3.jpg;a cow\n")
    out = tmp_path / "out.jsonl"
    told = r"2 of 3 records .* line 3; tab, '\|', comma or ';' separates .* is this really 'csv' data\?"
    with pytest.raises(ValueError, match=told):
        run(command, "-" if typed else table, "--out", out, stdin=table.read_text() if typed else None)
    assert not out.exists()


def test_columns_that_nothing_known_separates(tmp_path: Path) -> None:
    path = tmp_path / "tilde.csv"
    path.write_text("Nr~Datei~Text\n1~a.jpg~a dog\n")
    with pytest.raises(ValueError, match=r"'Nr~Datei~Text': a single one. If .* comma, semicolon"):
        read(path)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a dog\na cat\n")))
    assert [text.caption for text in read_texts(None, skipped=Counter())] == ["a dog", "a cat"]


def test_parse_command(tmp_path: Path) -> None:
    path, out = tmp_path / "captions.csv", tmp_path / "graphs.jsonl"
    path.write_text("id,caption\nx,a red dog on a mat\ny,\nz,a dog\n")
    result = run("parse", path, "--key-column", "id", "--out", out)
    assert result.exit_code == 0
    records = list(read_graphs(out))
    assert [(record.key, record.parser, len(record.graph.objects)) for record in records] == [
        ("x", "spacy", 2),
        ("z", "spacy", 1),
    ]
    said = " ".join(result.output.replace("│", " ").split())
    for line in (
        "captions read 3",
        "parsed 2",
        "captions without a relation 1",
        "skipped: empty caption 1",
        "3 captions read = 2 kept + 1 skipped (empty caption: 1)",
    ):
        assert line in said


SWAPS = ("--kind", "relation_swap", "--kind", "attribute_swap")


def test_all_kinds_but_shuffles_by_default(tmp_path: Path) -> None:
    out = tmp_path / "n.jsonl"
    run("negatives", "-", "-o", out, "--seed", 5, stdin="a red horse is sitting on a blue car")
    records = list(read_negatives(out))
    assert {record.negative.kind for record in records} == set(SEMANTIC)
    assert {record.negative.seed for record in records} == {5}


def test_negatives_command_on_captions_and_on_their_graphs(tmp_path: Path) -> None:
    captions = "a red horse riding a blue astronaut\na dog\na dog and a cat with a red hat\n"
    graphs, ours, theirs = (tmp_path / name for name in ("graphs.jsonl", "a.jsonl", "b.jsonl"))
    assert run("parse", "-", "-o", graphs, stdin=captions).exit_code == 0
    page = tmp_path / "page.html"
    result = run("negatives", "-", "-o", ours, *SWAPS, "--html", page, stdin=captions)
    assert result.exit_code == 0
    assert run("negatives", graphs, "-o", theirs, *SWAPS).exit_code == 0
    assert page.read_text().count("<mark>") == 4
    assert ours.read_bytes() == theirs.read_bytes()
    assert {record.negative.caption for record in read_negatives(ours)} == {
        "a blue astronaut riding a red horse",
        "a blue horse riding a red astronaut",
    }
    said = " ".join(result.output.replace("│", " ").split())
    for line in (
        "negatives: relation_swap 1",
        "negatives: attribute_swap 1",
        "captions without a negative (no relation and no attribute) 1",
        "captions with a negative 1",
        "captions without a negative (no valid negative) 1",
    ):
        assert line in said


def test_kinds_and_draws(tmp_path: Path) -> None:
    out = tmp_path / "n.jsonl"
    run("negatives", "-", "-o", out, "--kind", "attribute_swap", stdin="a red horse riding a blue astronaut")
    assert [record.negative.kind for record in read_negatives(out)] == ["attribute_swap"]
    captions = "\n".join(f"a red horse number {i} riding a blue astronaut" for i in range(20))
    files = []
    for seed in (0, 0, 1):
        run("negatives", "-", "-o", out, "--most", 1, "--seed", seed, *SWAPS, stdin=captions)
        files.append(out.read_bytes())
    assert files[0] == files[1] != files[2]
    kinds = Counter(record.negative.kind for record in read_negatives(out))
    assert sum(kinds.values()) == 20 and min(kinds.values()) >= 3


def test_captions_of_one_key_are_all_true(tmp_path: Path) -> None:
    out = tmp_path / "n.jsonl"
    table = "image,caption\n{},a dog chasing a cat\n{},a cat chasing a dog\n"
    options = ("--column", "caption", "--key-column", "image", "-o", out, *SWAPS)
    run("negatives", "-", *options, stdin=table.format("1.jpg", "1.jpg"))
    assert out.read_text() == ""
    run("negatives", "-", *options, stdin=table.format("1.jpg", "2.jpg"))
    assert len(out.read_text().splitlines()) == 2


def test_images_stay_with_graphs_and_negatives(tmp_path: Path) -> None:
    """Captions of one image are true together, wherever they stand in the file."""
    table, graphs, ours, theirs = (tmp_path / name for name in ("t.csv", "g.jsonl", "a.jsonl", "b.jsonl"))
    rows = ["1.jpg,a dog chasing a cat", "2.jpg,a red horse riding a blue man", "1.jpg,a cat chasing a dog"]
    table.write_text("\n".join(["image,caption", *rows, "3.jpg,"]) + "\n")
    run("parse", table, "-o", graphs)
    assert [(record.key, record.image) for record in read_graphs(graphs)] == [
        ("1.jpg#0", "1.jpg"),
        ("2.jpg#0", "2.jpg"),
        ("1.jpg#1", "1.jpg"),
    ]
    result = run("negatives", table, "-o", ours, *SWAPS)
    assert "4 captions read = 3 kept + 1 skipped (empty caption: 1)" in result.output
    assert {(record.key, record.image) for record in read_negatives(ours)} == {("2.jpg#0", "2.jpg")}
    lines = tmp_path / "t.jsonl"
    lines.write_text(
        "".join(
            json.dumps(dict(zip(("image", "caption"), row.split(","), strict=True))) + "\n" for row in rows
        )
    )
    run("negatives", lines, "-o", theirs, *SWAPS)
    assert theirs.read_bytes() == ours.read_bytes()


def test_standard_input_is_read_by_its_first_line(tmp_path: Path) -> None:
    out = tmp_path / "g.jsonl"
    for told in ("image,caption\n1.jpg,a dog\n", "1.jpg#0\ta dog\n", "\ufeffimage\tcaption\n1.jpg\ta dog\n"):
        run("parse", "-", "-o", out, stdin=told)
        assert [(record.image, record.caption) for record in read_graphs(out)] == [("1.jpg", "a dog")]
    with pytest.raises(ValueError, match="standard input is UTF-16 text"):
        run("parse", "-", "-o", out, stdin="a dog\n".encode("utf-16"))


def test_what_a_user_can_mend(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.txt does not exist"):
        run("parse", tmp_path / "none.txt")
    with pytest.raises(ValueError, match="unknown parser 'x'"):
        run("parse", "-", "--parser", "x", "-o", tmp_path / "g.jsonl", stdin="a dog")
    with pytest.raises(ValueError, match="unknown kind of negative 'x'"):
        run("negatives", "-", "--kind", "x", "-o", tmp_path / "n.jsonl", stdin="a dog")
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps({"key": "1"}) + "\n")
    with pytest.raises(ValueError, match="line 1, field 'caption': missing"):
        run("negatives", broken, "-o", tmp_path / "n.jsonl")
    assert list(tmp_path.iterdir()) == [broken]


@pytest.mark.parametrize("command", ["parse", "negatives"])
def test_no_caption_is_an_error_and_replaces_nothing(tmp_path: Path, command: str) -> None:
    source, out = tmp_path / "c.csv", tmp_path / "out.jsonl"
    source.write_text("image,caption\na.jpg,\nb.jpg,nan\n")
    out.write_text("earlier")
    with pytest.raises(ValueError, match=r"c\.csv gives no caption \(empty caption: 2\)"):
        run(command, source, "--out", out)
    with pytest.raises(ValueError, match=r"standard input gives no caption \(it is empty\)"):
        run(command, "-", "--out", out, stdin="")
    assert out.read_text() == "earlier"


def test_texts_are_counted_before_they_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caption_texts, "AHEAD", 3)
    few, many = (iter([Text(str(n), "a dog") for n in range(count)]) for count in (2, 5))
    texts, total = counted_ahead(few)
    assert total == 2 and [text.key for text in texts] == ["0", "1"]
    texts, total = counted_ahead(many)
    assert total is None and next(many).key == "3"  # not read further than that
    assert [text.key for text in texts] == ["0", "1", "2", "4"]


def test_both_commands_show_how_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from knowclip.console import progress

    shown: list[tuple[str, int | None]] = []
    counting = progress.counting

    def noted(label: str, *, total: int | None = None, unit: str = "") -> Any:
        shown.append((label, total))
        return counting(label, total=total, unit=unit)

    monkeypatch.setattr(progress, "counting", noted)
    captions, graphs = tmp_path / "captions.txt", tmp_path / "graphs.jsonl"
    captions.write_text("a red dog\n\na blue cat\n")
    run("parse", captions, "--out", graphs)
    run("negatives", captions, "--out", tmp_path / "a.jsonl")
    run("negatives", graphs, "--out", tmp_path / "b.jsonl")
    run("parse", "-", "--out", graphs, stdin="a red dog\n")
    assert shown == [("parsing", 2), *[("making negatives", 2)] * 2, ("parsing", None)]


@pytest.mark.parametrize(
    "files", [["a.jpg"], ["a.jpg", "summer/b.PNG", "summer/2020/c.webp", "summer/notes.txt"]]
)
def test_pictures_without_captions_are_told_what_to_do_everywhere(tmp_path: Path, files: list[str]) -> None:
    photos = tmp_path / "photos"
    for file in files:
        (photos / file).parent.mkdir(parents=True, exist_ok=True)
        (photos / file).write_bytes(b"never opened")
    advice = "put NAME.txt beside each picture, or give a table"
    skipped: Counter[str] = Counter()
    texts = refuse_none(read_texts(photos, skipped=skipped), photos, skipped)
    readers: list[Callable[[], object]] = [
        lambda: list(texts),
        lambda: read_captions(photos),
        lambda: find(photos, [], None, allow_missing=False),
        lambda: find(photos, [], "val", allow_missing=False),
        lambda: read_suite(photos, split="val"),
        lambda: deal(photos, tmp_path, column=None, unit=10),
    ]
    for read in readers:
        with pytest.raises(ValueError, match=advice):
            read()
