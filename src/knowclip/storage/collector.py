"""Python's collector of reference cycles, kept from walking again and again through what is there to stay.

A full collection walks every object that holds others. Where captions and graphs are read by the hundred
thousand it takes longer than the reading, and in a training it walks all of them now and then for nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside: for reading that makes many objects and no cycles. Also as a decorator."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def settled() -> Iterator[None]:
    """What is there now is not walked inside: for long work on data that stays. Also as a decorator."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
