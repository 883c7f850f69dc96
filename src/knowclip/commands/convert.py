"""``knowclip convert MODEL OUT``: any CLIP that can be loaded, in open_clip's or transformers' format."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What reads the folder."""

    open_clip = "open_clip"
    transformers = "transformers"


def command(
    model: Annotated[str, typer.Argument(help="Anything that knowclip.load takes, a CLIPModel folder too.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    to: Annotated[Format, typer.Option(help="Format of the folder.")] = Format.open_clip,
) -> None:
    """Write MODEL in another library's format; what it cannot express is refused.

    Embeddings are equal for equal pixels and token ids. What the two libraries make of a file or a text may
    differ (a centre crop one column apart, texts that one of them mends first): how far that moves
    embeddings is measured on the folder that was written, and printed.
    """
    from knowclip import preflight

    preflight.check_model(model)
    preflight.writable_folder(out, "OUT")
    from knowclip.export import parity
    from knowclip.export.huggingface import save_transformers
    from knowclip.export.open_clip import save_pretrained
    from knowclip.models.loading import load
    from knowclip.models.transformers_clip import is_transformers_clip

    loaded = load(model)
    stocks = []
    if to is Format.transformers:
        save_transformers(loaded, out)
        stocks.append(parity.stock_transformers(out))
        print(f'{out}: CLIPModel.from_pretrained("{out}"), CLIPProcessor.from_pretrained("{out}")')
    elif save_pretrained(loaded, out) == "open_clip":
        stocks.append(parity.stock_open_clip(out))
        print(f'{out}: open_clip.create_model_and_transforms("local-dir:{out}")')
    else:
        print(
            f'{out}: knowclip.load("{out}"); stock open_clip cannot load its text tower, see README.md there'
        )
    if to is Format.open_clip and is_transformers_clip(Path(model)):
        stocks.append(parity.stock_transformers(Path(model)))
    for stock in stocks:
        measured = parity.measure(loaded, stock)
        print("\n".join(measured.lines()))
        if measured.equal_inputs > parity.TOLERANCE:
            raise ValueError(
                f"{out} was written, and {stock.library} does not give MODEL's embeddings for equal pixels and token "
                "ids: do not use it, and report this with the versions of both libraries"
            )
