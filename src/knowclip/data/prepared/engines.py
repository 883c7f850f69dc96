"""Units of work -> results, in local processes or on Ray's workers: a few at a time, as they are done."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from knowclip.storage.processes import process_pool

Work = Callable[[bytes], bytes]
Load = Callable[[int], bytes]
"""Number of a unit -> its content."""
Done = Iterator[tuple[int, bytes]]
Engine = Callable[[Sequence[int], Load, Work], Done]
_AHEAD = 2
"""Units given out for each worker: one that it works on, and one that waits."""


def in_processes(units: Sequence[int], load: Load, work: Work, *, processes: int) -> Done:
    """In local processes, or in this one where one is enough.

    Raises:
        ValueError: A process was ended from outside.
    """
    processes = min(processes, len(units))
    if processes <= 1:
        yield from ((unit, work(load(unit))) for unit in units)
        return
    waiting = iter(units)
    given: dict[Future[bytes], int] = {}
    pool = process_pool(processes)
    try:
        while True:
            while len(given) < _AHEAD * processes and (unit := next(waiting, None)) is not None:
                given[pool.submit(work, load(unit))] = unit
            if not given:
                return
            for future in wait(given, return_when=FIRST_COMPLETED).done:
                yield given.pop(future), future.result()
    except BrokenProcessPool as error:
        raise ValueError(
            "a process that parses was ended from outside, as for want of memory: the same command goes on "
            f"from the shards that are there; give fewer --processes than {processes}"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def on_ray(units: Sequence[int], load: Load, work: Work, *, address: str | None) -> Done:
    """On the workers of a Ray cluster, or of one that is started here and ends with this process.

    They need no disk in common: a unit's content goes to them, and its result comes back. They run this very
    knowclip, which is sent to them; what it stands on has to be installed there.

    Args:
        units: Numbers.
        load: Number -> content.
        work: Content -> result.
        address: Of the cluster (``auto``, ``ray://HOST:PORT``, ``HOST:PORT``); None starts one.

    Raises:
        ValueError: There is no cluster at the address, or a worker has other versions of what parses.
    """
    if not units:
        return
    ray = _connected(address)
    try:
        remote = ray.remote(num_cpus=1)(_run)
        common = ray.put(work)
        yield from _finished(ray, units, lambda unit: remote.remote(common, load(unit)))
    finally:
        ray.shutdown()


def _finished(ray: Any, units: Sequence[int], give: Callable[[int], Any]) -> Done:
    waiting = iter(units)
    given: dict[Any, int] = {}
    while True:
        # asked each time: nodes come and go, and a cluster that grows by demand may begin with none
        most = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 0)))
        while len(given) < most and (unit := next(waiting, None)) is not None:
            given[give(unit)] = unit
        if not given:
            return
        done, _ = ray.wait(list(given), num_returns=1)
        for reference in done:
            try:
                result = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
            yield given.pop(reference), result


def _run(work: Work, content: bytes) -> bytes:
    return work(content)


def _connected(address: str | None) -> Any:
    """Ray, connected; its reports of use to its makers are off unless they were switched on."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    package = Path(__file__).parents[2]
    try:
        ray.init(
            address=address or "local",
            runtime_env={"py_modules": [str(package)], "env_vars": {"OMP_NUM_THREADS": "1"}},
            **({} if address else {"include_dashboard": False}),
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ValueError(f"no Ray cluster at --ray-address {address}: {error}") from error
    return ray


def engine(name: str, *, processes: int, address: str | None) -> Engine:
    """The engine of a name, ``local`` or ``ray``."""
    return partial(on_ray, address=address) if name == "ray" else partial(in_processes, processes=processes)
