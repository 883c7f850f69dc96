"""Pairs at URLs are those of the same files here; ``s3://`` on a server that stands in for it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import fsspec
import numpy as np
import pytest
import webdataset
from test_shards import picture
from torch.utils.data import DataLoader

from bucket import bucket
from knowclip.data.captions.dataset import CaptionDataset
from knowclip.data.captions.read import CaptionSet, read_captions
from knowclip.data.captions.sampler import GlobalBatchSampler
from knowclip.data.images.decoding import ImageDecoder
from knowclip.storage.copies import ShardCopies
from knowclip.storage.pixels import load_pixels


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_shards(folder: Path, *, shards: int = 4, pairs: int = 5) -> Path:
    """As img2dataset writes them: tar files, each with a table and its counts beside it."""
    folder.mkdir()
    for shard in range(shards):
        name = f"{shard:05d}"
        with webdataset.TarWriter(str(folder / f"{name}.tar")) as writer:
            for number in range(pairs):
                key = f"{name}{number:04d}"
                about = {"caption": f"picture {key}", "url": f"http://host/{key}", "status": "success"}
                image = picture(20 * shard + number, "png")
                writer.write({"__key__": key, "png": image, "txt": f"picture {key}", "json": about})
        (folder / f"{name}_stats.json").write_text('{"count": 5}')
        (folder / f"{name}.parquet").write_bytes(b"a table of img2dataset's")
    return folder


def write_folder(folder: Path) -> Path:
    """As img2dataset writes files: folders of them, each image with its text and what was known of it."""
    for shard in ("00000", "00001"):
        (folder / shard).mkdir(parents=True)
        for number in range(2):
            stem = folder / shard / f"{shard}{number:04d}"
            stem.with_suffix(".png").write_bytes(picture(number, "png"))
            stem.with_suffix(".txt").write_text(f"picture {stem.name}")
            stem.with_suffix(".json").write_text('{"status": "success"}')
        (folder / f"{shard}.parquet").write_bytes(b"a table of img2dataset's")
    return folder


def uploaded(folder: Path, url: str) -> Path:
    fs, name = fsspec.core.url_to_fs(url)
    fs.put(str(folder), name, recursive=True)
    return Path(url)


def same_pairs(here: CaptionSet, there: CaptionSet) -> bool:
    keys = [[(e.key, e.image_id, e.caption) for e in one.examples] for one in (here, there)]
    pixels = [[np.asarray(load_pixels(e.image)).tobytes() for e in one.examples] for one in (here, there)]
    return keys[0] == keys[1] and pixels[0] == pixels[1] and here.format == there.format


@pytest.mark.parametrize("write", [write_shards, write_folder])
def test_a_url_is_read_as_the_same_files_are(write, tmp_path: Path) -> None:
    url = f"memory://{hashlib.md5(str(tmp_path).encode()).hexdigest()}/data"
    here = read_captions(write(tmp_path / "data"))
    there = read_captions(uploaded(tmp_path / "data", url))
    assert same_pairs(here, there) and len(here.examples) in (20, 4) and not here.skipped
    if write is write_shards:
        assert same_pairs(read_captions(tmp_path / "data/00001.tar"), read_captions(Path(url) / "00001.tar"))
        with pytest.raises(ValueError, match="'csv' is not: copy its files"):
            read_captions(Path(url), format="csv")
    with pytest.raises(ValueError, match=r"memory://.*/none does not exist"):
        read_captions(Path(url).parent / "none")


def batches(found: CaptionSet, opener, *, skip: int = 0, workers: int = 0, epoch: int = 1) -> list[list]:
    """Keys and pixels of the batches of an epoch that goes through two shards at a time."""
    refs = [example.image for example in found.examples]
    decoder = ImageDecoder(refs, lambda image: np.asarray(image), opener)
    dataset = CaptionDataset(found.examples, load_image=decoder)
    shards = [int(example.image.path.parent.stem) for example in found.examples]
    sampler = GlobalBatchSampler(len(refs), batch_size=3, seed=7, shards=shards, window=2)
    sampler.set_epoch(epoch)
    sampler.skip(skip)
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=list, num_workers=workers)
    return [[(item.example.key, item.image.tobytes()) for item in batch] for batch in loader]


@pytest.mark.slow
def test_s3_streams_and_goes_on_inside_an_epoch(tmp_path: Path, monkeypatch) -> None:
    """Shards of a bucket give the batches of local ones, from the first on or from where a run stopped."""
    with bucket(monkeypatch) as url:
        local = write_shards(tmp_path / "data")
        here = read_captions(local)
        there = read_captions(uploaded(local, f"{url}/data"))
        assert same_pairs(here, there)
        whole = batches(here, ShardCopies(tmp_path / "unused", most=4))
        assert not (tmp_path / "unused").exists()
        copies = ShardCopies(tmp_path / "copies", most=2)
        assert batches(there, copies, workers=1) == whole
        assert 0 < len(list((tmp_path / "copies").glob("copy-*.tar"))) <= 2
        assert batches(there, copies, skip=4) == whole[4:]
