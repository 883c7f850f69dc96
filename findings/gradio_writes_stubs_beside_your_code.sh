#!/usr/bin/env bash
# Gradio: deriving a class from a component writes a .pyi file beside your own script, and half of the time of `import gradio` goes into the same for its own components.
# Guess before running: importing Gradio and deriving from a component write nothing; the import costs what its dependencies cost.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check gradio==6.31.0 2>/dev/null
cat > shout.py <<'EOF'
import gradio

OTHER = "a line of the module that is no part of the class"


class Shout(gradio.Textbox):
    EVENTS = []

    def postprocess(self, value):
        return super().postprocess(value.upper())
EOF
env/bin/python - <<'EOF'
import cProfile, importlib.metadata, pathlib, pstats

profile = cProfile.Profile()
profile.enable()
import gradio
profile.disable()
times = {name: row[3] for (_, _, name), row in pstats.Stats(profile).stats.items()}
share = times["create_or_modify_pyi"] / max(times.values())
print("gradio", importlib.metadata.version("gradio"))
print(f"share of the time of 'import gradio' spent in create_or_modify_pyi, under a profiler: {share:.2f}")
before = sorted(path.name for path in pathlib.Path().glob("*.py*"))
import shout
after = sorted(path.name for path in pathlib.Path().glob("*.py*"))
print("beside the script before deriving from gradio.Textbox:", before)
print("and after:", after)
written = pathlib.Path("shout.pyi").read_text()
print("shout.pyi:", len(written.splitlines()), "lines; it holds the module's other lines:", "OTHER" in written)
assert before == ["shout.py"] and after == ["shout.py", "shout.pyi"]
assert "OTHER" in written
assert share > 0.3
EOF
