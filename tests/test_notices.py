"""NOTICE, SECURITY, CITATION and the index of findings name what is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import knowclip

ROOT = Path(knowclip.__file__).parents[2]
PACKAGE = Path(knowclip.__file__).parent
pytestmark = pytest.mark.skipif(not (ROOT / "NOTICE.md").is_file(), reason="the wheel has no notices")

OWN = {".py", ".yaml", ".jinja", ".js", ".css", ".typed", ".pyc"}
"""Endings of what is written here."""
OWN_FILES = {"concepts.csv", "lite0-minilm.json", "scenes.json"} | {
    "open_clip_config.json", "tokenizer.json", "tokenizer_config.json",
}  # fmt: skip
"""Data made for knowclip, and what lies beside the weights that NOTICE names."""
ASKS = (
    r"\b(urlopen|snapshot_download|load_dataset|HfApi|wandb\.init|requests\.get|httpx\.|open_connection"
    r"|url_to_fs|ray\.init)"
)
"""What a module that asks the network by itself calls."""
TOLD = {
    "data/download.py": "knowclip data NAME --out",
    "models/loading/hub.py": "hf-hub:ORG/NAME",
    "storage/remote.py": "captions at a URL",
    "data/prepared/engines.py": "knowclip prepare --engine ray",
    "data/formats/huggingface.py": "captions `hf-hub:NAME`",
    "evaluation/tasks/glue_files.py": "knowclip task glue",
    "export/push.py": "knowclip push",
    "training/runlog.py": "output.wandb",
}
"""Module -> its line in SECURITY.md."""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_what_the_package_holds_of_others_has_a_notice() -> None:
    notice = read("NOTICE.md")
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in OWN]
    others = [path.relative_to(PACKAGE).as_posix() for path in files if path.name not in OWN_FILES]
    assert "knowledge/words/data/wordnet.json.gz" in others
    assert [name for name in others if f"`{name}`" not in notice] == []
    named = re.findall(r"^\| `([\w/.-]+/[\w.-]+)` \|", notice, re.MULTILINE)
    assert [name for name in named if not (PACKAGE / name).is_file()] == []


def test_licence_files_go_into_the_wheel() -> None:
    files = tomllib.loads(read("pyproject.toml"))["project"]["license-files"]
    assert {"LICENSE", "NOTICE.md"} < set(files) and any("WORDNET" in name for name in files)
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_every_module_that_asks_the_network_is_told() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(ASKS, path.read_text(encoding="utf-8"))
    }
    assert found == TOLD.keys()
    assert [line for line in TOLD.values() if line not in read("SECURITY.md")] == []


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0" and citation["version"] == knowclip.__version__
    assert citation["license"] == tomllib.loads(read("pyproject.toml"))["project"]["license"]
    assert all(part["authors"] and part["title"] for part in (citation, *citation["references"]))


def test_the_index_of_findings_is_what_the_scripts_say() -> None:
    listed = re.findall(r"^- \[(\w+)\]\((\w+)\.sh\): (.+)$", read("findings/README.md"), re.MULTILINE)
    scripts = {}
    for path in (ROOT / "findings").glob("*.sh"):
        scripts[path.stem] = path.read_text(encoding="utf-8").splitlines()[1].removeprefix("# ")
    assert {name: told for name, _, told in listed} == scripts
    assert [name for name, file, _ in listed] == sorted(scripts) == [file for _, file, _ in listed]
