#!/usr/bin/env bash
# safetensors: its NumPy writer keeps the shape of a transposed array and writes the values in memory order, so other values come back.
# Guess before running: a transposed array is copied into C order (as numpy.save does) or refused (as safetensors.torch does).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6 2>/dev/null
env/bin/python - <<'EOF'
import io
import numpy as np
import safetensors
from safetensors.numpy import load, save

weights = np.arange(6, dtype=np.float32).reshape(2, 3)
back = load(save({"w": weights.T}))["w"]
print("safetensors", safetensors.__version__)
print("saved ", weights.T.tolist())
print("loaded", back.tolist())
assert back.shape == (3, 2)
assert not np.array_equal(back, weights.T), "transposed arrays survive now"
assert np.array_equal(back, weights.reshape(3, 2))
assert np.array_equal(load(save({"w": np.ascontiguousarray(weights.T)}))["w"], weights.T)
buffer = io.BytesIO()
np.save(buffer, weights.T)
buffer.seek(0)
assert np.array_equal(np.load(buffer), weights.T)
print("np.ascontiguousarray first: right; numpy.save: right")
EOF
