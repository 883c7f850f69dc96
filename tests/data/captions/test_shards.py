"""WebDataset shards, as the webdataset package writes them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from knowclip.data.captions.read import read_captions
from knowclip.storage.pixels import load_pixels


def picture(number: int, format: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 6, 3), number, np.uint8)).save(buffer, format)
    return buffer.getvalue()


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two shards of three samples: captions in .txt, in .json, and one sample without an image."""
    for shard in range(2):
        with webdataset.TarWriter(str(tmp_path / f"part-{shard}.tar")) as writer:
            for number in range(3):
                key = f"{shard}{number:04}"
                caption = {"txt": f"picture {key}"} if shard == 0 else {"json": {"caption": f"picture {key}"}}
                writer.write({"__key__": key, "png": picture(10 * shard + number, "png"), **caption})
    return tmp_path


def test_shards_of_a_folder_are_pairs(shards) -> None:
    found = read_captions(shards)
    assert found.format == "webdataset" and not found.skipped
    assert [example.caption for example in found.examples] == [
        f"picture {shard}{number:04}" for shard in range(2) for number in range(3)
    ]
    assert found.examples[4].key == "part-1.tar/10001.png#0"
    for number, example in enumerate(found.examples):
        pixels = np.asarray(load_pixels(example.image))
        assert pixels.shape == (4, 6, 3) and (pixels == 10 * (number // 3) + number % 3).all()


def test_one_shard_and_no_split(shards) -> None:
    assert len(read_captions(shards / "part-0.tar").examples) == 3
    with pytest.raises(ValueError, match="has no split 'val'"):
        read_captions(shards, format="webdataset", split="val")


def test_sample_without_image_or_caption(tmp_path) -> None:
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        for number in range(200):
            writer.write({"__key__": f"{number:04}", "jpg": picture(number, "jpeg"), "txt": "a picture"})
        writer.write({"__key__": "bare", "txt": "no picture"})
        writer.write({"__key__": "dumb", "jpg": picture(1, "jpeg")})
    found = read_captions(tmp_path / "a.tar")
    assert len(found.examples) == 200
    assert found.skipped == {"malformed record": 1, "empty caption": 1}


def test_shard_cut_short_and_member_missing(shards) -> None:
    whole = (shards / "part-0.tar").read_bytes()
    (shards / "part-0.tar").write_bytes(whole[: 512 + 100])
    with pytest.raises(ValueError, match=r"part-0\.tar is not a whole, uncompressed tar"):
        read_captions(shards)
    example = read_captions(shards / "part-1.tar").examples[0]
    import dataclasses

    gone = dataclasses.replace(example.image, path=shards / "part-1.tar" / "nothing.png")
    with pytest.raises(ValueError, match=r"part-1\.tar/nothing\.png does not exist"):
        load_pixels(gone)
