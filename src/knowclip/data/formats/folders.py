"""A folder of images, each with its captions in a text of its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowclip.data.formats.rows import NO_IMAGE, NOT_UTF8, Format, Options, Row, check_split
from knowclip.storage.remote import find, is_remote, read
from knowclip.storage.text_files import IMAGE_SUFFIXES, decode, is_junk


def sidecar_rows(folder: Path, content: Any, options: Options) -> Iterator[Row]:
    """Walk a folder of images, each line of ``name.txt`` being a caption of ``name.jpg``.

    A text that is named as no image counts as a record without one.
    """
    check_split(options.split, [], folder)
    found = find(folder) if is_remote(folder) else sorted(folder.rglob("*"))
    files = [path for path in found if not is_junk(path.relative_to(folder))]
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    texts = {path.with_suffix(""): path for path in files if path.suffix.lower() == ".txt"}
    for image in images:
        name = image.relative_to(folder).as_posix()
        sidecar = texts.get(image.with_suffix(""))
        if sidecar is not None:
            yield from _captions(sidecar, name)
        else:
            yield Row(name, name, "")
    owned = {texts.get(image.with_suffix("")) for image in images}
    for path in files:
        if path.suffix.lower() == ".txt" and path not in owned:
            yield Row(path.relative_to(folder).as_posix(), None, None, fault=NO_IMAGE)


def _captions(sidecar: Path, image: str) -> Iterator[Row]:
    content = read(sidecar) if is_remote(sidecar) else sidecar.read_bytes()
    try:
        text = decode(content, sidecar)
    except ValueError:
        yield Row(sidecar.name, None, content.decode(errors="surrogateescape"), fault=NOT_UTF8)
        return
    for number, line in enumerate(text.rstrip("\n").split("\n"), start=1):
        yield Row(f"{sidecar.name}, line {number}", image, line)


FOLDER = Format(
    name="folder",
    told="a folder without a captions file: a line of `name.txt` is a caption of `name.jpg`",
    samples={
        "write.py": "from pathlib import Path\n"
        'Path("a.txt").write_text("A dog runs.\\nA brown dog.\\n")\n'
        'Path("b.txt").write_text("A cat sleeps.\\n")\n'
    },
    read=sidecar_rows,
    separate=True,
)
