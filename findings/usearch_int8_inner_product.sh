#!/usr/bin/env bash
# USearch: an index for inner products that stores int8 ranks by cosine, and its distances are in units of their own.
# Guess before running: int8 is coarser, but the vector with the largest inner product stays first, as with float32, float16 and bfloat16.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check usearch==2.26.6 numpy==2.4.6 2>/dev/null
env/bin/python - <<'EOF'
import numpy as np
import usearch
from usearch.index import Index

vectors = np.array([[1, 0, 0, 0], [0.9, 0.1, 0, 0], [5, 5, 0, 0]], dtype=np.float32)
query = np.array([1, 0, 0, 0], dtype=np.float32)
print("usearch", usearch.__version__, "- true inner products", (vectors @ query).tolist())
order = {}
for dtype in ("f32", "f16", "bf16", "i8"):
    index = Index(ndim=4, metric="ip", dtype=dtype)
    index.add(np.arange(3), vectors)
    matches = index.search(query, 3)
    order[dtype] = [int(key) for key in matches.keys]
    print(f"{dtype:5} order {order[dtype]}  distances {[round(float(d), 2) for d in matches.distances]}")
    stored = index.get(2)
print("int8 stores (5, 5, 0, 0) as", stored.tolist(), "- scaled to length one first")
assert order["f32"] == order["f16"] == order["bf16"] == [2, 0, 1]
assert order["i8"] == [0, 1, 2], "int8 ranks by inner product now"
assert stored.tolist() == [89, 89, 0, 0]
EOF
