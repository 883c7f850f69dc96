"""Does the wheel do without the repository? Builds it, installs it by itself, runs the demo there.

    python scripts/wheel_alone.py                          # 7 GB for a while, about 10 minutes, mostly pip's
    python scripts/wheel_alone.py --keep dist              # leaves wheel and sdist in dist/
    python scripts/wheel_alone.py --python python3.13      # in an environment of another Python

The sdist is built from the working tree and the wheel from the sdist, so that what one of them lacks is
missed. Both are compared with what git knows. The wheel is installed with its extra ``all`` and the versions
of ``constraints.txt`` into an environment in a temporary folder (``--scratch``), removed afterwards; the
commands run in another, with nothing of the repository on the path, caches of their own and no hub.
Exits with 1 where something is missing or a command fails.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "all"
SMALL = (
    "train.steps=2 train.batch_size=16 train.validate_every=2 train.num_workers=0 schedule.warmup=0 "
    "selection.metrics=[vg_relation] data.negatives.processes=1"
)
DEMO = """
import sys
from knowclip.commands import demo_run
demo_run.NUMBERS = {"train": 64, "val": 40, "test": 40}
demo_run.TWINS = {"val": 4, "test": 4}
from knowclip.cli import main
sys.argv = ["knowclip", "demo", *sys.argv[1:]]
sys.exit(main())
"""
"""The demo, but for its 23,000 scenes."""
KG = "data.graph.batch_size=4 method.fusion.width=16 method.fusion.layers=1 method.fusion.heads=2"
SCENES = "data.train.path=scenes data.val.path=scenes selection.suite=scenes"
COMMANDS = (
    "scenes scenes --train 300 --val 40 --test 40 --val-twins 4 --test-twins 4 --workers 1",
    f"train scenes-structure-clip {SMALL} {SCENES} output.folder=runs/structure",
    "graph import concepts --out kg/concepts",
    "graph import visual-genome scenes/visual_genome name=scenes objects=true --out kg/scenes",
    "graph merge kg/scenes kg/concepts --out kg/all",
    "graph split kg/all --val 0.05 --test 0.05 --benchmark scenes/dataset.json --out kg/parts",
    f"train scenes-knowledge-clip {SMALL} {KG} {SCENES} data.graph.path=kg/parts/train"
    " data.graph.proportions=null selection.links=null output.folder=runs/kg",
    "evaluate scenes-base --data scenes --out runs/measured",
    "evaluate runs/structure --data scenes --out runs/measured",
    "report runs/measured --out runs/page",
    "convert runs/structure out/open_clip",
    "index scenes/images --model out/open_clip --out photos.index",
    'search photos.index "a red horse"',
    "doctor",
)
"""What is run beside the demo: everything that the package carries is read by one of them."""
EXAMPLE = """
import knowclip, open_clip, pathlib, torch
assert "site-packages" in knowclip.__file__, knowclip.__file__
model = knowclip.load("scenes-base")
print(model.score(next(pathlib.Path("scenes/images").iterdir()), ["a red horse", "a blue dog"]))
open_clip.create_model_and_transforms("local-dir:out/open_clip")
"""


def run(command: Sequence[str | Path], *, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Run it with its output shown; nothing, or how it failed."""
    line = " ".join(map(str, command))
    print("$", line[:150], flush=True)
    status = subprocess.run(command, cwd=cwd, env=environment).returncode
    return f"failed with {status}: {line}" if status else ""


def must(command: Sequence[str | Path], *, cwd: Path) -> None:
    """Run what all else stands on."""
    if failed := run(command, cwd=cwd):
        raise SystemExit(failed)


def tracked() -> set[str]:
    """The files that git knows, relative to the repository."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in found if (ROOT / name).is_file()}


def lacking(sdist: Path, wheel: Path, files: set[str]) -> list[str]:
    """What one of the two should hold and does not, or holds and should not."""
    package = {name.removeprefix("src/") for name in files if name.startswith("src/knowclip/")}
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        kept = {Path(name).name for name in archive.namelist() if "/licenses/" in name}
    with tarfile.open(sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    parts = {
        "the wheel lacks": package - inside,
        "the wheel holds besides": inside - package,
        "the wheel lacks the licence": {"LICENSE", "NOTICE.md", "WORDNET_LICENSE.txt"} - kept,
        "the sdist lacks": files - source,
    }
    return [f"{what} {name}" for what, names in parts.items() for name in sorted(names)]


def build(python: Path, folder: Path) -> tuple[Path, Path]:
    """Sdist and wheel, the wheel from the sdist."""
    must([python, "-m", "pip", "install", "--quiet", "build"], cwd=folder)
    must([python, "-m", "build", "--outdir", folder, ROOT], cwd=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    for path in (sdist, wheel):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
    return sdist, wheel


def use(python: Path, work: Path) -> list[str]:
    """The demo and the commands, in an empty folder; what failed, the others are run all the same."""
    work.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KNOWCLIP"))}
    environment = kept | {"KNOWCLIP_CACHE": str(work / "cache"), "HF_HUB_OFFLINE": "1"}
    command = python.parent / "knowclip"
    lines = [
        [python, "-c", DEMO, *SMALL.split(), "--out", "runs/demo"],
        *([command, *shlex.split(line)] for line in COMMANDS),
        [python, "-c", EXAMPLE],
    ]
    return [failed for line in lines if (failed := run(line, cwd=work, environment=environment))]


def main() -> None:
    """Read the command line, build, compare, install, run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", type=Path, help="folder for wheel and sdist")
    parser.add_argument("--python", default=sys.executable, help="whose environment is made")
    parser.add_argument("--scratch", type=Path, help="where the temporary folder is made")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.scratch, prefix="wheel-") as name:
        folder = Path(name)
        must([chosen.python, "-m", "venv", folder / "venv"], cwd=folder)
        python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        sdist, wheel = build(python, folder)
        if missed := lacking(sdist, wheel, tracked()):
            raise SystemExit("\n".join(missed))
        constraints = ["--constraint", ROOT / "constraints.txt"]
        must([python, "-m", "pip", "install", "--quiet", *constraints, f"{wheel}[{EXTRAS}]"], cwd=folder)
        if failed := use(python, folder / "work"):
            raise SystemExit("\n".join(failed))
        if chosen.keep:
            chosen.keep.mkdir(parents=True, exist_ok=True)
            for path in (sdist, wheel):
                path.rename(chosen.keep / path.name)
    print("the wheel does without the repository")


if __name__ == "__main__":
    main()
