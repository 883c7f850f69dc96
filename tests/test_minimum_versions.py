"""What scripts/minimum_versions.py reads in a pyproject.toml; nothing is installed."""

from __future__ import annotations

import runpy
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import knowclip

ROOT = Path(knowclip.__file__).parents[2]
SCRIPT = ROOT / "scripts" / "minimum_versions.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="the wheel has no scripts")

PYPROJECT = """
[project]
name = "it"
dependencies = ["Torch_Geometric>=2.5,<3", "timm>=1.0.17", "numpy", "pillow!=10.1", "rich~=13.0"]

[project.optional-dependencies]
photos = ["timm>=1.0.9"]
dev = ["timm>=1.0.20; python_version >= '3.11'", "mypy>=1.10", "types-PyYAML>=6"]
wandb = ["wandb>=0.16"]
all = ["it[photos]"]
"""


@pytest.fixture(scope="module")
def minimums() -> Callable[..., dict[str, Version]]:
    return runpy.run_path(str(SCRIPT))["minimums"]


@pytest.fixture
def pyproject(tmp_path: Path) -> Path:
    path = tmp_path / "pyproject.toml"
    path.write_text(PYPROJECT)
    return path


def test_the_highest_lower_bound_of_each_package_is_pinned(minimums, pyproject) -> None:
    """Without what no test imports, upper bounds, exclusions and the project's own extras."""
    assert minimums(pyproject) == {"timm": Version("1.0.20"), "torch-geometric": Version("2.5")}


def test_left_packages_are_not_pinned_by_any_spelling(minimums, pyproject) -> None:
    assert minimums(pyproject, leave=["torch_Geometric"]) == {"timm": Version("1.0.20")}


def test_a_package_without_a_bound_cannot_be_left(minimums, pyproject) -> None:
    with pytest.raises(ValueError, match=r"no lower bound of numpy; there are .*timm"):
        minimums(pyproject, leave=["numpy"])


def test_every_requirement_of_knowclip_has_a_lower_bound(minimums) -> None:
    """Else the script would test the newest of it and say nothing."""
    path = ROOT / "pyproject.toml"
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(x for xs in project["optional-dependencies"].values() for x in xs)]
    names = {canonicalize_name(Requirement(line).name) for line in lines}
    untested = runpy.run_path(str(SCRIPT))["UNTESTED"]
    assert names - untested - {"knowclip"} == set(minimums(path))
