"""``knowclip app MODEL [MODEL2]``: a page to look at what models make of pictures and captions."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from knowclip.console.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from knowclip.evaluation.runs import Run
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
    from knowclip.models.clip import DualEncoder
    from knowclip.search.index import Index

NAMED = 5
"""Folders whose pictures are not shown that are named on the screen."""


def command(
    models: Annotated[
        list[str], typer.Argument(help="One or two: checkpoint folder or file, open_clip name, hf-hub:name.")
    ],
    index: Annotated[Path | None, typer.Option(help="Folder that 'index' made, to search.")] = None,
    graph: Annotated[Path | None, typer.Option(help="Folder of a knowledge graph, to look into.")] = None,
    runs: Annotated[
        Path | None, typer.Option(help="What 'evaluate --out' wrote, of one model or several, to browse.")
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of pictures that --runs and --graph may show; again for more."),
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
    folders = [folder for folder in (*(images or ()), runs, graph) if folder is not None]
    _check(models, index, graph, runs, images or (), device)
    with (
        _leaving_by_sigterm(),
        bound(host, port) as listening,
        tempfile.TemporaryDirectory(prefix="knowclip-app-") as uploads,
        _aside() as (aside, begin),
    ):
        # read by Gradio when it is imported: uploads go with this process, and nothing is reported
        os.environ |= {"GRADIO_TEMP_DIR": uploads, "GRADIO_ANALYTICS_ENABLED": "False"}
        from knowclip.console.progress import waiting

        with waiting("opening the page"):
            from knowclip.evaluation.report.html_page import endings
            from knowclip.serving.hosts import hosts_of
            from knowclip.serving.page.contents import Contents
            from knowclip.serving.page.gradio_import import without_interface_files

            with without_interface_files():
                from knowclip.serving.page.gradio_page import create_page

            loading = {name: aside.submit(_loaded, model, device) for model, name in endings(models).items()}
            parts = {
                "index": index and aside.submit(_opened, index, loading),
                "graph": graph and aside.submit(_graph, graph),
                "runs": runs and aside.submit(_runs, runs, folders),
            }
            given = {name: part for name, part in parts.items() if part is not None}
            contents = Contents(loading, limits=limits, folders=tuple(folders), **given)
            page = create_page(contents, hosts=hosts_of(listening, host))
        Screen(stderr=True).print(announcement(" and ".join(models), listening))
        begin.set()
        run(page, listening, seconds=1, parts=[*loading.values(), *given.values()])


@contextmanager
def _leaving_by_sigterm() -> Iterator[None]:
    """Leave as by Ctrl-C: uvicorn raises SIGTERM again once it has stopped, and uploads would stay."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _aside() -> Iterator[tuple[ThreadPoolExecutor, Event]]:
    """A thread for what the page can be up without, and what it waits for before it begins."""
    pool, begin = ThreadPoolExecutor(1), Event()
    pool.submit(begin.wait)
    try:
        yield pool, begin
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        begin.set()


def _check(
    models: list[str],
    index: Path | None,
    graph: Path | None,
    runs: Path | None,
    images: Sequence[Path],
    device: str | None,
) -> None:
    """Refuse in an instant what is not there."""
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model

    if len(models) > 2:
        raise ValueError(f"{len(models)} models: one or two fit beside each other")
    if len(set(models)) < len(models):
        raise ValueError(f"{models[0]} is given twice: give another model to set beside it, or none")
    preflight.require("app", "a page")
    preflight.check_parser("spacy")
    for model in models:
        check_model(model, device=device)
    if index is not None:
        from knowclip.search.store import check_index

        preflight.require("search", "--index")
        check_index(index, "--index")
    if graph is not None:
        preflight.require("graph", "--graph")
        preflight.graph(graph, "--graph")
    if runs is not None:
        preflight.existing(runs, "--runs", folder=True)
    for folder in images:
        preflight.existing(folder, "--images", folder=True)


def _loaded(model: str, device: str | None) -> DualEncoder:
    from knowclip.console.progress import waiting

    with waiting(f"loading {model}"):
        from knowclip.api.load import load

        return load(model, device=device)


def _graph(folder: Path) -> KnowledgeGraph:
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

    return KnowledgeGraph(folder)


def _runs(folder: Path, folders: Sequence[Path]) -> Mapping[str, Run]:
    """Stored runs; where pictures of theirs lie that are not shown is told."""
    from knowclip.evaluation.runs import find_runs
    from knowclip.serving.page.contents import is_within

    found = find_runs([folder])
    places = {
        case.image.path.parent for run in found.values() for part in run.cases.values() for case in part
    }
    for place in sorted(place for place in places if not is_within(place, folders))[:NAMED]:
        Screen(stderr=True).print(f"{folder} names pictures in {place}: --images {place} shows them")
    return found


def _opened(folder: Path, loading: Mapping[str, Future[DualEncoder]]) -> Index:
    """The index, with that of the page's models which made it; else with its own, which is loaded too."""
    from knowclip.search.index import Index

    for model in loading.values():
        index = Index(folder, model=model.result())
        try:
            index.encoder  # noqa: B018
        except ValueError:  # another model made it
            index.close()
        else:
            return index
    index = Index(folder)
    index.encoder  # noqa: B018
    return index
