"""``knowclip push`` against a stand-in of the Hugging Face hub on this machine."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from knowclip.commands import push as command
from knowclip.export.formats import _MARKS
from knowclip.export.open_clip import save_pretrained
from knowclip.export.push import push
from tiny_models import make


@pytest.fixture
def hub() -> Iterator[SimpleNamespace]:
    """A hub that takes every file within the commit; ``asked`` are its requests, ``files`` what it has."""
    told = SimpleNamespace(asked=[], files={}, refuse=False, address="")

    class Hub(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.asked.append((self.path, self.headers.get("Authorization"), body))
            if told.refuse:
                return self._answer({"error": "You don't have the rights"}, status=403)
            if self.path == "/api/repos/create":
                return self._answer({"url": f"{told.address}/org/name", "id": "1"})
            if self.path == "/api/validate-yaml":
                return self._answer({"errors": [], "warnings": []})
            if "/preupload/" in self.path:
                names = [file["path"] for file in json.loads(body)["files"]]
                return self._answer(
                    {"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]}
                )
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    told.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self._answer({"commitUrl": f"{told.address}/org/name/commit/abc", "commitOid": "abc"})

        def do_GET(self) -> None:
            self._answer({"error": "not found"}, status=404)

        def _answer(self, content: dict[str, Any], *, status: int = 200) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    told.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_pretrained(make("word_level", tmp_path), tmp_path / "run/best")
    (tmp_path / "run/best/training.json").write_text("{}")
    (tmp_path / "run/best/trainer").mkdir()
    (tmp_path / "run/best/trainer/state.pt").write_bytes(b"optimiser")
    return tmp_path / "run"


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(command.command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_run_is_pushed_with_a_card(hub, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", hub.address)
    told = invoke(run, "org/name", "--private")
    assert told.exit_code == 0, told.output or told.exception
    assert f"to {hub.address}/org/name/commit/abc" in told.stdout and "--results" in told.stdout
    written = {path.name for path in (run / "best").iterdir()} - {"training.json", "trainer"}
    assert set(hub.files) == {*written, "README.md"}
    weights = (run / "best/open_clip_model.safetensors").read_bytes()
    assert hub.files["open_clip_model.safetensors"] == weights
    card = hub.files["README.md"].decode()
    assert 'library_name: "open_clip"' in card and "# name" in card and "FOLDER" not in card
    assert 'knowclip.load("hf-hub:org/name")' in card
    assert 'open_clip.create_model_and_transforms("hf-hub:org/name")' in card
    path, authorization, body = hub.asked[0]
    assert (path, authorization) == ("/api/repos/create", "Bearer hf_of_the_test")
    assert "private" in (json.loads(body).get("visibility"), *json.loads(body))  # as its release says it
    assert not (run / "best/README.md").exists()  # what was trained stays as it is


def test_a_refusal_says_what_to_do(hub, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
    hub.refuse = True
    with pytest.raises(ValueError, match=r"org/name was not pushed to .*log in with 'hf auth login'"):
        push(run / "best", "org/name", endpoint=hub.address)
    assert not hub.files


def test_a_hub_that_is_not_reached_is_no_matter_of_logging_in(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
    with pytest.raises(ValueError, match=r"org/name was not pushed to .*connection.*HF_ENDPOINT") as told:
        push(run / "best", "org/name", endpoint="http://127.0.0.1:9")  # where nothing listens
    assert "log in" not in str(told.value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"was not pushed to .*unset HF_HUB_OFFLINE"):
        push(run / "best", "org/name")


@pytest.mark.parametrize("name", ["no name", "a/b/c", "/x", "x" * 97])
def test_a_name_that_no_repository_can_have_is_refused_at_once(run, name: str) -> None:
    assert "give ORG/NAME" in str(invoke(run, name).exception)


def test_results_are_read_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()  # no checkpoint, which would be told next
    told = invoke(tmp_path / "run", "org/name", "--results", tmp_path / "run")
    assert "holds no results" in str(told.exception)


def test_each_library_is_told_how_it_reads_a_hub() -> None:
    lines = {loading.library: loading.line_on_hub("org/name") for loading in _MARKS.values()}
    assert lines["sentence-transformers"] == 'SentenceTransformer("org/name")'
    assert lines["knowclip"] == 'knowclip.load("hf-hub:org/name")'
    assert "PATH OF THIS FOLDER/image.onnx" in lines["onnx"]


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    told = invoke(tmp_path, "org/name")
    assert "holds no checkpoint" in str(told.exception)
    assert "does not exist" in str(invoke(tmp_path / "nowhere", "org/name").exception)
