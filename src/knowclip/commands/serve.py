"""``knowclip serve MODEL``: a model over HTTP."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowclip.console.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from fastapi import FastAPI


def command(
    model: Annotated[str, typer.Argument(help="Checkpoint folder or file, open_clip name, hf-hub:name.")],
    index: Annotated[
        Path | None, typer.Option(help="Folder that 'index' made with this model, for /search.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="NAME=NUMBER: what a request may ask for (docs/serving.md); again for more."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Texts or images that a pass waits for.")] = 64,
    wait: Annotated[float, typer.Option(min=0, help="Milliseconds that it waits for others.")] = 3.0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
) -> None:
    """Serve a model: /embed, /score, /parse, /search (with --index), /health, /metrics, /openapi.json.

    Requests that come at the same time are encoded in one pass. There is no password: only programs on this
    machine can connect unless --host says otherwise.
    """
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model
    from knowclip.serving.limits import Limits

    limits = Limits.parse(limit or ())
    preflight.require("serve", "a service")
    preflight.check_parser("spacy")
    check_model(model, device=device)
    if index is not None:
        from knowclip.search.store import check_index

        preflight.require("search", "--index")
        check_index(index, "--index")
    with bound(host, port) as listening:
        from knowclip.console.progress import waiting

        with waiting(f"loading {model}"):
            from knowclip.api.load import load
            from knowclip.search.index import Index
            from knowclip.serving.app import create_app
            from knowclip.serving.hosts import hosts_of

            loaded = load(model, device=device)
            opened = None if index is None else Index(index, model=loaded)
            name = Path(model).name if Path(model).exists() else model  # where it lies is nobody's business
            options = {"limits": limits, "batch": batch, "wait": wait / 1000}
            app = create_app(loaded, name=name, index=opened, hosts=hosts_of(listening, host), **options)
        Screen(stderr=True).print(announcement(model, listening))
        run(app, listening, seconds=limits.seconds)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens: an address that is taken is refused before a model is loaded.

    Raises:
        ValueError: Naming the address and the option to change.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise ValueError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another --port, or --host"
        ) from error


def announcement(model: str, listening: socket.socket) -> str:
    """Where the service is, and who can reach it."""
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if ipaddress.ip_address(host).is_loopback:
        reach = "this machine only; --host 0.0.0.0 lets others in"
    else:
        reach = "other machines can reach it, and there is no password"
    return f"serving {model} on {url} ({reach}); Ctrl-C ends it"


def run(app: FastAPI, listening: socket.socket, *, seconds: float, parts: Sequence[Future] = ()) -> None:
    """Answer until stopped; what is being answered then is finished, for at most so many seconds.

    Args:
        app: What answers.
        listening: Where.
        seconds: To finish.
        parts: That are still being made: what one of them fails with ends the service, and is raised.
    """
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=max(1, round(seconds))
    )
    server = uvicorn.Server(config)

    def stop_on_failure(part: Future) -> None:
        if not part.cancelled() and part.exception() is not None:
            server.should_exit = True

    for part in parts:
        part.add_done_callback(stop_on_failure)
    with suppress(KeyboardInterrupt):  # the way to end it: uvicorn has finished, and raises it once more
        server.run(sockets=[listening])
    for part in parts:
        if part.done() and not part.cancelled():
            part.result()
