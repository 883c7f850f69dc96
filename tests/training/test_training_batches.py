"""Batches: an epoch of them, what loading processes heed and tell, their tensors, their parts."""

from __future__ import annotations

import atexit
import dataclasses
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from multiprocessing import active_children, get_context
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from knowclip.data.graphs.rows import take
from knowclip.training import batches
from knowclip.training.batches import EpochLoader, loaded, map_tensors, micro_batches, split, to_device
from knowclip.types import Batch, GraphBatch
from tiny import tiny_batch


class Numbers(Dataset):
    """Item 7 of epoch 2 is 207."""

    def set_epoch(self, number: int) -> None:
        self.number = number

    def __getitem__(self, item: int) -> int:
        return 100 * self.number + item


class Pairs:
    """Batches of two: in epoch 2 of items 2 and 3, 4 and 5, 6 and 7."""

    def set_epoch(self, number: int) -> None:
        self.number = number

    def skip(self, count: int) -> None:
        self.skipped = count

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[list[int]]:
        return iter([[self.number + 2 * step, self.number + 2 * step + 1] for step in range(self.skipped, 3)])


def test_an_epoch_is_that_of_the_dataset_and_of_the_sampler_from_a_batch_on() -> None:
    loader = EpochLoader(Numbers(), Pairs(), collate=tuple, num_workers=0)
    assert len(loader) == 3
    assert list(loader.epoch(2)) == [(202, 203), (204, 205), (206, 207)]
    assert list(loader.epoch(3, skip=2)) == [(307, 308)]


@pytest.fixture
def handlers() -> Iterator[None]:
    """As on a terminal, whatever the tests run under; and afterwards as before."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Seen(Dataset):
    """What is seen where an item is made: in which process, by which signals, and what is drawn there."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, item: int) -> tuple[bool, bool, float]:
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return torch.utils.data.get_worker_info() is not None, ignored, torch.rand(()).item()


def test_workers_leave_signals_and_draw_by_the_epoch_and_the_trainer_draws_as_without(handlers) -> None:
    seen = []
    for seed, number in enumerate((1, 1, 2)):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        (item,) = loaded(Seen(), epoch=number, num_workers=1, batch_size=None)
        assert torch.equal(torch.get_rng_state(), before)
        seen.append(item)
    assert [(in_worker, ignored) for in_worker, ignored, _ in seen] == [(True, True)] * 3
    assert seen[0] == seen[1] != seen[2]
    ((in_worker, ignored, _),) = loaded(Seen(), epoch=1, num_workers=0, batch_size=None)
    assert (in_worker, ignored) == (False, False)


class Talking(DataLoader):
    """Warns of something else as well."""

    def __init__(self, *args: Any, **options: Any) -> None:
        warnings.warn("something else", stacklevel=2)
        super().__init__(*args, **options)


def test_of_more_workers_than_processors_no_epoch_warns(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    monkeypatch.setattr(batches, "DataLoader", Talking)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        # since 3.12 Python warns developers of every fork beside threads
        warnings.simplefilter("ignore", DeprecationWarning)
        assert len(list(loaded(Seen(), epoch=1, num_workers=2, batch_size=None))) == 1
    assert [str(warning.message) for warning in told] == ["something else"]


class Damaged(Dataset):
    """Has one item, of which it tells in two lines, after another error."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, item: int) -> None:
        try:
            int("no number")
        except ValueError as error:
            raise ValueError("  0.jpg cannot be decoded:\nrepair it") from error


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_wrong_with_the_data_is_told_in_its_own_words(workers: int) -> None:
    before = active_children()
    with pytest.raises(ValueError, match="repair") as raised:
        list(loaded(Damaged(), epoch=1, num_workers=workers, batch_size=None))
    assert str(raised.value) == "  0.jpg cannot be decoded:\nrepair it"
    assert active_children() == before


def begun() -> Iterator[Any]:
    """An epoch by a worker of which the first item is there."""
    items = loaded([1, 2], epoch=1, num_workers=1, batch_size=None)
    assert next(items) == 1
    return items


kept: list[Iterator[Any]] = []


def keep_begun() -> None:
    """End as a program that holds an epoch: nothing is collected before Python waits for the worker."""
    kept.append(begun())


def test_a_process_ends_amid_an_epoch_and_its_workers_with_it() -> None:
    process = get_context("fork").Process(target=keep_begun)
    process.start()
    process.join(timeout=8)  # torch waits for 10 seconds for a worker that nothing reaches
    process.kill()
    assert process.exitcode == 0


def test_workers_end_by_a_hook_that_comes_before_torchs_and_goes_with_the_epoch(monkeypatch) -> None:
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    monkeypatch.setattr(atexit, "unregister", at_exit.remove)
    before = active_children()
    items = begun()
    assert len(active_children()) == len(before) + 1
    (end,) = at_exit
    end()
    assert active_children() == before
    items.close()
    assert at_exit == []


WITH_HOOKS = """
from knowclip.training.batches import loaded
kept = loaded([1, 2], epoch=1, num_workers=1, batch_size=None)
print(next(kept))
"""


@pytest.mark.slow
def test_a_whole_python_ends_amid_an_epoch() -> None:
    command = [sys.executable, "-c", WITH_HOOKS]
    assert subprocess.run(command, capture_output=True, text=True, timeout=120).stdout == "1\n"


@pytest.mark.parametrize("hangups", [True, False])
def test_a_worker_ignores_signals_of_the_group_and_ends_by_the_second_sigterm(
    handlers, monkeypatch, hangups: bool
) -> None:
    if not hangups:  # Windows has none
        monkeypatch.setattr(batches, "HANGUP", None)
    batches._leave_signals(0)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) is (signal.SIG_IGN if hangups else signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def graph_of(size: int) -> GraphBatch:
    """Triplets of two entities each, in turn by two relations."""
    places = torch.arange(size)
    truths = torch.eye(size, dtype=torch.bool)
    return GraphBatch(
        keys=tuple(f"triplet{number}" for number in range(size)),
        texts=torch.arange(2 * size).view(-1, 1),
        images=None,
        relation_texts=torch.tensor([[70], [71]]),
        triplets=torch.stack([places, places % 2, size + places], dim=1),
        relation_labels=places % 2,
        image_groups=places - 1,
        known_tails=truths,
        known_heads=truths.flip(0),
    )


def tensors(batch: Batch) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    map_tensors(batch, lambda value: found.append(value) or value)
    return found


def test_all_tensors_of_a_batch_move_and_nothing_else() -> None:
    batch = dataclasses.replace(tiny_batch(3), graph=graph_of(2))
    moved = to_device(batch, torch.device("meta"))
    assert [value.shape for value in tensors(moved)] == [value.shape for value in tensors(batch)]
    assert {value.device.type for value in tensors(moved)} == {"meta"}
    assert len(tensors(moved)) == 9 + 2 + 7 + 7
    assert (moved.keys, moved.graph.keys, moved.graph.images) == (batch.keys, batch.graph.keys, None)


@pytest.mark.parametrize(
    ("pairs", "triplets", "parts", "expected"),
    [(5, 0, 3, 3), (5, 0, 9, 5), (5, 3, 9, 3), (5, 8, 9, 5), (0, 8, 9, 8), (5, 8, 1, 1)],
)
def test_each_micro_batch_has_a_pair_and_a_triplet_where_there_are_any(
    pairs: int, triplets: int, parts: int, expected: int
) -> None:
    keys, graph = tiny_batch(5).keys[:pairs], graph_of(triplets) if triplets else None
    batch = dataclasses.replace(tiny_batch(5), keys=keys, graph=graph)
    assert micro_batches(batch, parts) == expected


@pytest.mark.parametrize("graph", [None, graph_of(4)], ids=["pairs", "pairs and triplets"])
def test_a_batch_is_cut_into_contiguous_parts_of_nearly_equal_size(graph: GraphBatch | None) -> None:
    batch = dataclasses.replace(tiny_batch(8), graph=graph)
    parts = split(batch, 3)
    assert [part.keys for part in parts] == [batch.keys[:2], batch.keys[2:5], batch.keys[5:]]
    own = dataclasses.replace(batch, graph=None)
    for whole, *cut in zip(
        tensors(own), *(tensors(dataclasses.replace(part, graph=None)) for part in parts), strict=True
    ):
        assert [len(part) for part in cut] == [
            len(whole) * (number + 1) // 3 - len(whole) * number // 3 for number in range(3)
        ]
        assert torch.equal(torch.cat(cut), whole)
    if graph is None:
        assert [part.graph for part in parts] == [None] * 3
        return
    for part, rows in zip(parts, (slice(1), slice(1, 2), slice(2, 4)), strict=True):
        expected = dataclasses.replace(batch, graph=take(graph, rows))
        assert part.graph.keys == expected.graph.keys
        found, wanted = (tensors(dataclasses.replace(own, graph=of.graph)) for of in (part, expected))
        assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
