"""Probes: the two ways of reading holders are one."""

from __future__ import annotations

import pytest
import torch

from knowclip.evaluation.diagnosis import probes
from knowclip.evaluation.diagnosis.features import Asked


def test_many_holders_are_read_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    read = probes.Read(5, holders=4, properties=3)
    vectors = [torch.randn(6, 5) for _ in range(2)]
    asked = Asked(torch.randint(4, (6, 2)), torch.randint(3, (6, 2)))
    told = []
    for few in (probes.FEW_HOLDERS, 3):
        monkeypatch.setattr(probes, "FEW_HOLDERS", few)
        logits = read(*vectors, asked)
        told.append([logits, *torch.autograd.grad(logits.square().sum(), [read.maps, read.codes])])
    for one, other in zip(*told, strict=True):
        torch.testing.assert_close(one, other)
    expected = [
        (read.maps[h] @ x - read.maps[k] @ y) @ (read.codes[p] - read.codes[q])
        for x, y, (h, k), (p, q) in zip(*vectors, asked.holders, asked.properties, strict=True)
    ]
    torch.testing.assert_close(told[0][0], torch.stack(expected))
