"""Structure-CLIP's choice of pairs: by what captions hold, and without the images of benchmarks."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

from knowclip.commands.select import command
from knowclip.data.captions.read import read_captions
from knowclip.data.captions.selection import select, write_table
from knowclip.types import Example, ImageRef, Negative

RICH = "A red dog chases a blue cat next to a small house."
CAPTIONS = {"a.jpg": RICH, "b.jpg": "A dog.", "c.jpg": "A dog chases a cat.", "d.jpg": "A man, a dog."}


def examples() -> list[Example]:
    return [Example(name, name, ImageRef(Path(name)), text) for name, text in CAPTIONS.items()]


def test_rich_captions_are_chosen_and_the_others_counted() -> None:
    done = []
    selection = select(examples(), objects=2, attributes=2, relations=1, progress=done.append)
    assert [example.caption for example in selection.examples] == [RICH]
    assert selection.left_out == {"fewer than 2 objects": 1, "fewer than 2 attributes": 2}
    assert done == [1, 2, 3, 4]
    assert len(select(examples(), objects=0, attributes=0, relations=0).examples) == 4


def test_table_is_read_back(tmp_path) -> None:
    for name in CAPTIONS:
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    write_table(tmp_path / "chosen.csv", examples())
    back = read_captions(tmp_path / "chosen.csv", images=tmp_path)
    assert [(e.image_id, e.caption) for e in back.examples] == list(CAPTIONS.items())


def test_a_table_elsewhere_is_read_as_it_lies(tmp_path, monkeypatch) -> None:
    """As `select` and `mine` write it: the images stay where they are, and the reader is told no folder."""
    (tmp_path / "photos/images").mkdir(parents=True)
    for name in CAPTIONS:
        Image.new("RGB", (4, 4)).save(tmp_path / "photos/images" / name)
    table = "".join(f'{name},"{caption}"\n' for name, caption in CAPTIONS.items())
    (tmp_path / "photos/captions.csv").write_text(f"image,caption\n{table}")
    monkeypatch.chdir(tmp_path)
    chosen = read_captions(Path("photos/captions.csv")).examples
    for place, names in (("chosen.csv", None), ("photos/chosen.csv", list(CAPTIONS))):
        write_table(Path(place), chosen)
        back = read_captions(place).examples
        assert [e.image.path.resolve() for e in back] == [e.image.path.resolve() for e in chosen]
        assert names is None or [e.image_id for e in back] == names


def test_own_negatives_go_with_the_captions(tmp_path) -> None:
    own = (Negative('a "red" mat, on a dog', "given"), Negative("it's", "given"))
    pairs = [replace(examples()[0], negatives=own), examples()[1]]
    for example in pairs:
        Image.new("RGB", (4, 4)).save(tmp_path / example.image_id)
    write_table(tmp_path / "chosen.csv", pairs)
    assert [e.negatives for e in read_captions(tmp_path / "chosen.csv").examples] == [own, ()]


def test_pairs_of_a_shard_are_read_back(tmp_path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("a dog")
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name in ("a.jpg", "a.txt"):
            tar.add(tmp_path / name, name)
    chosen = read_captions(tmp_path / "s.tar").examples
    write_table(tmp_path / "chosen.csv", chosen)
    assert [e.image for e in read_captions(tmp_path / "chosen.csv").examples] == [chosen[0].image]


def test_command_leaves_out_the_images_of_a_benchmark(tmp_path, capsys) -> None:
    train, held = tmp_path / "train", tmp_path / "held"
    for folder, names in ((train, range(3)), (held, [1])):
        folder.mkdir()
        for number in names:
            name = f"COCO_val2014_{number:012}" if folder == train else f"{number:012}"
            Image.new("RGB", (4, 4)).save(folder / f"{name}.jpg")
            (folder / f"{name}.txt").write_text(RICH if number < 2 else "a dog")
    (held / "captions.csv").write_text(f"image,caption,split\n{1:012}.jpg,a dog,test\n")
    command(train, tmp_path / "out.csv", None, None, 2, 2, 1, [held])
    chosen = read_captions(tmp_path / "out.csv").examples
    assert [example.image.path for example in chosen] == [train / "COCO_val2014_000000000000.jpg"]
    told = capsys.readouterr().out
    assert "50.0% of the 2 pairs" in told and "3 captions read = 1 kept + 2 skipped" in told
    assert "image of a benchmark: 1" in told
