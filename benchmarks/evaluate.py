"""Evaluation speed: knowclip's Scorer against ARO's way of scoring, and retrieval metrics at COCO's size.

    python benchmarks/evaluate.py crops --items 96     # every item another crop: only texts can be saved
    python benchmarks/evaluate.py suite --images 48    # several benchmarks over the same images
    python benchmarks/evaluate.py retrieval            # 5,000 images against 25,000 texts, width 512

The peer does what ARO's published evaluation does: for every item of every benchmark, in batches, decode and
encode its image, tokenise its two captions at the full context of 77 and encode them, then compare. Both
sides run the same ViT-B/32 with random weights on the same drawn pictures; their scores are compared before
their times. Prints one JSON object a measurement; ``ratio`` is the peer's seconds by ours, in wall and in CPU
time: on a machine that is not quiet, read the latter.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from knowclip.evaluation.metrics import feature_ranks, relevance
from knowclip.evaluation.scoring import Scorer
from knowclip.models.clip import DualEncoder
from knowclip.models.images import open_image
from knowclip.models.loading.load import load
from knowclip.types import ImageRef

NOUNS = ("man", "woman", "dog", "cat", "horse", "bus", "table", "umbrella", "tree", "child")
RELATIONS = ("to the left of", "on", "behind", "holding", "under", "in front of")
BATCH = 32
Item = tuple[ImageRef, str, str]
"""Image, true caption, false caption."""


def draw(folder: Path, count: int, size: tuple[int, int] = (500, 375)) -> list[Path]:
    """Pictures of 500x375 pixels, the usual size of Visual Genome's, or of another size."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        coarse = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


def captions(seed: int) -> tuple[str, str]:
    """A caption in ARO's words, and the one with its nouns exchanged."""
    rng = np.random.default_rng(seed)
    first, second = rng.choice(NOUNS, 2, replace=False)
    relation = rng.choice(RELATIONS)
    return f"the {first} is {relation} the {second}", f"the {second} is {relation} the {first}"


@torch.inference_mode()
def score_per_item(model: DualEncoder, items: Sequence[Item]) -> np.ndarray:
    """ARO's way: image and both captions of every item, ``[n, 2]``."""
    scores = []
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        pixels = torch.stack([model.preprocess(open_image(ref)) for ref, _, _ in batch])
        images = F.normalize(model.model.encode_image(pixels), dim=-1)
        options = []
        for option in (1, 2):
            ids = torch.cat([model.tokenizer([item[option]]) for item in batch])
            options.append(F.normalize(model.model.encode_text(ids), dim=-1))
        scores.append(torch.einsum("nd,lnd->nl", images, torch.stack(options)).numpy())
    return np.concatenate(scores)


def score_once(model: DualEncoder, benchmarks: Sequence[Sequence[Item]]) -> list[np.ndarray]:
    """Ours: one Scorer for all benchmarks, ``[n, 2]`` each."""
    scorer = Scorer(model, batch_size=BATCH)
    found = []
    for items in benchmarks:
        refs = [ref for ref, _, _ in items]
        sides = [scorer.pair_scores(refs, [item[option] for item in items]) for option in (1, 2)]
        found.append(np.stack(sides, axis=1))
    return found


def versus(what: str, model: DualEncoder, benchmarks: Sequence[Sequence[Item]]) -> None:
    """Time both sides, ours after theirs, and compare their scores."""
    warm = [benchmarks[0][:2]]
    score_once(model, warm), score_per_item(model, warm[0])
    theirs, their_clock = timed(lambda: [score_per_item(model, items) for items in benchmarks])
    ours, our_clock = timed(lambda: score_once(model, benchmarks))
    pairs = zip(ours, theirs, strict=True)
    difference = max(float(np.abs(own - other).max()) for own, other in pairs)
    if difference > 1e-4:
        raise SystemExit(f"the two sides score differently, by {difference:.2g}")
    told = {
        "what": what,
        "items": sum(map(len, benchmarks)),
        "seconds": {"aro": round(their_clock[0], 1), "knowclip": round(our_clock[0], 1)},
        "cpu_seconds": {"aro": round(their_clock[1], 1), "knowclip": round(our_clock[1], 1)},
        "ratio": round(their_clock[0] / our_clock[0], 2),
        "cpu_ratio": round(their_clock[1] / our_clock[1], 2),
        "largest_difference_of_scores": difference,
    }
    print(json.dumps(told), flush=True)


def timed(work: Callable[[], list[np.ndarray]]) -> tuple[list[np.ndarray], tuple[float, float]]:
    """What ``work`` gives, and its wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, (time.perf_counter() - wall, time.process_time() - cpu)


def retrieval(images: int, width: int) -> None:
    """Ranks both ways from features, five captions an image."""
    rng = np.random.default_rng(0)
    gallery = rng.standard_normal((images, width), dtype=np.float32)
    texts = np.repeat(gallery, 5, axis=0) + 4 * rng.standard_normal((5 * images, width), dtype=np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    ids = [str(number) for number in range(images) for _ in range(5)]

    def ranks() -> list[np.ndarray]:
        to_text, to_image = relevance(ids, [f"caption {number}" for number in range(len(ids))])
        return [feature_ranks(gallery, texts, to_text), feature_ranks(texts, gallery, to_image)]

    (to_text, to_image), (wall, cpu) = timed(ranks)
    told = {
        "what": "retrieval metrics",
        "images": images,
        "texts": len(texts),
        "width": width,
        "seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "image_to_text_R@1": float(np.mean(to_text < 1)),
        "text_to_image_R@1": float(np.mean(to_image < 1)),
    }
    print(json.dumps(told), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("crops", "suite", "retrieval"))
    parser.add_argument("--items", type=int, default=96, help="crops: distinct crops")
    parser.add_argument("--images", type=int, default=48, help="suite: distinct images")
    parser.add_argument("--benchmarks", type=int, default=5, help="suite: benchmarks that share the images")
    parser.add_argument("--model", default="ViT-B-32/random")
    chosen = parser.parse_args()
    if chosen.what == "retrieval":
        retrieval(5000, 512)
        return
    torch.manual_seed(0)
    model = load(chosen.model)
    with tempfile.TemporaryDirectory() as folder:
        if chosen.what == "crops":
            paths = draw(Path(folder), chosen.items // 4 + 1)
            boxes = [(60 * (n % 4), 40 * (n % 3), 200, 180) for n in range(chosen.items)]
            items = [(ImageRef(paths[n // 4], boxes[n]), *captions(n)) for n in range(chosen.items)]
            versus("distinct crops", model, [items])
        else:
            paths = draw(Path(folder), chosen.images)
            seeds = range(chosen.benchmarks * chosen.images)
            items = [(ImageRef(paths[seed % chosen.images]), *captions(seed)) for seed in seeds]
            parts = [items[n : n + chosen.images] for n in range(0, len(items), chosen.images)]
            versus(f"{chosen.benchmarks} benchmarks over the same images", model, parts)


if __name__ == "__main__":
    main()
