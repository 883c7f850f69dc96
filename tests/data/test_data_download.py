"""Downloads from a local server that breaks off, lies, forgets how to resume, and changes its files."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from knowclip.data.download import download

CONTENT = bytes(range(256)) * 40_000  # 10 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one file; ``breaks`` connections end after ``after`` bytes."""

    content, etag, breaks, after, resumes, status = CONTENT, '"v1"', 0, 3_000_000, True, 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.ranges.append(wanted)
        if server.status:
            self.send_error(server.status)
            return
        start = 0
        if wanted and server.resumes and self.headers.get("If-Range") == server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.etag)
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            body = body[: server.after]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the console."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_interrupted_transfer_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.breaks = 2
    seen: list[tuple[int, int | None]] = []
    path = tmp_path / "deep" / "file.bin"
    assert download(server.url, path, sha256=SHA256, pause=0, progress=lambda *at: seen.append(at))
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=3000000-", "bytes=6000000-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]
    assert not download(server.url, path, sha256=SHA256)
    assert len(server.ranges) == 3


def test_the_next_call_goes_on_too(server: Server, tmp_path: Path) -> None:
    server.breaks = 1
    path = tmp_path / "file.bin"
    with pytest.raises(OSError, match=r"broken off 1 times.*3,000,000 bytes have arrived"):
        download(server.url, path, attempts=1)
    assert not path.exists()
    assert download(server.url, path, pause=0)
    assert server.ranges == [None, "bytes=3000000-"]
    assert path.read_bytes() == CONTENT


def test_without_a_network_the_host_is_named_at_once_and_nothing_is_left(tmp_path: Path) -> None:
    url = "http://no-such-host.invalid/file.bin"  # a name that never has an address (RFC 2606)
    with pytest.raises(OSError) as error:
        download(url, tmp_path / "deep" / "file.bin", pause=3600)
    told = "no address of no-such-host.invalid is found: is this machine online?"
    assert str(error.value) == f"{url}: {told}"
    assert not [*tmp_path.iterdir()]


def test_what_broke_the_last_attempt_is_said_in_words(tmp_path: Path) -> None:
    with Server() as closed:
        url = closed.url
    with pytest.raises(OSError) as error:
        download(url, tmp_path / "deep" / "file.bin", attempts=2, pause=0)
    told = r"broken off 2 times, last by \[Errno \d+\] Connection refused; 0 bytes have arrived; .* there"
    assert re.fullmatch(f"{url}: {told}", str(error.value))
    assert not [*tmp_path.iterdir()]


def test_a_file_that_changed_meanwhile_is_sent_again(server: Server, tmp_path: Path) -> None:
    server.breaks = 1
    path = tmp_path / "file.bin"
    with pytest.raises(OSError, match="broken off"):
        download(server.url, path, attempts=1)
    server.content, server.etag = b"new" * 2_000_000, '"v2"'
    download(server.url, path)
    assert path.read_bytes() == server.content


def test_a_server_that_cannot_resume_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.breaks, server.resumes = 1, False
    download(server.url, tmp_path / "file.bin", sha256=SHA256, pause=0)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_part_that_is_the_whole_file_is_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    (tmp_path / "file.bin.part.version").write_text(server.etag)
    download(server.url, tmp_path / "file.bin", sha256=SHA256)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has changed or was damaged"):
        download(server.url, tmp_path / "file.bin", sha256="0" * 64)
    assert not (tmp_path / "file.bin").exists()
    assert not (tmp_path / "file.bin.part").exists()
    (tmp_path / "file.bin").write_bytes(b"something else")
    with pytest.raises(ValueError, match="was removed"):
        download(server.url, tmp_path / "file.bin", sha256=SHA256)


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, 3)])
def test_only_passing_errors_are_tried_again(server: Server, tmp_path: Path, status: int, tries: int) -> None:
    server.status = status
    with pytest.raises(OSError, match=str(status)):
        download(server.url, tmp_path / "file.bin", attempts=3, pause=0)
    assert len(server.ranges) == tries


def test_only_http_addresses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no http or https address"):
        download("file:///etc/passwd", tmp_path / "x")
