"""What becomes of truncated files, missing images and incomplete copies: told, or refused, never hidden."""

from __future__ import annotations

import ast
import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from official import draw, png, write_lines, write_parquet
from PIL import Image

from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import CocoImages, Images
from knowclip.evaluation.benchmarks.locating import locate, one_edition, only
from knowclip.evaluation.benchmarks.protocols import Paraphrase
from knowclip.evaluation.benchmarks.records import (
    Record,
    csv_records,
    json_records,
    jsonl_records,
    parquet_records,
)
from knowclip.evaluation.benchmarks.vsr import VSR
from knowclip.evaluation.metrics import NoDataError, NotHereError
from knowclip.evaluation.suites.folder import read_suite
from knowclip.types import ImageRef

CARD = Card("toy", "Toy", "p", "a", "l", "toy", "protocol", "layout")


@pytest.fixture
def make(tmp_path: Path) -> Callable[[Record], Choice]:
    """A case of a caption; images 0.jpg .. 199.jpg are there."""
    for number in range(200):
        (tmp_path / f"{number}.jpg").touch()
    images = Images((tmp_path,))

    def make(record: Record) -> Choice:
        return Choice(
            record.key,
            images(record.content["image"]),
            text(record.content["caption"]),
            "no",
            "g",
            record.name,
        )

    return make


def records(n: int, *, image: str = "{}.jpg") -> list[Record]:
    return [Record("f", str(i), {"image": image.format(i), "caption": f"c{i}"}) for i in range(n)]


def test_up_to_one_percent_is_told(make: Callable[[Record], Choice]) -> None:
    rows = [*records(199), Record("f", "199", None)]
    cases, skipped = collect(CARD, rows, make)
    assert len(cases) == 199
    assert skipped == {"malformed record": 1}


@pytest.mark.parametrize("field", ["group", "key", "image_id"])
@pytest.mark.parametrize("value", [[], None, 7, {"a": 1}])
def test_a_case_without_a_name_to_group_or_pair_it_by_is_malformed(
    make: Callable[[Record], Choice], field: str, value: object
) -> None:
    def made(record: Record) -> Choice:
        return replace(make(record), **{field: value} if record.name == "7" else {})

    cases, skipped = collect(CARD, records(200), made)
    assert len(cases) == 199 and skipped == {"malformed record": 1}
    with pytest.raises(ValueError, match=f"the {field.replace('_', ' ')} of a case is expected"):
        collect(CARD, records(20), made)


def test_more_is_refused_with_one_summary(make: Callable[[Record], Choice]) -> None:
    rows = [
        *records(100),
        Record("f", "x", {"image": "0.jpg"}),
        Record("f", "y", {"image": "1.jpg", "caption": " "}),
    ]
    rows += [Record("f", f"m{i}", {"image": f"gone{i}.jpg", "caption": "c"}) for i in range(3)]
    with pytest.raises(ValueError, match="toy: ") as refused:
        collect(replace(CARD, n=200), rows, make)
    message = str(refused.value)
    assert "105 of the published 200 records are there" in message
    assert "malformed records: 2 of 105 (first f/x: no field 'caption'; it has image)" in message
    assert "records whose image is not there: 3 of 105 (3 files, first " in message
    assert "--allow-missing" in message
    cases, skipped = collect(replace(CARD, n=200), rows, make, allow_missing=True)
    assert len(cases) == 100
    assert skipped == {"malformed record": 2, "image not found": 3, "record not in the file": 95}


def test_a_few_missing_images_stay_and_count_as_wrong(make: Callable[[Record], Choice]) -> None:
    rows = [*records(199), Record("f", "gone", {"image": "gone.jpg", "caption": "c"})]
    cases, skipped = collect(CARD, rows, make)
    assert len(cases) == 200
    assert not skipped


def test_a_card_that_serves_other_data_too_does_not_count(make: Callable[[Record], Choice]) -> None:
    assert len(collect(replace(CARD, n=200, fixed=False), records(10), make)[0]) == 10


def test_what_the_protocol_leaves_out_is_not_missing(make: Callable[[Record], Choice]) -> None:
    cases, skipped = collect(replace(CARD, n=10), records(10), lambda r: make(r) if int(r.name) else None)
    assert (len(cases), skipped) == (9, {"left out by the protocol": 1})


def test_a_truncated_line_is_a_bad_record(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n{"a"')
    assert [(r.key, r.content) for r in jsonl_records(path)] == [
        ("test/0", {"a": 1}),
        ("test/2", {"a": 2}),
        ("test/3", None),
    ]


def test_truncated_json_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    path.write_text('[{"a": 1}, {"a"')
    with pytest.raises(ValueError, match=r"records\.json is not valid JSON; is it cut short"):
        json_records(path)
    path.write_text('"text"')
    with pytest.raises(ValueError, match="holds no list of records"):
        json_records(path)


@pytest.mark.parametrize(
    ("read", "content"),
    [(json_records, "[]"), (json_records, "{}"), (jsonl_records, "\n"), (csv_records, "a,b\n")],
)
def test_an_emptied_file_is_named(read: Callable[[Path], list[Record]], content: str, tmp_path: Path) -> None:
    (tmp_path / "emptied").write_text(content)
    with pytest.raises(NoDataError, match="emptied holds no record"):
        read(tmp_path / "emptied")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: int(float("1e999")),
        lambda: ast.literal_eval("['a dog on hi"),
        lambda: [][1],
        lambda: {}["hard_negs"],
        lambda: {[]: 1},
        lambda: 1 // 0,
        lambda: None.strip(),
    ],
    ids=["infinite", "cut-list", "short", "absent", "unhashable", "zero", "null"],
)
def test_whatever_a_bad_record_raises_it_is_counted(tmp_path: Path, spoil: Callable[[], object]) -> None:
    whole = Image.new("RGB", (4, 4))
    whole.save(tmp_path / "a.png")
    good = Choice("k", ImageRef(tmp_path / "a.png"), "a", "b", "g", "k")

    def make(record: Record) -> Choice:
        return good if record.content else spoil()  # type: ignore[return-value]

    rows = [Record("f", str(n), n != 3) for n in range(200)]
    cases, skipped = collect(CARD, rows, make)
    assert len(cases) == 199 and skipped == {"malformed record": 1}


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_csv_lines_may_end_in_any_way(tmp_path: Path, end: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(f"a,b{end}1,2{end}".encode())
    assert [r.content for r in csv_records(path)] == [{"a": "1", "b": "2"}]


def test_a_field_beyond_all_bounds_is_refused_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"' + "x" * 200_000)
    before = csv.field_size_limit(1 << 30)  # as a reader of captions leaves it
    try:
        with pytest.raises(ValueError, match=r"t\.csv is no table that can be read: field larger than"):
            csv_records(path)
        assert csv.field_size_limit() == 1 << 30
    finally:
        csv.field_size_limit(before)


def test_csv_rows_keep_quotes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"x, ""y"""\n')
    assert [r.content for r in csv_records(path)] == [{"a": "1", "b": 'x, "y"'}]


def test_parquet_images_are_written_once(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "test-0.parquet",
        [
            {"image": {"bytes": png(1), "path": None}, "n": 1},
            {"image": {"bytes": png(1), "path": None}, "n": 2},
        ],
    )
    rows = [record.content for record in parquet_records([tmp_path / "test-0.parquet"], images=("image",))]
    assert rows[0]["image"] == rows[1]["image"]
    assert rows[0]["image"].path.read_bytes() == png(1)
    assert [row["n"] for row in rows] == [1, 2]
    before = rows[0]["image"].path.stat().st_mtime_ns
    list(parquet_records([tmp_path / "test-0.parquet"], images=("image",)))
    assert rows[0]["image"].path.stat().st_mtime_ns == before


def test_damaged_parquet_and_other_columns_are_refused_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "test-0.parquet"
    write_parquet(path, [{"image": {"bytes": png(1), "path": None}, "n": 1}])
    with pytest.raises(ValueError, match=r"test-0\.parquet has no column 'picture' of images; it has i"):
        list(parquet_records([path], images=("picture",)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"test-0\.parquet is no whole Parquet file"):
        list(parquet_records([path], images=("image",)))


def test_a_benchmark_is_found_in_its_folder_or_by_its_own_name(tmp_path: Path) -> None:
    own = tmp_path / "ToY_v2"
    write_lines(own / "examples.jsonl", [{}])
    assert locate(CARD, own, ["examples.jsonl"], split="test", distinctive=False) == own
    with pytest.raises(NoDataError, match="see `knowclip data other`"):
        locate(replace(CARD, name="other"), own, ["examples.jsonl"], split="test", distinctive=False)
    assert locate(replace(CARD, name="other"), own, ["examples.jsonl"], split="test") == own
    with pytest.raises(NoDataError, match="a test split only, not 'val'"):
        locate(CARD, own, ["examples.jsonl"], split="val")
    with pytest.raises(NotHereError):  # nobody is told of the splits of what is not there
        locate(CARD, own, ["others.jsonl"], split="val")


def test_image_names_stay_in_the_folder(tmp_path: Path) -> None:
    draw(tmp_path / "b/x.png", 0)
    assert Images((tmp_path / "a", tmp_path), ("", "b"))("x.png").path == tmp_path / "b/x.png"
    with pytest.raises(ValueError, match="is no image name"):
        Images((tmp_path,))("/etc/x.png")


def test_an_incomplete_copy_is_refused_by_name_and_in_a_suite(official_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="6 of the published 400 records"):
        registry.read("winoground", official_folder)
    with pytest.raises(ValueError, match="of the published"):
        read_suite(official_folder, suite="compositional")
    found, absent = read_suite(official_folder, suite="sugarcrepe", allow_missing=True)
    assert [b.card.name for b in found] == ["sugarcrepe", "sugarcrepe_pp", "sugarcrepe_pp_text"]
    assert not absent
    shutil.copytree(official_folder / "winoground", tmp_path / "winoground")
    (tmp_path / "winoground/data/images/ex_3_img_1.png").unlink()
    part = registry.read("winoground", tmp_path, allow_missing=True)
    assert part.skipped == {"image not found": 1, "record not in the file": 394}  # type: ignore[attr-defined]


def test_bad_labels_are_bad_records(tmp_path: Path) -> None:
    rows = [{"image": "0.jpg", "caption": "c", "label": 2, "relation": "on"}]
    write_lines(tmp_path / "vsr/test.jsonl", rows)
    draw(tmp_path / "vsr/images/0.jpg", 0)
    with pytest.raises(ValueError, match="ValueError: label 2; expected 0 or 1"):
        registry.read("vsr", tmp_path)
    assert VSR.n == 2195


def test_sugarcrepe_is_not_taken_for_its_sequel(official_folder: Path) -> None:
    with pytest.raises(NoDataError, match="holds SugarCrepe, not"):
        registry.read("sugarcrepe_pp", official_folder / "sugarcrepe", allow_missing=True)
    with pytest.raises(NoDataError, match=r"none of add_obj\.json"):
        registry.read("sugarcrepe", official_folder / "sugarcrepe_pp", allow_missing=True)


def test_arrays_of_eqben_become_pictures(official_folder: Path) -> None:
    benchmark = registry.read("eqben", official_folder, allow_missing=True)
    ref = benchmark.cases[1].images[0]  # type: ignore[attr-defined]
    from PIL import Image

    array = np.load(ref.path.with_suffix(".npy"))
    assert np.array_equal(np.asarray(Image.open(ref.path)), array[:, :, ::-1])


def test_valse_needs_all_its_pieces(official_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(official_folder / "valse", tmp_path / "valse")
    shutil.copytree(official_folder / "coco", tmp_path / "coco")
    (tmp_path / "valse/plurals.json").unlink()
    with pytest.raises(ValueError, match="10 of its 11 pieces"):
        registry.read("valse", tmp_path)
    (tmp_path / "valse/plurals.json").write_text(json.dumps({}))
    assert len(registry.read("valse", tmp_path).cases) == 50  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "place",
    ["train2014", "val2017", "images/val2014", "coco", "coco/images/train2017", "COCO/val2014", "mscoco"],
)
def test_coco_s_images_are_found_wherever_they_usually_lie(place: str, tmp_path: Path) -> None:
    name = "COCO_train2014_000000000042.jpg"
    for data in (tmp_path / "in", tmp_path / "beside" / "vsr"):
        data.mkdir(parents=True)
        home = data.parent if data.name == "vsr" and place.lower().startswith(("coco", "mscoco")) else data
        (home / place).mkdir(parents=True)
        (home / place / name).touch()
        for asked in (name, f"train2014/{name}"):
            assert CocoImages(data / "absent", data)(asked).path == home / place / name


def test_valse_finds_the_images_of_train2014(official_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(official_folder / "valse", tmp_path / "valse")
    shutil.copytree(official_folder / "coco/val2017", tmp_path / "train2014")
    assert len(registry.read("valse", tmp_path, allow_missing=True).cases) == 55  # type: ignore[attr-defined]


def test_editions_and_parts(tmp_path: Path) -> None:
    paths = [tmp_path / f"test-0000{i}-of-00002.parquet" for i in (0, 1)]
    assert one_edition(VSR, [paths[1], paths[0]]) == paths
    with pytest.raises(ValueError, match="several editions"):
        one_edition(VSR, [*paths, tmp_path / "data" / paths[0].name])
    with pytest.raises(ValueError, match="1 of 2 parts"):
        one_edition(VSR, paths[:1])
    with pytest.raises(ValueError, match=r"vsr: several editions .*a\.jsonl, b\.json"):
        only(VSR, [Path("a.jsonl"), Path("b.json")])


def test_more_records_than_published_are_told() -> None:
    card = replace(VSR, n=1)
    with pytest.warns(UserWarning, match="the files hold 2 records, the published set 1"):
        collect(card, [Record("f", str(i), i) for i in (0, 1)], lambda _: Paraphrase("k", "a", "b", "c", "g"))
