"""``knowclip app MODEL [MODEL2]``: a page to look at what models make of pictures and captions."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from knowclip.models.clip import DualEncoder
    from knowclip.search.index import Index
    from knowclip.serving.limits import Limits
    from knowclip.serving.page.contents import Contents


def command(
    models: Annotated[
        list[str], typer.Argument(help="One or two: checkpoint folder or file, open_clip name, hf-hub:name.")
    ],
    index: Annotated[Path | None, typer.Option(help="Folder that 'index' made, to search.")] = None,
    graph: Annotated[Path | None, typer.Option(help="Folder of a knowledge graph, to look into.")] = None,
    runs: Annotated[
        Path | None, typer.Option(help="What 'evaluate --out' wrote, of one model or several, to browse.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    limit: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER: body, pixels, side, characters, top (docs/app.md).")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
) -> None:
    """Open a page: compare two models on a picture and captions, search, browse results, see a graph.

    It needs no network and fetches nothing. There is no password: only programs on this machine can connect
    unless --host says otherwise.
    """
    from knowclip.commands.serve import announcement, bound, run
    from knowclip.serving.limits import Limits

    limits = Limits.parse(limit or ())
    _check(models, index, graph, runs, device)
    with bound(host, port) as listening, tempfile.TemporaryDirectory(prefix="knowclip-app-") as uploads:
        # read by Gradio when it is imported: uploads go with this process, and nothing is reported
        os.environ |= {"GRADIO_TEMP_DIR": uploads, "GRADIO_ANALYTICS_ENABLED": "False"}
        from knowclip.console.progress import waiting

        with waiting("opening the page") as following:
            contents = _contents(models, index, graph, runs, limits, device=device)
            following("building it")
            from knowclip.serving.page.fence import LOOPBACK
            from knowclip.serving.page.gradio_page import create_page

            page = create_page(contents, hosts=LOOPBACK if listening.getsockname()[0] in LOOPBACK else ())
        print(announcement(" and ".join(models), listening), file=sys.stderr)
        run(page, listening, seconds=1)


def _check(
    models: list[str], index: Path | None, graph: Path | None, runs: Path | None, device: str | None
) -> None:
    """Refuse in an instant what is not there."""
    from knowclip.preflight import machine as preflight

    if len(models) > 2:
        raise ValueError(f"{len(models)} models: one or two fit beside each other")
    if len(set(models)) < len(models):
        raise ValueError(f"{models[0]} is given twice: give another model to set beside it, or none")
    preflight.require("app", "a page")
    preflight.check_parser("spacy")
    for model in models:
        preflight.check_model(model, device=device)
    if index is not None:
        from knowclip.search.store import Store

        preflight.require("search", "--index")
        preflight.existing(index, "--index", folder=True)
        Store(index).close()
    if graph is not None:
        preflight.require("graph", "--graph")
        preflight.graph(graph, "--graph")
    if runs is not None:
        preflight.existing(runs, "--runs", folder=True)


def _contents(
    models: list[str],
    index: Path | None,
    graph: Path | None,
    runs: Path | None,
    limits: Limits,
    *,
    device: str | None,
) -> Contents:
    from knowclip.api.load import load
    from knowclip.evaluation.report.html_page import endings
    from knowclip.evaluation.store import find_runs
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
    from knowclip.serving.page.contents import Contents

    loaded = {name: load(model, device=device) for model, name in endings(models).items()}
    return Contents(
        models=loaded,
        index=None if index is None else _opened(index, loaded),
        graph=None if graph is None else KnowledgeGraph(graph),
        runs={} if runs is None else find_runs([runs]),
        limits=limits,
    )


def _opened(folder: Path, loaded: Mapping[str, DualEncoder]) -> Index:
    """The index, with that of the page's models which made it; else with its own, which is loaded too."""
    from knowclip.search.index import Index

    for model in loaded.values():
        index = Index(folder, model=model)
        try:
            index.encoder  # noqa: B018
        except ValueError:  # another model made it
            index.close()
        else:
            return index
    index = Index(folder)
    index.encoder  # noqa: B018
    return index
