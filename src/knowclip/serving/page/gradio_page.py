"""The page itself: Gradio's components around the functions of this folder, and the fence around Gradio.

Gradio keeps uploads in ``GRADIO_TEMP_DIR``, which must be set before this module is imported; no other folder
is served. Its analytics, its look for newer versions, its run history and its fonts from the web are off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache, wraps
from html import escape
from importlib.resources import files
from typing import Any

import gradio as gr
from fastapi import FastAPI, HTTPException

from knowclip.serving.hosts import LOOPBACK
from knowclip.serving.limits import RefusedError
from knowclip.serving.page import views
from knowclip.serving.page.browsing import OUTCOMES, shared_benchmarks, sheet
from knowclip.serving.page.comparison import captions_of, read_captions, score_all
from knowclip.serving.page.contents import Contents, opened
from knowclip.serving.page.fence import Fence
from knowclip.serving.page.graph_view import best_known, neighbourhood
from knowclip.serving.page.pictures import uploaded

EXAMPLE = "an astronaut riding a horse\na horse riding an astronaut"
SYSTEM_FONTS = ("system-ui", "sans-serif")
MONOSPACED = ("ui-monospace", "monospace")
ALL = "all"
MODEL = {"concurrency_id": "model", "concurrency_limit": 1}
"""Events that ask a model take turns: two at a time would only slow each other down."""


def create_page(contents: Contents, *, hosts: Collection[str] = LOOPBACK) -> FastAPI:
    """The page as an ASGI app; ``hosts`` are the names it answers to (see ``fence.Fence``)."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Fence, limits=contents.limits, hosts=hosts)
    room = files("knowclip.serving.page")
    blocks = _blocks(contents)
    mounted = gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        show_error=False,
        max_file_size=contents.limits.body,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gr.themes.Base(font=SYSTEM_FONTS, font_mono=MONOSPACED),
        css=room.joinpath("page.css").read_text(encoding="utf-8"),
        head='<meta name="referrer" content="no-referrer">'
        f"<style>{room.joinpath('frame.css').read_text(encoding='utf-8')}</style>",
    )
    # Gradio checks only of what it launched itself that a file an event names was uploaded: of a mounted page
    # it would copy any file of this machine to where it can be fetched (6.31)
    blocks.has_launched = True
    blocks.default_config.fns = _Events(blocks.fns)
    return mounted


class _Events(dict[int, Any]):
    """Gradio's, by number; one that a client makes up is not found (a KeyError within Gradio 6.31)."""

    def __missing__(self, number: int) -> Any:
        raise HTTPException(404, f"no event {number}")


def _blocks(contents: Contents) -> gr.Blocks:
    with gr.Blocks(title="knowclip", analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        gr.Markdown(f"# knowclip\n{' against '.join(map(escape, contents.models))}")
        with gr.Tabs():
            for title, given, option, fill in (
                ("Compare", True, "", _compare),
                ("Search", contents.index is not None, "--index IDX", _search),
                ("Results", contents.runs != {}, "--runs FOLDER", _browse),
                ("Graph", contents.graph is not None, "--graph KG", _graph),
            ):
                with gr.Tab(title):
                    if given:
                        fill(contents)
                    else:
                        gr.Markdown(f"Start the page with `{option}` to have something here.")
    return blocks


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a user did wrong is told on the page; anything else Gradio keeps to the terminal."""

    @wraps(function)
    def answer(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (RefusedError, ValueError, ImportError) as error:
            # Gradio shows messages as HTML
            raise gr.Error(escape(str(error)), title="Not done", print_exception=False) from error

    return answer


def _on(events: list[Any], function: Callable[..., Any], inputs: Any, outputs: Any, **more: Any) -> None:
    gr.on(events, _told(function), inputs, outputs, api_visibility="private", **more)


def _picture() -> gr.Image:
    picture = gr.Image(label="Picture", sources=["upload", "clipboard"], height=300, buttons=[])
    # its file: Gradio opens it before any limit is looked at, and keeps to itself that it is no picture
    picture.preprocess = lambda upload: None if upload is None else upload.path
    return picture


def _compare(contents: Contents) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            picture = _picture()
        with gr.Column(scale=3, min_width=280):
            captions = gr.Textbox(label="Captions, one a line", value=EXAMPLE, lines=5, max_lines=12)
            button = gr.Button("Compare", variant="primary")
    told = gr.HTML(label="What each model makes of them")

    def compare(path: str | None, text: str) -> str:
        image = uploaded(path, limits=contents.limits, shorter=contents.shorter)
        readings = read_captions(captions_of(text, contents.limits))
        return views.comparison(readings, score_all(contents.loaded, image, readings))

    _on([button.click, captions.submit], compare, [picture, captions], told, **MODEL)


def _search(contents: Contents) -> None:
    part, limits = contents.index, contents.limits
    assert part is not None
    with gr.Row():
        with gr.Column(scale=3, min_width=280):
            text = gr.Textbox(label="What photos are to show", placeholder="an astronaut riding a horse")
            minus = gr.Textbox(label="What they are not to show", placeholder="a saddle")
            top = gr.Slider(1, limits.top, 20, step=1, label="Photos")
            button = gr.Button("Search", variant="primary")
        with gr.Column(scale=2, min_width=280):
            picture = _picture()
    told = gr.HTML(label="Photos")

    def search(wanted: str, unwanted: str, path: str | None, count: float) -> str:
        for name, given in (("the query", wanted), ("what they are not to show", unwanted)):
            if given.strip():
                limits.check_text(given, name)
        image = None if path is None else uploaded(path, limits=limits, shorter=contents.shorter)
        given = {"image": image, "minus": [unwanted] if unwanted.strip() else []}
        index = opened(part)
        found = index.search(wanted.strip() or None, top=int(count), **given)
        return views.found_photos(found, holds=index.holds)

    events = [button.click, text.submit, minus.submit]
    _on(events, search, [text, minus, picture, top], told, **MODEL)


def _browse(contents: Contents) -> None:
    narrow = {"min_width": 220}
    words = [(words, name) for name, words in OUTCOMES.items()]
    with gr.Row():
        one = gr.Dropdown([], label="A", **narrow)
        two = gr.Dropdown([], label="B", **narrow)
        benchmark = gr.Dropdown([], label="Benchmark", **narrow)
    with gr.Row():
        outcome = gr.Dropdown(words, value="lost", label="Outcome", **narrow)
        kind = gr.Dropdown([ALL], value=ALL, label="Kind", **narrow)
        page = gr.Number(1, label="Page", precision=0, minimum=1, min_width=100)
    told = gr.HTML(label="Cases")

    def begin() -> tuple[Any, Any, Any, Any]:
        names = list(opened(contents.runs))
        usable = _shared(contents, names[0], names[-1])
        ends = (gr.update(choices=names, value=name) for name in (names[0], names[-1]))
        # a run alone has nothing that another got right
        begun = gr.skip() if len(names) > 1 else "wrong"
        return *ends, gr.update(choices=usable, value=next(iter(usable), None)), begun

    def show(a: str, b: str, of: str | None, what: str, which: str, number: float) -> tuple[str, Any]:
        if of is None:
            return f"<p>{escape(a)} and {escape(b)} have no cases in common that can be shown.</p>", gr.skip()
        chosen = {"outcome": what, "kind": "" if which == ALL else which, "page": int(number or 1)}
        found = sheet(opened(contents.runs), a, b, of, **chosen)
        return views.cases(found, what, shows=contents.shows), gr.update(choices=[ALL, *found.kinds])

    def choose(a: str, b: str, of: str | None) -> tuple[Any, Any, int]:
        usable = _shared(contents, a, b)
        chosen = of if of in usable else next(iter(usable), None)
        return gr.update(choices=usable, value=chosen), gr.update(value=ALL, choices=[ALL]), 1

    inputs = [one, two, benchmark, outcome, kind, page]
    begun = _begin(begin, [one, two, benchmark, outcome])
    begun.success(_told(show), inputs, [told, kind], api_visibility="private")
    for event in (one.input, two.input, benchmark.input):
        changed = event(_told(choose), inputs[:3], [benchmark, kind, page], api_visibility="private")
        changed.then(_told(show), inputs, [told, kind], api_visibility="private")
    for event in (outcome.input, kind.input):
        first = event(lambda: 1, None, page, api_visibility="private")
        first.then(_told(show), inputs, [told, kind], api_visibility="private")
    _on([page.submit, page.input], show, inputs, [told, kind])


def _begin(function: Callable[[], Any], outputs: Any) -> Any:
    """What is filled in as the page is opened: it may have to wait for a part that is not opened yet."""
    return gr.context.Context.root_block.load(_told(function), None, outputs, api_visibility="private")


def _shared(contents: Contents, a: str, b: str) -> list[str]:
    """Benchmarks of two runs, which a client names."""
    runs = opened(contents.runs)
    for name in (a, b):
        if name not in runs:
            raise ValueError(f"no run {name!r}; there are: {', '.join(runs)}")
    return shared_benchmarks(runs[a], runs[b])


def _graph(contents: Contents) -> None:
    part = contents.graph
    assert part is not None
    with gr.Row():
        name = gr.Textbox(label="Entity: its id or its text", scale=4, min_width=200)
        button = gr.Button("Show", variant="primary", scale=1, min_width=100)
    begun = gr.Markdown()
    told = gr.HTML(label="What the graph says of it")

    @cache
    def begin() -> str:
        graph = opened(part)
        counts = ", ".join(f"{count:,} {what}" for what, count in graph.counts.items())
        known = ", ".join(map(escape, best_known(graph)))
        return f"{counts}. Best known: {known or 'no entity has a text'}."

    def show(text: str) -> str:
        return views.entity(neighbourhood(opened(part), text, contents.limits, shows=contents.shows))

    _begin(begin, begun)
    _on([button.click, name.submit], show, name, told)
