"""How a captions file is told for what it is: endings of other packages, lists, headers, records, samples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from knowclip.console import spelling
from knowclip.data.formats import registry
from knowclip.data.formats.lists import JSON_LINES
from knowclip.data.formats.rows import REPLACED, Format, NoSplitsError, NoSuchSplitError, Options, no_splits
from knowclip.data.formats.shards import _in_json, _samples
from knowclip.data.formats.tables import CSV, _is_record
from knowclip.data.formats.texts import TEXT, TOKENS, _is_header, recognise
from tars import write_tar


def theirs(name: str, *endings: str) -> Format:
    return Format(name=name, told="", samples={}, read=lambda *_: (), endings=endings)


STARS, SKY, FOLDERS = theirs("stars", ".star", ".st"), theirs("sky", ".star"), theirs("folders")


@pytest.mark.parametrize("name", ["a.star", "A.STAR", "a.st"])
def test_a_format_of_another_package_is_told_by_its_ending(monkeypatch, name: str) -> None:
    monkeypatch.setattr(registry, "added", lambda: [FOLDERS, STARS])
    assert registry._added_of(Path(name)) is STARS
    assert registry._added_of(Path(f"{name}.txt")) is None


def test_two_formats_of_one_ending_are_both_named(monkeypatch) -> None:
    monkeypatch.setattr(registry, "added", lambda: [STARS, SKY])
    with pytest.raises(ValueError) as error:
        registry._added_of(Path("a.star"))
    assert str(error.value) == "a.star may be read as stars or sky: say which with format=NAME"


def test_of_a_folder_the_one_file_with_the_ending_is_taken(tmp_path: Path) -> None:
    for name in ("A.STAR", "._b.star", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "d.star").mkdir()
    assert registry._added_in(tmp_path, STARS) == registry.Source(tmp_path / "A.STAR", STARS)
    (tmp_path / "e.st").touch()
    (tmp_path / "empty").mkdir()
    for folder, listed in ((tmp_path, "A.STAR, e.st"), (tmp_path / "empty", "none")):
        with pytest.raises(ValueError) as error:
            registry._added_in(folder, STARS)
        assert str(error.value) == f"{folder} should hold one file of the format 'stars' ({listed}): name it"


def test_a_format_without_endings_is_one_of_folders(tmp_path: Path) -> None:
    assert registry._added_in(tmp_path, FOLDERS) == registry.Source(tmp_path, FOLDERS)


def test_lists_are_those_of_the_split() -> None:
    found = [
        Path(name) for name in ("coco_train.json", "coco-val.json", "test.json", "xtest.json", "other.json")
    ]
    assert registry._lists(found, None) == found[:3]
    assert registry._lists(found, "val") == found[1:2]
    assert registry._lists(found, "dev") == []


@pytest.mark.parametrize(
    ("parameters", "way"),
    [
        (None, "or name it (split_column=NAME), or ask for none (split=None)"),
        ({"split", "split_column"}, "or name it (--split-column NAME), or ask for none (without --split)"),
        ({"split"}, "or ask for none (without --split)"),
    ],
)
def test_who_asks_a_file_for_splits_that_it_has_not_is_told_the_ways(parameters, way: str) -> None:
    if parameters is None:
        error = no_splits("a.csv has no column 'split'", "dev")
    else:
        with spelling.command_with(parameters):
            error = no_splits("a.csv has no column 'split'", "dev")
    told = "a.csv has no column 'split', so it has no split 'dev'; give what tells it that name, "
    assert str(error) == told + way


@pytest.mark.parametrize(
    ("line", "delimiter", "width", "image_at", "told"),
    [
        ("b.jpg,a dog", ",", 2, 0, True),
        ("a dog, b 1.JPG ", ",", 2, 1, True),
        ("b 1.jpg\ta dog", "\t", 2, 0, True),
        ("b.jpg,a dog", ",", 3, 0, False),
        ("b.jpg,a dog", ",", 2, 1, False),
        ("b.jpg,a dog", ",", 2, None, False),
    ],
)
def test_a_line_is_a_record_by_its_fields_and_its_image(
    line: str, delimiter: str, width: int, image_at: int | None, told: bool
) -> None:
    assert _is_record(line, delimiter, width, image_at) is told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("id,Caption,lang", True),
        ("caption", True),
        ("a,b,c", False),
        ("title,caption,id", False),
        ("id, caption, lang", False),
        ("my id,caption,lang", False),
    ],
)
def test_a_header_without_images_is_single_words_one_of_them_caption(line: str, told: bool) -> None:
    assert _is_header(line.split(","), line) is told


def shard(path: Path, *members: str) -> Path:
    """A tar of these members; a text says "a" and what it is called."""
    texts = ((name, f"a {Path(name).stem}" if name.endswith(".txt") else "") for name in members)
    return write_tar(path, ((name, text.encode()) for name, text in texts))


@pytest.mark.parametrize(
    ("members", "samples"),
    [
        (["0.jpg", "0.txt", "0.seg.png"], {"0": {".jpg", ".txt"}}),
        (["0.jpg", "0.txt", "0.seg.png", "0.seg.cls"], {"0": {".jpg", ".txt"}}),
        (["0.jpg", "0.txt", "0.b.json"], {"0": {".jpg", ".txt"}}),
        (["0.jpg", "0.txt", "0.b.png", "0.b.txt"], {"0": {".jpg", ".txt"}, "0.b": {".png", ".txt"}}),
        (["0.jpg", "0.txt", "0.b.png", "0.b.JSON"], {"0": {".jpg", ".txt"}, "0.b": {".png", ".json"}}),
        (["0.a.jpg", "0.a.txt", "0.b.png"], {"0.a": {".jpg", ".txt"}, "0.b": {".png"}}),
    ],
)
def test_files_of_a_longer_name_are_parts_of_a_sample_unless_they_are_pairs(
    tmp_path: Path, members: list[str], samples: Mapping[str, set[str]]
) -> None:
    found = _samples(shard(tmp_path / "s.tar", *members))
    assert {key: set(own) for key, own in found.items()} == samples


def rows(path: Path, **options: Any) -> list[tuple[str, Any, Any]]:
    source = registry.find(path, None, options.get("split"))
    return [(row.where, row.image, row.caption) for row in source.rows(Options(**options))]


@pytest.mark.parametrize("name", ["captions.parquet", "metadata.parquet"])
def test_rows_of_parquet_are_counted_over_its_groups(tmp_path: Path, name: str) -> None:
    """By itself, and as the metadata of a folder."""
    images = [f"{number}.jpg" for number in range(5)]
    table = pyarrow.table({"file_name": images, "text": [*"abcde"], "pixels": [b"x"] * 5})
    parquet.write_table(table, tmp_path / name, row_group_size=2)
    found = rows(tmp_path if name == "metadata.parquet" else tmp_path / name, image_column="file_name")
    assert found == [(f"row {at + 1}", image, "abcde"[at]) for at, image in enumerate(images)]


def test_parquet_that_is_damaged_between_its_ends_is_named(tmp_path: Path) -> None:
    path = tmp_path / "captions.parquet"
    table = pyarrow.table(
        {"image": [f"{n}.jpg" for n in range(999)], "caption": [f"a dog {n}" for n in range(999)]}
    )
    parquet.write_table(table, path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[4:1000] = bytes(996)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        rows(path)


@pytest.mark.parametrize(
    ("first", "form"),
    [
        ("a.jpg#0\tA dog\n", TOKENS),
        ("a.jpg#0\t\n", TOKENS),
        ("a b.jpg#12\tA dog", TOKENS),
        (' {"image": "a.jpg"}\n', JSON_LINES),
        ("image,caption\n", CSV),
        ("id;caption;lang\n", CSV),
        ("caption\n", TEXT),
        ("A dog, a cat\n", TEXT),
        ("[A dog] sits\n", TEXT),
        ("", TEXT),
    ],
)
def test_a_text_is_told_by_its_first_line(first: str, form: Format) -> None:
    assert recognise(first, "a.txt") is form


@pytest.mark.parametrize("first", ["a.JPG A dog\n", "a.JPG\tA dog\tval", '"a.JPG",A dog\n', "a.JPG#0 A dog"])
def test_a_table_without_a_header_is_told_what_it_lacks(first: str) -> None:
    with pytest.raises(ValueError) as error:
        recognise(first, "a.txt")
    assert str(error.value) == (
        "a.txt begins with the image name 'a.JPG', yet is no table with a header and no token file of Flickr "
        "(name.jpg#0, a tab, the caption): put a line 'image,caption' before a table, with what separates "
        "its columns"
    )


def test_lines_of_text_have_no_splits(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("A dog.\n\nA cat.\n")
    assert rows(path) == [("line 1", None, "A dog.\n"), ("line 2", None, "\n"), ("line 3", None, "A cat.\n")]
    with pytest.raises(NoSplitsError) as error:
        rows(path, split="val")
    assert str(error.value) == f"{path} has no split 'val', nor any other: ask for none (split=None)"


@pytest.mark.parametrize(
    ("text", "captions"),
    [
        ('{"caption": "a dog"}', ["a dog"]),
        ('{"text": "a dog"}', [None]),
        ('["a dog"]', [None]),
        ('{"caption": ', [None]),
    ],
)
def test_the_json_beside_an_image_has_its_caption(text: str, captions: list[str | None]) -> None:
    assert _in_json(text) == captions


def pairs(path: Path, *names: str) -> Path:
    return shard(path, *(f"{name}{ending}" for name in names for ending in (".jpg", ".txt")))


def test_of_a_folder_all_shards_are_read_but_those_of_other_programs(tmp_path: Path) -> None:
    for name in ("0.tar", "1.tar"):
        pairs(tmp_path / name, "dog", "cat")
    (tmp_path / "._0.tar").write_bytes(b"what macOS leaves beside a file")
    found = [(f"{n}.tar:{a}", f"{n}.tar/{a}.jpg", f"a {a}") for n in range(2) for a in ("dog", "cat")]
    assert rows(tmp_path) == found
    asked = pairs(tmp_path / "._1.tar", "cow")  # by its name it is meant
    assert rows(asked) == [("._1.tar:cow", "._1.tar/cow.jpg", "a cow")]
    with pytest.raises(NoSuchSplitError, match=re.escape(f"{tmp_path} has no split 'val'")):
        rows(tmp_path, split="val")


def test_an_image_that_a_later_one_replaces_is_told_where_it_stood(tmp_path: Path) -> None:
    path = pairs(tmp_path / "0.tar", "dog", "cat", "dog")
    source = registry.find(path, None, None)
    assert [(row.where, row.fault) for row in source.rows(Options())] == [
        ("0.tar/dog.jpg", REPLACED), ("0.tar:dog", ""), ("0.tar:cat", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(("files", "what"), [([Path("a.csv")], "is a file"), ([], "does not exist")])
def test_what_a_url_is_instead_of_shards_is_said(monkeypatch, files: list[Path], what: str) -> None:
    monkeypatch.setattr(registry, "find_files", lambda path: files)
    monkeypatch.setattr(registry, "url_of", str)
    with pytest.raises(ValueError) as error:
        registry._at_url(Path("a.csv"), None)
    assert str(error.value) == f"a.csv {what}: give a shard (.tar), or a folder of shards or of images"
