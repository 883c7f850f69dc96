"""Captions in Python, or parsed from files, -> negatives, where captions of one image are all true."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby

from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.generate import KINDS, SEMANTIC, generate
from knowclip.knowledge.parsing.caption_texts import Text, parse_texts
from knowclip.knowledge.records import GraphRecord
from knowclip.types import Negative


def negatives(
    captions: Iterable[str],
    *,
    images: Iterable[str] | None = None,
    kinds: Collection[str] = SEMANTIC,
    most: int = 0,
    seed: int = 0,
    parser: str = "spacy",
    batch_size: int = 256,
) -> Iterator[list[Negative]]:
    """Captions that read like these and are false: a list for each, in order, as they come.

    Args:
        captions: Texts; each is parsed.
        images: The image of each caption, those of one image one after the other: what one of them says is
            no negative of another. Without, every caption is of an image of its own.
        kinds: Of :data:`~knowclip.knowledge.negatives.generate.KINDS`; by default all but ``shuffle``.
        most: Negatives a caption, drawn by the seed; 0 is all.
        seed: Of the draw.
        parser: As ``knowclip.parse`` takes it.
        batch_size: Captions parsed at once.

    Raises:
        ValueError: One string in place of several, an unknown kind or parser, or not one image a caption.
        ImportError: What the parser runs on is not installed, with the command that installs it.
    """
    if isinstance(captions, str):
        raise ValueError("captions must be several texts, got one string: pass [caption]")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ValueError(f"unknown kind of negative {unknown[0]!r}: choose from {', '.join(KINDS)}")
    if most < 0:
        raise ValueError(f"most counts the negatives of a caption, 0 for all; got {most}")
    records = parse_texts(_texts(captions, images), parser=parser, batch_size=batch_size)
    return (found for _, found in of_records(records, kinds=kinds, most=most, seed=seed))


def of_records(
    records: Iterable[GraphRecord], *, kinds: Collection[str], most: int = 0, seed: int = 0
) -> Iterator[tuple[GraphRecord, list[Negative]]]:
    """Negatives of parsed captions, those of one image (without, of one key) one after the other."""
    for _, group in groupby(records, key=lambda record: record.image or record.key):
        together = list(group)
        said = Said([record.caption for record in together], [record.graph for record in together])
        for record in together:
            found = generate(record.caption, record.graph, kinds=kinds, said=said, seed=seed)
            yield record, found[: most or None]


def _texts(captions: Iterable[str], images: Iterable[str] | None) -> Iterator[Text]:
    if images is None:
        for number, caption in enumerate(captions, start=1):
            yield Text(str(number), caption)
        return
    for number, (caption, image) in enumerate(zip(captions, images, strict=True), start=1):
        yield Text(str(number), caption, str(image))
