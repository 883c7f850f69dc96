from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import nn
from torchvision import transforms

from knowclip.data.images.cache import PixelCache, TrunkCache
from knowclip.data.images.decoding import ImageDecoder, SplitPreprocess, fingerprint, prepared
from knowclip.storage.pixels import load_pixels
from knowclip.types import ImageRef


def preprocess(**options):
    return image_transform_v2(PreprocessCfg(**{"size": 24, **options}), is_train=False)


def noise(folder: Path, count: int, sizes=((40, 31), (25, 60), (24, 24))) -> list[ImageRef]:
    rng = np.random.default_rng(1)
    refs = []
    for i in range(count):
        width, height = sizes[i % len(sizes)]
        path = folder / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        refs.append(ImageRef(path))
    return refs


def build(refs, folder, **options) -> PixelCache:
    return PixelCache.build(refs, **{"preprocess": preprocess(), "folder": folder, **options})


def test_load_pixels_converts_and_crops(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(path)  # greyscale, 4 wide and 3 high
    whole = np.asarray(load_pixels(ImageRef(path)))
    assert whole.shape == (3, 4, 3) and (whole[1, 2] == 6).all()
    crop = np.asarray(load_pixels(ImageRef(path, (1, 1, 2, 2))))
    assert crop[..., 0].tolist() == [[5, 6], [9, 10]]
    beyond = np.asarray(load_pixels(ImageRef(path, (3, 2, 2, 2))))
    assert beyond[..., 0].tolist() == [[11, 0], [0, 0]]


@pytest.mark.parametrize("box", [(4, 0, 2, 2), (0, 3, 2, 2), (0, 0, 0, 2), (-2, 0, 2, 2)])
def test_box_that_shows_nothing(tmp_path, box):
    path = tmp_path / "x.png"
    Image.new("RGB", (4, 3)).save(path)
    with pytest.raises(ValueError, match=r"x.png is 4x3 pixels: the box"):
        load_pixels(ImageRef(path, box))


@pytest.mark.parametrize("kind", ["missing", "empty", "truncated jpeg", "truncated png", "text", "folder"])
def test_unreadable_images_are_named(tmp_path, kind):
    path = tmp_path / "broken.img"
    suffix = "JPEG" if "jpeg" in kind else "PNG"
    Image.effect_noise((64, 64), 80).save(path, format=suffix)
    data = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes({"empty": b"", "text": b"no image"}.get(kind, data[: len(data) // 2]))
    with pytest.raises(ValueError, match=r"broken.img (does not exist|cannot be decoded)"):
        load_pixels(ImageRef(path))


@pytest.mark.parametrize(
    "options", [{}, {"resize_mode": "longest", "fill_color": 9}, {"resize_mode": "squash"}]
)
def test_cached_pixels_equal_the_preprocess(tmp_path, options):
    refs = noise(tmp_path, 9)
    cache = build(refs, tmp_path / "cache", preprocess=preprocess(**options))
    load = cache.loader(refs)
    batch = torch.stack([load(i) for i in range(9)])
    assert batch.dtype == torch.uint8 and batch.shape == (9, 3, 24, 24)
    decoder = ImageDecoder(refs, preprocess(**options))
    expected = torch.stack([decoder(i) for i in range(9)])
    assert torch.equal(cache.normalize(batch), expected)


def test_cached_pixels_equal_a_preprocess_that_resizes_tensors_to_rounding(tmp_path):
    steps = [
        transforms.ToTensor(),
        transforms.Resize((24, 24)),
        transforms.Normalize((0.5,) * 3, (0.25,) * 3),
    ]
    whole = transforms.Compose(steps)
    refs = noise(tmp_path, 3)
    cache = build(refs, tmp_path / "cache", preprocess=whole)
    got = cache.normalize(torch.stack([cache.loader(refs)(i) for i in range(3)]))
    expected = torch.stack([whole(load_pixels(ref)) for ref in refs])
    assert (got - expected).abs().max() <= 0.5 / 255 / 0.25 + 1e-6


def test_rows_are_shared_by_equal_images_and_follow_the_asked_order(tmp_path):
    a, b, c = noise(tmp_path, 3)
    cache = build([a, b, a, c, a], tmp_path / "cache")
    (rows,) = cache.path.glob("*/rows.npy")
    assert np.load(rows).shape == (3, 3, 24, 24)
    load = cache.loader([c, a, c])
    expected = SplitPreprocess.of(preprocess()).pixels(load_pixels(c))
    assert torch.equal(load(0), expected) and torch.equal(load(2), expected)
    assert not torch.equal(load(1), expected)


def test_boxes_of_one_file_are_different_images(tmp_path):
    (ref,) = noise(tmp_path, 1)
    left, right = ImageRef(ref.path, (0, 0, 20, 31)), ImageRef(ref.path, (20, 0, 20, 31))
    load = build([left, right], tmp_path / "cache").loader([left, right])
    assert not torch.equal(load(0), load(1))


def test_second_build_reads_what_the_first_wrote(tmp_path, monkeypatch):
    refs = noise(tmp_path, 4)
    first = build(refs, tmp_path / "cache")
    monkeypatch.setattr(
        "knowclip.data.images.cache.prepared", lambda ref, transform: pytest.fail("decoded again")
    )
    second = build(refs, tmp_path / "cache")
    assert second.path == first.path
    assert torch.equal(second.loader(refs)(3), first.loader(refs)(3))


def test_an_image_is_read_once_whatever_lists_it_stands_in(tmp_path, monkeypatch):
    refs, read = noise(tmp_path, 6), []

    def told(ref: ImageRef, transform):
        read.append(ref)
        return prepared(ref, transform)

    monkeypatch.setattr("knowclip.data.images.cache.prepared", told)
    for part, news in (
        (refs[:4], refs[:4]),
        (refs[:2], []),  # a split of them
        ([*refs[3:5], refs[0]], [refs[4]]),  # one more photo, in another order
        ([ImageRef(refs[0].path, (0, 0, 9, 9)), *refs[1:]], [ImageRef(refs[0].path, (0, 0, 9, 9)), refs[5]]),
    ):
        read.clear()
        cache = build(part, tmp_path / "cache")
        assert sorted(map(repr, read)) == sorted(map(repr, news))
        load = cache.loader(part)
        expected = [SplitPreprocess.of(preprocess()).pixels(load_pixels(ref)) for ref in part]
        assert torch.equal(torch.stack([load(i) for i in range(len(part))]), torch.stack(expected))
    os.utime(refs[0].path, ns=(1, 1))
    read.clear()
    build(refs, tmp_path / "cache")
    assert read == [refs[0]]


def test_a_long_list_is_kept_part_by_part(tmp_path, monkeypatch):
    monkeypatch.setattr("knowclip.data.images.cache._PART", 2)
    refs, told = noise(tmp_path, 5), []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(refs, tmp_path / "cache", progress=stop)
    build(refs, tmp_path / "cache", progress=lambda *counts: told.append(counts))
    assert told == [(2, 5), (4, 5), (4, 5), (5, 5)]  # the part that was interrupted is made again
    load = build(refs, tmp_path / "cache").loader(refs)
    assert torch.equal(load(4), SplitPreprocess.of(preprocess()).pixels(load_pixels(refs[4])))


def test_key_covers_the_preprocess(tmp_path):
    refs = noise(tmp_path, 3)
    paths = {build(refs, tmp_path / "cache").path}
    for options in (
        {"size": 25},
        {"resize_mode": "longest"},
        {"interpolation": "bilinear"},
        {"mean": (0, 0, 0)},
    ):
        paths.add(build(refs, tmp_path / "cache", preprocess=preprocess(**options)).path)
    assert len(paths) == 5


def test_fill_colour_is_seen_by_the_fingerprint():
    longest = [fingerprint(preprocess(resize_mode="longest", fill_color=fill)) for fill in (0, 9, 9)]
    assert longest[0] != longest[1] == longest[2]


def test_random_preprocess_is_refused(tmp_path):
    random = transforms.Compose(
        [transforms.RandomCrop(24), transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
    )
    with pytest.raises(ValueError, match="the preprocess is random"):
        build(noise(tmp_path, 1), tmp_path / "cache", preprocess=random)


def test_preprocess_that_does_not_end_in_normalize_is_refused():
    with pytest.raises(ValueError, match=r"got Compose ending in ToTensor"):
        SplitPreprocess.of(transforms.Compose([transforms.ToTensor()]))
    with pytest.raises(ValueError, match="got function"):
        SplitPreprocess.of(lambda image: image)


def test_few_unreadable_images_are_named_and_masked(tmp_path):
    refs = noise(tmp_path, 200, sizes=((24, 24),))
    refs[77].path.write_bytes(b"no image")
    cache = build(refs, tmp_path / "cache")
    assert [i for i, usable in enumerate(cache.usable(refs)) if not usable] == [77]
    assert list(cache.unreadable) == [refs[77]] and "77.png cannot be decoded" in cache.unreadable[refs[77]]
    with pytest.raises(ValueError, match=r"no row for .*77.png.*cannot be decoded"):
        cache.loader(refs)
    good = [ref for ref, usable in zip(refs, cache.usable(refs), strict=True) if usable]
    expected = SplitPreprocess.of(preprocess()).pixels(load_pixels(refs[78]))
    assert torch.equal(cache.loader(good)(77), expected)
    again = build(refs, tmp_path / "cache")
    assert again.unreadable == cache.unreadable


def test_an_unreadable_image_is_named_as_this_run_names_it(tmp_path, monkeypatch):
    """The cache may be of a run in another folder, to which the image had another path."""
    for folder in ("album", "deep"):
        (tmp_path / folder).mkdir()
    noise(tmp_path / "album", 2)[1].path.write_bytes(b"no image")
    for folder, album in ((tmp_path, "album"), (tmp_path / "deep", "../album"), (tmp_path, "album")):
        monkeypatch.chdir(folder)
        refs = [ImageRef(Path(album) / name) for name in ("0.png", "1.png")]
        cache = build(refs, tmp_path / "cache", tolerated=0.5)
        assert cache.unreadable == {
            refs[1]: f"image {refs[1].path} cannot be decoded: it is no image of a known format"
        }
    assert len([*(tmp_path / "cache").glob("*/*/rows.npy")]) == 1


def test_many_unreadable_images_are_refused_and_what_was_read_is_kept(tmp_path, monkeypatch):
    refs = noise(tmp_path, 50)
    refs[3].path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1 of 50 images are unreadable, more than 1%: image .*3.png"):
        build(refs, tmp_path / "cache")
    with pytest.raises(ValueError, match=r"1 of 50 images are unreadable, more than 1% of the 60 that were"):
        build(refs, tmp_path / "cache", of=60)
    monkeypatch.setattr(
        "knowclip.data.images.cache.prepared", lambda ref, transform: pytest.fail("decoded again")
    )
    assert list(build(refs, tmp_path / "cache", tolerated=0.02).unreadable) == [refs[3]]
    assert list(build(refs, tmp_path / "cache", of=100).unreadable) == [refs[3]]


def test_interrupted_build_leaves_no_cache(tmp_path):
    refs = noise(tmp_path, 5)

    def stop(done: int, total: int) -> None:
        assert (done, total) == (5, 5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(refs, tmp_path / "cache", progress=stop)
    assert list((tmp_path / "cache").glob("*/*")) == []
    assert build(refs, tmp_path / "cache").usable(refs) == [True] * 5


def test_full_disk_is_an_error_not_a_crash(tmp_path, monkeypatch):
    refs = noise(tmp_path, 5)
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    monkeypatch.setattr(
        "builtins.open", lambda path, mode: os.fdopen(os.open("/dev/full", os.O_WRONLY), mode)
    )
    with pytest.raises(OSError, match="No space left"):
        build(refs, tmp_path / "cache")


def test_loader_works_in_another_process(tmp_path):
    refs = noise(tmp_path, 4)
    load = build(refs, tmp_path / "cache").loader(refs)
    data = pickle.dumps(load)
    assert len(data) < 2000  # the path travels, not the rows
    assert torch.equal(pickle.loads(data)(2), load(2))


class Trunk(nn.Module):
    def __init__(self, seed: int = 0, scale: float = 1.0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(5, 3, 8, 8, generator=generator) * scale)
        self.norm = nn.BatchNorm2d(5)
        self.calls = 0
        self.eval()

    def forward(self, images):
        self.calls += 1
        return self.norm(nn.functional.conv2d(images, self.weight, stride=8))


def build_trunk(refs, folder, trunk, **options) -> TrunkCache:
    return TrunkCache.build(
        refs, **{"trunk": trunk, "module": trunk, "preprocess": preprocess(), "folder": folder, **options}
    )


def test_trunk_cache_equals_the_trunk(tmp_path):
    refs, trunk = noise(tmp_path, 10), Trunk()
    cache = build_trunk(refs, tmp_path / "cache", trunk, batch_size=4)
    load = cache.loader(refs)
    got = torch.stack([load(i) for i in range(10)])
    expected = trunk(torch.stack([preprocess()(load_pixels(ref)) for ref in refs])).detach()
    assert got.dtype == torch.float16 and got.shape == (10, 5, 3, 3)
    torch.testing.assert_close(got.float(), expected, rtol=1e-3, atol=1e-3)  # float16 rows


def test_trunk_cache_is_keyed_by_weights(tmp_path):
    refs = noise(tmp_path, 3)
    first = build_trunk(refs, tmp_path / "cache", Trunk(seed=0))
    same = Trunk(seed=0)
    assert build_trunk(refs, tmp_path / "cache", same).path == first.path
    assert same.calls == 1  # the probe alone
    assert build_trunk(refs, tmp_path / "cache", Trunk(seed=1)).path != first.path
    moved = Trunk(seed=0)
    moved.norm.running_mean += 1
    assert build_trunk(refs, tmp_path / "cache", moved).path != first.path


def test_trunk_must_be_in_eval_mode_and_finite(tmp_path):
    refs = noise(tmp_path, 3)
    with pytest.raises(ValueError, match="eval mode"):
        build_trunk(refs, tmp_path / "cache", Trunk().train())
    with pytest.raises(ValueError, match="not finite in float16"):
        build_trunk(refs, tmp_path / "cache", Trunk(scale=1e6))


def test_trunk_cache_masks_unreadable_images(tmp_path):
    refs, trunk = noise(tmp_path, 120), Trunk()
    refs[5].path.write_bytes(b"no image")
    cache = build_trunk(refs, tmp_path / "cache", trunk, batch_size=50)
    assert cache.usable(refs).count(False) == 1
    load = cache.loader(refs[6:])
    expected = trunk(preprocess()(load_pixels(refs[7]))[None])[0].detach()
    torch.testing.assert_close(load(1).float(), expected, rtol=1e-3, atol=1e-3)  # float16 rows


@pytest.mark.conformance
def test_genuine_photos(real_data, tmp_path):
    refs = [ImageRef(path) for path in sorted((real_data / "coco" / "val2017").iterdir())]
    assert len(refs) == 112
    cache = build(refs, tmp_path, preprocess=preprocess(size=64))
    assert all(cache.usable(refs))
    load, decode = cache.loader(refs), ImageDecoder(refs, preprocess(size=64))
    for i in range(0, 112, 7):
        assert torch.equal(cache.normalize(load(i)[None])[0], decode(i))


def test_an_image_that_nothing_is_left_of_is_named_with_and_without_a_cache(tmp_path):
    refs = noise(tmp_path, 120)
    Image.new("RGB", (4000, 1)).save(refs[7].path)
    narrow = preprocess(resize_mode="longest")
    told = r"image .*7\.png of 4000x1 pixels cannot be prepared: "
    with pytest.raises(ValueError, match=told):
        ImageDecoder(refs, narrow)(7)
    cache = PixelCache.build(refs, preprocess=narrow, folder=tmp_path / "cache", tolerated=0.01)
    assert list(cache.unreadable) == [refs[7]] and re.match(told, cache.unreadable[refs[7]])
