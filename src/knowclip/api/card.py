"""The card of a checkpoint, ``README.md``: how it is loaded, what differs, what stored results say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knowclip.evaluation.runs import Run
    from knowclip.export.formats import Loading
    from knowclip.models.clip import DualEncoder


def told_card(
    found: Mapping[str, Run],
    model: DualEncoder,
    *,
    loading: Loading,
    notes: Sequence[str] = (),
    summary: Mapping[str, Any] | None = None,
    repository: str | None = None,
) -> str:
    """The card of a model from the results that ``knowclip evaluate`` and ``task`` kept of it.

    Args:
        found: Runs as ``evaluation.runs.find_runs`` gives them; those of other models are told beside it.
        model: Whose card it is.
        loading: How the folder is loaded that the card is for.
        notes: What differs in that library.
        summary: Of these runs, where it was made already.
        repository: On the Hugging Face hub, that it is loaded from; else a folder.

    Raises:
        ValueError: No result is of these very weights.
    """
    from knowclip.evaluation.report.summary import Report, summarise
    from knowclip.evaluation.report.write import model_card

    name = run_of(found, model)
    results = {each: run.results for each, run in found.items()}
    summary = summary or summarise(Report(title=name, runs=results, baseline=next(iter(found))))
    told = _told(loading, repository)
    return model_card(summary, name, loading=told, library=loading.library, notes=notes)


def run_of(found: Mapping[str, Run], model: DualEncoder) -> str:
    """The name of the run that measured a model.

    Raises:
        ValueError: No result is of these very weights.
    """
    from knowclip.evaluation.scoring import model_hash

    own = model_hash(model)
    name = next((name for name, run in found.items() if run.model_hash == own), None)
    if name is None:
        others = ", ".join(f"{name}: {run.model_hash}" for name, run in found.items())
        raise ValueError(f"the results are of {others}, this model is {own}: evaluate this checkpoint first")
    return name


def bare_card(repository: str, loading: Loading) -> str:
    """The card of a repository's model that nothing was measured of."""
    from knowclip.evaluation.report.write import card_head

    told = _told(loading, repository)
    return "\n".join([*card_head(repository.split("/")[-1], library=loading.library), told, ""])


def _told(loading: Loading, repository: str | None) -> str:
    here = "PATH OF THIS FOLDER"
    line = loading.line.replace("FOLDER", here) if repository is None else loading.line_on_hub(repository)
    place = here if repository is None else f"hf-hub:{repository}"
    ours = f'Loads with `knowclip.load("{place}")`.'
    told = {"knowclip": ours, "open_clip": f"{ours} Stock open_clip loads it too: `{line}`."}
    return told.get(loading.library, f"Loads with `{line}`.")
