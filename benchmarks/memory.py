"""Memory of a training step: of a large batch in chunks, and of large towers by arithmetic.

    python benchmarks/memory.py
    python benchmarks/memory.py --recipe scenes-negclip --batch-size 4096 --chunk 64
    python benchmarks/memory.py --arithmetic ViT-B-32 ViT-L-14

Without ``--arithmetic`` a batch in chunks is held against one chunk, on the demo's model. Each is stepped in
a process of its own, whose peak resident memory (RSS) is told: interpreter, torch, model, AdamW and the step.
Pixels (bytes, as ``data.cache=pixels`` gives them), token ids and negatives are random; the method is that of
the recipe, ``train.accumulate`` cuts the batch, and gradients are those of the whole batch. A batch is made
while the one before is still held, as the loader does.

With it nothing is computed: towers run on tensors without storage, and what autograd keeps for the backward
pass is counted, and the operations (a multiplication and an addition are two).
"""

from __future__ import annotations

import argparse
import gc
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from knowclip.models.clip import DualEncoder
    from knowclip.types import Batch

KILOBYTES = 1024  # ru_maxrss counts them on Linux
STEPS = 2
OBJECTS = 60
"""That the captions of a batch name."""
GPU = 80e9
"""Bytes of a large one."""
ADAMW = 16
"""Bytes a parameter: weight, gradient and two moments in float32."""


def peak_of_steps(recipe: str, *, batch_size: int, chunk: int) -> int:
    """Make steps of a batch in this process and return its peak memory in kilobytes."""
    import torch
    from accelerate import Accelerator

    from knowclip.build.method import build_method
    from knowclip.models.loading.load import load
    from knowclip.recipe.load import load_recipe
    from knowclip.training.optim import adamw
    from knowclip.training.step import backward

    torch.manual_seed(0)
    model = load("scenes-base").train()
    method = build_method(load_recipe(recipe).method, model).train()
    options = {"weight_decay": 0.1, "betas": (0.9, 0.98), "eps": 1e-6, "lr_multipliers": {}}
    optimizer = adamw(method.named_parameters(), lr=1e-6, **options)
    for _ in range(STEPS):
        batch = random_batch(model, batch_size)
        backward(method, batch, accelerator=Accelerator(), accumulate=max(1, batch_size // chunk))
        optimizer.step()
        optimizer.zero_grad()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def random_batch(model: DualEncoder, size: int) -> Batch:
    """Random pairs with two negatives a caption, three triples a text; a prompt for each of ``OBJECTS``."""
    import torch

    from knowclip.types import Batch, Phrases

    end = int(model.tokenize(["a"])[0].max()) if model.context_length else 0

    def tokens(*shape: int) -> torch.Tensor:
        ids = torch.randint(3, 60, (*shape, 24))
        ids[..., -1] = end
        return ids

    return Batch(
        keys=tuple(map(str, range(size))),
        texts=tokens(size),
        negatives=tokens(size, 2),
        negative_mask=torch.ones(size, 2, dtype=torch.bool),
        image_ids=torch.arange(size),
        caption_ids=torch.arange(size),
        negative_ids=size + torch.arange(2 * size).view(size, 2),
        images=torch.randint(0, 256, (size, 3, *model.image_size), dtype=torch.uint8),
        triples=torch.randint(3, 60, (size, 3, 3, 2)),
        negative_triples=torch.randint(3, 60, (size, 2, 3, 3, 2)),
        objects=Phrases(texts=tokens(OBJECTS), ids=torch.arange(OBJECTS)),
    )


def compare(recipe: str, *, batch_size: int, chunk: int) -> None:
    """Print the peaks of a chunk and of a batch, and their ratio."""
    peaks = []
    for size in (chunk, batch_size):
        command = [sys.executable, __file__, "--recipe", recipe, "--chunk", str(chunk), "--only", str(size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        peaks.append(int(done.stdout.split()[-1]))
        told = f"{recipe}: batch {size:5} in chunks of {chunk}"
        print(f"{told}: peak {peaks[-1] / KILOBYTES:.0f} MB", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.2f}")


def arithmetic(name: str) -> None:
    """Print what a model's parameters, states and pairs take, and how many pairs fit a GPU of 80 GB."""
    import open_clip
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from knowclip.models.layers import checkpoint_layers

    with FakeTensorMode(allow_non_fake_inputs=True):
        config = open_clip.get_model_config(name)
        config.pop("custom_text", None)
        model = open_clip.CLIP(**config).train()
        parameters = sum(p.numel() for p in model.parameters())
        print(
            f"{name}: {parameters / 1e6:.0f} million parameters, {ADAMW * parameters / 1e9:.1f} GB with AdamW"
        )
        pair, negative = (operations(model, images=images) / 1e9 for images in (1, 0))
        print(f"  a pair forward: {pair:.1f} GFLOP, a negative {negative:.1f}")
        for checkpointed in (False, True):
            if checkpointed:
                checkpoint_layers(model)
            for dtype in (None, torch.bfloat16):
                kept = [saved(model, size, dtype=dtype) for size in (1, 3)]
                pair = (kept[1] - kept[0]) / 2
                fits = (GPU - ADAMW * parameters - kept[0] + pair) / pair
                how = ("bf16" if dtype else "fp32") + (", checkpointed" if checkpointed else "")
                print(f"  {how}: {pair / 1e6:.1f} MB a pair, so {fits:,.0f} pairs in {GPU / 1e9:.0f} GB")


def inputs(model: nn.Module, images: int, texts: int):
    """Pixels and token ids at full context length."""
    import torch

    ids = torch.zeros(texts, model.context_length, dtype=torch.long)
    return torch.zeros(images, 3, *model.visual.image_size), ids


def operations(model: nn.Module, *, images: int) -> int:
    """Floating point operations of a text and, if there is one, an image, forward."""
    from torch.utils.flop_counter import FlopCounterMode

    pixels, ids = inputs(model, images, 1)
    with FlopCounterMode(display=False) as counter:
        model.encode_text(ids)
        if images:
            model.encode_image(pixels)
    return counter.get_total_flops()


def saved(model: nn.Module, size: int, *, dtype) -> int:
    """Bytes that autograd keeps of a forward pass of both towers, each storage once; weights left out."""
    import torch

    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    found = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            found[storage._cdata] = (storage.nbytes(), storage)
        return tensor

    pixels, ids = inputs(model, size, size)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None),
    ):
        kept = model.encode_image(pixels), model.encode_text(ids)
    total = sum(size for size, _ in found.values())
    del kept  # after the count: a storage that were freed could lend its address to another
    found.clear()
    gc.collect()
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipe", default="scenes-negclip", help="whose method is stepped")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--chunk", type=int, default=64)
    parser.add_argument("--only", type=int, help="step this batch in this process, and print kilobytes")
    parser.add_argument("--arithmetic", nargs="+", metavar="MODEL", help="open_clip's architectures")
    options = parser.parse_args()
    if options.arithmetic:
        for name in options.arithmetic:
            arithmetic(name)
    elif options.only:
        print(peak_of_steps(options.recipe, batch_size=options.only, chunk=options.chunk))
    else:
        compare(options.recipe, batch_size=options.batch_size, chunk=options.chunk)


if __name__ == "__main__":
    main()
