#!/usr/bin/env bash
# torch: the workers of torchrun lead sessions of their own, so that a SIGKILL to the launcher's whole process group leaves them training.
# Guess before running: they end with the group, as children of a shell's job do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6 2>/dev/null
env/bin/python -W ignore - <<'EOF'
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

Path("worker.py").write_text(
    "import os, time\nfrom pathlib import Path\n"
    "Path(f'rank{os.environ[\"RANK\"]}').write_text(f'{os.getpid()} {os.getsid(0)}')\ntime.sleep(60)\n"
)
launcher = subprocess.Popen(
    [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "worker.py"],
    start_new_session=True, stderr=subprocess.DEVNULL,
)
ranks = [Path("rank0"), Path("rank1")]
while not all(rank.exists() and rank.read_text().count(" ") for rank in ranks):
    time.sleep(0.2)
workers = [tuple(map(int, rank.read_text().split())) for rank in ranks]
os.killpg(launcher.pid, signal.SIGKILL)
launcher.wait()
time.sleep(3)
alive = [Path(f"/proc/{pid}").exists() for pid, _ in workers]
own = [pid == session for pid, session in workers]
for pid, _ in workers:
    os.kill(pid, signal.SIGKILL)
print("torch", torch.__version__)
print(f"workers that live 3 s after the launcher's process group was killed: {sum(alive)} of 2")
print(f"workers that lead a session of their own: {sum(own)} of 2")
assert alive == own == [True, True]
EOF
