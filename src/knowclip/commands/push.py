"""``knowclip push MODEL ORG/NAME``: a checkpoint to the Hugging Face hub, with a card of stored results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowclip.console.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from knowclip.evaluation.runs import Run
    from knowclip.export.formats import Loading


def command(
    model: Annotated[
        Path, typer.Argument(help="A run's folder (its best), a checkpoint, or what 'convert' wrote.")
    ],
    repository: Annotated[str, typer.Argument(metavar="ORG/NAME", help="Made where there is none.")],
    results: Annotated[
        list[Path] | None,
        typer.Option(help="What 'evaluate' kept of it: the card is filled from it. Repeatable."),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Of a repository that is made now.")] = False,
) -> None:
    """Publish a checkpoint; one without a README.md gets a card, from --results with what was measured.

    HF_TOKEN or 'hf auth login' says who you are, HF_ENDPOINT another hub than the public one.
    """
    from knowclip.console.progress import waiting
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.untrained import tell_untrained

    preflight.existing(model, "MODEL", folder=True)
    tell_untrained(model)
    folder = model / "best" if (model / "best").is_dir() else model
    with waiting(f"reading {folder}") as following:
        from knowclip.evaluation.runs import find_runs
        from knowclip.export.push import CARD, check_name, files_of, push

        check_name(repository)
        measured = find_runs(results or ())
        from knowclip.export.formats import loading_of

        loading = loading_of(folder)
        card = None
        if results or not (folder / CARD).is_file():
            card = _card(folder, repository, loading, measured)
        following(f"pushing {folder}")
        address = push(folder, repository, card=card, private=private)
    Screen().print(f"pushed: {len({*files_of(folder), CARD})} files of {folder} to {address}")
    if not results and card is not None:
        Screen().print(
            "its card says how it is loaded and no numbers: give what 'knowclip evaluate' kept as --results"
        )


def _card(folder: Path, repository: str, loading: Loading, measured: Mapping[str, Run]) -> str:
    from knowclip.api.card import bare_card, told_card
    from knowclip.models.loading.load import load

    if not measured:
        return bare_card(repository, loading)
    if loading.library == "onnx":
        raise ValueError(
            "an ONNX folder does not tell which weights were measured: 'knowclip convert ... --to onnx "
            "--results RUN' writes its card; push it without --results"
        )
    return told_card(measured, load(folder), loading=loading, repository=repository)
