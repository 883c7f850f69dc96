#!/usr/bin/env bash
# datasets 5: a JSON Lines column that is a string here and a list there loads (type Json), and one in which every caption looks like a date comes back as datetimes.
# Guess before running: the first raises, as it did for years; the second stays text, since JSON has no dates.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check datasets==5.2.0 2>/dev/null
env/bin/python - <<'EOF'
import os
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = "hf"
import json
from pathlib import Path
import datasets

datasets.disable_progress_bars()

def load(*captions):
    Path("captions.jsonl").write_text("".join(json.dumps({"caption": c}) + "\n" for c in captions))
    rows = datasets.load_dataset("json", data_files="captions.jsonl", cache_dir=f"cache{len(str(captions))}")["train"]
    return rows.features["caption"], rows["caption"][:]

print("datasets", datasets.__version__)
mixed = load("a dog", ["a dog", "a brown dog"])
print("string and list:", *mixed)
dates = load("2020-01-01", "2021-12-24")
print("dates:", *dates)
assert type(mixed[0]).__name__ == "Json" and mixed[1] == ["a dog", ["a dog", "a brown dog"]]
assert dates[0] == datasets.Value("timestamp[s]") and dates[1][0].year == 2020
EOF
