"""A training step of a recipe against one of stock open_clip on the same images and captions.

    python benchmarks/step.py clip data.train.path=FLICKR8K data.train.split=val data.val=null
    python benchmarks/step.py flickr8k-joint data.train.path=FLICKR8K data.train.split=val data.graph.path=KG

The recipe's method is stepped as ``knowclip train RECIPE key=value ...`` steps it, on its batches, with
``model.name=ViT-B-32/random``, all of it trained, in fp32, 16 pairs a batch, unless an override says another.
*Stock* is what open_clip's trainer does with the pairs of the same batch, on a model of its own of the same
weights: both towers at full context length, its ``ClipLoss``, backward, AdamW. ``--equal-context`` steps the
recipe's once more with all texts at full length.

With a GPU, the same in bf16 and compiled; the memory that a step takes besides weights and moments, too:

    python benchmarks/step.py clip ... train.batch_size=1024 train.precision=bf16
    python benchmarks/step.py clip ... train.batch_size=1024 train.precision=bf16 train.compile=inductor

Steps are timed in turns, stock first, CPU seconds and wall seconds; a ratio is that of the medians. On a
machine that is not quiet, compare CPU seconds. Loading and parsing, done once for a data set, are outside.
Last, where the time goes: forward and backward of each part alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from statistics import median

import open_clip
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from knowclip.build.trainer import build_trainer
from knowclip.data.captions.read import read_captions
from knowclip.methods.method import Method
from knowclip.models import text_length
from knowclip.models.clip import DualEncoder
from knowclip.models.text_length import word_embedding
from knowclip.recipe.data import SourceConfig
from knowclip.recipe.load import load_recipe
from knowclip.training.batches import to_device
from knowclip.training.loop import Trainer
from knowclip.training.step import backward
from knowclip.types import Batch

WHOLE = (
    "model={name: ViT-B-32/random, pretrained: null, lock_image: false, unlocked_text_layers: null}",
    "train.precision=fp32",
    "train.num_workers=0",
    "train.batch_size=16",
    "data.cache=none",
    "data.val_images=50",
)
"""Set before what is given: all of both towers is trained, and nothing is cached."""
Taken = tuple[float, float, float]
"""Wall and CPU seconds; on a GPU, bytes at the peak more than before."""
Step = Callable[[Batch], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--equal-context", action="store_true", help="ours with texts at full length, too")
    options = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as folder:
        overrides = [*WHOLE, *options.overrides, f"output.folder={folder}/run"]
        recipe = load_recipe(options.recipe, overrides)
        trainer, _ = build_trainer(recipe)
        architecture = recipe.model.name.split("/")[0]
        trainer.method.to(trainer.accelerator.device)
        plain = stock(architecture, trainer.method.model)
        tokens = whole_texts(recipe.data.train, trainer.method.model)
        steps = {"stock open_clip": stock_step(plain, tokens, trainer), options.recipe: our_step(trainer)}
        if options.equal_context:
            steps["the same, equal context"] = at_full_length(steps[options.recipe], trainer.method.model)
        epoch = islice(trainer.batches.epoch(0), options.rounds + 1)
        batches = [to_device(batch, trainer.accelerator.device) for batch in epoch]
        print(
            f"{architecture}, batch {recipe.train.batch_size}, {torch.get_num_threads()} threads; "
            f"longest caption {max(batch.texts.shape[1] for batch in batches)} tokens"
        )
        compare(steps, batches)
        parts = parts_of(trainer, plain, batches[0], tokens(batches[0]))
    print("where the time goes, forward and backward of each part alone:")
    with trainer.accelerator.autocast():
        for name, action in parts.items():
            taken = [timed(action) for _ in range(min(options.rounds, 3))]
            wall, cpu, _ = (median(column) for column in zip(*taken, strict=True))
            print(f"  {name:45} {wall:7.3f} s   cpu {cpu:7.3f} s", flush=True)


def stock(architecture: str, ours: DualEncoder) -> nn.Module:
    """A model that open_clip made, with our weights."""
    model = open_clip.create_model(architecture, device=next(ours.parameters()).device)
    model.load_state_dict(ours.model.state_dict())
    return model.train()


def whole_texts(data: SourceConfig, model: DualEncoder) -> Callable[[Batch], Tensor]:
    """The captions of a batch at full context length, as open_clip's tokenizer gives them."""
    examples = read_captions(data.path, format=data.format, images=data.images, split=data.split).examples
    captions = {example.key: example.caption for example in examples}
    return lambda batch: model.tokenizer([captions[key] for key in batch.keys]).to(batch.texts.device)


def stock_step(model: nn.Module, tokens: Callable[[Batch], Tensor], trainer: Trainer) -> Step:
    """open_clip's trainer without its data, logs and scheduler; compiled whole where ours is."""
    forward = model if trainer.compile is None else torch.compile(model, backend=trainer.compile)
    loss = open_clip.ClipLoss()
    named = list(model.named_parameters())
    no_decay = [p for n, p in named if p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n]
    chosen = set(map(id, no_decay))
    decayed = [p for _, p in named if id(p) not in chosen]
    groups = [{"params": no_decay, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.1}]
    optimizer = torch.optim.AdamW(groups, lr=1e-6, betas=(0.9, 0.98), eps=1e-6)

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        with trainer.accelerator.autocast():
            image_features, text_features, logit_scale = forward(batch.images, tokens(batch))
            total = loss(image_features, text_features, logit_scale)
        total.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)

    return step


def our_step(trainer: Trainer) -> Step:
    """``Trainer``'s step without its logs and scheduler."""
    method = trainer.method.train()
    if trainer.compile is not None:
        method.model.compile_layers(trainer.compile)

    def step(batch: Batch) -> None:
        backward(method, batch, accelerator=trainer.accelerator, accumulate=trainer.accumulate)
        clip_grad_norm_(method.parameters(), 1.0)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
        with torch.no_grad():
            method.model.logit_scale.clamp_(0, 4.6052)

    return step


def encode_text_at_full_length(model: DualEncoder, tokens: Tensor, *, normalize: bool = False) -> Tensor:
    """``DualEncoder.encode_text`` with every text padded to the context length, as open_clip does."""
    padded = nn.functional.pad(tokens, (0, model.context_length - tokens.shape[1]))
    features = text_length.encode_text(model.model, padded).pooled
    return nn.functional.normalize(features, dim=-1) if normalize else features


def at_full_length(step: Step, model: DualEncoder) -> Step:
    """The same step on the same weights without the short texts."""

    def padded(batch: Batch) -> None:
        model.encode_text = partial(encode_text_at_full_length, model)
        try:
            step(batch)
        finally:
            del model.encode_text

    return padded


def timed(action: Callable[[], object]) -> Taken:
    """What an action takes."""
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if gpu else 0
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    if gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - wall, time.process_time() - cpu
    return *seconds, float(torch.cuda.max_memory_allocated() - before if gpu else 0)


def compare(steps: dict[str, Step], batches: list[Batch]) -> None:
    """Make the steps in turns and print medians, and their ratios to the first."""
    seconds: dict[str, list[Taken]] = defaultdict(list)
    for number, batch in enumerate(batches):
        for name, step in steps.items():
            taken = timed(partial(step, batch))
            if number:  # the first step makes AdamW's moments
                seconds[name].append(taken)
    medians = {
        name: [median(column) for column in zip(*taken, strict=True)] for name, taken in seconds.items()
    }
    first = medians[next(iter(steps))]
    for name, (wall, cpu, memory) in medians.items():
        ratios = f"{wall / first[0]:.2f} x, cpu {cpu / first[1]:.2f} x"
        told = f", {memory / 1e9:.1f} GB, {memory / first[2]:.2f} x" if memory else ""
        print(f"{name:45} {wall:7.3f} s   cpu {cpu:7.3f} s   {ratios}{told}", flush=True)


def parts_of(
    trainer: Trainer, plain: nn.Module, batch: Batch, tokens: Tensor
) -> dict[str, Callable[[], object]]:
    """Forward and backward of each part of a step alone, as far as the method has it."""
    method, model = trainer.method, trainer.method.model
    assert batch.images is not None
    parts: dict[str, Callable[[], object]] = {
        "image tower, stock": lambda: plain.encode_image(batch.images).sum().backward(),
        "image tower": lambda: model.encode_image(batch.images).sum().backward(),
        "text tower at full context, stock": lambda: plain.encode_text(tokens).sum().backward(),
        "text tower": lambda: model.encode_text(batch.texts).sum().backward(),
    }
    if batch.negatives.shape[1]:
        texts = batch.negatives.flatten(0, 1)
        parts["text tower, negatives"] = lambda: model.encode_text(texts).sum().backward()
    if batch.triples is not None:
        features = nn.functional.normalize(
            torch.randn(len(batch.keys), model.embed_dim, device=batch.texts.device), dim=-1
        )
        words = word_embedding(model.model).weight
        given = features.requires_grad_(), batch.triples
        parts["KEE, captions"] = lambda: method.kee(*given, words=words).pow(3).sum().backward()
    if batch.graph is not None:
        parts["triplets"] = lambda: sum(_sums(method, batch)).backward()
    parts["gradient clipping"] = lambda: clip_grad_norm_(method.parameters(), 1.0)
    parts["AdamW"] = trainer.optimizer.step
    return parts


def _sums(method: Method, batch: Batch) -> Iterable[Tensor]:
    features = method.knowledge.features(method.model, batch, None)
    return (value.sum() for value in _tensors(features.values()) if value.requires_grad)


def _tensors(values: Iterable[object]) -> Iterator[Tensor]:
    return (value for value in values if isinstance(value, Tensor))


if __name__ == "__main__":
    main()
