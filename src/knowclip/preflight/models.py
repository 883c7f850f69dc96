"""Whether what a person names can be a model, and where its weights would come from: nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from knowclip.console.counts import some
from knowclip.models.loading.names import (
    BEST,
    NONE_OF_THEM,
    RANDOM,
    WEIGHTS,
    may_be_model,
    no_model,
    of_package,
    refuse_other_file,
    unknown,
)
from knowclip.preflight.machine import DEVICES, one_of, require
from knowclip.preflight.untrained import tell_untrained

MODELS = Path(__file__).parents[1] / "models" / "loading"
"""Where the architectures and the checkpoints that ship with knowclip lie."""


def check_model(
    name: str,
    pretrained: str | None = None,
    *,
    device: str | None = None,
    key: str = "",
    weights_key: str = "",
) -> None:
    """Refuse a model that nothing is known by, or an architecture that says no weights to load.

    A run's ``best`` that is what the run started from is told (:mod:`knowclip.preflight.untrained`).

    Args:
        name: As ``models.loading.load`` takes it.
        pretrained: Tag, file of weights or ``random``.
        device: To load it on.
        key: What a person has to change: a recipe's ``model.name``, or nothing for an argument.
        weights_key: Likewise for ``pretrained``.

    Raises:
        ValueError: With the names that are near, or the override to give.
        ImportError: The towers' packages are not installed.
    """
    if device is not None:
        one_of("--device", device.partition(":")[0], DEVICES)
    told = f"{key}={name}" if key else name
    head, _, tag = name.rpartition("/")
    known = [*own_architectures(), *open_clip_architectures()]
    if name not in known and pretrained is None and head in known:
        name, pretrained = head, tag
    if name in known:
        _check_weights(name, pretrained, told, weights_key)
    elif name in shipped_models() or ":" in name:
        return
    elif not Path(name).exists():
        raise unknown(told, name, [*shipped_models(), *known])
    elif pretrained is not None and Path(name).suffix != ".json":
        way = f"set {weights_key}=null" if weights_key else "leave 'pretrained' out"
        raise ValueError(
            f"{told} has weights of its own, and pretrained={pretrained} is for an architecture: {way}"
        )
    else:
        if Path(name).is_file() and Path(name).suffix != ".json":
            refuse_other_file(Path(name))
        refuse_no_model(Path(name))
        tell_untrained(Path(name))


def refuse_no_model(folder: Path) -> None:
    """Refuse a folder in which nothing is a checkpoint or a run; name those in it that are, or what it is.

    Files of weights alone are told when they are loaded: their names say nothing.
    """
    if not folder.is_dir() or may_be_model(folder) or (folder / f".{BEST}.previous").is_dir():
        return
    if any(path.suffix in WEIGHTS for path in folder.iterdir()):
        return
    inside = [*_models_in(folder)]
    way = f": give one of the models in it, {some(inside)}" if inside else no_model(folder)
    raise ValueError(f"{folder} {NONE_OF_THEM}{way}")


def _models_in(folder: Path) -> Iterator[str]:
    for entry in sorted(folder.iterdir()):
        if not entry.name.startswith(".") and may_be_model(entry):
            yield str(entry)


def _check_weights(name: str, pretrained: str | None, told: str, weights_key: str) -> None:
    """What ``models.loading`` would say of an architecture's weights, as far as files tell."""
    setting = f"{weights_key}=" if weights_key else "pretrained="
    if pretrained == RANDOM or (pretrained is not None and Path(pretrained).is_file()):
        return
    if pretrained is not None and Path(pretrained).suffix in WEIGHTS:
        raise ValueError(f"{setting}{pretrained}: there is no such file of weights for {name}")
    if name not in own_architectures():
        if pretrained is None:
            raise ValueError(
                f"{told} needs weights: set {setting}TAG (openai, laion2b_s34b_b79k, ...), {setting}FILE, or "
                f"{setting}{RANDOM} for fresh ones"
            )
    elif pretrained is not None:
        raise ValueError(
            f"{told} brings the weights of its towers and knows no {setting}{pretrained}: set {setting}null"
            f" (or {setting}{RANDOM}, or a file of weights)"
        )
    elif of_package(MODELS / "architectures" / f"{name}.json"):
        require("photos", f"{name}'s towers")


@cache
def own_architectures() -> list[str]:
    """Name the architectures that ship with knowclip."""
    return _stems(MODELS / "architectures")


@cache
def open_clip_architectures() -> list[str]:
    """Name open_clip's architectures, by the files of its package: to import it takes seconds."""
    spec = find_spec("open_clip")
    return _stems(Path(spec.origin).parent / "model_configs") if spec and spec.origin else []


@cache
def shipped_models() -> list[str]:
    """Name the checkpoints that ship with knowclip."""
    return sorted(path.name for path in (MODELS / "shipped").glob("*") if path.is_dir())


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.json"))
