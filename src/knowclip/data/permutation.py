"""A random permutation computed entry by entry: shuffling that takes no memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Int


def permute(positions: Int[np.ndarray, " n"], size: int, key: list[int]) -> Int[np.ndarray, " n"]:
    """Entries at ``positions`` of a random permutation of ``range(size)``, without building it.

    A four-round Feistel network on the next even number of bits; what falls outside is sent through again
    until it falls inside (cycle walking; Black and Rogaway, 2002).
    """
    # at most four times as many numbers as wanted, so that few tries fall outside
    half = max((max(size - 1, 1).bit_length() + 1) // 2, 1)
    mask = np.uint64((1 << half) - 1)
    # four rounds of random functions pass for a random permutation (Luby and Rackoff 1988)
    keys = np.random.SeedSequence(key).generate_state(4, np.uint64)
    values = np.asarray(positions).astype(np.uint64)
    outside = np.ones(len(values), bool)
    while outside.any():
        left, right = values[outside] >> np.uint64(half), values[outside] & mask
        for round_key in keys:
            left, right = right, left ^ (_mix(right ^ round_key) & mask)
        values[outside] = left << np.uint64(half) | right
        outside = values >= size
    return values.astype(np.int64)


def _mix(values: Any) -> Any:
    """Finaliser of SplitMix64: every output bit depends on every input bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
