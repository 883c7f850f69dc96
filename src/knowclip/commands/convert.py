"""``knowclip convert MODEL OUT``: any CLIP that can be loaded, in open_clip's or transformers' format."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowclip.models.clip import DualEncoder


_TO = (
    "Format of the folder. Embeddings are equal for equal pixels and token ids; what the two libraries "
    "make of a file or a text may differ (a centre crop one column apart, texts mended first): that is "
    "measured and printed."
)


class Format(StrEnum):
    """What reads the folder."""

    open_clip = "open_clip"
    transformers = "transformers"


class Activation(StrEnum):
    """What a bare file of weights needs."""

    gelu = "gelu"
    quick_gelu = "quick_gelu"


def command(
    model: Annotated[str, typer.Argument(help="Anything that knowclip.load takes, a CLIPModel folder too.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    to: Annotated[Format, typer.Option(help=_TO)] = Format.open_clip,
    architecture: Annotated[
        str | None,
        typer.Option(help="open_clip's name or a JSON file, where MODEL is a bare file of weights."),
    ] = None,
    activation: Annotated[Activation | None, typer.Option(help="Of weights that do not say it.")] = None,
    preprocess: Annotated[
        str | None, typer.Option(help="Pretrained tag whose preprocessing a bare file of weights needs.")
    ] = None,
) -> None:
    """Write MODEL in another library's format; what it cannot express is refused.

    Embeddings are equal for equal pixels and token ids. What the two libraries make of a file or a text may
    differ (a centre crop one column apart, texts that one of them mends first): how far that moves
    embeddings is measured on the folder that was written, and printed.
    """
    from knowclip.console.progress import waiting
    from knowclip.preflight import machine as preflight

    preflight.check_model(architecture or model, model if architecture else None)
    preflight.writable_folder(out, "OUT")
    with waiting(f"loading {model}") as following:
        from knowclip.models.loading.load import load

        loaded = load(
            architecture or model,
            pretrained=model if architecture else None,
            activation=activation and activation.value,
            preprocess=preprocess,
        )
        following(f"writing {out}")
        told = _write(loaded, out, to)
    print(f"{out}: {told}")
    _compare(loaded, out, source=Path(model))


def _write(model: DualEncoder, out: Path, to: Format) -> str:
    """Write the folder; the line that loads it."""
    from knowclip.export.huggingface import save_transformers
    from knowclip.export.open_clip import save_pretrained

    if to is Format.transformers:
        save_transformers(model, out)
        return f'CLIPModel.from_pretrained("{out}"), CLIPProcessor.from_pretrained("{out}")'
    if save_pretrained(model, out) == "open_clip":
        return f'open_clip.create_model_and_transforms("local-dir:{out}")'
    return f'knowclip.load("{out}"); stock open_clip cannot load its text tower, see README.md there'


def _compare(loaded: DualEncoder, out: Path, *, source: Path) -> None:
    """Print how far the embeddings of OUT, and of a CLIPModel that it came from, are from the model's."""
    from knowclip.console.progress import waiting
    from knowclip.export.parity import TOLERANCE, measure, stock_open_clip, stock_transformers
    from knowclip.models.loading.transformers_clip import is_transformers_clip

    with waiting("measuring what was written"):
        stocks = [stock_transformers(folder) for folder in (source, out) if is_transformers_clip(folder)]
        if (out / "open_clip_config.json").is_file():
            stocks.append(stock_open_clip(out))
        found = [(stock, measure(loaded, stock)) for stock in stocks]
    for stock, measured in found:
        print("\n".join(measured.lines()))
        if measured.equal_inputs > TOLERANCE:
            raise ValueError(
                f"{out} was written, and {stock.library} gives other embeddings than MODEL's for equal "
                "pixels and token ids: do not use it, and report this with the versions of both libraries"
            )
