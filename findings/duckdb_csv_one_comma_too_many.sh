#!/usr/bin/env bash
# DuckDB: one unquoted comma in one caption changes how a whole CSV is read: one column for all rows, or the bad row as the header of an empty table.
# Guess before running: the row with three fields under a header of two is an error (as in pandas, pyarrow and polars).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.1 2>/dev/null
env/bin/python - <<'EOF'
from pathlib import Path
import duckdb

def read(count, bad):
    rows = [f"{i:03d}.jpg,a dog{', running' if i == bad else ''}" for i in range(count)]
    Path("captions.csv").write_text("image,caption\n" + "\n".join(rows) + "\n")
    table = duckdb.sql("select * from read_csv('captions.csv')")
    return table.columns, table.fetchall()

print("duckdb", duckdb.__version__)
columns, rows = read(20, bad=9)
print("20 rows, the 10th with a comma more:", columns, len(rows), "rows, the first:", rows[0])
assert columns == ["image,caption"] and len(rows) == 20 and rows[0] == ("000.jpg,a dog",)
columns, rows = read(5, bad=4)
print("5 rows, the last with a comma more:", columns, len(rows), "rows")
assert columns == ["004.jpg", "a dog", "running"] and rows == []
EOF
