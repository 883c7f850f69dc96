#!/usr/bin/env bash
# inflect: a() goes by sound for some initials and never for numbers: 'an MRI', but 'a SUV', 'a LED', 'a 18-wheeler', 'a 8 ball'.
# Guess before running: a library made for a/an knows that S and L are spoken 'ess' and 'ell' as it knows M and F, and that 8, 11 and 18 begin with a vowel.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check inflect==7.6.0 2>/dev/null
env/bin/python - <<'EOF'
from importlib.metadata import version
import inflect

engine = inflect.engine()
right = {"MRI scan": "an", "FBI agent": "an", "X-ray": "an", "UFO": "a", "USB cable": "a", "hour": "an", "one-way street": "a",
         "SUV": "an", "LED lamp": "an", "18-wheeler": "an", "11-year-old": "an", "8 ball": "an", "80s dress": "an"}
print("inflect", version("inflect"))
wrong = []
for words, article in right.items():
    got = engine.a(words)
    print(f"  {got:20} {'' if got.split()[0] == article else '<- ' + article}")
    wrong += [words] if got.split()[0] != article else []
assert wrong == ["SUV", "LED lamp", "18-wheeler", "11-year-old", "8 ball", "80s dress"], wrong
EOF
