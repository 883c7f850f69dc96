#!/usr/bin/env bash
# datasets: in a flat folder of pictures, one file whose NAME holds the word test makes all pictures without such a word vanish.
# Guess before running: splits come from folder names; a file called red_test_car.jpg is a picture like the others.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check datasets==5.2.0 pillow==13.0.0 2>/dev/null
env/bin/python - <<'EOF'
import os
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = "hf"
from pathlib import Path
import datasets
from PIL import Image

datasets.disable_progress_bars()

def load(*names):
    folder = Path("pictures") / str(len(names)) / names[-1]
    folder.mkdir(parents=True)
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name)
    return {split: rows.num_rows for split, rows in datasets.load_dataset("imagefolder", data_dir=str(folder)).items()}

print("datasets", datasets.__version__)
before = load("dog.jpg", "cat.jpg", "valley.jpg", "car.jpg")
after = load("dog.jpg", "cat.jpg", "valley.jpg", "red_test_car.jpg")
print("dog, cat, valley, car:", before)
print("dog, cat, valley, red_test_car:", after)
assert before == {"train": 4}
assert after == {"test": 1}, after
EOF
