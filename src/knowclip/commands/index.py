"""``knowclip index PHOTOS --out IDX``: photos -> an index to search, or one that is brought up to date."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowclip.search.indexing import Added
    from knowclip.search.store import Counts


def command(
    photos: Annotated[
        list[Path], typer.Argument(help="Folders of photos, with all in them; or photos.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the index: made, or brought up to date.")
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Checkpoint folder or file, open_clip name, hf-hub:name; an index knows its own."),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Forget photos that have gone, which are kept for their return.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
) -> None:
    """Make an index of photos, or bring it up to date: only what is new is read and encoded.

    A photo is known by its bytes, wherever it lies: what was moved or copied is not encoded again. When this
    is stopped at any moment, what was encoded is kept, and the same command goes on from there.
    """
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model
    from knowclip.search.scan import refuse_empty
    from knowclip.search.store import DOING, OURS, Store, is_index
    from knowclip.storage.locks import locked
    from knowclip.storage.own_folder import refuse_others

    preflight.require("search", "an index")
    for place in photos:
        preflight.existing(place, "PHOTOS")
    preflight.writable_folder(out)
    if model is not None:
        check_model(model, device=device)
    if is_index(out):
        with closing(Store(out)) as store:
            refuse_empty(photos, before=store.paths(missing=False))
    else:
        refuse_others(out, f"--out {out}", ours=OURS)
        if model is None:
            raise ValueError(f"{out} is no index yet: say which model is to make its vectors, with --model")
        refuse_empty(photos)
    if out.is_dir():
        with locked(out, doing=DOING):  # told now, not after the model is loaded
            pass
    from knowclip.console.progress import stages, waiting
    from knowclip.search.index import Index

    with waiting(f"loading {model or 'the model of the index'}"):
        index = Index.start(out, model=model, device=device)
        index.encoder  # noqa: B018  # what does not fit is refused before anything is looked at
    with stages() as progress:
        added = index.add(photos, prune=prune, progress=progress)
    _tell(added, index.counts, out)


def _tell(added: Added, counts: Counts, out: Path) -> None:
    """Say what became of the photos, and name what is not as a person may think."""
    from knowclip.console.counts import counted
    from knowclip.console.screen import Screen

    told = Screen()
    for line in added.lines():
        told.print(line)
    told.print(f"{out}: {counted(counts.images, 'photo')} in {counted(counts.files, 'file')}")
    if added.pruned:
        told.print(f"forgotten (--prune): {counted(added.pruned, 'file')} that had gone")
    if counts.missing:
        told.print(
            f"{counted(counts.missing, 'file')} missing: kept, not found until back (--prune forgets them)"
        )
