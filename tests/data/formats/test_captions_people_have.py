"""Files as people have them, each with what is right, for those who want images and those who do not."""

from __future__ import annotations

import csv
import gzip
import io
import json
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from knowclip.cli import quieten
from knowclip.data.captions.read import read_captions
from knowclip.knowledge.parsing.caption_texts import Text, read_texts
from tars import write_tar

BUFFER = io.BytesIO()
Image.new("RGB", (8, 6), (9, 99, 199)).save(BUFFER, "JPEG")
JPEG = BUFFER.getvalue()
JUNK = b"\x00\x05\x16\x07" + b"\0" * 200


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        write(f"{name}.jpg", JPEG)
    return tmp_path


@pytest.fixture
def notes() -> Iterator[None]:
    """What a command sees: ``quieten`` as the console entry calls it, undone again."""
    before = [*warnings.filters]
    quieten()
    yield
    warnings.filters[:] = before


def write(name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return path


def shard(name: str, members: dict[str, bytes]) -> Path:
    return write_tar(Path(name), members.items())


def said(path: Path | str, **options: str) -> list[str]:
    return [example.caption for example in read_captions(path, **options).examples]


def texts(path: Path | str, **options: str) -> tuple[list[str], dict[str, int]]:
    skipped: Counter[str] = Counter()
    return [text.caption for text in read_texts(Path(path), skipped=skipped, **options)], dict(skipped)


COCO = '{"images":[{"id":1,"file_name":"a.jpg"}],"annotations":[{"image_id":1,"caption":"A dog ."}]}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captions.txt", "image,caption\na.jpg,A dog .\n"),
        ("x.token.txt", "a.jpg#0\tA dog .\n"),
        ("results_20130124.token", "a.jpg#0\tA dog .\n"),
        ("flickr30k.txt", "a.jpg#0\tA dog .\n"),
        ("captions_val2017.json", COCO),
        ("results.csv", "image_name| comment_number| comment\na.jpg| 0| A dog .\n"),
        ("captions30k.txt", "image_name,comment_number,comment\na.jpg,0, A dog .\n"),
        ("european.csv", "image;caption\na.jpg;A dog .\n"),
        ("shouted.CSV", "Image,CAPTION\na.jpg,A dog .\n"),
        ("lines.json", '{"image": "a.jpg", "caption": "A dog ."}\n{"image": "b.jpg", "caption": ""}\n'),
        ("excel.csv", "\ufeffsep=;\nimage;caption\na.jpg;A dog .\n"),
        ("windows.csv", "image,caption\r\n.\\a.jpg,A dog .\r\n"),
        ("mac.csv", "image,caption\ra.jpg,A dog .\r"),
    ],
)
def test_the_trainer_s_own_files_are_parsed(name, content) -> None:
    """Not the header, the file names or the JSON text as captions."""
    path = write(name, content)
    found = [*read_texts(path, skipped=Counter())]
    image = ".\\a.jpg" if name == "windows.csv" else "a.jpg"
    assert [(text.key, text.caption, text.image) for text in found] == [(f"{image}#0", "A dog .", image)]
    assert said(path) == ["A dog ."]


@pytest.mark.parametrize(
    "line", ["1.jpg,A dog", "1.jpg\tA dog", "1.jpg|0|A dog", "im/1.PNG A dog", "1.jpg#0 A dog"]
)
def test_a_table_without_a_header_is_no_text(line) -> None:
    for name in ("n.txt", "n.lst"):
        with pytest.raises(ValueError, match=r"begins with the image name '.*1\.(jpg|PNG)'.*header"):
            texts(write(name, f"{line}\n{line}\n"))
    with pytest.raises(ValueError, match=r"n\.csv needs one .* column"):
        texts(write("n.csv", f"{line}\n{line}\n"))


def test_quotes_are_letters_where_no_table_program_wrote_them() -> None:
    many = "".join(f"b{i}.jpg\ta cat {i}\n" for i in range(100))
    path = write("h.tsv", f'image\tcaption\na.jpg\t"Two dogs run\n{many}')
    found, skipped = texts(path)
    assert len(found) == 101 and not skipped and found[0] == '"Two dogs run'
    lines = 'image\tcaption\na.jpg\t"Stop" sign on a pole\nb.jpg\t"Two dogs run\nc.jpg\ta cat\n'
    expected = ['"Stop" sign on a pole', '"Two dogs run', "a cat"]
    for name, content in (("c.tsv", lines), ("c.csv", lines.replace("\t", ",")), ("c.txt", lines)):
        assert said(write(name, content)) == expected == texts(name)[0]
    content = 'image,caption\na.jpg,"Two dogs\nb.jpg,a 6" pipe\nc.jpg,"two\n\nlines, ""red"""\n'
    assert said(write("d.csv", content)) == ['"Two dogs', 'a 6" pipe', 'two\n\nlines, "red"']


@pytest.mark.parametrize("dialect", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_what_a_table_program_quotes_is_read_back(separator, dialect) -> None:
    captions = ['a "big" dog', f"one{',' if separator == ',' else ';'} two", "it's", '""', 'he said "no"']
    with open("t.csv", "w", newline="") as file:
        writer = csv.writer(file, delimiter=separator, quoting=dialect)
        writer.writerows([("image", "caption"), *(("a.jpg", caption) for caption in captions)])
    assert said("t.csv") == captions == texts("t.csv")[0]


WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.txt", "a dog runs\na cat sits\n"),
        ("chinese.txt", "一只狗在跑\n一只猫坐着\n"),
        ("c.csv", "image,caption\na.jpg,a dog\n"),
        ("captions_val.json", COCO),
        ("c.jsonl", '{"image": "a.jpg", "caption": "a dog"}\n'),
        ("c.token.txt", "a.jpg#0\ta dog\n"),
    ],
)
def test_wide_encodings_are_named(name, content, encoding) -> None:
    path = write(name, content, encoding)
    told = f"{name} is UTF-{encoding[4:6]} text.*iconv"
    with pytest.raises(ValueError, match=told):
        texts(path)
    with pytest.raises(ValueError, match=told):
        read_captions(path, format="csv" if name.endswith(".txt") and "token" not in name else None)


@pytest.mark.parametrize(("encoding", "told"), [("latin-1", "Latin-1"), ("cp1252", "cp1252")])
def test_eight_bit_encodings_are_named_with_the_line(encoding, told) -> None:
    letter = "é" if encoding == "latin-1" else "“"
    path = write("c.txt", 100 * "a dog\n" + f"un caf{letter}\n", encoding)
    with pytest.warns(UserWarning, match=rf"c\.txt, line 101 is not UTF-8; it may be {told}"):
        assert texts(path) == (100 * ["a dog"], {"not UTF-8": 1})
    with pytest.raises(ValueError, match=rf"d\.txt is not UTF-8 text: 1 of 2 records.* line 2; .*{told}"):
        texts(write("d.txt", f"a dog\nun caf{letter}\n", encoding))
    with pytest.raises(ValueError, match=rf"c\.csv is not UTF-8 text.*line 3; it may be {told}"):
        read_captions(write("c.csv", f"image,caption\na.jpg,a\nb.jpg,caf{letter}\n", encoding))
    with pytest.raises(ValueError, match=rf"captions_x\.json is not UTF-8 text.*line 1.*{told}"):
        read_captions(write("captions_x.json", COCO.replace("dog", letter), encoding))


def test_a_header_that_is_not_utf8_and_the_lines_behind_a_blank_one() -> None:
    with pytest.raises(ValueError, match=r"h\.csv is not UTF-8 text: its header, line 1; .*Latin-1"):
        said(write("h.csv", "image,caption,né\na.jpg,a dog,x\n", "latin-1"))
    with pytest.raises(ValueError, match=r"1 of 2 records lack .*the first at line 5"):
        said(write("b.csv", "\n\nimage,caption\na.jpg,a dog\na.jpg\n"))


@pytest.mark.parametrize("row", ["schön.jpg;a dog;1", "a.jpg;a dog;sé"])
def test_a_name_in_another_encoding_is_counted_as_a_caption_is(row: str, tmp_path: Path) -> None:
    """Captions of one image would no longer meet, and a graph would name no image."""
    path = tmp_path / "excel.csv"
    rows = [*(f"{number}.jpg;a dog;{number}" for number in range(100)), row]
    path.write_text("\r\n".join(["image;caption;id", *rows]), encoding="cp1252")
    skipped: Counter[str] = Counter()
    with pytest.warns(UserWarning, match=r"excel\.csv, line 102 is not UTF-8"):
        found = [text.caption for text in read_texts(path, key_column="id", skipped=skipped)]
    assert (len(found), skipped) == (100, {"not UTF-8": 1})
    path.write_text("\r\n".join(["image;caption;id", row, row]), encoding="cp1252")
    with pytest.raises(ValueError, match=r"excel\.csv is not UTF-8 text: 2 of 2 records, .* line 2"):
        list(read_texts(path, key_column="id", skipped=skipped))


def test_texts_of_shards_are_counted_one_by_one() -> None:
    members = {"1.txt": b"caf\xe9", "2.txt": b"\xef\xbb\xbfa dog", "3.txt": "a dog".encode("utf-16")}
    path = shard("s.tar", {f"{n}.jpg": JPEG for n in (1, 2, 3)} | members)
    found = read_captions(path)
    assert [e.caption for e in found.examples] == ["a dog"] and found.skipped == {"not UTF-8": 2}
    assert texts(path) == (["a dog"], {"not UTF-8": 2})


def test_junk_is_no_data() -> None:
    names = (
        "0001.jpg",
        "0001.txt",
        "._0001.jpg",
        "._0001.txt",
        "__MACOSX/0001.jpg",
        ".x/0001.jpg",
        "Thumbs.db",
    )
    contents = [JPEG, b"a dog\n", JUNK, JUNK, JPEG, JPEG, JUNK]
    for name, content in zip(names, contents, strict=True):
        write(f"f/{name}", content)
    assert said("f") == ["a dog"] == said(shard("m.tar", dict(zip(names, contents, strict=True))))
    write("g/._captions.csv", JUNK)
    write("g/a.jpg", JPEG)
    write("g/captions.csv", "image,caption\na.jpg,x\n")
    assert said("g") == ["x"]


@pytest.mark.parametrize(
    ("members", "images"),
    [
        (("22.05.jpg", "22.05.txt", "22.06.jpg", "22.06.txt"), ["22.05.jpg", "22.06.jpg"]),
        (("photo.v1.jpg", "photo.v1.txt"), ["photo.v1.jpg"]),
        (("v1.0/a.JPG", "v1.0/a.TXT"), ["v1.0/a.JPG"]),
        (("./a.jpg", "./a.txt", "./sub/b.jpg", "./sub/b.txt"), ["a.jpg", "sub/b.jpg"]),
        (("000.jpg", "000.txt", "000.seg.png", "000.v2.jpg", "000.v2.txt"), ["000.jpg", "000.v2.jpg"]),
        (("__meta__/count.txt", "__meta__/x.json", "__shard__.json", "a.jpg", "a.txt"), ["a.jpg"]),
    ],
)
def test_members_of_shards_are_called_as_people_call_them(members, images) -> None:
    path = shard(
        "s.tar", {member: b"a dog" if member.lower().endswith("txt") else JPEG for member in members}
    )
    found = read_captions(path)
    assert [e.image_id for e in found.examples] == [f"s.tar/{name}" for name in images] and not found.skipped


def test_compressed_files_are_refused_by_name() -> None:
    write("c.csv.gz", gzip.compress(b"image,caption\n"))
    for read in (texts, said):
        with pytest.raises(ValueError, match=r"c\.csv\.gz is compressed: unpack it"):
            read("c.csv.gz")


def test_metadata_of_an_image_folder() -> None:
    write("m/a.jpg", JPEG)
    write("m/metadata.csv", "file_name,split,caption_0,caption_1\na.jpg,train,a dog,a brown dog\n")
    assert said("m") == said("m", split="train") == texts("m")[0] == ["a dog", "a brown dog"]
    assert said("m", caption_column="caption_1") == ["a brown dog"]
    for part, caption in (("train", "a dog"), ("validation", "a cat")):
        write(f"n/{part}/a.jpg", JPEG)
        write(f"n/{part}/metadata.jsonl", json.dumps({"file_name": "a.jpg", "text": caption}) + "\n")
    assert said("n", split="train") == ["a dog"] and said("n", split="val") == ["a cat"]
    with pytest.raises(ValueError, match="n has no split 'test'; it has: train, validation"):
        said("n", split="test")
    with pytest.raises(ValueError, match=r"several captions files.*train/metadata\.jsonl"):
        said("n")


def test_lists_of_captions_and_their_splits() -> None:
    records = [
        {"image": "a.jpg", "caption": ["a dog", "a brown dog"]},
        {"image": "b.jpg", "caption": "a cat"},
    ]
    path = write("pairs_val.json", json.dumps(records))
    assert said(path) == said(path, split="val") == texts(path)[0] == ["a dog", "a brown dog", "a cat"]
    with pytest.raises(ValueError, match="has no split 'train'; it has: val"):
        said(path, split="train")
    raw = 'raw,split,filename\n"[""A dog ."", ""Two .""]",train,a.jpg\n'
    assert said(write("flickr_annotations_30k.csv", raw)) == ["A dog .", "Two ."]
    with pytest.raises(ValueError, match=r"d\.json holds none of the captions that are read.*lists of"):
        said(write("d.json", '{"a.jpg": ["a dog"]}'))


def test_columns_are_guessed_only_where_one_guess_is_possible() -> None:
    path = write("t.csv", "image,caption,text\na.jpg,a dog,a cat\n")
    for read in (said, texts):
        with pytest.raises(
            ValueError, match=r"has 2; its columns are 'image', 'caption', 'text'.*caption_column=NAME"
        ):
            read(path)
    assert said(path, caption_column="text") == texts(path, column="text")[0] == ["a cat"]
    assert said(write("u.csv", "image,caption,comment,path\na.jpg,a dog,x,y\n")) == ["a dog"]
    assert said(write("own.csv", "file,description\na.jpg,a dog\n")) == ["a dog"]


@pytest.mark.parametrize("header", ["title;description", "text;raw", "comment;title", "captions;text"])
@pytest.mark.parametrize("name", ["own.csv", "own.txt", "own.jsonl"])
def test_of_two_columns_that_may_be_captions_none_is_taken(name, header) -> None:
    one, other = header.split(";")
    row = {"photo": "a.jpg", one: "a dog", other: "a cat", "part": "x"}
    content = json.dumps(row) if name.endswith("jsonl") else f"photo;{header};part\na.jpg;a dog;a cat;x\n"
    path = write(name, content)
    for read in (said, texts):
        with pytest.raises(ValueError, match=rf"has 2; .*Each of ('({one}|{other})'(, )?){{2}} may be meant"):
            read(path)
    assert said(path, caption_column=other) == texts(path, column=other)[0] == ["a cat"]


@pytest.mark.parametrize("name", ["own.csv", "own.jsonl"])
def test_a_column_that_is_guessed_is_told_once(name, notes, capsys) -> None:
    row = {"photo": "a.jpg", "title": "a dog", "caption_2": "x"}
    rows = {
        "own.csv": ",".join(row) + "\n" + ",".join(row.values()) + "\n",
        "own.jsonl": json.dumps(row),
    }
    path = write(name, rows[name])
    for _ in range(2):
        assert said(path, caption_column="title") == ["a dog"]
    assert capsys.readouterr().err == f"{path}: the image is its column 'photo'\n"
    path = write("named" + path.suffix, rows[name].replace("caption_2", "part"))
    assert texts(path)[0] == ["a dog"]
    assert f"{path}: the caption is its column 'title' (not used: 'part')\n" in capsys.readouterr().err
    path = write("plain" + path.suffix, rows[name].replace("photo", "image").replace("title", "caption_1"))
    assert len(texts(path)[0]) == 2 and capsys.readouterr().err == ""


@pytest.mark.parametrize("header", ["Img;alt text", "File Name;Alt-Text", "img;prompt"])
def test_names_of_columns_may_be_written_as_people_write_them(header: str) -> None:
    assert said(write("own.csv", f"id;{header}\n7;a.jpg;a dog\n")) == ["a dog"]


def test_a_blogs_title_beside_its_alternative_text_is_asked_about() -> None:
    path = write("export.csv", "id,img,title,alt_text\n7,a.jpg,Summer,a dog on a beach\n")
    with pytest.raises(ValueError, match="Each of 'title', 'alt_text' may be meant"):
        said(path)


def test_a_column_with_a_typo_is_told_with_the_nearest() -> None:
    path = write("t.csv", "file,description\na.jpg,a dog\n")
    with pytest.raises(
        ValueError, match=r"'fiel', but has none; .*; did you mean 'file'\? Name the right one"
    ):
        said(path, image_column="fiel")


def test_an_image_column_that_is_not_known_is_told_where_captions_of_an_image_matter() -> None:
    path = write("own.csv", "bild;description\na.jpg;A cat.\na.jpg;A dog.\n")
    with pytest.warns(UserWarning, match=r"'bild', 'description'.*counts as one of its own.*key_column=NAME"):
        assert texts(path)[0] == ["A cat.", "A dog."]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert texts(path, key_column="bild")[0] == ["A cat.", "A dog."]
        assert texts(write("known.csv", "photo;description\na.jpg;A cat.\n"))[0] == ["A cat."]
        assert texts(write("alone.csv", "caption\nA cat.\n"))[0] == ["A cat."]


@pytest.mark.parametrize("name", ["own.csv", "own.jsonl"])
def test_a_split_that_no_column_tells_is_refused_with_what_to_set(name) -> None:
    rows = {
        "own.csv": "image,caption\na.jpg,A cat.\n",
        "own.jsonl": '{"image": "a.jpg", "caption": "A cat."}\n',
    }
    with pytest.raises(ValueError, match=r"so it has no split 'val'; give .* or ask for none \(split=None\)"):
        read_captions(write(name, rows[name]), split="val")


def test_keys_and_images_go_with_the_captions() -> None:
    path = write("t.csv", "image,caption\na.jpg,one\na.jpg,two\nb.jpg,\nb.jpg,three\n")
    found = list(read_texts(path, skipped=Counter()))
    assert [(text.key, text.image) for text in found] == [
        ("a.jpg#0", "a.jpg"), ("a.jpg#1", "a.jpg"), ("b.jpg#1", "b.jpg"),
    ]  # fmt: skip
    assert [text.key for text in found] == [example.key for example in read_captions(path).examples]
    assert found[0] == Text("a.jpg#0", "one")


def test_negclip_s_table_brings_its_negatives() -> None:
    rows = [
        ["", "title", "filepath", "neg_caption", "neg_image"],
        ["0", "a dog on a mat", "a.jpg", "['a mat on a dog']", "[3]"],
        ["1", "it's red", "b.jpg", """["it's blue", 'a "cat"']""", "[1]"],
        ["2", "a cat", "c.jpg", "[]", "[]"],
    ]
    with open("t.tsv", "w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows(rows)  # as pandas writes it
    with pytest.warns(UserWarning, match=r"'neg_image' \(similar images\) is not used; .* 'neg_caption' are"):
        found = read_captions("t.tsv")
    assert [[negative.caption for negative in example.negatives] for example in found.examples] == [
        ["a mat on a dog"], ["it's blue", 'a "cat"'], [],
    ]  # fmt: skip
    assert {negative.kind for example in found.examples for negative in example.negatives} == {"given"}
    broken = "image,caption,neg_caption\n"
    broken += "".join(f"a.jpg,a dog {i},a cat\n" for i in range(199))
    broken += "a.jpg,a dog,\"['a cat'\"\n"
    found = read_captions(write("n.csv", broken))
    assert found.skipped == {"malformed record": 1} and found.examples[0].negatives[0].caption == "a cat"


def test_lines_of_negatives_are_one_pair() -> None:
    lines = [{"image": "a.jpg", "caption": "a dog", "negative": told} for told in ("a cat", "a cow", "a cat")]
    found = read_captions(write("n.jsonl", "".join(json.dumps(line) + "\n" for line in lines)))
    assert [negative.caption for negative in found.examples[0].negatives] == ["a cat", "a cow"]
    assert found.read == 3 and len(found.examples) == 1 and found.skipped.total() == 2


def test_names_of_other_systems_and_lemmas_beside_tokens() -> None:
    write(unicodedata.normalize("NFD", "pics/café.jpg"), JPEG)
    assert said(write("pics/t.csv", "image,caption\ncafé.jpg,a dog\n")) == ["a dog"]
    write("f8k/Flickr8k_Dataset/Flicker8k_Dataset/a.jpg", JPEG)
    write("f8k/Flickr8k.token.txt", "a.jpg#0\tA dog runs .\n")
    write("f8k/Flickr8k.lemma.token.txt", "a.jpg#0\tA dog run .\n")
    assert said("f8k") == ["A dog runs ."]


def test_saved_data_sets_keep_their_images() -> None:
    datasets = pytest.importorskip("datasets")
    from knowclip.storage.pixels import load_pixels

    columns = {"image": ["a.jpg", "b.jpg", "a.jpg"], "caption": [["one", "two"], ["three"], ["four"]]}
    data = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
    datasets.DatasetDict({"train": data, "validation": data}).save_to_disk("two")
    data.save_to_disk("one", num_shards=2)
    assert said("two", split="val") == ["one", "two", "three", "four"] and len(said("two")) == 8
    found = read_captions("one")
    assert found.format == "huggingface" and texts("one")[0] == [e.caption for e in found.examples]
    assert [e.key.rpartition("/")[2] for e in found.examples] == ["0#0", "0#1", "1#0", "0#2"]  # a.jpg twice
    for path in ("a.jpg", "b.jpg"):
        Path(path).unlink()
    assert [load_pixels(example.image).size for example in found.examples] == [(8, 6)] * 4
    with pytest.raises(ValueError, match="two has no split 'test'; it has: train, validation"):
        said("two", split="test")
    Path("one/data-00001-of-00002.arrow").unlink()
    with pytest.raises(ValueError, match=r"one lacks data-00001-of-00002\.arrow"):
        said("one")


def test_structs_of_a_saved_data_set_are_images_by_their_bytes() -> None:
    datasets = pytest.importorskip("datasets")
    images = [{"bytes": JPEG}, {"bytes": JPEG}]
    datasets.Dataset.from_dict({"image": images, "caption": ["a dog", "a cat"]}).save_to_disk("bare")
    assert said("bare") == ["a dog", "a cat"]
    images = [{"url": "a.jpg", "size": 3}, {"url": "b.jpg", "size": 4}]
    datasets.Dataset.from_dict({"image": images, "caption": ["a dog", "a cat"]}).save_to_disk("other")
    with pytest.raises(
        ValueError, match=r"data-00000-of-00001\.arrow, column 'image' should hold images, as"
    ):
        said("other")


def test_a_data_set_by_name(monkeypatch, tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    data = datasets.Dataset.from_dict({"image": ["a.jpg"], "caption": ["a dog"]})
    data = data.cast_column("image", datasets.Image())
    Path("hub/data").mkdir(parents=True)
    data.map(lambda row: row).to_parquet("hub/data/train-00000-of-00001.parquet")
    assert said("hf-hub:hub") == said("hf-hub:hub:default", split="train") == ["a dog"]
    with pytest.raises(ValueError, match="hf-hub:nowhere cannot be loaded"):
        said("hf-hub:nowhere")
    with pytest.raises(ValueError, match=r"holds the images themselves .* hf-hub:hub/data"):
        said("hub/data/train-00000-of-00001.parquet")


@pytest.mark.parametrize(
    "nothing", ["nan", "NaN", "NULL", "None", "n/a", "<NA>", "\\N", "\u200b", " \ufeff "]
)
def test_a_placeholder_is_no_caption_and_no_negative(nothing: str) -> None:
    lines = f"image\tcaption\tneg_caption\na.jpg\t{nothing}\t\nb.jpg\tnone of the cats\t{nothing}\n"
    found = read_captions(write("c.tsv", lines))
    assert [(one.caption, one.negatives) for one in found.examples] == [("none of the cats", ())]
    assert found.skipped == {"empty caption": 1}
    assert texts("c.tsv") == (["none of the cats"], {"empty caption": 1})
    assert texts(write("c.txt", f"{nothing}\na dog\n")) == (["a dog"], {"empty caption": 1})


@pytest.mark.parametrize("name", ["c.csv", "c.jsonl", "c.json", "c.txt", "c.token.txt", "f/metadata.csv"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "Git LFS.*git lfs pull"),
        ("\n<!DOCTYPE html>\n<html>not found</html>\n", "an HTML or XML page"),
    ],
)
def test_what_stands_in_the_place_of_a_file_is_named(name: str, content: str, told: str) -> None:
    path = write(name, content)
    for reader in (read_captions, texts):
        with pytest.raises(ValueError, match=f"{path.name} is .*{told}"):
            reader(path)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("c.csv", "", "has no columns: it is empty"),
        ("c.json", "[]", "has no columns: it is empty"),
        ("c.jsonl", '[{"image": "a.jpg", "caption": "a dog"}]', "line 1 on, is a JSON object .*a .json file"),
        ("c.json", '["a dog", "a cat"]', r"first 2 records, from \[0\] on, is a JSON object"),
        ("c.csv", "image,caption\na.jpg,a dog, brown\n", "line 2; .*a field that holds it .* quotes"),
        ("c.csv", "image,caption\nhttps://x.org/a.jpg,a dog\n", "not downloaded.*images=FOLDER"),
    ],
)
def test_refusals_say_what_is_there(name: str, content: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_captions(write(name, content))


def test_json_and_tables_are_told_by_their_first_line() -> None:
    lines = '{"image": "a.jpg", "caption": "a dog"}\n{"image": "b.jpg", "caption": "a cat"}\n'
    assert texts(write("c.txt", lines)) == (["a dog", "a cat"], {})
    assert said("c.txt") == ["a dog", "a cat"]
    assert texts(write("c.txt", "id,caption\n1,a dog\n2,a cat\n")) == (["a dog", "a cat"], {})
    assert texts(write("c.txt", "dog, caption\nA cat, a dog and text\n"))[0][0] == "dog, caption"
    for content in ('[{"image": "a.jpg", "caption": "a dog"}]', '{\n "images": []\n}', "[\n {}\n]"):
        with pytest.raises(ValueError, match=r"c.txt holds JSON.* called .json"):
            texts(write("c.txt", content))


def test_a_text_belongs_to_its_image_whatever_case_its_ending_has() -> None:
    write("f/A.JPG", JPEG)
    write("f/A.TXT", "a dog")
    found = read_captions("f")
    assert ([one.caption for one in found.examples], found.skipped) == (["a dog"], {})


@pytest.mark.parametrize("make", [lambda b: write("f/b.txt", b), lambda b: shard("f/s.tar", {
    "a.jpg": JPEG, "a.txt": b"a dog", "b.jpg": JPEG, "b.txt": b})])  # fmt: skip
def test_utf16_beside_others_is_named(make) -> None:
    for name in ("a", "b"):
        write(f"f/{name}.jpg", JPEG)
    write("f/a.txt", "a dog")
    make("a cat".encode("utf-16"))
    with pytest.warns(UserWarning, match=r"b.* is not UTF-8; it is UTF-16: convert it"):
        found = read_captions("f")
    assert ([one.caption for one in found.examples], found.skipped) == (["a dog"], {"not UTF-8": 1})
