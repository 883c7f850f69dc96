"""``knowclip push MODEL ORG/NAME``: a checkpoint to the Hugging Face hub, with a card of stored results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowclip.console.screen import Screen

if TYPE_CHECKING:
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

    preflight.existing(model, "MODEL", folder=True)
    for run in results or ():
        preflight.existing(run, "--results")
    folder = model / "best" if (model / "best").is_dir() else model
    with waiting(f"reading {folder}") as following:
        from knowclip.export.formats import loading_of
        from knowclip.export.push import CARD, files_of, push

        loading = loading_of(folder)
        card = None
        if results or not (folder / CARD).is_file():
            card = _card(folder, loading, results or [])
        following(f"pushing {folder}")
        address = push(folder, repository, card=card, private=private)
    Screen().print(f"pushed: {len({*files_of(folder), CARD})} files of {folder} to {address}")
    if not results and card is not None:
        Screen().print(
            "its card says how it is loaded and no numbers: give what 'knowclip evaluate' kept as --results"
        )


def _card(folder: Path, loading: Loading, results: list[Path]) -> str:
    from knowclip.api.card import bare_card, told_card
    from knowclip.evaluation.store import find_runs
    from knowclip.models.loading.load import load

    if not results:
        return bare_card(folder.resolve().name, loading)
    if loading.library == "onnx":
        raise ValueError(
            "an ONNX folder does not tell which weights were measured: 'knowclip convert ... --to onnx "
            "--results RUN' writes its card; push it without --results"
        )
    return told_card(find_runs(results), load(folder), loading=loading)
