"""Which devices there are, and whether they multiply bf16 in hardware."""

from __future__ import annotations

import pytest
import torch

from knowclip.models import devices
from knowclip.models.devices import Device, multiplies_bf16


@pytest.mark.parametrize(
    ("capable", "bf16"),
    [
        ({"avx512_bf16": True, "cpu_name": "One"}, True),
        ({"amx_bf16": True}, True),
        ({"avx512_f": True, "avx512_bf16": False, "cpu_name": "Two"}, False),
        ({}, False),
    ],
)
def test_the_processor_is_told_by_its_instructions(
    capable: dict[str, object], bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable, raising=False)
    processor = devices.devices()[-1]
    assert processor.name == "cpu" and processor.bf16 == bf16
    assert processor.what.startswith(str(capable.get("cpu_name", "processor")))


def test_an_older_torch_that_cannot_tell_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not devices.devices()[-1].bf16


def test_the_first_gpu_decides_and_apple_s_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    processor = Device("cpu", "", False)
    for found, expected in (
        ([Device("cuda:0", "", True), processor], True),
        ([Device("mps", "", True), processor], False),
        ([processor._replace(bf16=True)], True),
    ):
        monkeypatch.setattr(devices, "devices", lambda found=found: found)
        assert multiplies_bf16() == expected
