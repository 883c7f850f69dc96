#!/usr/bin/env bash
# torch: torch.distributed.checkpoint.load raises a CheckpointException for a key that the checkpoint lacks, and that is a BaseException: 'except Exception' lets it through.
# Guess before running: a subclass of Exception (KeyError or RuntimeError), as torch.load and load_state_dict raise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6 2>/dev/null
env/bin/python -W ignore - <<'EOF'
import torch
import torch.distributed.checkpoint as dcp

print("torch", torch.__version__)
dcp.save({"weight": torch.ones(2)}, checkpoint_id="saved")
caught = None
try:
    try:
        dcp.load({"weight": torch.ones(2), "bias": torch.ones(2)}, checkpoint_id="saved")
    except Exception as error:
        caught = f"except Exception caught {type(error).__name__}"
except BaseException as error:
    caught = f"except Exception did not catch {type(error).__name__}, bases {[base.__name__ for base in type(error).__mro__[1:]]}"
print("a key that the checkpoint lacks:", caught)
assert caught.startswith("except Exception did not catch CheckpointException, bases ['BaseException'")
EOF
