#!/usr/bin/env bash
# DuckDB 2: `gc.freeze()` at exit, the usual trick for leaving a large process sooner, makes its binding (nanobind now) print dozens of lines about leaked instances, types and functions.
# Guess before running: freezing at exit changes nothing that is printed; whatever a process still holds goes with it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0 2>/dev/null
env/bin/python - <<'EOP'
import importlib.metadata, subprocess, sys

print("duckdb", importlib.metadata.version("duckdb"))
query = "import duckdb; connection = duckdb.connect(); connection.execute('SELECT 42').fetchone()"
scripts = {"without": query, "with": f"import atexit, gc; atexit.register(gc.freeze); {query}"}
lines = {}
for name, script in scripts.items():
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    lines[name] = done.stderr.splitlines()
    print(f"{name} gc.freeze at exit: exit status {done.returncode}, {len(lines[name])} lines on standard error")
    assert done.returncode == 0
print("the first:", lines["with"][0])
print("the last:", lines["with"][-1])
assert lines["without"] == []
assert len(lines["with"]) > 20 and "nanobind: leaked" in lines["with"][0]
EOP
