"""Photos stand as they were held, whatever opens them."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from knowclip.models.images import open_image
from knowclip.serving import reading
from knowclip.serving.limits import Limits
from knowclip.storage.pixels import check_pixels, load_pixels
from knowclip.types import ImageRef

UPRIGHT = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
"""A photo as it was seen: 6 wide, 4 high."""

STORED = {  # EXIF 2.32, orientation: where row 0 and column 0 of what is stored lie in what was seen
    1: UPRIGHT,  # top, left
    2: UPRIGHT[:, ::-1],  # top, right
    3: UPRIGHT[::-1, ::-1],  # bottom, right
    4: UPRIGHT[::-1],  # bottom, left
    5: UPRIGHT.transpose(1, 0, 2),  # left, top
    6: UPRIGHT[:, ::-1].transpose(1, 0, 2),  # right, top: a phone held upright
    7: UPRIGHT[::-1, ::-1].transpose(1, 0, 2),  # right, bottom
    8: UPRIGHT[::-1].transpose(1, 0, 2),  # left, bottom
}


def saved(path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    options = {"lossless": True} if path.suffix == ".webp" else {}
    Image.fromarray(np.ascontiguousarray(STORED[orientation])).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("kind", ["png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_way_of_opening_a_photo_turns_it_upright(tmp_path, orientation, kind):
    path = saved(tmp_path / f"photo.{kind}", orientation)
    served = reading.open_image(path.read_bytes(), "it", limits=Limits(), shorter=4)
    with Image.open(path) as given:
        opened = [load_pixels(ImageRef(path)), open_image(str(path)), open_image(given), served]
    for pixels in opened:
        assert pixels.mode == "RGB"
        assert np.array_equal(np.asarray(pixels), UPRIGHT)


def test_a_jpeg_of_a_phone_is_turned_once(tmp_path):
    tall = Image.new("RGB", (32, 64), "blue")
    tall.paste("red", (0, 0, 32, 32))  # red above blue
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    tall.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    pixels = load_pixels(ImageRef(tmp_path / "phone.jpg"))
    again = ImageOps.exif_transpose(pixels)  # the tag is gone from what is given
    assert pixels.size == again.size == (32, 64)
    assert pixels.getpixel((16, 8))[0] > 240 and pixels.getpixel((16, 56))[2] > 240


def test_a_box_is_of_the_pixels_that_the_file_has_and_what_it_holds_is_turned(tmp_path):
    path = saved(tmp_path / "photo.png", 6)
    x, y, width, height = 1, 2, 3, 2
    part = STORED[6][y : y + height, x : x + width]
    region = np.asarray(load_pixels(ImageRef(path, (x, y, width, height))))
    assert np.array_equal(region, np.rot90(part, k=-1))


@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0\0\0\x08\0\x05", b"Exif\0\0junk", b"junk"])
def test_a_photo_whose_exif_is_broken_is_read_as_it_lies(tmp_path, exif):
    buffer = io.BytesIO()
    Image.fromarray(UPRIGHT).save(buffer, "JPEG", quality=100, exif=exif)
    (tmp_path / "photo.jpg").write_bytes(buffer.getvalue())
    check_pixels(ImageRef(tmp_path / "photo.jpg"))
    plain = Image.open(tmp_path / "photo.jpg").convert("RGB")
    assert np.array_equal(np.asarray(load_pixels(ImageRef(tmp_path / "photo.jpg"))), np.asarray(plain))


def decoded(tmp_path, size, *, enough=16, kind="jpg", box=None):
    path = tmp_path / f"photo.{kind}"
    Image.new("RGB", size, "red").save(path)
    return load_pixels(ImageRef(path, box), enough=enough)


@pytest.mark.parametrize(
    ("size", "read"),
    [
        ((160, 128), (20, 16)),
        ((64, 160), (16, 40)),
        ((36, 200), (18, 100)),  # a quarter would be too small
        ((164, 132), (41, 33)),  # an eighth would round
        ((161, 128), (161, 128)),  # so would any
        ((30, 400), (30, 400)),
    ],
)
def test_a_large_jpeg_may_be_decoded_smaller_where_both_sides_divide_evenly(tmp_path, size, read):
    assert decoded(tmp_path, size).size == read
    assert decoded(tmp_path, size, enough=None).size == size


def test_what_is_decoded_smaller_is_turned_too_and_boxes_and_other_formats_are_read_whole(tmp_path):
    lying, exif = Image.new("RGB", (320, 160), "red"), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    lying.paste("blue", (160, 0, 320, 160))
    lying.save(tmp_path / "phone.jpg", exif=exif)
    small = load_pixels(ImageRef(tmp_path / "phone.jpg"), enough=20)
    assert small.size == (20, 40)
    assert small.getpixel((10, 4))[0] > 240 and small.getpixel((10, 36))[2] > 240
    assert decoded(tmp_path, (160, 128), box=(0, 0, 80, 64)).size == (80, 64)
    assert decoded(tmp_path, (160, 128), kind="png").size == (160, 128)
