"""By which names, files and endings a model is known; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path

from knowclip.storage.nearest import nearest
from knowclip.storage.whose import other_folder

OPEN_CLIP_CONFIGS = ("open_clip_config.json", "knowclip_config.json")
"""Configurations of a checkpoint folder: one that stock open_clip loads, one that only ``load`` does."""
ADAPTER_CONFIG = "adapter_config.json"
MODULES = "modules.json"
"""Of sentence-transformers."""
BEST = "best"
"""Folder of a run in which its best checkpoint lies."""
OF_MODELS = (*OPEN_CLIP_CONFIGS, "config.json", MODULES, ADAPTER_CONFIG, BEST)
"""What a folder that can be loaded has one of."""
WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".th", ".tar")
"""Endings of files of weights; ``.tar`` as in ``checkpoint.pth.tar``."""
INDEX = ".index.json"
"""Ending of the list of shards that transformers writes beside them."""
RANDOM = "random"
"""In place of weights: fresh ones."""
NONE_OF_THEM = (
    f"holds no {' or '.join(OPEN_CLIP_CONFIGS)}, no config.json of a transformers CLIPModel, "
    "and no folder 'best' that does"
)


def may_be_model(folder: Path) -> bool:
    """Whether a folder holds what a checkpoint or a run has; whether it can be loaded is told then."""
    return any((folder / name).exists() for name in OF_MODELS)


def no_model(folder: Path) -> str:
    """End of a refusal: whose the folder is; nothing where nobody is known by what lies in it."""
    other = other_folder(folder)
    return f"; it is {other}, no model" if other else ""


def near(name: str, known: Sequence[str]) -> list[str]:
    """The names that a person may have meant: those that begin so, and those with nearly the same letters."""
    begin = [other for other in known if name and other.startswith(name)]
    return list(dict.fromkeys([*begin, *get_close_matches(name, known, n=4)]))[:4]


def unknown(told: str, name: str, known: Sequence[str]) -> ValueError:
    """What is raised for a name by which nothing is known, with the paths and names that are near.

    Args:
        told: What the message calls it.
        name: As it was given, maybe with a tag behind a slash.
        known: Architectures and checkpoints.
    """
    meant = near(name.rpartition("/")[0] or name, known)
    close = nearest(Path(name))[2]
    if close is not None and (may_be_model(close) or other_folder(close) is None):
        meant = sorted([str(close), *meant], key=lambda other: -SequenceMatcher(None, name, other).ratio())
    hint = f"did you mean {', '.join(meant)}?" if meant else "give a folder, a file or open_clip's name"
    return ValueError(f"{told} is no file, no folder and no architecture; {hint}")


def refuse_other_file(path: Path) -> None:
    """Refuse a file whose ending is none of weights: a table, say, given where its run was meant."""
    if path.name.endswith((*WEIGHTS, INDEX)):
        return
    run = path.parent if may_be_model(path.parent) else None
    hint = f"; did you mean {run}?" if run else ""
    raise ValueError(f"{path} is no model: weights are in files {', '.join(WEIGHTS)}{hint}")


def of_package(architecture: Path) -> bool:
    """Whether the file of an architecture names weights that a Python package holds."""
    return "package:" in architecture.read_text(encoding="utf-8")
