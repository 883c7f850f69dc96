"""``knowclip ablate STUDY``: train what a study compares, over its seeds, and tell the differences."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    study: Annotated[str, typer.Argument(help="A study that ships with knowclip, or a YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="As in paths.photos=/data/photos.")
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            "--seed",
            help="Train this seed alone and measure nothing, repeatable: for machines that share the output; "
            "call it without when they are done.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare recipes: every arm is trained with every seed and measured as it was saved.

    What has been trained stays: the same command goes on where it was stopped.
    """
    from rich.markdown import Markdown

    from knowclip.console.screen import Screen
    from knowclip.evaluation.report.write import to_json
    from knowclip.preflight.recipes import check_study
    from knowclip.recipe.study import load_study

    chosen = load_study(study, overrides or [])
    check_study(chosen, seeds=seed)
    from knowclip.commands.ablate_measure import measure, read
    from knowclip.commands.ablate_run import tell, train
    from knowclip.commands.train_report import stops_told

    console = Screen(stderr=True)
    asked = None if seed else read(chosen, console)
    with stops_told(console, "what is trained is kept, the same command goes on"):
        costs = train(chosen, console, seeds=seed)
    if asked is None:
        console.print(f"trained: seeds {', '.join(map(str, seed or ()))}, in {chosen.output}")
        return
    table = tell(chosen, measure(chosen, asked, console), costs)
    if json:
        print(to_json(table))
    else:
        Screen().print(Markdown((chosen.output / "ablation.md").read_text(encoding="utf-8")))
    console.print(f"written: {chosen.output / 'ablation.json'}, ablation.md, ablation.png")
