"""A step through an image tower as knowclip calls it against open_clip's own call, which has channels first.

    python benchmarks/image_tower.py                                    the demo's tower, RN50, ViT-B-32
    python benchmarks/image_tower.py scenes-base --precision bf16 --batch-size 256

Forward and backward of random pixels in training mode, random weights where a name is an architecture.
knowclip hands its towers the same pixels with channels last, which convolutions pass on. Turn about, CPU
seconds, the ratio of the medians.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from knowclip.models.loading.load import load


def seconds(encode: Callable[[Tensor], Tensor], pixels: Tensor, *, precision: str) -> float:
    """CPU seconds of one step."""
    start = time.process_time()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        features = encode(pixels)
    features.float().sum().backward()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["scenes-base", "RN50/random", "ViT-B-32/random"])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()

    for name in options.models:
        model = load(name).train()
        pixels = torch.randn(options.batch_size, 3, *model.image_size)
        taken: dict[str, list[float]] = {"first": [], "last": []}
        for number in range(options.rounds + 1):
            stock = seconds(model.model.visual, pixels, precision=options.precision)
            ours = seconds(model.encode_image, pixels, precision=options.precision)
            if number:  # the first round allocates
                taken["first"].append(stock)
                taken["last"].append(ours)
            model.zero_grad()
        first, last = median(taken["first"]), median(taken["last"])
        print(f"{name}: {last / first:.2f} of {first:.3f} CPU s with channels first", flush=True)


if __name__ == "__main__":
    main()
