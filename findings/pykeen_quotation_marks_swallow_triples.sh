#!/usr/bin/env bash
# PyKEEN: triples in a tab-separated file are read with CSV's quotation marks: of five lines with the words of two signs two triples are left, one of an entity that holds four lines, and nothing is said.
# Guess before running: marks are letters of a name like any other (tabs separate the fields, so nothing needs quoting), and five lines are five triples.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pykeen==1.11.1 pandas==3.1.1 torch==2.14.1 setuptools 2>/dev/null
env/bin/python -W ignore - <<'EOF'
from pathlib import Path

import pandas
import pykeen
from pykeen.triples import TriplesFactory

print("PyKEEN", pykeen.get_version(), "- pandas", pandas.__version__)


def read(*lines: str) -> TriplesFactory:
    Path("triples.tsv").write_text("".join(f"{line}\n" for line in lines))
    found = TriplesFactory.from_path("triples.tsv")
    print(f"{len(lines)} lines, {found.num_triples} triples of {sorted(found.entity_to_id)}")
    return found


others = ("man\tnear\tcar", "car\ton\troad")
cut_off = read('"no parking\ton\tpole', *others, '"stop" sign\tnear\troad', "dog\ton\tmat")
whole = read('"no parking"\ton\tpole', *others, '"stop" sign\tnear\troad', "dog\ton\tmat")
inch = read('5" pipe\ton\twall', *others, '3" pipe\tnear\troad', "dog\ton\tmat")
assert cut_off.num_triples == 2
assert 'no parking\ton\tpole\nman\tnear\tcar\ncar\ton\troad\nstop" sign' in cut_off.entity_to_id
assert whole.num_triples == 5 and {"no parking", "stop sign"} <= set(whole.entity_to_id), "the marks are kept now"
assert inch.num_triples == 5 and '5" pipe' in inch.entity_to_id
EOF
