"""A service under load: clients that ask at once, against one that asks for the same one by one.

    python benchmarks/serve.py scenes-base
    python benchmarks/serve.py ViT-B-32/random --requests 200

Starts the service on a free port of this machine, in a process of its own, and asks over HTTP: a text, and a
photo with a text, a request. Each way is timed in turn, ``--rounds`` times, and the ratio is that of the best
times: a machine that is not quiet only adds to a time. Prints a JSON object a way to ask.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import numpy as np
from PIL import Image

WORDS = ("red", "green", "blue", "small", "big", "old", "new", "dark")
NOUNS = ("horse", "dog", "house", "astronaut", "boat", "cup", "tree", "child")
Ask = Callable[[httpx.Client, int], httpx.Response]


@contextmanager
def served(model: str, arguments: list[str]) -> Iterator[str]:
    """The address of the service of a model."""
    command = [sys.executable, "-m", "knowclip.cli", "serve", model, "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = next((line for line in process.stderr if "http://" in line), "")
        if not told:
            raise SystemExit(f"the service did not start: {' '.join(command)}")
        yield re.findall(r"http://[^ ]+", told)[0]
        process.terminate()


def text_of(number: int) -> str:
    return f"a {WORDS[number % 8]} {NOUNS[number // 8 % 8]} beside a {NOUNS[number // 64 % 8]}"


def photo(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((320, 240)).save(file, "JPEG")
    return file.getvalue()


def seconds(address: str, ask: Ask, *, requests: int, clients: int) -> float:
    """Wall time of all requests, shared out to so many clients, each with a connection of its own."""

    def client(first: int) -> None:
        with httpx.Client(base_url=address, timeout=300) as session:
            for number in range(first, requests, clients):
                ask(session, number).raise_for_status()

    with ThreadPoolExecutor(clients) as pool:
        began = time.perf_counter()
        list(pool.map(client, range(clients)))
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", nargs="*", default=[], help="further options of 'knowclip serve'")
    args = parser.parse_args()
    photos = [photo(number) for number in range(args.requests)]
    ways: dict[str, Ask] = {
        "text": lambda session, n: session.post("/embed", json={"texts": [text_of(n)]}),
        "photo and text": lambda session, n: session.post(
            "/score", data={"texts": text_of(n)}, files={"images": photos[n]}
        ),
    }
    with served(args.model, args.serve) as address:
        for name, ask in ways.items():
            times = {1: [], args.clients: []}
            for _ in range(args.rounds):
                for clients, taken in times.items():
                    taken.append(seconds(address, ask, requests=args.requests, clients=clients))
            one, many = (min(taken) for taken in times.values())
            print(json.dumps({
                "asked": name, "clients": args.clients, "requests": args.requests,
                "ratio": round(one / many, 2),
                "ratios": [round(a / b, 2) for a, b in zip(*times.values(), strict=True)],
                "milliseconds_one_by_one": round(1000 * one / args.requests, 1),
                "milliseconds_at_once": round(1000 * many / args.requests, 1),
            }))  # fmt: skip


if __name__ == "__main__":
    main()
