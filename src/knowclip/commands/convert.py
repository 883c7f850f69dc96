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
    """Write MODEL in another library's format, with equal embeddings; what it cannot express is refused."""
    from knowclip import preflight

    preflight.check_model(model)
    preflight.writable_folder(out, "OUT")
    from knowclip.export.huggingface import save_transformers
    from knowclip.export.open_clip import save_pretrained
    from knowclip.models.loading import load

    loaded = load(model)
    if to is Format.transformers:
        save_transformers(loaded, out)
        print(f'{out}: CLIPModel.from_pretrained("{out}"), CLIPProcessor.from_pretrained("{out}")')
    elif save_pretrained(loaded, out) == "open_clip":
        print(f'{out}: open_clip.create_model_and_transforms("local-dir:{out}")')
    else:
        print(
            f'{out}: knowclip.load("{out}"); stock open_clip cannot load its text tower, see README.md there'
        )
