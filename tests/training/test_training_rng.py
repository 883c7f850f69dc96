"""Random states, kept in a checkpoint and taken up again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from knowclip.training.rng import rng_state, set_rng_state


def drawn() -> list[float]:
    return [random.random(), np.random.rand(), np.random.randn(), torch.rand(()).item()]


def test_what_is_drawn_after_a_state_is_drawn_again_from_its_file(tmp_path: Path) -> None:
    np.random.randn()  # of which NumPy keeps a second one
    torch.save(rng_state(), tmp_path / "state.pt")
    first = drawn()
    set_rng_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert drawn() == first


@pytest.mark.parametrize(("then", "now"), [(True, True), (True, False), (False, True), (False, False)])
def test_the_state_of_a_gpu_is_taken_up_where_one_was_and_one_is(monkeypatch, then: bool, now: bool) -> None:
    given, taken = torch.tensor([1, 2], dtype=torch.uint8), list[Any]()
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: given)
    monkeypatch.setattr(torch.cuda, "set_rng_state", taken.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: then)
    state = rng_state()
    assert state["cuda"] is (given if then else None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: now)
    set_rng_state(state)
    assert taken == ([given] if then and now else [])
