"""How long the demo will take here: a training step is timed for two seconds, and the rest follows from it.

Basis: the parts of the demo were measured on two cores of an AMD EPYC that multiplies bf16 in hardware
(``avx512_bf16``). The steps of a training cost a fixed number of the step that is timed here, in either
precision; what reads, draws, parses and measures is taken to be as fast as there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from knowclip.models.loading.load import load

if TYPE_CHECKING:
    from knowclip.recipe.recipe import Recipe

TIMED = 2.0
PAIRS = 256
CAPTION = "a red horse is riding a blue astronaut"

COST = {"clip": 1.5, "negclip": 3.4}
"""Seconds of a method's steps on 256 pairs, loading and collating included, over those of the timed one: .42
and 1.00 over .28 in bf16, .52 and 1.09 over .36 in fp32. One thread has 1.4 and 2.9: batches of 64 keep two
less busy."""
DRAWN = 0.005
"""CPU seconds, of all cores, to draw a scene, cache its pixels, and parse its caption and its negatives."""
PAIR_OF_RUNS = 65.0
"""Seconds to validate and measure what one seed has trained; little of it is for two cores."""
ONCE = 60.0
"""Seconds of imports, the base's own measurement, the text-only control and the report, likewise."""


def step_seconds(base: str, *, precision: str, timed: float = TIMED) -> float:
    """Median seconds of a plain training step of the model ``base`` on 256 pairs; the first is left out."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load(base, device=device).train()
    images = torch.rand(PAIRS, 3, *model.image_size, device=device)
    texts = model.tokenize([CAPTION] * PAIRS).to(device)
    labels = torch.arange(PAIRS, device=device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    taken: list[float] = []
    while len(taken) < 2 or sum(taken[1:]) < timed:
        start = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            shown = model.encode_image(images, normalize=True)
            said = model.encode_text(texts, normalize=True)
        logits = 20 * shown.float() @ said.float().T
        loss = F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # a GPU is waited for
        taken.append(time.perf_counter() - start)
    return median(taken[1:])


def expected_minutes(step: float, recipes: Sequence[Recipe], *, seeds: int, scenes: int) -> float:
    """Minutes of the demo with so many seeds, nothing of it in the cache.

    Args:
        step: Seconds of a training step, as :func:`step_seconds` gives it.
        recipes: Of the continuations.
        seeds: Times that they are trained.
        scenes: To be drawn.
    """
    cores = min(2, os.cpu_count() or 1)
    trained = (
        seeds * step * sum(COST[recipe.method.name] * _timed_steps(recipe, scenes) for recipe in recipes)
    )
    return (trained + ONCE + scenes * DRAWN / cores + seeds * PAIR_OF_RUNS) / 60


def others_work(load: float | None = None) -> str:
    """A line where other programs keep the processors busy, of which the estimate then holds; else nothing.

    Args:
        load: Processes that ran or waited to, mean of the last minute; None: the machine's own number.
    """
    processors = os.cpu_count() or 1
    load = os.getloadavg()[0] if load is None else load
    if load <= processors:
        return ""
    return f"\nOther programs are at work (load {load:.1f} on {processors} processors): less without them."


def _timed_steps(recipe: Recipe, scenes: int) -> float:
    """How many steps of 256 pairs a training has the work of."""
    if recipe.train.steps is None:
        return (recipe.train.epochs or 0) * scenes / PAIRS
    return recipe.train.steps * (recipe.train.batch_size or PAIRS) / PAIRS
