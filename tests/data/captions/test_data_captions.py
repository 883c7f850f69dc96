from __future__ import annotations

import csv
import json
import warnings
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from knowclip.data.captions.read import read_captions
from knowclip.knowledge.parsing.caption_texts import read_texts

NAMES = ("a.jpg", "b.jpg", "c.jpg")


def make_images(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        Image.new("RGB", (8, 6), (40 * i, 100, 200)).save(folder / name)
    return folder


def coco(names: tuple[str, ...] = NAMES, captions: int = 2) -> dict:
    return {
        "images": [{"id": 7 + i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [
            {"image_id": 7 + i, "id": i * captions + k, "caption": f"caption {k} of {name}"}
            for i, name in enumerate(names)
            for k in range(captions)
        ],
    }


def karpathy() -> dict:
    splits = ("train", "restval", "val")
    return {
        "images": [
            {
                "filename": name,
                "filepath": "sub",
                "split": split,
                "sentences": [{"raw": f"{k} {name}"} for k in range(2)],
            }
            for name, split in zip(NAMES, splits, strict=True)
        ]
    }


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def pairs(captions) -> list[tuple[str, str]]:
    return [(e.key, e.caption) for e in captions.examples]


def test_coco_pairs_keys_and_images(tmp_path):
    make_images(tmp_path / "val2017")
    path = write(tmp_path / "captions_val2017.json", coco())
    found = read_captions(path)
    assert pairs(found)[:3] == [
        ("a.jpg#0", "caption 0 of a.jpg"),
        ("a.jpg#1", "caption 1 of a.jpg"),
        ("b.jpg#0", "caption 0 of b.jpg"),
    ]
    assert found.format == "coco" and found.source == path and not found.skipped
    assert found.examples[0].image.path == tmp_path / "val2017" / "a.jpg"
    assert [e.image_id for e in found.examples] == [n for n in NAMES for _ in range(2)]


def test_coco_folder_chooses_the_file_of_the_split(tmp_path):
    make_images(tmp_path / "images")
    (tmp_path / "annotations").mkdir()
    write(tmp_path / "annotations" / "captions_train2017.json", coco(NAMES[:1]))
    write(tmp_path / "annotations" / "captions_val2017.json", coco(NAMES[1:]))
    assert {e.image_id for e in read_captions(tmp_path, split="val").examples} == {"b.jpg", "c.jpg"}
    with pytest.raises(ValueError, match=r"several captions files.*captions_train2017.json"):
        read_captions(tmp_path)
    with pytest.raises(ValueError, match="has no split 'val'; it has: train"):
        read_captions(tmp_path / "annotations" / "captions_train2017.json", split="val")


def test_karpathy_train_takes_in_restval(tmp_path):
    make_images(tmp_path / "images" / "sub")
    path = write(tmp_path / "dataset.json", karpathy())
    assert [k for k, _ in pairs(read_captions(tmp_path, split="train"))] == [
        "sub/a.jpg#0",
        "sub/a.jpg#1",
        "sub/b.jpg#0",
        "sub/b.jpg#1",
    ]
    assert len(read_captions(tmp_path, split="restval").examples) == 2
    assert len(read_captions(path).examples) == 6
    with pytest.raises(ValueError, match=r"dataset.json has no split 'tset'; it has: restval, train, val"):
        read_captions(path, split="tset")


def test_karpathy_is_preferred_to_coco_in_one_folder(tmp_path):
    make_images(tmp_path / "images" / "sub")
    write(tmp_path / "dataset.json", karpathy())
    write(tmp_path / "captions_train.json", coco())
    assert read_captions(tmp_path).format == "karpathy"


@pytest.fixture
def flickr(tmp_path) -> Path:
    make_images(tmp_path / "Images")
    lines = [f"{name}#{k}\tA dog , {k} ." for name in NAMES for k in range(2)]
    write(tmp_path / "Flickr8k.token.txt", "\n".join(lines) + "\n")
    write(tmp_path / "Flickr_8k.trainImages.txt", "a.jpg\nb.jpg\n")
    write(tmp_path / "Flickr_8k.devImages.txt", "c.jpg\n")
    return tmp_path


def test_flickr8k_original_layout(flickr):
    assert len(read_captions(flickr).examples) == 6
    assert pairs(read_captions(flickr, split="dev")) == [
        ("c.jpg#0", "A dog , 0 ."),
        ("c.jpg#1", "A dog , 1 ."),
    ]
    assert pairs(read_captions(flickr, split="val")) == pairs(read_captions(flickr, split="dev"))
    with pytest.raises(ValueError, match="no split 'test'; it has: dev, train, val"):
        read_captions(flickr, split="test")


def test_flickr8k_kaggle_layout(tmp_path):
    names = tuple(f"{i}.jpg" for i in range(40))
    make_images(tmp_path / "Images", names)
    lines = ["image,caption", *(f'{name},"A ""big"" dog , {k} ."' for name in names for k in range(5))]
    write(tmp_path / "captions.txt", "\n".join(lines))
    whole = read_captions(tmp_path)
    assert whole.format == "csv" and len(whole.examples) == 200
    assert whole.examples[0].caption == 'A "big" dog , 0 .'
    with pytest.warns(UserWarning, match="not the official one"):
        parts = [read_captions(tmp_path, split=s) for s in ("train", "dev", "test")]
    assert [len(p.examples) for p in parts] == [140, 35, 25]  # an eighth each of 40 by hash
    assert sorted(k for p in parts for k, _ in pairs(p)) == sorted(k for k, _ in pairs(whole))
    write(tmp_path / "Flickr_8k.testImages.txt", "3.jpg\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {e.image_id for e in read_captions(tmp_path, split="test").examples} == {"3.jpg"}


@pytest.mark.parametrize(("name", "delimiter"), [("pairs.csv", ","), ("pairs.tsv", "\t"), ("tabs.csv", "\t")])
def test_tables(tmp_path, name, delimiter):
    make_images(tmp_path)
    rows = [["filepath", "title", "split"], ["a.jpg", "one, two", "train"], ["a.jpg", "three", "val"]]
    with open(tmp_path / name, "w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    assert pairs(read_captions(tmp_path / name)) == [("a.jpg#0", "one, two"), ("a.jpg#1", "three")]
    assert [e.caption for e in read_captions(tmp_path, split="val").examples] == ["three"]
    with pytest.raises(ValueError, match="no split 'test'; it has: train, val"):
        read_captions(tmp_path / name, split="test")


def test_table_columns_are_named_or_refused(tmp_path):
    make_images(tmp_path)
    path = write(tmp_path / "t.csv", "image,filename,words\na.jpg,b.jpg,hello\n")
    with pytest.raises(ValueError, match=r"t.csv needs one image column.*has 2.*image_column="):
        read_captions(path, caption_column="words")
    with pytest.raises(
        ValueError, match=r"needs one caption column, 'caption' or 'title' or 'text'.*has none"
    ):
        read_captions(path, image_column="image")
    with pytest.raises(ValueError, match="needs one caption column, 'word', but has none"):
        read_captions(path, image_column="image", caption_column="word")
    found = read_captions(path, image_column="filename", caption_column="words")
    assert pairs(found) == [("b.jpg#0", "hello")]
    with pytest.raises(ValueError, match="has no column 'split'"):
        read_captions(path, image_column="image", caption_column="words", split="train")


ROWS = [{"image": name, "caption": "a dog", "teil": part} for name, part in zip(NAMES, "ab", strict=False)]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("rows.csv", "image,caption,teil\n" + "".join(f"{','.join(row.values())}\n" for row in ROWS)),
        ("rows.jsonl", "".join(f"{json.dumps(row)}\n" for row in ROWS)),
        ("rows_train.json", json.dumps(ROWS)),
    ],
)
def test_the_column_of_splits_may_have_another_name(tmp_path, file, content):
    make_images(tmp_path)
    path = tmp_path / file
    path.write_text(content)
    for row in ROWS:
        (example,) = read_captions(path, split=row["teil"], split_column="teil").examples
        assert example.image_id == row["image"]
    with pytest.raises(ValueError, match="has no split 'c'; it has: a, b"):
        read_captions(path, split="c", split_column="teil")
    with pytest.raises(ValueError, match=r"did you mean .teil.*: split_column=NAME"):
        read_captions(path, split="a", split_column="tell")


def test_columns_are_refused_where_they_have_no_effect(tmp_path):
    make_images(tmp_path)
    path = write(tmp_path / "captions_val.json", coco())
    with pytest.raises(ValueError, match="are for tables"):
        read_captions(path, caption_column="caption")


def test_folder_of_images_with_sidecars(tmp_path):
    make_images(tmp_path)
    make_images(tmp_path / "more", ("d.PNG",))
    write(tmp_path / "a.txt", "first\nsecond\n")
    write(tmp_path / "more" / "d.txt", "  third ")
    write(tmp_path / "b.txt", "\n")
    found = read_captions(tmp_path)
    assert pairs(found) == [("a.jpg#0", "first"), ("a.jpg#1", "second"), ("more/d.PNG#0", "third")]
    assert found.skipped == {"empty caption": 2}


def test_empty_captions_are_skipped_and_counted_and_keys_stay(tmp_path):
    make_images(tmp_path)
    content = coco()
    content["annotations"][0]["caption"] = " \n"
    found = read_captions(write(tmp_path / "captions_val.json", content))
    assert found.skipped == {"empty caption": 1}
    assert pairs(found)[0] == ("a.jpg#1", "caption 1 of a.jpg")


def test_missing_images_are_refused_beyond_one_percent(tmp_path):
    make_images(tmp_path, NAMES[:2])
    path = write(tmp_path / "captions_val.json", coco())
    with pytest.raises(
        ValueError, match=r"1 of 3 images, such as 'c.jpg', are not under .*allow_missing=True"
    ):
        read_captions(path)
    found = read_captions(path, allow_missing=True)
    assert len(found.examples) == 4 and found.skipped == {"image not found": 2}
    assert read_captions(path, max_missing=0.34).skipped == found.skipped
    with pytest.raises(ValueError, match="1 of 3 images"):
        read_captions(path, max_missing=0.33)


def test_the_folder_of_missing_images_is_told_whole(tmp_path, monkeypatch):
    make_images(tmp_path, NAMES[:2])
    write(tmp_path / "captions_val.json", coco())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"are not under {tmp_path}\. Name their folder"):
        read_captions("captions_val.json")


def test_one_missing_image_in_two_hundred_is_only_counted(tmp_path):
    names = tuple(f"{i}.jpg" for i in range(200))
    make_images(tmp_path, names[1:])
    found = read_captions(write(tmp_path / "captions_val.json", coco(names)))
    assert len(found.examples) == 398 and found.skipped == {"image not found": 2}


def test_malformed_records_are_counted_when_rare_and_refused_when_not(tmp_path):
    make_images(tmp_path)
    content = coco(captions=50)
    content["annotations"][3]["caption"] = None
    path = write(tmp_path / "captions_val.json", content)
    found = read_captions(path)
    assert found.skipped == {"malformed record": 1} and len(found.examples) == 149
    content["annotations"][1]["image_id"] = 12345
    write(path, content)
    with pytest.raises(ValueError, match=r"2 of 150 records lack .* first at annotations\[1\]"):
        read_captions(path)


def test_images_folder_can_be_given(tmp_path):
    make_images(tmp_path / "elsewhere")
    (tmp_path / "text").mkdir()
    path = write(tmp_path / "text" / "deep.csv", "image,caption\na.jpg,hello\n")
    with pytest.raises(ValueError, match=r"images=FOLDER"):
        read_captions(path)
    assert len(read_captions(path, images=tmp_path / "elsewhere").examples) == 1


def test_wrong_path_and_format_say_what_is_allowed(tmp_path):
    with pytest.raises(ValueError, match="nowhere does not exist; give a captions file"):
        read_captions(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="unknown caption format 'cocoo': choose one of coco, karpathy"):
        read_captions(tmp_path, format="cocoo")
    with pytest.raises(ValueError, match=r"allowed are .json"):
        read_captions(write(tmp_path / "x.docx", ""))
    with pytest.raises(ValueError, match="holds no captions file of the format 'coco'"):
        read_captions(tmp_path, format="coco")


def test_truncated_json_names_file_and_position(tmp_path):
    text = json.dumps(coco())
    path = write(tmp_path / "captions_val.json", text[: len(text) // 2])
    with pytest.raises(ValueError, match=r"captions_val.json is not valid JSON.*line 1 column \d+"):
        read_captions(path)


def test_file_that_is_not_text(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"image,caption\na.jpg,\xff\xfe\n")
    with pytest.raises(ValueError, match=r"x.csv is not UTF-8 text: 1 of 1 records, .* line 2; .*Latin-1"):
        read_captions(path)


def test_a_quote_that_is_not_closed_is_a_letter(tmp_path):
    make_images(tmp_path)
    path = write(tmp_path / "x.csv", 'image,caption\na.jpg,"hello\nb.jpg,world\nc.jpg,"two\nlines, red"\n')
    assert [e.caption for e in read_captions(path).examples] == ['"hello', "world", "two\nlines, red"]


def mutated(text: str) -> st.SearchStrategy[str]:
    """Text cut anywhere, with something else put in anywhere."""
    position = st.integers(0, len(text))
    junk = st.text(max_size=6) | st.sampled_from(
        ['"', "{", "[]", "null", "1e999", "\\ud800", "\0", "\n", ","]
    )
    return st.builds(
        lambda at, length, insert, end: (text[:at] + insert + text[at + length :])[:end],
        position,
        st.integers(0, 12),
        junk,
        position | st.just(10**6),
    )


CSV = "image,caption,split\n" + "".join(f'{n},"A ""dog"", {k}",train\n' for n in NAMES for k in range(2))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("captions_val.json", json.dumps(coco())),
        ("dataset_x.json", json.dumps(karpathy())),
        ("pairs.csv", CSV),
        ("x.token.txt", "a.jpg#0\tA dog\nb.jpg#1\tA cat\n"),
        ("bars.csv", 'image_name| comment_number| comment\na.jpg| 0| A "dog" .\nb.jpg| 0| A cat .\n'),
        (
            "negclip.tsv",
            "\ttitle\tfilepath\tneg_caption\n0\ta dog\ta.jpg\t['a', \"b\"]\n1\ta cat\tb.jpg\t[]\n",
        ),
        ("pairs_val.json", json.dumps([{"image": name, "caption": ["one", "two"]} for name in NAMES])),
        ("lines.jsonl", "".join(json.dumps({"image": name, "caption": "x"}) + "\n" for name in NAMES)),
    ],
)
def test_mutated_files_raise_nothing_but_value_error(tmp_path, name, text):
    make_images(tmp_path)
    make_images(tmp_path / "sub")

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(mutated(text))
    def check(content: str) -> None:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8", errors="replace")
        try:
            skipped: Counter[str] = Counter()
            told = [text.caption for text in read_texts(path, skipped=skipped)]
            found = read_captions(path, allow_missing=True)
        except ValueError as error:
            assert str(tmp_path) in str(error)
        else:
            keys = [e.key for e in found.examples]
            assert keys and len(set(keys)) == len(keys)
            assert found.read == len(told) + skipped.total()
            assert all(e.caption.strip() for e in found.examples)

    check()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["images", "annotations", "id", "file_name", "caption", "split", "filename", "sentences"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES, st.sampled_from([None, "train"]))
def test_any_json_raises_nothing_but_value_error(tmp_path, content, split):
    path = write(tmp_path / "x.json", content)
    with pytest.raises(ValueError, match=r"x\.json"):
        read_captions(path, split=split)


@pytest.mark.conformance
@pytest.mark.parametrize(("split", "images"), [(None, 7000), ("train", 6000), ("dev", 1000)])
def test_genuine_flickr8k(real_data, split, images):
    found = read_captions(real_data / "flickr8k", split=split)
    # counted without the reader: lines of the token file whose image is in the list
    lines = (real_data / "flickr8k" / "Flickr8k.token.txt").read_text().splitlines()
    if split is not None:
        listed = set((real_data / "flickr8k" / f"Flickr_8k.{split}Images.txt").read_text().split())
        lines = [line for line in lines if line.split("#")[0] in listed]
    assert len(found.examples) == len(lines) == 5 * images
    assert len({e.image_id for e in found.examples}) == images and not found.skipped
    assert [f"{e.key}\t{e.caption}" for e in found.examples] == [line.strip() for line in lines]


@pytest.mark.conformance
def test_genuine_coco(real_data):
    found = read_captions(real_data / "coco", split="val")
    assert len(found.examples) == 560 and len({e.image_id for e in found.examples}) == 112
    assert not found.skipped
    raw = json.loads((real_data / "coco" / "captions_val2017.json").read_text())
    names = {image["id"]: image["file_name"] for image in raw["images"]}
    assert [(e.image_id, e.caption) for e in found.examples] == [
        (names[a["image_id"]], a["caption"].strip()) for a in raw["annotations"]
    ]


@pytest.mark.conformance
def test_genuine_scene_graph_table_has_no_images(real_data):
    with pytest.raises(ValueError, match=r"dev.csv needs one image column.*'image_id'"):
        read_captions(real_data / "factual" / "dev.csv")
