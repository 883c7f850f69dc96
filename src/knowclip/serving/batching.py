"""Concurrent requests -> one forward: a thread that gathers what is asked for, for a moment, and does it.

All work with the model, the parser and the index is done by this one thread: none of them is asked twice at
once, and the processor's cores work on one batch, not on many small ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

Work = Callable[[list[Any]], Sequence[Any]]
"""Items -> a result for each."""


@dataclass(frozen=True, slots=True)
class _Job:
    kind: str
    items: list[Any]
    result: Future[Sequence[Any]] = field(default_factory=Future)


class Batcher:
    """A queue and its thread.

    Args:
        works: Kind of item -> what is done with a list of them.
        size: Items of a kind, from which on no more are waited for.
        wait: Seconds to wait for others after the first.
        done: Told the kind and the number of items of each batch.
    """

    def __init__(
        self,
        works: Mapping[str, Work],
        *,
        size: int = 64,
        wait: float = 0.003,
        done: Callable[[str, int], None] = lambda kind, items: None,
    ) -> None:
        self._works, self._size, self._wait, self._done = works, size, wait, done
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="knowclip-batches", daemon=True)

    def __enter__(self) -> Batcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Finish what is waiting, and end."""
        self._queue.put(None)
        self._thread.join()

    def submit(self, kind: str, items: Sequence[Any]) -> Future[Sequence[Any]]:
        """Ask for some items' results, in order; cancelled before it is its turn, nothing is done."""
        job = _Job(kind, list(items))
        self._queue.put(job)
        return job.result

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            jobs: dict[str, list[_Job]] = {}
            for job in self._gathered(first):
                if job.result.set_running_or_notify_cancel():
                    jobs.setdefault(job.kind, []).append(job)
            for kind, several in jobs.items():
                self._do(kind, several)

    def _gathered(self, first: _Job) -> Iterator[_Job]:
        """The first job, and those that come within a moment, until a kind has enough items."""
        until = time.monotonic() + self._wait
        counts = {first.kind: len(first.items)}
        yield first
        while max(counts.values()) < self._size:
            try:
                # what has come while the last batch was at work is there without waiting
                job = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                return
            if job is None:
                self._queue.put(None)  # for the loop, after this batch
                return
            counts[job.kind] = counts.get(job.kind, 0) + len(job.items)
            yield job

    def _do(self, kind: str, jobs: list[_Job]) -> None:
        """One call for all; where it fails, one for each, so that an error is told to its own request."""
        items = [item for job in jobs for item in job.items]
        try:
            results = self._works[kind](items)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].result.set_exception(error)
                return
            for job in jobs:
                self._do(kind, [job])
            return
        self._done(kind, len(items))
        start = 0
        for job in jobs:
            job.result.set_result(results[start : start + len(job.items)])
            start += len(job.items)
