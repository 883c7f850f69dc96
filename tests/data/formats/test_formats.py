"""One front door: what the formats read, what they tell apart, and that the docs say so."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from knowclip.commands.data import list_formats
from knowclip.console.counts import read_line
from knowclip.data.captions.read import CaptionSet, read_captions, repeated
from knowclip.data.formats.registry import CODE, FORMATS, NAMES
from knowclip.knowledge.parsing.caption_texts import Text, read_texts
from knowclip.recipe.data import CAPTION_FORMATS

PAGE = Path(__file__).parents[3] / "docs" / "captions.md"
SAMPLES = [(each.name, file, text) for each in FORMATS for file, text in each.samples.items()]


def pictures(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (40 * number % 250, 100, 200)).save(folder / name)


def texts(path: Path, **options: str) -> tuple[list[Text], Counter[str]]:
    skipped: Counter[str] = Counter()
    return list(read_texts(path, skipped=skipped, **options)), skipped


def write(folder: Path, file: str, sample: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a sample, or the folder that its code wrote."""
    if file != CODE:
        (folder / file).write_text(sample, encoding="utf-8")
        return folder / file
    monkeypatch.chdir(folder)
    before = set(folder.iterdir())
    exec(sample, {})
    made = [path for path in folder.iterdir() if path not in before and path.suffix != ".txt"]
    return made[0] if made else folder


@pytest.mark.parametrize(("name", "file", "sample"), SAMPLES, ids=[f"{n}-{f}" for n, f, _ in SAMPLES])
def test_every_sample_is_on_the_page_and_is_read_by_its_reader(
    tmp_path, monkeypatch, name, file, sample
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    section = page.partition(f"## `{name}`")[2].partition("\n## ")[0]
    assert sample.rstrip("\n") in section and sample in list_formats().replace("\n    ", "\n") + "\n"
    assert 2 <= len(sample.rstrip("\n").split("\n")) <= 4
    pictures(tmp_path, "a.jpg", "b.jpg")
    path = write(tmp_path, file, sample, monkeypatch)
    found, skipped = texts(path)
    assert not skipped and 1 <= len(found) <= 3 and all(text.caption[0].isalpha() for text in found)
    if name == "text":
        with pytest.raises(ValueError, match=r"words.txt is read as 'text'.*without images"):
            read_captions(path)
        return
    pairs = read_captions(path)
    assert pairs.format == name and not pairs.skipped
    assert [(e.key, e.caption) for e in pairs.examples] == [(t.key, t.caption) for t in found]
    assert all(example.image_id == text.image for example, text in zip(pairs.examples, found, strict=True))
    assert {e.image.path.stem for e in pairs.examples} <= {"a", "b", "0", "1"}


def test_recipes_name_the_formats_with_images() -> None:
    assert set(CAPTION_FORMATS) == set(NAMES) - {"text"}


N = 300


def rows() -> list[tuple[str, bytes]]:
    """Good records, and one each without its image, without a caption, in Latin-1 and said before."""
    good = [(f"{number}.jpg", f"a dog {number}".encode()) for number in range(N)]
    return [
        *good, ("gone.jpg", b"a dog"), ("0.jpg", b"  "), ("1.jpg", b"caf\xe9"), ("2.jpg", b"a dog 2"),
    ]  # fmt: skip


def as_csv(folder: Path) -> tuple[Path, int]:
    lines = [b"image,caption", *(name.encode() + b"," + text for name, text in rows()), b"3.jpg"]
    (folder / "t.csv").write_bytes(b"\n".join(lines) + b"\n")
    return folder / "t.csv", len(lines) - 1


def as_tokens(folder: Path) -> tuple[Path, int]:
    lines = [*(name.encode() + b"#0\t" + text for name, text in rows()), b"3.jpg"]
    (folder / "t.token.txt").write_bytes(b"\n".join(lines) + b"\n")
    return folder / "t.token.txt", len(lines)


def as_jsonl(folder: Path) -> tuple[Path, int]:
    lines = [b'{"image": "%s", "caption": "%s"}' % (name.encode(), text) for name, text in rows()]
    (folder / "t.jsonl").write_bytes(b"\n".join([*lines, b'{"image": "3.jpg"']) + b"\n")
    return folder / "t.jsonl", len(lines) + 1


def as_metadata(folder: Path) -> tuple[Path, int]:
    lines = [b"file_name,text", *(name.encode() + b"," + text for name, text in rows()), b"3.jpg"]
    (folder / "metadata.csv").write_bytes(b"\n".join(lines) + b"\n")
    return folder / "metadata.csv", len(lines) - 1


def decoded() -> list[tuple[str, str | None]]:
    return [(name, text.decode("utf-8", "surrogateescape")) for name, text in rows()] + [("3.jpg", None)]


def as_list(folder: Path) -> tuple[Path, int]:
    records = [{"image": name, "caption": text} for name, text in decoded()]
    (folder / "pairs_train.json").write_text(json.dumps(records))
    return folder / "pairs_train.json", len(records)


def as_coco(folder: Path) -> tuple[Path, int]:
    names = list(dict.fromkeys(name for name, _ in decoded()))
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    said = [{"image_id": names.index(name), "caption": text} for name, text in decoded()]
    (folder / "captions_val.json").write_text(json.dumps({"images": images, "annotations": said}))
    return folder / "captions_val.json", len(said)


def as_karpathy(folder: Path) -> tuple[Path, int]:
    images = [{"filename": name, "sentences": [{"raw": text}]} for name, text in decoded()]
    (folder / "dataset_x.json").write_text(json.dumps({"images": images}))
    return folder / "dataset_x.json", len(images)


def as_parquet(folder: Path) -> tuple[Path, int]:
    import pyarrow as pa
    import pyarrow.parquet

    told = [(name, text) for name, text in decoded() if text is None or text.isascii()]
    table = pa.table({"image": [name for name, _ in told], "caption": [text for _, text in told]})
    pa.parquet.write_table(table, folder / "t.parquet")
    return folder / "t.parquet", len(told)


def as_sidecars(folder: Path) -> tuple[Path, int]:
    for number, (name, text) in enumerate(rows()):
        stem = name.removesuffix(".jpg") if number < N or name == "gone.jpg" else f"other{number}"
        (folder / f"{stem}.txt").write_bytes(text)
        if number >= N and name != "gone.jpg":
            pictures(folder, f"{stem}.jpg")
    return folder, len(rows())


def as_shard(folder: Path) -> tuple[Path, int]:
    picture = (folder / "0.jpg").read_bytes()
    with tarfile.open(folder / "t.tar", "w") as tar:

        def add(name: str, content: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

        for number, (name, text) in enumerate(rows()):
            if name != "gone.jpg":
                add(f"{number}.jpg", picture)
            add(f"{number}.txt", text)
        add("0.jpg", picture)
        add("broken.jpg", picture)
        add("broken.json", b"{")
    return folder / "t.tar", len(rows()) + 2


def as_dataset(folder: Path) -> tuple[Path, int]:
    datasets = pytest.importorskip("datasets")
    told = [(name, text) for name, text in decoded() if text is None or text.isascii()]
    columns = {"image": [name for name, _ in told], "caption": [text for _, text in told]}
    datasets.Dataset.from_dict(columns).save_to_disk(folder / "saved")
    return folder / "saved", len(told)


def as_lines(folder: Path) -> tuple[Path, int]:
    (folder / "t.txt").write_bytes(b"\n".join(text for _, text in rows()) + b"\n")
    return folder / "t.txt", len(rows())


MAKERS: dict[str, Callable[[Path], tuple[Path, int]]] = {
    "coco": as_coco, "karpathy": as_karpathy, "flickr8k": as_tokens, "csv": as_csv, "lavis": as_list,
    "imagefolder": as_metadata, "jsonl": as_jsonl, "parquet": as_parquet, "folder": as_sidecars,
    "webdataset": as_shard, "huggingface": as_dataset, "text": as_lines,
}  # fmt: skip


SHORT = Counter({"image not found": 1, "row of another length than the header": 1})
FAULTS = {
    "csv": SHORT,
    "imagefolder": SHORT,
    "folder": Counter({"caption file without an image": 1}),  # a text beside an image is never malformed
    "webdataset": Counter({"malformed record": 2, "member that a later one of its name replaces": 1}),
}
"""What becomes of a missing image and a broken record where it is not the same as elsewhere."""


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    picture = io.BytesIO()
    Image.new("RGB", (2, 2)).save(picture, "JPEG")
    for number in range(N):
        (folder / f"{number}.jpg").write_bytes(picture.getvalue())
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_kept_and_skipped_add_up_to_what_the_file_holds(tmp_path, images, name, monkeypatch) -> None:
    """A record of each fault in one file: missing image, empty, not UTF-8, malformed, twice the same."""
    for path in images.iterdir():
        (tmp_path / path.name).hardlink_to(path)
    path, records = MAKERS[name](tmp_path)
    found, skipped = texts(path)
    assert len(found) + skipped.total() == records and skipped["empty caption"] == 1
    bytes_kept = name not in ("parquet", "huggingface")  # Arrow holds nothing but UTF-8
    assert skipped["not UTF-8"] == bytes_kept
    if name == "text":
        return
    pairs: CaptionSet = read_captions(path)
    assert pairs.read == records == len(pairs.examples) + pairs.skipped.total()
    others = FAULTS.get(name, Counter({"image not found": 1, "malformed record": 1}))
    assert pairs.skipped == others + Counter({"empty caption": 1, "not UTF-8": int(bytes_kept)})
    assert repeated(pairs.examples) == (name not in ("folder", "webdataset"))
    line = read_line(len(pairs.examples), pairs.skipped, repeated=repeated(pairs.examples))
    numbers = [int(part.replace(",", "")) for part in re.findall(r"[\d,]+(?= captions| kept| skipped)", line)]
    assert numbers[0] == records == numbers[1] + numbers[2]
