"""A service under what clients may do to it: anything that OpenAPI allows, and fifty of them at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_service import png

import knowclip
from knowclip.commands import serve
from tiny_models import make

pytest.importorskip("fastapi")
pytest.importorskip("usearch")
pytest.importorskip("httpx")

import httpx

from knowclip.serving.app import create_app
from knowclip.serving.limits import Limits

pytestmark = pytest.mark.slow
CLIENTS = 50


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, knowclip.Index]:
    folder = tmp_path_factory.mktemp("load")
    (folder / "photos").mkdir()
    for number in range(5):
        (folder / "photos" / f"{number}.png").write_bytes(png(number))
    model = make("word_level", folder)
    return model, knowclip.Index.build(folder / "photos", folder / "idx", model=model)


@pytest.fixture(scope="module")
def address(parts: tuple[Any, knowclip.Index]) -> Iterator[str]:
    """A real server on a loopback port."""
    import uvicorn

    model, index = parts
    app = create_app(model, name="tiny", index=index)
    with serve.bound("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield "http://{}:{}".format(*listening.getsockname())
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def test_fifty_clients_at_once_get_their_own_answers(address: str, parts: tuple[Any, knowclip.Index]) -> None:
    model, _ = parts
    texts = [f"a {colour} horse {number}" for colour in ("red", "green") for number in range(CLIENTS)]
    expected = model.encode_text(texts, normalize=True).detach().numpy()
    start = threading.Barrier(CLIENTS)

    def client(number: int) -> None:
        with httpx.Client(base_url=address, timeout=60) as session:
            start.wait()
            for place in (number, number + CLIENTS):
                answer = session.post("/embed", json={"texts": [texts[place]]})
                assert answer.status_code == 200, answer.text
                np.testing.assert_allclose(answer.json()["texts"][0], expected[place], atol=1e-5)
                scored = session.post("/score", data={"texts": texts[place]}, files={"images": png(number)})
                assert scored.status_code == 200, scored.text
                found = session.post("/search", json={"text": texts[place], "rerank": False})
                assert found.status_code == 200 and len(found.json()["hits"]) == 5

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))
    assert httpx.get(f"{address}/health").json()["status"] == "ok"


def test_a_body_that_is_too_large_is_told_to_its_sender(address: str) -> None:
    answer = httpx.post(f"{address}/embed", content=b"x" * (Limits().body + 1), timeout=60)
    assert answer.status_code == 413 and "33,554,432 bytes" in answer.text
    assert httpx.get(f"{address}/health").status_code == 200


def test_a_sender_that_stops_halfway_disturbs_nobody(address: str) -> None:
    import socket

    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as sender:
        sender.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        sender.sendall(b'Content-Length: 100\r\n\r\n{"texts"')
    assert httpx.post(f"{address}/embed", json={"texts": ["a horse"]}).status_code == 200


def test_nothing_that_the_description_allows_breaks_it(parts: tuple[Any, knowclip.Index]) -> None:
    """Schemathesis: valid and invalid requests of every endpoint; answers are as described, none is a 500."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        negative_data_rejection,
        response_schema_conformance,
        status_code_conformance,
    )

    model, index = parts
    refused = {"expected-statuses": [400, 404, 405, 413, 415, 422]}  # by itself it takes a 413 for accepted
    config = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": refused}})
    app = create_app(model, name="tiny", index=index)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    seen = []

    @given(data=st.data())
    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(data: Any) -> None:
        operations = [found.ok() for found in schema.get_all_operations()]
        operation = data.draw(st.sampled_from(operations))
        mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        # of a form, schemathesis may leave out the very field that was to be wrong
        strict = [negative_data_rejection] if case.media_type == "application/json" else []
        seen.append(case.call_and_validate(checks=[*checks, *strict]).status_code)

    ask()
    assert 200 in seen and 422 in seen and max(seen) < 500


def test_an_address_that_is_taken_is_told_with_what_to_change() -> None:
    with serve.bound("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(ValueError, match=rf"127\.0\.0\.1:{port} .*choose another --port"):
            serve.bound("127.0.0.1", port)


def test_a_service_says_who_can_reach_it() -> None:
    with serve.bound("127.0.0.1", 0) as listening:
        assert "this machine only" in serve.announcement("tiny", listening)
    with serve.bound("0.0.0.0", 0) as listening:
        assert "other machines can reach it" in serve.announcement("tiny", listening)


def test_the_command_serves_until_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    """All of it but uvicorn's own loop, for which a test client stands."""
    from starlette.testclient import TestClient

    from knowclip.cli import build_app

    answers = []

    def run(app: Any, listening: Any, *, seconds: float) -> None:
        with TestClient(app, base_url="http://127.0.0.1") as client:
            answers.extend([client.get("/health").json(), client.post("/embed", json={"texts": ["a"] * 3})])
        assert listening.getsockname()[0] == "127.0.0.1" and seconds == 5

    monkeypatch.setattr(serve, "run", run)
    line = ["serve", "scenes-base", "--port", "0", "--limit", "texts=2", "--limit", "seconds=5"]
    build_app()(line, standalone_mode=False)
    health, refused = answers
    assert health["model"] == "scenes-base" and health["photos"] is None
    assert refused.status_code == 413 and "at most 2" in refused.text
    assert "serving scenes-base on http://127.0.0.1:" in capfd.readouterr().err
