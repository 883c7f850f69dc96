"""What documents hold, for the tests that run it: fenced blocks and command lines."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import knowclip
from knowclip.cli import build_app
from knowclip.evaluation.benchmarks import sugarcrepe

ROOT = Path(knowclip.__file__).parents[2]
DOCUMENTS = [
    path
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "NOTICE.md", "SECURITY.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
    )
    if path.is_file()
]
"""Every page that people read; none where knowclip was installed from a wheel."""
SHELLS = ("sh", "bash")


def fenced(page: Path) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a page in order: language and text."""
    yield from re.findall(
        r"^ *```(\w+)\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def blocks(pages: Iterable[Path], language: str) -> Iterator[str]:
    """The fenced blocks of a language, over all pages."""
    for page in pages:
        yield from (text for known, text in fenced(page) if known == language)


def lines(block: str) -> Iterator[str]:
    """The command lines of a block of shell: comments off, those that go on put together."""
    for line in block.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield shlex.join(words)


def commands(pages: Iterable[Path]) -> list[str]:
    """Every command line that begins with ``knowclip``, in blocks and in backticks."""
    found = []
    for page in pages:
        inline = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
        shell = (line for language, text in fenced(page) if language in SHELLS for line in lines(text))
        found += [line for line in (*inline, *shell) if line.startswith("knowclip ")]
    return found


def run(line: str) -> None:
    """Run one command line that begins with ``knowclip``, which has to end well."""
    ended = build_app()(shlex.split(line)[1:], standalone_mode=False)
    assert not ended, f"{line} ended with {ended}"


def write_photos(folder: Path, table: str) -> None:
    """A captions table and its images, of noise, below a folder; and ``photo.jpg``."""
    (folder / "photos").mkdir(exist_ok=True)
    (folder / "captions.csv").write_text(table, encoding="utf-8")
    for number, line in enumerate(table.splitlines()[1:]):
        noise = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / line.partition(",")[0])
    Image.new("RGB", (64, 48), (200, 30, 30)).save(folder / "photo.jpg")


def write_sugarcrepe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SugarCrepe in its layout, a record a file; the real one has its count checked."""
    record = {"filename": "1.jpg", "caption": "A dog sleeps.", "negative_caption": "A dog barks."}
    (folder / "sugarcrepe").mkdir(parents=True)
    (folder / "coco/val2017").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(folder / "coco/val2017/1.jpg")
    for name in sugarcrepe.SPLITS:
        (folder / f"sugarcrepe/{name}.json").write_text(json.dumps({"0": record}))
    card = dataclasses.replace(sugarcrepe.SUGARCREPE, n=len(sugarcrepe.SPLITS))
    monkeypatch.setattr(sugarcrepe, "SUGARCREPE", card)
