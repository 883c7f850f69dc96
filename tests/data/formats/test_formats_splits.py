"""What is raised tells whether a file has other splits or none, for those who then read all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from knowclip.data.captions.read import read_captions
from knowclip.data.formats.rows import NoSplitsError, NoSuchSplitError

FILES = {
    "a.csv": ("image,caption\na.png,a dog\n", "image,caption,split\na.png,a dog,train\n"),
    "a.jsonl": (
        '{"image": "a.png", "caption": "a dog"}',
        '{"image": "a.png", "caption": "a dog", "split": "train"}',
    ),
    "a.json": (
        json.dumps({
            "images": [{"id": 1, "file_name": "a.png"}],
            "annotations": [{"id": 1, "image_id": 1, "caption": "a dog"}],
        }),
        None,
    ),
    "a.txt": ("a dog", None),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_splits_is_told_from_one_with_others(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    without, others = FILES[name]
    path = tmp_path if name == "a.txt" else tmp_path / name
    (tmp_path / name).write_text(without)
    with pytest.raises(NoSplitsError):
        read_captions(path, split="val")
    assert len(read_captions(path).examples) == 1
    if others is not None:
        (tmp_path / name).write_text(others)
        with pytest.raises(NoSuchSplitError) as other:
            read_captions(path, split="val")
        assert not isinstance(other.value, NoSplitsError)
