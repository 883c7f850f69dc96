"""Loading alone against the step that it feeds: pairs a second of each, and their ratio.

    python benchmarks/loader.py clip model.name=ViT-B-32/random data.train.path=FLICKR8K train.batch_size=16
    python benchmarks/loader.py clip --shards ...                                   the same pairs in shards
    python benchmarks/loader.py scenes-negclip --batches 5

Batches are those of ``knowclip train RECIPE key=value ...``, made in this process (``train.num_workers=0``):
read, decoded, tokenised, with their negatives; the step is forward, backward and optimiser. CPU seconds, each
batch loaded and then stepped. ``--shards`` packs the training pairs into WebDataset shards first. Parsing,
which is done once for a data set, and filling a cache are outside.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import tempfile
import time
from itertools import islice
from pathlib import Path

from knowclip.build.trainer import build_trainer
from knowclip.data.captions.read import read_captions
from knowclip.recipe.data import SourceConfig
from knowclip.recipe.load import load_recipe
from knowclip.training.loop import Trainer
from knowclip.training.step import backward

PAIRS_A_SHARD = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--shards", action="store_true", help="train on WebDataset shards of these pairs")
    options = parser.parse_intermixed_args()
    overrides = [*options.overrides, "train.num_workers=0"]
    with tempfile.TemporaryDirectory() as folder:
        overrides.append(f"output.folder={folder}/run")
        if options.shards:
            packed = pack(load_recipe(options.recipe, overrides).data.train, Path(folder) / "shards")
            overrides.append(f"data.train={{path: {packed}, format: null, images: null, split: null}}")
        trainer, _ = build_trainer(load_recipe(options.recipe, overrides))
        measure(trainer, options.batches)


def pack(data: SourceConfig, folder: Path) -> Path:
    """The pairs in WebDataset shards, each with its image, its caption and the name of its image."""
    folder.mkdir()
    examples = read_captions(data.path, format=data.format, images=data.images, split=data.split).examples
    for start in range(0, len(examples), PAIRS_A_SHARD):
        with tarfile.open(folder / f"{start // PAIRS_A_SHARD:05d}.tar", "w") as tar:
            for number, example in enumerate(examples[start : start + PAIRS_A_SHARD], start):
                about = json.dumps({"image_id": example.image_id}).encode()
                image, caption = example.image.path.read_bytes(), example.caption.encode()
                parts = {example.image.path.suffix: image, ".txt": caption, ".json": about}
                for ending, content in parts.items():
                    info = tarfile.TarInfo(f"{number:09d}{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return folder


def measure(trainer: Trainer, count: int) -> None:
    """Load and step ``count`` batches after a first one, which makes what is made once."""
    loading = stepping = pairs = 0.0
    batches = islice(trainer.batches.epoch(0), count + 1)
    for number in range(count + 1):
        start = time.process_time()
        batch = next(batches)
        loaded = time.process_time()
        backward(trainer.method, batch, accelerator=trainer.accelerator, accumulate=1)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
        if number:
            loading += loaded - start
            stepping += time.process_time() - loaded
            pairs += len(batch.keys)
    print(f"{pairs:,.0f} pairs: loading {pairs / loading:,.0f} pairs/s, stepping {pairs / stepping:,.1f};")
    print(f"loading alone is {stepping / loading:.1f} times as fast as the step")


if __name__ == "__main__":
    main()
