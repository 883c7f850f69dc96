#!/usr/bin/env bash
# LanceDB: a full-text index made with the defaults drops the words that say who is where, and takes plurals for singulars; phrases are refused.
# Guess before running: every word of a caption is indexed as it stands ('the', 'on', 'under', 'tables'), as the defaults of SQLite's FTS5 do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check lancedb==0.40.0 pandas==3.1.1 2>/dev/null
env/bin/python - <<'EOF'
import lancedb
from lancedb.index import FTS

texts = ["a dog on the table", "a dog under the table", "two cats by tables"]
table = lancedb.connect("db").create_table("captions", [{"id": i, "text": text} for i, text in enumerate(texts)])
table.create_index("text", config=FTS())

def found(query):
    ids = sorted(row["id"] for row in table.search(query, query_type="fts").limit(9).to_list())
    print(f"  {query!r:24} -> {ids}")
    return ids

print("lancedb", lancedb.__version__)
assert found("on") == [] and found("the") == []
assert found("table") == [0, 1, 2]
try:
    found('"dog on"')
    raise SystemExit("phrases work now")
except ValueError as error:
    print("  a phrase:", str(error)[:90])
    assert "position" in str(error)
EOF
