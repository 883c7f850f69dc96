"""``knowclip link-prediction MODEL KG``: filtered, realistic ranks of tails, heads and relations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowclip.evaluation.links.prediction import LinkSet, Side
    from knowclip.evaluation.links.scorers import LinkScorer


def command(
    model: Annotated[
        str, typer.Argument(help="Checkpoint folder or file, open_clip name, hf-hub:name; or 'frequency'.")
    ],
    graph: Annotated[
        Path, typer.Argument(help="Folder of 'knowclip graph split', or a whole graph.", metavar="KG")
    ],
    split: Annotated[
        str | None,
        typer.Option(help="Whose triplets are completed: test, val or train; of a graph that is split."),
    ] = None,
    side: Annotated[
        list[str] | None, typer.Option(help="tail, head or relation; default: all known.")
    ] = None,
    modality: Annotated[str, typer.Option(help="How entities with both are shown: text or image.")] = "text",
    among: Annotated[str, typer.Option(help="Rank all entities, or those of the split.")] = "all",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many triplets, drawn.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of results, one for all models; `knowclip report` reads it.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep features in.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Rank the missing element of every triplet; plain CLIP's answer stands beside the method's own.

    The model 'frequency' is the baseline that only counts what the train part of the graph says.
    """
    from typing import get_args

    from knowclip.console.screen import Screen
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model
    from knowclip.recipe.selection import Among, LinkSide, Shown

    for each in side or ():
        preflight.one_of("--side", each, get_args(LinkSide))
    preflight.one_of("--modality", modality, get_args(Shown))
    preflight.one_of("--among", among, get_args(Among))
    preflight.existing(graph, "KG", folder=True)
    if model != "frequency":
        check_model(model, device=device)
    if out is not None:
        preflight.results_folder(out)
    from knowclip.api.loaded import frequency, load_model
    from knowclip.api.measuring import keep_found
    from knowclip.console.progress import stages, waiting

    found = {}
    with waiting("reading the graph") as following:
        from knowclip.evaluation.links.prediction import read_links, run_link_prediction
        from knowclip.evaluation.tasks.output import console_table, summaries, to_json

        links = read_links(graph, split=split, modality=modality, among=among, limit=limit)  # type: ignore[arg-type]
        following(f"loading {model}")
        scorers = (
            {model: frequency(graph, modality)}
            if model == "frequency"
            else load_model(model, device=device).link_scorers(cache=cache)
        )
    asked = {name: _asked(name, links, scorer, side) for name, scorer in scorers.items()}
    for name, scorer in scorers.items():
        with stages() as progress:
            progress(f"completing {len(links.rows):,} triplets ({name})", 0, None)
            results = run_link_prediction(links, scorer, sides=asked[name], progress=progress)
        found[name] = results
        if out:
            named = model if name in ("plain", model) else f"{model} with {name} encoder"
            keep_found(results, scorer.model_hash, out, named, links.split)
        if not json:
            Screen().print(name, console_table(results))
    if json:
        print(to_json({name: summaries(results, model=model) for name, results in found.items()}))
    if out:
        Screen(stderr=True).print(
            f"written: {out} (knowclip report {quote(str(out))} makes a page of all results in it)"
        )


def _asked(name: str, links: LinkSet, scorer: LinkScorer, wanted: Sequence[str] | None) -> Sequence[Side]:
    """The sides that are wanted, or all that this scorer answers, saying which it does not.

    Raises:
        ValueError: it does not answer a side that is wanted.
    """
    from knowclip.console.screen import Screen
    from knowclip.evaluation.links.prediction import SIDES, answered_sides
    from knowclip.evaluation.links.scorers import TAUGHT

    answered = answered_sides(links, scorer)
    left_out = [side for side in wanted or SIDES if side not in answered]
    if not left_out:
        return wanted or SIDES  # type: ignore[return-value]
    if wanted:
        raise ValueError(f"{name} did not learn to answer --side {left_out[0]} ({TAUGHT})")
    Screen(stderr=True).print(f"{name} did not learn side {', '.join(left_out)} ({TAUGHT})")
    return answered
