"""Made the run in d911184/, with that commit's source: `PYTHONPATH=<its tree>/src python make_d911184.py`.

A tiny CLIP is trained four steps by `joint`, so that everything a run keeps is there: towers, KEE, fusion
encoder, optimiser, schedule, log.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from PIL import Image

from knowclip.build.method import load_method
from knowclip.export.open_clip import save_pretrained
from knowclip.models.loading import build
from knowclip.models.tokenizers import word_tokenizer

CAPTIONS = [
    "a red horse is riding a blue astronaut",
    "a small green horse is on a big house",
    "a blue astronaut is behind a red house",
    "a big dog is riding a small horse",
]
folder = Path(__file__).with_name("d911184")
folder.mkdir()
os.chdir(folder)
Path("images").mkdir()
rows = []
for number in range(16):
    Image.new("RGB", (32, 32), (number * 15, 255 - number * 15, 40 * (number % 5))).save(
        f"images/{number}.png"
    )
    rows.append((f"images/{number}.png", CAPTIONS[number % 4], "val" if number >= 12 else "train"))
with open("captions.csv", "w", newline="") as file:
    csv.writer(file).writerows([("image", "caption", "split"), *rows])
Path("triples.tsv").write_text(
    "horse\tis a\tanimal\ndog\tis a\tanimal\nastronaut\tis a\tperson\nhorse\tat\thouse\n"
)
torch.manual_seed(0)
words = word_tokenizer([*CAPTIONS, "animal person is a at"], context_length=24)
vision = {"image_size": 32, "patch_size": 16, "width": 16, "head_width": 8, "layers": 1, "mlp_ratio": 2.0}
text = {"context_length": 24, "width": 16, "heads": 2, "layers": 1, "mlp_ratio": 2.0, "pool_type": "eos"}
config = {"embed_dim": 8, "custom_text": True, "vision_cfg": vision, "text_cfg": text}
save_pretrained(build(config, tokenizer=words), Path("start"))
knowclip = [sys.executable, "-m", "knowclip.cli"]
subprocess.run([*knowclip, "graph", "import", "triples", "triples.tsv", "--out", "graph"], check=True)
overrides = [
    "model.name=start",
    "data.train.path=captions.csv",
    "data.train.format=csv",
    "data.train.split=train",
    "data.val.path=captions.csv",
    "data.val.format=csv",
    "data.val.split=val",
    "data.graph.path=graph",
    "data.graph.batch_size=2",
    "data.graph.proportions=null",
    "data.graph.modality=text",
    "data.cache=none",
    "data.cache_dir=cache",
    "data.negatives.processes=1",
    "method.kee={layers: 1}",
    "method.knowledge.fusion={width: 8, layers: 1, heads: 2}",
    "selection.suite=null",
    "selection.metrics=[text_to_image_R@1]",
    "train.steps=4",
    "train.batch_size=4",
    "train.validate_every=2",
    "train.save_every=2",
    "train.log_every=1",
    "schedule.warmup=1",
    "output.folder=run",
]
subprocess.run([*knowclip, "train", "scenes-joint", *overrides], check=True)

method = load_method("run/best")
model = method.model
asked = method.with_knowledge()
numbers = {
    "text": model.encode_text(CAPTIONS).tolist(),
    "image": model.encode_image([Path(f"images/{number}.png") for number in range(4)]).tolist(),
    "with_kee": asked.encode_text(CAPTIONS).tolist(),
}
Path("numbers.json").write_text(json.dumps(numbers))
