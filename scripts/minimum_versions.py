"""Run the unit tests with the oldest versions that pyproject.toml allows, or with the newest there are.

    python scripts/minimum_versions.py --show                      # the pins, nothing installed
    python scripts/minimum_versions.py                             # all of it: 7 GB, 20 minutes
    python scripts/minimum_versions.py --leave torch torchvision   # what is named here is pip's choice
    python scripts/minimum_versions.py --resolve                   # whether pip finds such a set
    python scripts/minimum_versions.py --newest                    # nothing pinned: what a user gets today
    python scripts/minimum_versions.py --newest --python python3.13    # the same of another Python

Every requirement ``name>=x`` of the package, its extras ``all`` and ``dev`` becomes ``name==x`` for pip; what
these bring along is pip's choice, the newest that fits. The environment is made in a temporary folder
(``--scratch``) and removed. Arguments after ``--`` go to pytest in place of ``-m "not slow"``. Exits with
pytest's status. What no test imports (ruff, mypy, pre-commit, stubs, coverage, mutmut; wandb, which writes to
a service) is not pinned: its bound is not tested.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
UNTESTED = frozenset(("coverage", "mutmut", "mypy", "pre-commit", "ruff", "types-pyyaml", "wandb"))
EXTRAS = "all,dev"


def minimums(pyproject: Path, *, leave: Collection[str] = ()) -> dict[str, Version]:
    """Name -> the highest lower bound of that package among the requirements of the project and its extras.

    Raises:
        ValueError: ``leave`` names a package without a lower bound.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    bounds: dict[str, Version] = {}
    for line in [*project["dependencies"], *(line for lines in extras for line in lines)]:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        for specifier in requirement.specifier:
            if specifier.operator == ">=" and name not in UNTESTED:
                bounds[name] = max(Version(specifier.version), bounds.get(name, Version("0")))
    left = {canonicalize_name(name) for name in leave}
    if unknown := left - set(bounds):
        raise ValueError(f"no lower bound of {', '.join(sorted(unknown))}; there are {', '.join(bounds)}")
    return {name: bounds[name] for name in sorted(bounds) if name not in left}


def run(
    base: str, pins: dict[str, Version], folder: Path, pytest: list[str], *, resolve: bool = False
) -> int:
    """Install the project with exactly ``pins`` into an environment of ``base`` in ``folder`` and run pytest.

    ``base``: the Python to make it of. ``resolve``: ask pip for the set of versions alone, and print it; pip
    says where there is none, and why.
    """
    constraints = folder / "minimums.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
    subprocess.run([base, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [python, "-m", "pip", "install", "--constraint", constraints, f"{ROOT}[{EXTRAS}]"]
    if resolve:
        told = folder / "resolved.json"
        status = subprocess.run([*install, "--dry-run", "--report", told]).returncode
        found = [] if status else json.loads(told.read_text())["install"]
        print("\n".join(f"{one['metadata']['name']}=={one['metadata']['version']}" for one in found))
        return status
    install.append("--quiet")
    subprocess.run(install, check=True)
    subprocess.run([python, "-m", "pip", "freeze", "--exclude", "knowclip"], check=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run([python, "-m", "pytest", *pytest], cwd=ROOT, env=environment).returncode


def main() -> int:
    """Read the command line, print the pins, install and test."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--show", action="store_true", help="print the pins and stop")
    parser.add_argument("--resolve", action="store_true", help="ask pip for such a set, install nothing")
    parser.add_argument("--newest", action="store_true", help="pin nothing")
    parser.add_argument("--python", default=sys.executable, help="whose environment is made")
    parser.add_argument("--leave", nargs="+", default=[], metavar="NAME", help="packages not to pin")
    parser.add_argument("--scratch", type=Path, help="where the temporary folder is made")
    parser.add_argument("pytest", nargs="*", help="arguments of pytest, after --")
    chosen = parser.parse_args()
    pins = {} if chosen.newest else minimums(ROOT / "pyproject.toml", leave=chosen.leave)
    print("\n".join(f"{name}=={version}" for name, version in pins.items()), flush=True)
    if chosen.show:
        return 0
    with tempfile.TemporaryDirectory(dir=chosen.scratch, prefix="minimums-") as folder:
        pytest = chosen.pytest or ["-m", "not slow"]
        return run(chosen.python, pins, Path(folder), pytest, resolve=chosen.resolve)


if __name__ == "__main__":
    sys.exit(main())
