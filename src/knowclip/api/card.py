"""The card of a checkpoint, ``README.md``: how it is loaded, what differs, what stored results say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knowclip.evaluation.store import Run
    from knowclip.export.formats import Loading
    from knowclip.models.clip import DualEncoder


def told_card(
    found: Mapping[str, Run],
    model: DualEncoder,
    *,
    loading: Loading,
    notes: Sequence[str] = (),
    summary: Mapping[str, Any] | None = None,
) -> str:
    """The card of a model from the results that ``knowclip evaluate`` and ``task`` kept of it.

    Args:
        found: Runs as ``evaluation.store.find_runs`` gives them; those of other models are told beside it.
        model: Whose card it is.
        loading: How the folder is loaded that the card is for.
        notes: What differs in that library.
        summary: Of these runs, where it was made already.

    Raises:
        ValueError: No result is of these very weights.
    """
    from knowclip.evaluation.report.summary import Report, summarise
    from knowclip.evaluation.report.write import model_card
    from knowclip.evaluation.scoring import model_hash

    own = model_hash(model)
    name = next((name for name, run in found.items() if run.model_hash == own), None)
    if name is None:
        others = ", ".join(f"{name}: {run.model_hash}" for name, run in found.items())
        raise ValueError(f"the results are of {others}, this model is {own}: evaluate this checkpoint first")
    results = {each: run.results for each, run in found.items()}
    summary = summary or summarise(Report(title=name, runs=results, baseline=next(iter(found))))
    return model_card(summary, name, loading=_told(loading), library=loading.library, notes=notes)


def bare_card(name: str, loading: Loading) -> str:
    """The card of a model that nothing was measured of."""
    from knowclip.evaluation.report.write import card_head

    return "\n".join([*card_head(name, library=loading.library), _told(loading), ""])


def _told(loading: Loading) -> str:
    ours = 'Loads with `knowclip.load("PATH OF THIS FOLDER")`.'
    line = loading.line.replace("FOLDER", "PATH OF THIS FOLDER")
    told = {"knowclip": ours, "open_clip": f"{ours} Stock open_clip loads it too: `{line}`."}
    return told.get(loading.library, f"Loads with `{line}`.")
