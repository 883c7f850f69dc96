"""Python's collector is put aside for a while, and is as it was afterwards."""

from __future__ import annotations

import gc

import pytest

from knowclip.storage import collector


@pytest.mark.parametrize("on", [True, False])
def test_paused_is_as_it_was_afterwards_even_after_an_error(on: bool) -> None:
    try:
        gc.enable() if on else gc.disable()
        with pytest.raises(ValueError, match="inside"), collector.paused():
            assert not gc.isenabled()
            raise ValueError("inside")
        assert gc.isenabled() is on
    finally:
        gc.enable()


def test_paused_as_a_decorator_serves_every_call() -> None:
    reading = collector.paused()(gc.isenabled)
    assert [reading(), reading(), gc.isenabled()] == [False, False, True]


def test_what_is_there_is_settled_and_free_again() -> None:
    class Node:
        pass

    node = Node()
    before = gc.get_freeze_count()
    with collector.settled():
        assert gc.get_freeze_count() > before
        assert not any(item is node for item in gc.get_objects())
    assert any(item is node for item in gc.get_objects())
