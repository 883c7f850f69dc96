#!/usr/bin/env bash
# ijson: the two backends of one wheel read the JSON escape of half a surrogate pair differently, and the fast one replaces it in silence.
# Guess before running: both backends give what json.loads gives: the lone surrogate.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check ijson==3.6.0 2>/dev/null
env/bin/python - <<'EOF'
import io, json
from importlib.metadata import version
import ijson

raw = b'["fox \\ud83d"]'
expected = json.loads(raw)[0]
print("ijson", version("ijson"), "- default backend", ijson.backend)
got = {}
for name in ("python", "yajl2_c"):
    got[name] = next(iter(ijson.get_backend(name).items(io.BytesIO(raw), "item")))
    print(f"{name:8} {got[name]!a}   json.loads {expected!a}")
assert got["python"] == expected
assert got["yajl2_c"] == "fox ?", "yajl2_c agrees now"
EOF
