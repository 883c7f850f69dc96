#!/usr/bin/env bash
# huggingface_hub 2: a hub out of reach raises, of one call to the next, another kind of exception: downloads an OSError of its own, the calls of HfApi that create and upload one of httpx2, which is none.
# Guess before running: as with requests (whose errors are OSErrors), `except OSError` catches a hub out of reach in all calls.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check huggingface_hub==2.4.0 2>/dev/null
HF_HOME="$folder/home" env/bin/python - <<'EOP'
import importlib.metadata, socket

import huggingface_hub as hub

with socket.socket() as taken:  # a port that was free a moment ago: nobody listens there
    taken.bind(("127.0.0.1", 0))
    nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
api = hub.HfApi(endpoint=nowhere, token="hf_none")
calls = {
    "hf_hub_download": lambda: hub.hf_hub_download("org/name", "config.json", endpoint=nowhere),
    "snapshot_download": lambda: hub.snapshot_download("org/name", endpoint=nowhere),
    "create_repo": lambda: api.create_repo("org/name"),
    "whoami": lambda: api.whoami(),
    "model_info": lambda: api.model_info("org/name"),
}
print("huggingface_hub", importlib.metadata.version("huggingface_hub"))
found = {}
for name, call in calls.items():
    try:
        call()
    except Exception as error:
        kinds = [f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__]
        found[name] = kinds[0], isinstance(error, OSError)
        print(f"{name}: {kinds[0]}, an OSError: {isinstance(error, OSError)}")
assert found["hf_hub_download"][1] and found["snapshot_download"][1]
assert not found["create_repo"][1] and found["create_repo"][0].startswith("httpx2.")
assert not found["model_info"][1]
EOP
