"""Which names a service answers to, and that what fails behind it ends it."""

from __future__ import annotations

import os
import signal
import tempfile
from concurrent.futures import Future
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from knowclip.serving.limits import RefusedError

pytest.importorskip("fastapi")

from knowclip.commands.app import _leaving_by_sigterm
from knowclip.commands.serve import bound, run
from knowclip.serving.guard import Guard
from knowclip.serving.hosts import LOOPBACK, check_host, check_origin, hosts_of
from knowclip.serving.limits import Limits
from knowclip.serving.metrics import Metrics


def scope(**headers: str) -> dict[str, Any]:
    told = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "GET", "path": "/health", "headers": told}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "[::1]"])
def test_loopback_is_answered_by_its_own_names(host: str) -> None:
    check_host(scope(host=host), LOOPBACK)


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8000", "evil.example:localhost", "[", "::1", "", "a, b"]
)
def test_other_names_are_refused_on_loopback_and_answered_elsewhere(host: str) -> None:
    with pytest.raises(RefusedError, match=r"answers to 127\.0\.0\.1, ::1, localhost") as refused:
        check_host(scope(host=host), LOOPBACK)
    assert refused.value.status == 403
    check_host(scope(host=host), ())


def test_a_request_of_two_hosts_is_refused() -> None:
    twice = scope(host="localhost")
    twice["headers"] = [*twice["headers"], (b"host", b"evil.example")]
    with pytest.raises(RefusedError):
        check_host(twice, LOOPBACK)


def test_where_it_listens_says_which_names_are_its_own() -> None:
    with bound("127.0.0.2", 0) as listening:
        assert {*LOOPBACK, "127.0.0.2", "mine"} == set(hosts_of(listening, "Mine"))
    with bound("0.0.0.0", 0) as listening:
        assert hosts_of(listening, "0.0.0.0") == ()


def test_a_request_for_another_site_is_refused() -> None:
    check_origin(scope(host="localhost:1", origin="http://localhost:1"))
    check_origin(scope(host="localhost:1"))
    for origin in ("http://localhost:2", "https://evil.example", "null", "http://["):
        with pytest.raises(RefusedError, match="another site"):
            check_origin(scope(host="localhost:1", origin=origin))


def test_a_service_refuses_before_it_answers() -> None:
    from starlette.responses import PlainTextResponse
    from starlette.testclient import TestClient

    guard = Guard(PlainTextResponse("fine"), limits=Limits(), metrics=Metrics(), paths=["/"], hosts=LOOPBACK)
    client = TestClient(guard, base_url="http://127.0.0.1:8000")
    assert client.get("/").text == "fine"
    for method in ("GET", "POST", "OPTIONS"):
        answer = client.request(method, "/", headers={"host": "evil.example"})
        assert answer.status_code == 403 and "not to 'evil.example'" in answer.json()["detail"]


def test_what_fails_while_it_is_up_ends_it_and_is_told() -> None:
    from starlette.responses import PlainTextResponse

    part: Future[None] = Future()
    part.set_exception(ValueError("photos.index was made with another model"))
    with bound("127.0.0.1", 0) as listening, pytest.raises(ValueError, match="another model"):
        run(PlainTextResponse("fine"), listening, seconds=1, parts=[part])


def test_uploads_go_when_the_page_is_ended_by_sigterm() -> None:
    from starlette.responses import PlainTextResponse

    before = signal.getsignal(signal.SIGTERM)
    Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with (
        pytest.raises(SystemExit) as ended,
        _leaving_by_sigterm(),
        bound("127.0.0.1", 0) as listening,
        tempfile.TemporaryDirectory() as uploads,
    ):
        run(PlainTextResponse("fine"), listening, seconds=1)
    assert ended.value.code == 143 and not Path(uploads).exists()
    assert signal.getsignal(signal.SIGTERM) == before
