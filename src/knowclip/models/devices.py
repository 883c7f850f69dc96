"""What this machine computes on, and in which precision."""

from __future__ import annotations

from typing import NamedTuple

import torch

_BF16 = ("avx512_bf16", "amx_bf16")
"""What torch calls the instructions of processors that multiply bf16."""


class Device(NamedTuple):
    """A device of torch: its name there, what it is, and whether it multiplies bf16 in hardware."""

    name: str
    what: str
    bf16: bool


def devices() -> list[Device]:
    """The devices that torch can use here, the processor last."""
    found = []
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        what = f"{card.name}, {card.total_memory / 2**30:.0f} GiB"
        found.append(Device(f"cuda:{number}", what, torch.cuda.is_bf16_supported(including_emulation=False)))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple's graphics processor", False))  # torch cannot tell which one
    capable = _capabilities()
    what = f"{capable.get('cpu_name') or 'processor'}, threads: {torch.get_num_threads()}"
    return [*found, Device("cpu", what, any(capable.get(name) for name in _BF16))]


def multiplies_bf16() -> bool:
    """Whether CUDA's first GPU, else the processor, multiplies bf16; emulated, it is slower than fp32."""
    return next(device.bf16 for device in devices() if device.name != "mps")


def _capabilities() -> dict[str, object]:
    read = getattr(torch.cpu, "get_capabilities", None)  # older releases of torch cannot tell
    return dict(read()) if read else {}
