#!/usr/bin/env bash
# DuckDB: a JSON file {id: record, ...} is one row of N columns up to 199 records, and one row of ONE column 'json' (a MAP) from 200 on.
# Guess before running: the shape of the answer does not depend on how many records there are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.1 2>/dev/null
env/bin/python - <<'EOF'
import json
from pathlib import Path
import duckdb

def shape(count):
    Path("nodes.json").write_text(json.dumps({f"n{i:05d}": {"senses": i} for i in range(count)}))
    table = duckdb.sql("select * from 'nodes.json'")
    print(f"{count} records: {len(table.columns)} column(s), first {table.columns[0]!r} of type {table.types[0]}")
    return len(table.columns), str(table.types[0])

print("duckdb", duckdb.__version__)
assert shape(2) == (2, "STRUCT(senses BIGINT)")
assert shape(199) == (199, "STRUCT(senses BIGINT)")
assert shape(200) == (1, "MAP(VARCHAR, STRUCT(senses BIGINT))")
EOF
