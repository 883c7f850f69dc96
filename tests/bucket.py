"""A server that stands in for S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import fsspec
import pytest


@contextmanager
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket, for this process and those that it starts."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, os.environ.get(name, "us-east-1"))
        name = uuid4().hex  # what one server holds, all servers of a process do
        fsspec.filesystem("s3").mkdir(name)
        yield f"s3://{name}"
    finally:
        server.stop()
        fsspec.filesystem("s3").clear_instance_cache()
