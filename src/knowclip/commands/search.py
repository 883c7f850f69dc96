"""``knowclip search IDX "an astronaut riding a horse"``: the photos of an index that show it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowclip.console.screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

    from knowclip.search.found import Found


def command(
    index: Annotated[
        Path, typer.Argument(help="Folder that 'index' made.", metavar="IDX", show_default=False)
    ],
    text: Annotated[str | None, typer.Argument(help="What photos are to show, in words.")] = None,
    image: Annotated[Path | None, typer.Option(help="A photo that they are to be like.")] = None,
    minus: Annotated[
        list[str] | None, typer.Option(help="What they are not to show, in words; again for more.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Photos to show.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    paths: Annotated[
        bool, typer.Option("--paths", help="Print paths alone, one a line, those below the cut too.")
    ] = False,
    rerank: Annotated[
        bool, typer.Option(help="Rank the nearest hundred by the text's structure; needs the extra 'parser'.")
    ] = True,
    model: Annotated[
        str | None, typer.Option(help="Where the model of the index lies now, if elsewhere.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
) -> None:
    """Find the photos of an index that show what is asked for: a text, a photo's like, or both.

    The nearest hundred are ranked by how well the text fits them, and how much better than its own swaps and
    replacements do ("a horse riding an astronaut"). No score says by itself whether a photo fits: 1.00 is the
    best of this search, 0.00 the collection's average, and a line is drawn at half of it.
    """
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model
    from knowclip.search.query import Query
    from knowclip.search.store import check_index
    from knowclip.storage.pixels import check_pixels
    from knowclip.types import ImageRef

    if json and paths:
        raise ValueError("--json and --paths exclude each other: JSON holds the paths too")
    Query(text, image, tuple(minus or ()))  # refused before torch is loaded
    preflight.require("search", "search")
    check_index(index, "IDX")
    if image is not None:
        preflight.existing(image, "--image")
        check_pixels(ImageRef(image))
    if model is not None:
        check_model(model, device=device)
    if text is not None and rerank:
        preflight.check_parser("spacy")
    from knowclip.console.progress import waiting
    from knowclip.search.index import Index

    with waiting("loading the index") as following, Index(index, model=model, device=device) as opened:
        opened.encoder  # noqa: B018
        following("searching")
        found = opened.search(text, image=image, minus=minus or (), top=top, rerank=rerank)
    _tell_gone(found)
    if paths:
        sys.stdout.flush()
        sys.stdout.buffer.write(b"".join(os.fsencode(hit.path) + b"\n" for hit in found))
    elif json:
        from knowclip.evaluation.tasks.output import to_json

        print(to_json(found.to_dict()))
    else:
        _show(found, asked=rerank)


def _tell_gone(found: Found) -> None:
    from knowclip.console.counts import there_are

    if found.gone:
        Screen(stderr=True).print(
            f"{there_are(found.gone, 'photo')} no longer there, left out: run 'knowclip index' again"
        )


def _show(found: Found, *, asked: bool) -> None:
    """Print what the query was taken to say, and the photos, the best first, with a line at the cut."""
    from knowclip.search.found import printable

    console = Screen()
    _explain(console, found, asked=asked)
    console.print(f"score  {'similarity' if all(hit.margin is None for hit in found) else 'margin'}")
    cut = False
    for hit in found:
        if not hit.above and not cut:
            cut = True
            console.print("-----  below the cut: not half as far above the average as the best")
        value = hit.similarity if hit.margin is None else hit.margin
        copies = f" (+{len(hit.copies)} copies)" if hit.copies else ""
        line = f"{hit.relative:5.2f}  {round(value, 3) + 0.0:+.3f}  {printable(hit.path)}{copies}"
        rival = "" if hit.rival is None else f'  over "{hit.rival}"'
        if console.is_terminal and len(line + rival) > console.width:
            rival = f"\n{'':13}{rival}" if rival else ""
        console.print(line + rival, soft_wrap=True)  # a path is one line, to be copied
    console.print(f"{len(found):,} of {found.photos:,} photos")


def _explain(console: Console, found: Found, *, asked: bool) -> None:
    """Say what the query claims and what ranked the photos; ``asked``: whether structure was to."""
    from knowclip.console.counts import counted
    from knowclip.search.found import DOUBT

    for triple in found.reading.triples:
        console.print(f"{triple.head} --{triple.relation}--> {triple.tail}")
    for text in found.query.minus:
        console.print(f"without: {text}")
    if found.ranked_by == DOUBT:
        kee = ", read with the KEE" if found.knowledge else ""
        negatives = counted(len(found.reading.negatives), "false caption")
        console.print(f"ranked by {DOUBT}: less where one of {negatives} fits as well{kee}")
    elif found.query.text is not None and asked:
        console.print("ranked by similarity: there is nothing in the query to swap or replace")
