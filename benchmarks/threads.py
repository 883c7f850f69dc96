"""What a busy neighbour costs a training, with torch's threads as they come and as `knowclip` starts them.

    python benchmarks/threads.py                 five rounds
    python benchmarks/threads.py --rounds 9

The same training step (forward and backward of `scenes-base`, 256 pairs, as many threads as there are
processors) is timed beside nothing, beside a process that never rests, and beside another such training; each
in turn with libgomp's own spinning and with what `knowclip` sets (`cli.SPINS`), which the other training then
has too. Printed are pairs a second, medians, and the ratio of the second way to the first.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from functools import partial
from statistics import median

from knowclip.cli import SPINS

STEP = """
import sys, time
import torch
from knowclip.models.loading.load import load

torch.manual_seed(0)
model = load("scenes-base").train()
images = torch.randn(256, 3, 64, 64)
texts = ["the green whale chases the blue wizard"] * 256

def step():
    image_features = model.encode_image(images, normalize=True)
    text_features = model.encode_text(texts, normalize=True)
    loss = torch.nn.functional.cross_entropy(10 * image_features @ text_features.T, torch.arange(256))
    loss.backward()
    model.zero_grad()

step()
steps, start = 0, time.perf_counter()
while (passed := time.perf_counter() - start) < float(sys.argv[1]):
    step()
    steps += 1
print(256 * steps / passed)
"""


NEIGHBOURS = {"nothing": "", "a process that never rests": "while True: pass", "such a training": STEP}


def pairs_a_second(neighbour: str, seconds: float, **environment: str) -> float:
    """Of one process, beside another that runs ``neighbour``, if anything."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    started = partial(subprocess.Popen, env=inherited | environment, stdout=subprocess.PIPE, text=True)
    beside = started([sys.executable, "-c", neighbour, "1e9"]) if neighbour else None
    try:
        own = started([sys.executable, "-c", STEP, str(seconds)])
        return float(own.communicate()[0])
    finally:
        if beside is not None:
            beside.kill()
            beside.communicate()


def main() -> None:
    """Measure, and print a line a neighbour."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each timing")
    options = parser.parse_args()
    for name, neighbour in NEIGHBOURS.items():
        found: dict[str, list[float]] = {"as they come": [], "as knowclip sets them": []}
        for _ in range(options.rounds):
            for environment, speeds in zip(({}, {"GOMP_SPINCOUNT": SPINS}), found.values(), strict=True):
                speeds.append(pairs_a_second(neighbour, options.seconds, **environment))
        first, second = (median(speeds) for speeds in found.values())
        told = ", ".join(f"{way} {median(speeds):,.0f}" for way, speeds in found.items())
        print(f"beside {name}: pairs/s {told}: {second / first:.2f} times", flush=True)


if __name__ == "__main__":
    main()
