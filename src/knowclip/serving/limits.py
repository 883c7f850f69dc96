"""What a request may ask for at most; what is more, or makes no sense, is refused with the limit in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self


class RefusedError(Exception):
    """A request that is not answered.

    Args:
        status: Of HTTP, 4xx.
        message: What was got, what is allowed.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Limits:
    """Each is told in what is refused by it, and in the OpenAPI description."""

    body: int = 32 * 2**20
    """Bytes of a request."""
    texts: int = 256
    """Texts of a request."""
    images: int = 64
    """Images of a request."""
    characters: int = 2000
    """Of a text."""
    pixels: int = 50_000_000
    """Of an image, as it came and as the model's preprocessing scales it."""
    side: int = 16_384
    """Pixels of an image's longer side."""
    top: int = 100
    """Photos that a search gives."""
    seconds: float = 30.0
    """From a request's first line to its answer."""
    requests: int = 128
    """At a time; more are told to come again."""

    @classmethod
    def parse(cls, settings: Sequence[str]) -> Self:
        """Limits from ``NAME=NUMBER``, as ``--limit`` takes them; the others as they are.

        Raises:
            ValueError: There is no such limit, or a number that is none, or not above 0.
        """
        from knowclip.preflight.machine import one_of

        types = {field.name: type(field.default) for field in fields(cls)}
        given = {}
        for setting in settings:
            name, _, number = setting.partition("=")
            one_of("--limit", name, tuple(types))
            try:
                given[name] = types[name](number)
            except ValueError as error:
                raise ValueError(f"--limit {setting}: give {name}=NUMBER") from error
            if not 0 < given[name] < float("inf"):
                raise ValueError(f"--limit {setting}: a limit is above 0, and finite")
        return cls(**given)

    def check_texts(self, texts: Sequence[str], what: str) -> None:
        """Refuse too many texts, and one that is empty or too long.

        Raises:
            RefusedError: Naming the text by its number, from 0.
        """
        if len(texts) > self.texts:
            raise RefusedError(413, f"{len(texts):,} {what}: at most {self.texts:,} a request")
        for number, text in enumerate(texts):
            self.check_text(text, f"{what}[{number}]")

    def check_text(self, text: str, what: str) -> None:
        """Refuse a text without a word, or one that is too long.

        Raises:
            RefusedError: Naming it.
        """
        if not text.strip():
            raise RefusedError(422, f"{what} is empty: give a text with a word in it")
        if len(text) > self.characters:
            raise RefusedError(413, f"{what} has {len(text):,} characters: at most {self.characters:,}")

    def check_count(self, images: int) -> None:
        """Refuse too many images.

        Raises:
            RefusedError: Naming both numbers.
        """
        if images > self.images:
            raise RefusedError(413, f"{images:,} images: at most {self.images:,} a request")

    def check_size(self, size: tuple[int, int], shorter: int, what: str) -> None:
        """Refuse an image by its header alone, before it is decoded.

        Args:
            size: Width and height in pixels.
            shorter: What preprocessing makes of its shorter side; a strip a pixel high grows most by that.
            what: Its name in the message.

        Raises:
            RefusedError: Naming its size and the limit.
        """
        width, height = size
        told = f"{what} is {width:,} x {height:,} pixels"
        if max(size) > self.side:
            raise RefusedError(413, f"{told}: at most {self.side:,} a side")
        if width * height > self.pixels:
            raise RefusedError(413, f"{told}: at most {self.pixels:,} altogether")
        scaled = shorter * shorter * max(size) // max(1, min(size))
        if scaled > self.pixels:
            raise RefusedError(
                413, f"{told}: scaled for the model it would have {scaled:,}, at most {self.pixels:,}"
            )
