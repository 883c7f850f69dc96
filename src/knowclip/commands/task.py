"""``knowclip task NAME MODEL``: train a small head on a CLIP's features and measure it."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer


def command(
    name: Annotated[str, typer.Argument(help="vqa, snli_ve, linear_probe, glue_sst2 ... or glue.")],
    model: Annotated[str, typer.Argument(help="Checkpoint folder or file, open_clip name, hf-hub:name.")],
    options: Annotated[
        list[str] | None, typer.Argument(help="The head's settings, as key=value: features=tokens epochs=10.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the task's files; without one, GLUE is downloaded.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="To measure on; the task's own by default.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Heads that are trained, with seeds 0, 1, ...")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder of results, one for all models; `knowclip report` reads it.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep pooled features in.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Measure what is there where records cannot be used.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Train a head on a CLIP's features with every seed, select it on held-out items, measure it."""
    from knowclip.api.measuring import keep_found
    from knowclip.console.progress import waiting
    from knowclip.console.screen import Screen
    from knowclip.evaluation.scoring import Scorer
    from knowclip.evaluation.tasks import registry
    from knowclip.evaluation.tasks.output import console_table, summaries, to_json
    from knowclip.evaluation.tasks.settings import parse_settings
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model

    settings = parse_settings(options or [])
    check_model(model, device=device)
    if data is not None:
        preflight.existing(data, "--data", folder=True)
    if out is not None:
        preflight.results_folder(out)
    results = []
    with waiting("reading the data") as following:
        tasks = {
            each: registry.read(each, data, split=split, allow_missing=allow_missing)
            for each in registry.names_of(name)
        }
        following(f"loading {model}")
        from knowclip.models.loading.load import load  # torch: after all that can be refused without it

        scorer = Scorer(load(model, device=device), cache=cache)
        for each, task in tasks.items():

            def tell(stage: str, each: str = each) -> None:
                following(f"{each}: {stage}")

            run = registry.run(task, scorer, settings=settings, seeds=range(seeds), progress=tell)
            results.append(run)
            if out:
                keep_found([run], scorer.model_hash, out, model, split or "test")
    if json:
        print(to_json(summaries(results, model=model)))
    else:
        Screen().print(console_table(results))
    if out:
        Screen(stderr=True).print(
            f"written: {out} (knowclip report {quote(str(out))} makes a page of all results in it)"
        )
