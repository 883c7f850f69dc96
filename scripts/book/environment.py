"""What the site says of the cache folder and of environment variables, from the code that reads them."""

from __future__ import annotations

import ast
from pathlib import Path

import knowclip
from knowclip.cli import QUIET, SPINS
from knowclip.storage.cached import KINDS
from knowclip.storage.caches import DEFAULT, VARIABLE

MEANINGS = {
    VARIABLE: f"the cache folder, in place of `{DEFAULT}`",
    "HF_HOME": "Hugging Face's folder, in place of `~/.cache/huggingface`; `knowclip doctor` tells its size",
    "RANK": "set by `accelerate launch`: only process 0 writes lines and folders",
    "ACCELERATE_USE_FSDP": "set by `accelerate launch --use_fsdp`: parameters are cut over the processes",
    "WORLD_SIZE": "set by `accelerate launch`: the number of processes",
    "GRADIO_TEMP_DIR": "set by `knowclip app` itself, to a folder that goes with the process: uploads",
    "RAY_USAGE_STATS_ENABLED": "`0` unless it is set: Ray reports nothing of `knowclip prepare --engine ray`",
    "GOMP_SPINCOUNT": f"`{SPINS}` unless it or `OMP_WAIT_POLICY` is set: trainings share processors",
    "GRADIO_ANALYTICS_ENABLED": "set by `knowclip app` itself, to `False`: Gradio counts nothing",
} | {
    name: f"`{value}` unless it is set: reports and advice of others stay out"
    for name, value in QUIET.items()
}
"""Variable that the code reads or sets -> what it is."""
OTHERS = {
    "HF_HUB_OFFLINE": "`1`: the hub's library asks nobody; what lies in its cache is used",
    "HF_TOKEN": "who you are on the hub, for gated models and `knowclip push`",
    "HF_ENDPOINT": "another hub than the public one",
    "AWS_ENDPOINT_URL": "another server than Amazon's for `s3://`",
    "CUDA_VISIBLE_DEVICES": "which GPUs torch sees",
    "OMP_NUM_THREADS": "threads of torch and NumPy; on a machine that others use too, fewer are often faster",
    "TMPDIR": "where temporary files go",
}
"""Variable of the libraries below -> what it does here."""


def caches(_: str = "") -> str:
    """What lies in the cache folder, by kind."""
    return "\n".join(
        ["| kind | what it is |", "|---|---|", *(f"| `{kind}` | {told} |" for kind, told in KINDS.items())]
    )


def variables(_: str = "") -> str:
    """The variables that knowclip reads or sets, with the files that do, and those of the libraries below.

    Raises:
        ValueError: The code names a variable that MEANINGS does not, or the other way round.
    """
    found = used()
    if found.keys() != MEANINGS.keys():
        raise ValueError(f"MEANINGS and the code differ: {sorted(found.keys() ^ MEANINGS.keys())}")
    rows = [
        f"| `{name}` | {MEANINGS[name]} | {', '.join(f'`{f}`' for f in found[name])} |" for name in MEANINGS
    ]
    more = [f"| `{name}` | {told} | |" for name, told in OTHERS.items()]
    return "\n".join(["| variable | what | where |", "|---|---|---|", *rows, *more])


def used() -> dict[str, list[str]]:
    """Every environment variable that a module of knowclip reads or sets -> the modules."""
    root, found = Path(knowclip.__file__).parent, {}
    for path in sorted(root.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "environ" not in source:
            continue
        for name in _names(ast.parse(source)):
            found.setdefault(name, []).append(path.relative_to(root).as_posix())
    return {name: sorted(set(files)) for name, files in found.items()}


def _names(tree: ast.Module) -> set[str]:
    """What stands beside ``os.environ``: keys of calls, subscripts and merges, constants by their value."""
    keys: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _environ(node.func.value):
            keys += node.args[:1]
        elif isinstance(node, ast.Subscript) and _environ(node.value):
            keys.append(node.slice)
        elif isinstance(node, ast.AugAssign) and _environ(node.target) and isinstance(node.value, ast.Dict):
            keys += node.value.keys
    names: set[str] = set()
    for key in keys:
        if isinstance(key, ast.Constant):
            names.add(str(key.value))
        elif isinstance(key, ast.Name):
            names |= {VARIABLE} if key.id == "VARIABLE" else set(QUIET)
    return names


def _environ(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "environ"
