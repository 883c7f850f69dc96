#!/usr/bin/env bash
# sentence-transformers 6: to a CLIP, "photos/dog.png" is a picture while such a file exists, and a text of these words when it does not: a mistyped or moved folder gives vectors, and nothing is said.
# Guess before running: a string is always a text, as before version 6, and pictures are given as PIL images; a path that is not there would be refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check sentence-transformers==6.2.0 transformers==5.23.0 \
  torch==2.14.1 torchvision==0.29.1 pillow==12.3.0 2>/dev/null
env/bin/python -W ignore - 2>log <<'EOF' || { cat log; exit 1; }
import numpy as np
import sentence_transformers
import torch
from pathlib import Path
from PIL import Image
from sentence_transformers import SentenceTransformer
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

# a CLIP of random weights that spells its words
tiny = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
letters = [*"abcdefghijklmnopqrstuvwxyz./"]
start, end = "<|startoftext|>", "<|endoftext|>"
vocabulary = {part: n for n, part in enumerate([*letters, *(f"{x}</w>" for x in letters), start, end])}
torch.manual_seed(0)
text = {**tiny, "vocab_size": len(vocabulary), "bos_token_id": vocabulary[start], "eos_token_id": vocabulary[end]}
image = {**tiny, "image_size": 32, "patch_size": 16}
CLIPModel(CLIPConfig(text_config=text, vision_config=image, projection_dim=16)).save_pretrained("clip")
pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32)
CLIPProcessor(pictures, CLIPTokenizer(vocab=vocabulary, merges=[], unk_token=end)).save_pretrained("clip")

model = SentenceTransformer("clip", device="cpu")
print("sentence-transformers", sentence_transformers.__version__)
noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
Path("photos").mkdir()
noise.save("photos/dog.png")


def encoded(*given):
    return model.encode(list(given), normalize_embeddings=True)


picture = encoded(noise)[0]
there = encoded("photos/dog.png")[0] @ picture
mistyped = encoded("photos/dgo.png")[0] @ picture
Path("photos").rename("pictures")
moved = encoded("photos/dog.png")[0] @ picture
words = model.encode("photos/dog.png", normalize_embeddings=True) @ encoded("photos/dog.png", "a dog").T
Path("pictures").rename("photos")
print(f"cosine to the picture: 'photos/dog.png' {there:.2f}, mistyped {mistyped:.2f}, folder moved {moved:.2f}")
try:
    encoded("photos/dog.png", "photos/dgo.png")
    refused = ""
except ValueError as error:
    refused = str(error)
print("one of two mistyped:", refused)
assert there > 0.999 and abs(mistyped) < 0.5 and abs(moved) < 0.5 and words[0] > 0.999
assert "mixes multiple modalities (image, text)" in refused and "dgo" not in refused
EOF
