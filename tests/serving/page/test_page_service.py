"""The page as a service: what it answers, to whom, and that no file outside its uploads can be read."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from knowclip.serving.limits import Limits
from knowclip.serving.page.contents import Contents
from knowclip.serving.page.fence import ANSWERED, LOOPBACK
from tiny import tiny_model

HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("gradio")  # takes seconds: not while tests are collected
    from starlette.testclient import TestClient

    uploads = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GRADIO_TEMP_DIR", str(uploads))
        environment.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        from knowclip.serving.page.gradio_page import create_page

        models = {"a": tiny_model(seed=0), "b": tiny_model(seed=1)}
        limits = Limits(body=200_000, side=400)
        page = create_page(Contents(models, limits=limits), hosts=LOOPBACK)
        with TestClient(page, base_url=HERE, raise_server_exceptions=False) as client:
            yield client


def png(width: int, height: int = 30) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, "PNG")
    return buffer.getvalue()


def upload(client: Any, data: bytes, name: str = "picture.png") -> str:
    answer = client.post("/gradio_api/upload", files={"files": (name, data)})
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


def compare(client: Any, path: str, text: str = "a red dog beside a cat") -> dict[str, Any]:
    """What the page's own event gives: its first, of the button."""
    config = client.get("/config").json()
    event = next(d for d in config["dependencies"] if len(d["inputs"]) == 2)
    picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
    asked = {"fn_index": event["id"], "data": [picture, text], "session_hash": "test"}
    assert client.post("/gradio_api/queue/join", json=asked).status_code == 200
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "test"}) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if message.get("msg") == "process_completed":
                return message
    raise AssertionError("the event never ended")


def test_the_page_names_nothing_outside_this_machine(client: Any) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http" not in policy and "*" not in policy
    config = client.get("/config").json()
    assert config["analytics_enabled"] is False and not config.get("stylesheets")
    assert "fonts.googleapis" not in answer.text + client.get("/theme.css").text


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file={outside}",
        "/gradio_api/file=../../../../../../../..{outside}",
        "/gradio_api/file=file://{outside}",
        "/gradio_api/file={uploads}/../secret.txt",
        "/assets/../../../../../../../..{outside}",
        "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e{outside}",
        "/svelte/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..{outside}",
        "/gradio_api/proxy=https://example.com/",
        "/gradio_api/file=https://example.com/",
        "/gradio_api/file/{outside}",
    ],
)
def test_no_file_outside_the_uploads_is_served(client: Any, path: str, tmp_path: Path) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_text("top secret")
    answer = client.get(
        path.format(outside=outside, uploads=os.environ["GRADIO_TEMP_DIR"]), follow_redirects=False
    )
    assert answer.status_code in (400, 403, 404), (path, answer.status_code)
    assert "top secret" not in answer.text


def test_a_picture_by_a_path_of_the_client_is_not_opened(client: Any, tmp_path: Path) -> None:
    (tmp_path / "private.png").write_bytes(png(40))
    ended = compare(client, str(tmp_path / "private.png"))
    assert ended["success"] is False and not ended["output"].get("data")
    kept = [path for path in Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*") if path.name == "private.png"]
    assert not kept  # nor copied to where it could be fetched


def test_an_uploaded_picture_is_compared_by_both_models(client: Any) -> None:
    ended = compare(client, upload(client, png(60)))
    assert ended["success"] is True, ended
    (html,) = ended["output"]["data"]
    text = html if isinstance(html, str) else json.dumps(html)
    assert "a red dog beside a cat" in text and "rank" in text and text.count("<tr") > 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(401), "401 x 30 pixels: at most 400 a side"),
        (b"no picture at all", "no image of a known format"),
        (b"", "the picture is empty"),
        (png(60)[:60], "cannot be decoded"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image of a known format"),
    ],
)
def test_pictures_that_are_too_large_or_broken_are_told(client: Any, data: bytes, message: str) -> None:
    ended = compare(client, upload(client, data))
    assert ended["success"] is False and message in ended["output"]["error"]


@pytest.mark.parametrize("number", [999, -1])
def test_an_event_that_is_made_up_is_not_found(client: Any, number: int) -> None:
    asked = {"fn_index": number, "data": [1], "session_hash": "test"}
    answer = client.post("/gradio_api/queue/join", json=asked)
    assert answer.status_code == 404 and f"no event {number}" in answer.text


def test_an_upload_beyond_the_limit_is_refused_before_it_is_kept(client: Any) -> None:
    noise = np.random.default_rng(0).bytes(300_000)
    answer = client.post("/gradio_api/upload", files={"files": ("a.png", noise)})
    assert answer.status_code == 413 and "200,000 bytes" in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "::1"]
)
def test_a_name_of_another_site_that_leads_here_is_refused(client: Any, host: str) -> None:
    assert client.get("/config", headers={"host": host}).status_code == 403
    assert client.get("/config", headers={"host": "localhost:7860"}).status_code == 200


def test_another_site_cannot_use_the_page(client: Any) -> None:
    answer = client.post("/gradio_api/queue/join", json={}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403


def test_no_event_takes_the_name_of_a_model(client: Any) -> None:
    config = client.get("/config").json()
    kinds = {component["id"]: component["type"] for component in config["components"]}
    inputs = {kinds[i] for event in config["dependencies"] for i in event["inputs"]}
    assert inputs == {"image", "textbox"}
    assert {event["api_visibility"] for event in config["dependencies"]} == {"private"}


@pytest.mark.parametrize(
    "path", ["/gradio_api/info", "/gradio_api/call/x", "/monitoring", "/login", "/gradio_api/runs"]
)
def test_what_the_page_does_not_need_is_not_there(client: Any, path: str) -> None:
    assert ANSWERED.fullmatch(path) is None
    assert client.get(path).status_code == 404
