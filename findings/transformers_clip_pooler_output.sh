#!/usr/bin/env bash
# transformers 5: `pooler_output` of CLIP is two things: the tower's own state from `model.text_model(...)`, and the projected embedding from `get_text_features`, which is no tensor any more, and from `model(...).text_model_output`, where 4 gave the tower's own.
# Guess before running: get_text_features gives a tensor as it did in 4; text_model_output.pooler_output is what model.text_model(...) gives, not yet projected.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6 2>/dev/null
for version in 4.57.6 5.24.0; do
    env/bin/pip install --quiet --disable-pip-version-check --target "$version" transformers=="$version" 2>/dev/null
done
cat > ask.py <<'EOF'
import json
import sys

import torch
import transformers
from transformers import CLIPConfig, CLIPModel

tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
config = CLIPConfig(
    text_config={**tower, "vocab_size": 100, "max_position_embeddings": 16, "bos_token_id": 98, "eos_token_id": 99},
    vision_config={**tower, "image_size": 32, "patch_size": 16},
    projection_dim=8,
)
model = CLIPModel(config).eval()
text, pixels = {"input_ids": torch.tensor([[98, 2, 99]])}, {"pixel_values": torch.rand(1, 3, 32, 32)}
with torch.no_grad():
    whole = model(**text, **pixels)
    feature = model.get_text_features(**text)
    found = {
        "get_text_features": type(feature).__name__,
        "its width": (feature if isinstance(feature, torch.Tensor) else feature.pooler_output).shape[-1],
        "text_model(...).pooler_output": model.text_model(**text).pooler_output.shape[-1],
        "model(...).text_model_output.pooler_output": whole.text_model_output.pooler_output.shape[-1],
        "vision_model(...).pooler_output": model.vision_model(**pixels).pooler_output.shape[-1],
        "model(...).vision_model_output.pooler_output": whole.vision_model_output.pooler_output.shape[-1],
    }
print(json.dumps({"transformers": transformers.__version__, **found}))
print(*(f"  {name}: {value}" for name, value in found.items()), sep="\n", file=sys.stderr)
EOF
for version in 4.57.6 5.24.0; do
    echo "transformers $version, towers 32 wide, projected to 8:"
    PYTHONPATH="$version" TRANSFORMERS_VERBOSITY=error env/bin/python -W ignore ask.py > "$version.json"
done
env/bin/python - <<'EOF'
import json
from pathlib import Path

old, new = (json.loads(Path(f"{version}.json").read_text()) for version in ("4.57.6", "5.24.0"))
assert (old["transformers"], new["transformers"]) == ("4.57.6", "5.24.0")
assert (old["get_text_features"], new["get_text_features"]) == ("Tensor", "BaseModelOutputWithPooling")
for tower in ("text", "vision"):
    alone, within = f"{tower}_model(...).pooler_output", f"model(...).{tower}_model_output.pooler_output"
    assert (old[alone], old[within]) == (32, 32), old
    assert (new[alone], new[within]) == (32, 8), new
EOF
