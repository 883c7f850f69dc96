"""``knowclip demo``: a CLIP that cannot tell who rides whom, and one that can."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from knowclip.commands.demo_folder import already_done, held
from knowclip.commands.demo_methods import METHODS


def command(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="On both recipes, as in train.steps=400."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the demo's runs and report.")] = Path("runs/demo"),
    full: Annotated[bool, typer.Option("--full", help="Three seeds: up to an hour on 2 cores.")] = False,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Train the base CLIP again first.")
    ] = False,
) -> None:
    """Train the same base CLIP on with and without knowledge, measure both, write a report."""
    import time

    from knowclip.commands.train_report import stops_told
    from knowclip.console.progress import waiting
    from knowclip.console.screen import Screen
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.recipes import check_settings
    from knowclip.recipe.load import load_recipe

    start = time.perf_counter()
    recipes = [load_recipe(f"scenes-{method}", overrides or []) for method in METHODS]
    for recipe in recipes:
        check_settings(recipe)
    preflight.require("scenes", "drawing scenes")
    seeds = (0, 1, 2) if full else (0,)
    console = Screen()
    asked = {"seeds": list(seeds), "from_scratch": from_scratch, "overrides": overrides or []}
    if told := already_done(out, asked):
        console.print(told)
        return
    with held(out, asked, console) as begun:
        with waiting("loading torch") as following:
            from knowclip.commands import demo_run

            following("timing this processor for two seconds")
            told = demo_run.expectation(recipes, seeds=len(seeds), begun=begun)
        console.print(told)
        with stops_told(console, "the same command goes on from there"):
            base = demo_run.make_base(out / "scenes-base", console) if from_scratch else demo_run.SHIPPED_BASE
            scenes = demo_run.make_scenes(console)
            runs = {}
            for seed in seeds:
                folder = out if seed == 0 else out / f"seed-{seed}"
                settings = {"seed": seed, "overrides": overrides or [], "console": console}
                runs[seed] = demo_run.train_methods(folder, base, scenes, **settings)
        measured = demo_run.measure(runs, base, scenes, console)
        trained = demo_run.told_trained(overrides or [])
        seconds = time.perf_counter() - start
        demo_run.report(out, measured, base, trained=trained, seconds=seconds, console=console)
