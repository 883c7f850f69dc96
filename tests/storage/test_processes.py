from __future__ import annotations

import subprocess
import sys
import time

import psutil

PROGRAM = """
import os, time
from knowclip.storage.processes import process_pool
if __name__ == "__main__":
    pool = process_pool(1)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600)
    time.sleep(600)
"""


def test_processes_end_with_the_one_that_started_them(tmp_path) -> None:
    """Also where it is killed and can tell nobody."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    process.kill()
    process.wait()
    until = time.monotonic() + 60
    while _is_alive(worker) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _is_alive(worker)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
