"""Facts per second of training on a knowledge graph in words, with and without kept outputs of locked layers.

    python benchmarks/graph_facts.py runs/cn100k/parts                the study cn100k: batches of 128, bf16
    python benchmarks/graph_facts.py runs/cn100k/parts --steps 40 --only pooled

after the graph of CN-100K in docs/knowledge_graphs.md. Each row takes the same steps of the recipe ``cn100k``
as ``knowclip train`` does, loading included, validation not. "again" takes them once more, when every text
is known: what every epoch but the first costs. The first row is what the recipe did before the cache.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from knowclip.build.trainer import build_trainer
from knowclip.recipe.load import load_recipe
from knowclip.training.batches import to_device
from knowclip.training.loop import Trainer
from knowclip.training.step import backward

POOLED = (
    "method={name: knowledge_clip, kd_weight: 0, e2e_weight: 0, e2r_weight: 0, g2e_weight: 0, "
    "pooled_weight: 1, captions_as_triplets: false, head_side: %s}"
)
CACHE = "model.text_cache=4"
ROWS: dict[str, tuple[str, ...]] = {
    "the paper's terms": (),
    "the paper's terms, cache": (CACHE,),
    "pooled, tails and heads": (POOLED % "true", "optimizer.lr_multipliers={}"),
    "pooled, tails and heads, cache": (POOLED % "true", "optimizer.lr_multipliers={}", CACHE),
    "pooled, tails": (POOLED % "false", "optimizer.lr_multipliers={}"),
    "pooled, tails, cache": (POOLED % "false", "optimizer.lr_multipliers={}", CACHE),
}


def trainer_of(graph: Path, overrides: tuple[str, ...], *, batch_size: int, precision: str) -> Trainer:
    """The recipe ``cn100k`` as the study has it, with further overrides."""
    study = [
        f"data.graph.path={graph}/train", f"data.graph.batch_size={batch_size}", "data.graph.neighbours=1",
        "model.unlocked_text_layers=2", "selection={}", f"train.precision={precision}", "train.steps=1",
        "train.validate_every=null", "schedule.warmup=0",
    ]  # fmt: skip
    return build_trainer(load_recipe("cn100k", [*study, *overrides]))[0]


def seconds_of_steps(trainer: Trainer, wrapped: nn.Module, steps: int) -> Iterator[tuple[float, float]]:
    """Wall and CPU seconds of each of the first steps of an epoch."""
    batches = iter(trainer.batches.epoch(0))
    for _ in range(steps):
        wall, cpu = time.perf_counter(), time.process_time()
        batch = to_device(next(batches), trainer.accelerator.device)
        backward(wrapped, batch, accelerator=trainer.accelerator, accumulate=1)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
        yield time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("graph", type=Path, help="folder that 'knowclip graph split' made")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", default="bf16", choices=("bf16", "fp32"))
    parser.add_argument("--only", default="", help="rows whose name holds this, beside the first")
    options = parser.parse_args()

    first = None
    print(f"{'':34} facts/s  a CPU s   of the first, a CPU s")
    for number, (name, overrides) in enumerate(ROWS.items()):
        if number and options.only not in name:
            continue
        size = options.batch_size
        trainer = trainer_of(options.graph, overrides, batch_size=size, precision=options.precision)
        wrapped = trainer.accelerator.prepare(trainer.method).train()
        trunk = trainer.method.model.text_trunk
        for round_ in ("", ", again") if trunk is not None else ("",):
            taken = list(seconds_of_steps(trainer, wrapped, options.steps))[1:]  # the first makes moments
            wall, cpu = (size * len(taken) / sum(column) for column in zip(*taken, strict=True))
            first = first or cpu
            print(f"{name + round_:34} {wall:7.0f}  {cpu:7.0f}   {cpu / first:.2f}", flush=True)


if __name__ == "__main__":
    main()
