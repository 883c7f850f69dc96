"""Probes: the two ways of reading holders are one."""

from __future__ import annotations

import pytest
import torch

from knowclip.evaluation.diagnosis import probes
from knowclip.evaluation.diagnosis.features import Asked


def test_many_holders_are_read_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    read = probes.Read(5, holders=4, properties=3)
    vectors = torch.randn(6, 5)
    asked = Asked(torch.randint(4, (6, 2)), torch.randint(3, (6, 2)))
    told = []
    for few in (probes.FEW_HOLDERS, 3):
        monkeypatch.setattr(probes, "FEW_HOLDERS", few)
        logits = read(read.of(vectors, asked.holders), asked)
        told.append([logits, *torch.autograd.grad(logits.square().sum(), [read.maps, read.codes])])
    for one, other in zip(*told, strict=True):
        torch.testing.assert_close(one, other)
    expected = [
        (read.maps[h] @ x - read.maps[k] @ x) @ (read.codes[p] - read.codes[q])
        for x, (h, k), (p, q) in zip(vectors, asked.holders, asked.properties, strict=True)
    ]
    torch.testing.assert_close(told[0][0], torch.stack(expected))


def test_each_holder_is_looked_for_among_the_tokens_and_read_there() -> None:
    torch.manual_seed(0)
    probe = probes.TokenProbe(5, places=3, holders=4, properties=3)
    torch.nn.init.normal_(probe.places)
    values, mask = torch.randn(6, 3, 5), torch.tensor([[True, True, False], [True] * 3] * 3)
    asked = Asked(torch.randint(4, (6, 2)), torch.randint(3, (6, 2)))
    read, expected = probe.read, []
    for tokens, real, holders, (p, q) in zip(values, mask, asked.holders, asked.properties, strict=True):
        tokens = (tokens + probe.places)[real]
        found = [(tokens @ probe.queries[holder]).softmax(0) @ tokens for holder in holders]
        h, k = (read.maps[holder] @ vector for holder, vector in zip(holders, found, strict=True))
        expected.append((h - k) @ (read.codes[p] - read.codes[q]))
    torch.testing.assert_close(probe((values, mask), asked), torch.stack(expected))
