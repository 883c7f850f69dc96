"""Features are encoded once, and it is told how many of the items are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from knowclip.evaluation.feature_cache import FeatureCache


@pytest.mark.parametrize("kept", [True, False], ids=["on disk", "in memory"])
def test_what_is_known_counts_as_done(kept: bool, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    asked: list[list[str]] = []

    def encode(items: list[str]) -> dict[str, np.ndarray]:
        asked.append(items)
        return {item: np.ones(2, np.float32) for item in items}

    def add(cache: FeatureCache, items: list[str]) -> None:
        cache.add(items, encode, 2, lambda done, total: told.append((done, total)))

    first = FeatureCache(tmp_path if kept else None, str)
    add(first, ["a", "b"])
    again = FeatureCache(tmp_path, str) if kept else first
    add(again, ["a", "b", "c", "d", "e"])
    assert asked == [["a", "b"], ["c", "d"], ["e"]]
    assert told == [(2, 2), (4, 5), (5, 5)]
