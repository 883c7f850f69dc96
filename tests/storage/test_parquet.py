from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from knowclip.storage.members import arrow_table
from knowclip.storage.parquet import rows, whole

IMAGE = {"bytes": b"\x89PNG", "path": None}


def table(path: Path, **columns: list[object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_rows_come_in_order_beyond_what_is_read_at_once(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", n=list(range(150)), image=[IMAGE, None, *[IMAGE] * 148])
    found = list(rows(path, images=["image"]))
    assert [row["n"] for row in found] == list(range(150))
    assert found[0]["image"] == IMAGE and found[1]["image"] is None


@pytest.mark.parametrize("kept", [0, 20, 0.5, -5])
def test_a_file_cut_short_is_named(tmp_path: Path, kept: float) -> None:
    path = table(tmp_path / "cut.parquet", n=list(range(1000)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(ValueError, match=r"cut\.parquet is no whole Parquet file: ") as error:
        list(rows(path))
    assert not isinstance(error.value, pa.ArrowException)


def test_damage_in_the_middle_is_named_too(tmp_path: Path) -> None:
    path = table(tmp_path / "middle.parquet", n=list(range(1000)))
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * 20 + content[24:])  # footer whole, first page header not
    with pytest.raises(ValueError, match=r"middle\.parquet is no whole Parquet file: "):
        list(rows(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.parquet"):
        list(rows(tmp_path / "none.parquet"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2], r"a\.parquet, column 'image' should hold images, as \{bytes, path\}; got int64"),
        (["x.jpg"], "got string"),
        ([{"path": "x.jpg"}], "got struct<path: string>"),
        ([{"bytes": "text"}], "got struct<bytes: string>"),
        ([[b"x"]], "got list"),
    ],
)
def test_a_column_of_something_else_is_no_column_of_images(
    tmp_path: Path, values: list[object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        list(rows(table(tmp_path / "a.parquet", image=values), images=["image"]))


def test_a_missing_column_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", picture=[IMAGE], caption=["a dog"])
    with pytest.raises(ValueError, match=r"no column 'image' of images; it has picture, caption"):
        list(rows(path, images=["image"]))


@pytest.mark.parametrize("values", [[None, None], [{"bytes": None}, None]])
def test_a_column_without_any_image_is_read(tmp_path: Path, values: list[object]) -> None:
    path = table(tmp_path / "a.parquet", image=values)
    assert [(row["image"] or {}).get("bytes") for row in rows(path, images=["image"])] == [None, None]


def test_an_error_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="other"), whole(tmp_path / "a.parquet"):
        raise KeyError("other")


def of_buffers(offsets: list[int], characters: bytes) -> pa.Table:
    """A column of strings that nobody looked at, as a damaged file has it."""
    ends = pa.py_buffer(np.array(offsets, np.int32).tobytes())
    array = pa.StringArray.from_buffers(len(offsets) - 1, ends, pa.py_buffer(characters))
    return pa.table({"caption": array})


def test_strings_that_are_no_utf_8_are_named(tmp_path: Path) -> None:
    pq.write_table(of_buffers([0, 2, 4], b"ab\xff\xfe"), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet is no whole Parquet file: 'utf-8' codec") as error:
        list(rows(tmp_path / "a.parquet"))
    assert not isinstance(error.value, UnicodeDecodeError)


@pytest.mark.parametrize(
    ("offsets", "characters"),
    [([0, 2, 4], b"ab\xff\xfe"), ([0, 2, 4_000_000], b"abcd"), ([0, 3, 1], b"abcd")],
)
def test_a_table_that_points_outside_itself_is_named_before_it_is_read(
    tmp_path: Path, offsets: list[int], characters: bytes
) -> None:
    good, path = pa.table({"caption": ["ab", "cd"]}), tmp_path / "data.arrow"
    with pa.ipc.new_stream(path, good.schema) as sink:
        sink.write_table(good)
    content = path.read_bytes()
    old = np.array([0, 2, 4], np.int32).tobytes()
    assert content.count(old) == 1 and content.count(b"abcd") == 1
    content = content.replace(b"abcd", characters)
    path.write_bytes(content.replace(old, np.array(offsets, np.int32).tobytes()))
    with pytest.raises(ValueError, match=r"data\.arrow is no whole Arrow file: ") as error:
        arrow_table(path)
    assert not isinstance(error.value, pa.ArrowException)
