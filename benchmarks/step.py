"""A training step of Structure-CLIP against one of plain open_clip training, on the same model and captions.

    python benchmarks/step.py COCO_FOLDER                     ViT-B-32 of random weights, batches of 32
    python benchmarks/step.py COCO_FOLDER --rounds 3 --model ViT-L-14 --batch-size 8

``plain`` is what open_clip's trainer does: both towers at full context length, its own ``ClipLoss``,
backward, AdamW. ``ours`` is the recipe's method (one negative a caption, KEE) as ``knowclip train`` steps
it, gradient clipping and fused AdamW included; ``equal context`` the same with the text tower at full
length. Captions that have a negative are drawn once from the folder's: every caption brings one. Steps are
timed in turns, plain first; a ratio is that of the medians. CPU seconds stand beside wall seconds: on a
machine that is not quiet, compare those. Tokenising is outside the steps and is timed as ``collate``; so
is parsing, done once for a data set.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import open_clip
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from knowclip.build.method import build_method
from knowclip.data.captions.collate import Collator
from knowclip.data.captions.dataset import Item
from knowclip.data.captions.negatives import negatives_for
from knowclip.data.captions.read import read_captions
from knowclip.methods.method import Method
from knowclip.models import text_length
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import load
from knowclip.models.text_length import sufficient_length, word_embedding
from knowclip.recipe.load import load_recipe
from knowclip.training.optim import adamw
from knowclip.training.step import backward
from knowclip.types import Batch, Example

Seconds = tuple[float, float]
"""Wall and CPU."""


def encode_text_at_full_length(model: DualEncoder, tokens: Tensor, *, normalize: bool = False) -> Tensor:
    """``DualEncoder.encode_text`` with every text padded to the context length, as open_clip does."""
    padded = nn.functional.pad(tokens, (0, model.context_length - tokens.shape[1]))
    features = text_length.encode_text(model.model, padded).pooled
    return nn.functional.normalize(features, dim=-1) if normalize else features


def captions_with_negatives(folder: Path, count: int) -> list[Example]:
    """Draw captions that have a negative, always the same."""
    examples = read_captions(folder).examples
    start = time.perf_counter()
    prepared = negatives_for(examples)
    seconds = time.perf_counter() - start
    usable = [example for example in prepared.examples if example.negatives]
    print(
        f"{len(examples)} captions, {len(usable)} with a negative; parsed and negated in "
        f"{1000 * seconds / len(examples):.1f} ms each, once"
    )
    return random.Random(0).sample(usable, min(count, len(usable)))


def make_batches(examples: list[Example], model: DualEncoder, method: Method, size: int) -> list[Batch]:
    """Collate captions with one negative each and random pixels."""
    collate = Collator(
        tokenizer=model.tokenizer,
        trim=lambda ids: ids[:, : sufficient_length(model.model, ids)],
        negatives_per_caption=1,
        phrase_ids=method.phrase_ids,
    )
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(size, 3, *model.image_size, generator=generator)
    items = [
        [Item(e, image, e.negatives[:1]) for e, image in zip(examples[i : i + size], pixels, strict=True)]
        for i in range(0, len(examples) - size + 1, size)
    ]
    start = time.perf_counter()
    batches = [collate(part) for part in items]
    print(f"collate: {1000 * (time.perf_counter() - start) / len(batches):.1f} ms a batch of {size}")
    return batches


def plain_step(model: nn.Module, tokens: Callable[[Batch], Tensor]) -> Callable[[Batch], None]:
    """open_clip's trainer without its data, logs and scheduler."""
    loss = open_clip.ClipLoss()
    named = list(model.named_parameters())
    no_decay = [p for n, p in named if p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n]
    chosen = set(map(id, no_decay))
    decayed = [p for _, p in named if id(p) not in chosen]
    groups = [{"params": no_decay, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.1}]
    optimizer = torch.optim.AdamW(groups, lr=1e-6, betas=(0.9, 0.98), eps=1e-6)

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        image_features, text_features, logit_scale = model(batch.images, tokens(batch))
        loss(image_features, text_features, logit_scale).backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)

    return step


def our_step(method: Method) -> Callable[[Batch], None]:
    """``training.loop.Trainer``'s step without its logs and scheduler."""
    optimizer = adamw(
        method.named_parameters(), lr=1e-6, weight_decay=0.1, betas=(0.9, 0.98), eps=1e-6, lr_multipliers={}
    )
    accelerator = Accelerator()

    def step(batch: Batch) -> None:
        backward(method, batch, accelerator=accelerator, accumulate=1)
        clip_grad_norm_(method.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            method.model.logit_scale.clamp_(0, 4.6052)

    return step


def at_full_length(step: Callable[[Batch], None], model: DualEncoder) -> Callable[[Batch], None]:
    """The same step on the same weights without the short texts."""

    def padded(batch: Batch) -> None:
        model.encode_text = partial(encode_text_at_full_length, model)
        try:
            step(batch)
        finally:
            del model.encode_text

    return padded


def timed(action: Callable[[], object]) -> Seconds:
    """Wall and CPU seconds of an action."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - cpu


def parts(method: Method, plain: nn.Module, batch: Batch, tokens: Tensor) -> dict[str, Callable[[], object]]:
    """Forward and backward of each part of a step alone."""
    model = method.model
    texts = torch.cat([batch.texts, batch.negatives.flatten(0, 1)])
    triples = torch.cat([batch.triples, batch.negative_triples.flatten(0, 1)])
    features = nn.functional.normalize(torch.randn(len(texts), model.embed_dim), dim=-1).requires_grad_()
    words = word_embedding(model.model).weight
    optimizer = torch.optim.AdamW(method.parameters(), lr=0.0, fused=True)
    return {
        "image tower": lambda: model.encode_image(batch.images).sum().backward(),
        "text tower, captions and negatives": lambda: model.encode_text(texts).sum().backward(),
        "text tower, captions at full context (plain)": lambda: plain.encode_text(tokens).sum().backward(),
        "KEE": lambda: method.kee(features, triples, words=words).pow(3).sum().backward(),
        "zero gradients for all parameters": lambda: (
            sum(p.sum() for p in method.parameters()) * 0.0
        ).backward(),
        "gradient clipping": lambda: clip_grad_norm_(method.parameters(), 1.0),
        "AdamW, fused": optimizer.step,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="captions in a format that knowclip reads")
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--recipe", default="structure-clip-vit-b-32", help="whose method is stepped")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()

    torch.manual_seed(0)
    base = load(f"{options.model}/random").train()
    config = load_recipe(options.recipe).method
    method = build_method(config, base).train()
    plain = load(f"{options.model}/random").model.train()
    plain.load_state_dict(base.model.state_dict())

    examples = captions_with_negatives(options.folder, options.rounds * options.batch_size)
    batches = make_batches(examples, base, method, options.batch_size)
    captions = {example.key: example.caption for example in examples}
    tokens = {batch.keys: base.tokenizer([captions[key] for key in batch.keys]) for batch in batches}
    width = max(batch.texts.shape[1] for batch in batches)
    threads = torch.get_num_threads()
    print(f"{options.model}, batch {options.batch_size}, {threads} threads; longest text {width} tokens")
    ours = our_step(method)
    steps = {
        "plain": plain_step(plain, lambda batch: tokens[batch.keys]),
        "ours": ours,
        "ours, equal context": at_full_length(ours, base),
    }
    seconds: dict[str, list[Seconds]] = defaultdict(list)
    for number in range(options.rounds + 1):
        batch = batches[number % len(batches)]
        for name, step in steps.items():
            taken = timed(lambda step=step, batch=batch: step(batch))
            if number:  # the first step makes AdamW's moments
                seconds[name].append(taken)
    report = {
        name: [median(column) for column in zip(*taken, strict=True)] for name, taken in seconds.items()
    }
    for name, (wall, cpu) in report.items():
        ratios = f"{wall / report['plain'][0]:.2f} x, cpu {cpu / report['plain'][1]:.2f} x"
        print(f"{name:45} {wall:7.3f} s   cpu {cpu:7.3f} s   {ratios}")
    print("where the time goes, forward and backward of each part alone:")
    batch = batches[0]
    for name, action in parts(method, plain, batch, tokens[batch.keys]).items():
        wall, cpu = (median(column) for column in zip(*[timed(action) for _ in range(3)], strict=True))
        print(f"  {name:45} {wall:7.3f} s   cpu {cpu:7.3f} s", flush=True)


if __name__ == "__main__":
    main()
