"""A request's bytes -> what it asks for: JSON or a form, texts within their limits, images decoded.

No path that a client names is ever opened: images come as bytes, by upload or in base64.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from io import BytesIO
from typing import TypeVar

from fastapi import Request
from PIL import Image
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from knowclip.serving.limits import Limits, RefusedError
from knowclip.serving.schemas import IMAGES, Asked, takes_several
from knowclip.storage.pixels import upright

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""Of images, as Pillow calls them: of its others, some start programs of their own."""
JSON, FORM = "application/json", "multipart/form-data"
_FORM_VALUES = 16
"""Fields of a form beside its texts."""

Request_ = TypeVar("Request_", bound=Asked)


async def read(request: Request, model: type[Request_], limits: Limits) -> tuple[Request_, list[bytes], str]:
    """What is asked, its images as bytes, and the field that these came in.

    Raises:
        RefusedError: 400 for what cannot be read, 415 for another media type, 422 for other fields or values,
            413 for too many images.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        body = await request.body()
        asked = await run_in_threadpool(_of_json, model, body)
        encoded, field = asked.encoded_images()
        limits.check_count(len(encoded))
        return asked, await run_in_threadpool(_decoded_base64, encoded, field), field
    if kind == FORM:
        return await _of_form(request, model, limits)
    raise RefusedError(415, f"content-type {kind!r}: send {JSON}, or {FORM} with images as files")


def open_image(data: bytes, what: str, *, limits: Limits, shorter: int) -> Image.Image:
    """Decode an image as RGB, upright; its size is known from the header before that.

    Args:
        data: Of a file.
        what: Its name in messages.
        limits: Of its size.
        shorter: Pixels of its shorter side after the model's preprocessing.

    Raises:
        RefusedError: 422 for what is no image or a broken one, 413 for one that is too large.
    """
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:  # raised by Pillow for sizes far beyond any limit
        raise RefusedError(
            413, f"{what} has too many pixels: at most {limits.pixels:,} altogether"
        ) from error
    except Exception as error:  # Pillow's readers raise nearly every type there is on corrupt data
        told = "is empty" if not data else f"is no image of a known format ({', '.join(FORMATS)})"
        raise RefusedError(422, f"{what} {told}") from error
    limits.check_size(image.size, shorter, what)
    try:
        return upright(image)
    except Exception as error:
        raise RefusedError(422, f"{what} cannot be decoded: {error}") from error


def _of_json(model: type[Request_], body: bytes) -> Request_:
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise _refusal(error) from error


async def _of_form(
    request: Request, model: type[Request_], limits: Limits
) -> tuple[Request_, list[bytes], str]:
    values, files = await _parts(request, limits)
    field = next((name for name in IMAGES if name in model.model_fields), IMAGES[0])
    if strange := files.keys() - {field if field in model.model_fields else ""}:
        raise RefusedError(422, f"files as {sorted(strange)[0]!r}: this request takes {_told(model, field)}")
    if field in values:
        raise RefusedError(422, f"{field} is no file: in a form, images are files; base64 is for {JSON}")
    images = files.get(field, [])
    limits.check_count(len(images))
    if len(images) > 1 and not takes_several(model, field):
        raise RefusedError(422, f"{len(images)} files as {field!r}: give one")
    given = {
        name: several if takes_several(model, name) or len(several) > 1 else several[0]
        for name, several in values.items()
    }
    try:
        return model.model_validate(given), images, field
    except ValidationError as error:
        raise _refusal(error) from error


async def _parts(request: Request, limits: Limits) -> tuple[dict[str, list[str]], dict[str, list[bytes]]]:
    """The values of a form and its files, by field."""
    values: dict[str, list[str]] = {}
    files: dict[str, list[bytes]] = {}
    try:
        form = request.form(max_files=limits.images, max_fields=limits.texts + _FORM_VALUES)
        async with form as parts:
            for name, value in parts.multi_items():
                if isinstance(value, UploadFile):
                    files.setdefault(name, []).append(await value.read())
                else:
                    values.setdefault(name, []).append(value)
    except HTTPException as error:  # how Starlette tells of a form that cannot be read
        if error.detail.startswith("Too many"):
            most = f"at most {limits.texts:,} texts and {limits.images:,} images a request"
            raise RefusedError(413, f"the form has too many parts: {most}") from error
        raise RefusedError(400, f"the form cannot be read: {error.detail}") from error
    return values, files


def _told(model: type[Asked], field: str) -> str:
    return f"files as {field!r}" if field in model.model_fields else "no files"


def _decoded_base64(encoded: Sequence[str], field: str) -> list[bytes]:
    images = []
    for number, text in enumerate(encoded):
        head, comma, rest = text.partition(",")
        data = rest if comma and head.startswith("data:") else text
        try:
            images.append(base64.b64decode(data, validate=True))
        except (binascii.Error, ValueError) as error:
            raise RefusedError(422, f"{field}[{number}] is no base64 of a file's bytes: {error}") from error
    return images


def _refusal(error: ValidationError) -> RefusedError:
    """The first thing that pydantic finds wrong, in words; 400 where it could not read at all."""
    first, count = error.errors(include_url=False)[0], error.error_count()
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    more = f" (and {count - 1:,} more)" if count > 1 else ""
    if first["type"] == "json_invalid":
        return RefusedError(400, f"the request is no JSON: {first['msg']}")
    return RefusedError(422, f"{place.lstrip('.') or 'the request'}: {first['msg']}{more}")
