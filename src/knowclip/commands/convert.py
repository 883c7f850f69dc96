"""``knowclip convert MODEL OUT``: any CLIP that can be loaded, in another library's format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knowclip.commands.columns import CaptionColumn, ImageColumn, ImagesFolder, SplitColumn, columns_of
from knowclip.console.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from knowclip.evaluation.runs import Run
    from knowclip.export.calibration import Calibration
    from knowclip.models.clip import DualEncoder


FORMATS = ("open_clip", "transformers", "onnx", "sentence-transformers")
"""What reads the folder."""
ACTIVATIONS = ("gelu", "quick_gelu")
_TO = (
    f"{', '.join(FORMATS)}. Embeddings are equal for equal pixels and token ids; what the two libraries "
    "make of a file or a text may differ (a centre crop one column apart, texts mended first): that is "
    "measured and printed."
)


def command(
    model: Annotated[str, typer.Argument(help="Anything that knowclip.load takes, a CLIPModel folder too.")],
    out: Annotated[Path, typer.Argument(help="Folder to write: a new or an empty one.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help=_TO)] = "open_clip",
    architecture: Annotated[
        str | None,
        typer.Option(help="open_clip's name or a JSON file, where MODEL is a bare file of weights."),
    ] = None,
    activation: Annotated[
        str | None, typer.Option(help=f"{' or '.join(ACTIVATIONS)}, of weights that do not say it.")
    ] = None,
    preprocess: Annotated[
        str | None, typer.Option(help="Pretrained tag whose preprocessing a bare file of weights needs.")
    ] = None,
    int8: Annotated[
        Path | None,
        typer.Option(
            metavar="CAPTIONS",
            help="Of onnx: 8 bits. Half of up to 512 of these captioned images calibrate, the others tell "
            "what it costs.",
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Of --int8: the split of CAPTIONS; without it all of them.")
    ] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(help="What 'evaluate' kept of MODEL: a model card is filled from it. Repeatable."),
    ] = None,
    images: ImagesFolder = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    split_column: SplitColumn = None,
) -> None:
    """Write MODEL in another library's format; what it cannot express is refused.

    Embeddings are equal for equal pixels and token ids. What the two libraries make of a file or a text may
    differ (a centre crop one column apart, texts that one of them mends first): how far that moves
    embeddings is measured on the folder that was written, and printed.
    """
    from knowclip.console.progress import waiting
    from knowclip.evaluation.runs import find_runs
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.exports import check_export
    from knowclip.preflight.models import check_model
    from knowclip.storage.atomic import atomic_folder

    preflight.one_of("--to", to, FORMATS)
    if activation is not None:
        preflight.one_of("--activation", activation, ACTIVATIONS)
    check_model(architecture or model, model if architecture else None)
    preflight.own_folder(out, "OUT")
    measured = find_runs(results or ())
    columns = columns_of(images, image_column, caption_column, split_column)
    reading = {"split": split, **columns}
    _refuse_idle(int8, to, reading)
    if to in ("onnx", "sentence-transformers"):
        preflight.require("export", f"--to {to}")
    check_export(architecture or model, to)
    calibration = None if int8 is None else _calibration(int8, reading)
    with waiting(f"loading {model}"):
        from knowclip.api.card import run_of
        from knowclip.export.formats import WRITERS, loading_of
        from knowclip.models.loading.load import load

        loaded = load(
            architecture or model,
            pretrained=model if architecture else None,
            activation=activation,
            preprocess=preprocess,
        )
        if measured:
            run_of(measured, loaded)
    with atomic_folder(out) as written:  # whole: 32 bits, or a half of either, are not what was asked for
        with waiting(f"writing {out}"):
            WRITERS[to](loaded, written)
        loading = loading_of(written)
        notes = [*_compare(loaded, written, source=Path(model)), *_eighth(loaded, written, calibration)]
        if measured:
            _write_card(loaded, written, measured, notes)
    Screen().print(f"{out}: {loading.line.replace('FOLDER', str(out))}")
    if loading.library == "knowclip":
        Screen().print("stock open_clip cannot load its text tower, see README.md there")
    if calibration is not None:
        _tell_read(calibration)


def _refuse_idle(int8: Path | None, to: str, reading: dict[str, Any]) -> None:
    """Refuse options that would have no effect, and captions that are not there."""
    from knowclip.preflight import machine as preflight

    if int8 is not None:
        if to != "onnx":
            raise ValueError(f"--int8 is for --to onnx, got --to {to}")
        preflight.captions(int8, "--int8")
        return
    for name, value in reading.items():
        if value is not None:
            option = f"--{name.replace('_', '-')} {value}"
            raise ValueError(f"{option} is of the captions that --int8 names, and there is no --int8")


def _calibration(captions: Path, reading: dict[str, Any]) -> Calibration:
    """Pairs for 8 bits, read before anything is loaded or written."""
    from knowclip.console.progress import waiting
    from knowclip.export.calibration import calibration_pairs

    with waiting("reading captions and images"):
        return calibration_pairs(captions, **reading)


def _tell_read(found: Calibration) -> None:
    from knowclip.console.counts import read_lines
    from knowclip.data.captions.read import repeated

    kept = found.kept
    for line in read_lines(len(kept), found.skipped, found.left_out, repeated=repeated(kept)):
        Screen().print(line)


def _compare(loaded: DualEncoder, out: Path, *, source: Path) -> list[str]:
    """Print how far embeddings of OUT, and of a CLIPModel it came from, are apart; give the lines of OUT."""
    from knowclip.console.progress import waiting
    from knowclip.export.formats import loading_of
    from knowclip.export.parity import TOLERANCE, measure, stock_transformers
    from knowclip.models.loading.transformers_clip import is_transformers_clip

    with waiting("measuring what was written"):
        stocks = [stock_transformers(source)] if is_transformers_clip(source) else []
        stocks.append(loading_of(out).stock(out))
        found = [(stock, measure(loaded, stock)) for stock in stocks]
    for stock, measured in found:
        Screen().print("\n".join(measured.lines()))
        if measured.equal_inputs > TOLERANCE:
            raise ValueError(
                f"nothing is written: of what would be, {stock.library} gives other embeddings than MODEL's "
                "for equal pixels and token ids; report this with the versions of both libraries"
            )
    return found[-1][1].lines()


def _eighth(loaded: DualEncoder, out: Path, calibration: Calibration | None) -> list[str]:
    """Make 8 bits of the graphs in OUT, and print what that costs."""
    if calibration is None:
        return []
    from knowclip.console.progress import waiting
    from knowclip.export.onnx_int8 import quantize

    with waiting("making 8 bits of it"):
        cost = quantize(loaded, out, calibration.pairs)
    Screen().print("\n".join(cost.lines()))
    return cost.lines()


def _write_card(loaded: DualEncoder, out: Path, measured: Mapping[str, Run], notes: Sequence[str]) -> None:
    from knowclip.api.card import told_card
    from knowclip.export.formats import loading_of
    from knowclip.storage.atomic import atomic_file

    text = told_card(measured, loaded, loading=loading_of(out), notes=notes)
    with atomic_file(out / "README.md") as path:
        path.write_text(text, encoding="utf-8")
