from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
