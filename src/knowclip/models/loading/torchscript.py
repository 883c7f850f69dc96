"""Tensors of a TorchScript archive, read without running the program that it is.

OpenAI published CLIP as TorchScript, and ``torch.jit.save`` writes it still. ``torch.jit.load`` would give
the archive's own code a place to run; here only its pickle of attributes is read, by an unpickler that knows
tensors, containers and, for every class of the archive, an inert holder of attributes. What a class declares
as ``__parameters__`` and ``__buffers__`` is kept: together the ``state_dict()`` of the loaded program.
"""

from __future__ import annotations

import io
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

_CLASS = re.compile(
    r"^class (\w+)\(Module\):\n  __parameters__ = \[(.*?)\]\n(?:  __buffers__ = \[(.*?)\]\n)?", re.MULTILINE
)
_STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_NAME = re.compile(r'"([^"]+)"')


def is_torchscript(path: Path) -> bool:
    """Whether a zip file is a TorchScript archive: those have constants, checkpoints have none."""
    return "constants.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records()


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """Parameters and buffers of the archive by their dotted names.

    Raises:
        UnpicklingError: The archive names something that is no tensor, container or class of its own.
    """
    archive = torch._C.PyTorchFileReader(str(path))
    root = _Unpickler(archive).load()
    declared = _declarations(archive)
    found: dict[str, torch.Tensor] = {}
    _collect(root, "", declared, found)
    return found


class _Module:
    """Attributes of a module of the archive."""

    origin = ""

    def __setstate__(self, state: Any) -> None:
        self.attributes: dict[str, Any] = state if isinstance(state, dict) else {}


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: Any) -> None:
        super().__init__(io.BytesIO(archive.get_record("data.pkl")))
        self._archive = archive

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return type(name, (_Module,), {"origin": f"{module}.{name}"})
        allowed = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
            **{
                ("torch.jit._pickle", f"build_{kind}list"): list
                for kind in ("int", "double", "bool", "tensor")
            },
        }
        if (module, name) in allowed:
            return allowed[module, name]
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"GLOBAL {module}.{name} in a TorchScript archive")

    def persistent_load(self, pid: Any) -> Any:
        _, dtype, key, _, count = pid
        size = count * torch.empty((), dtype=dtype).element_size()
        record = self._archive.get_storage_from_record(f"data/{key}", size, torch.UntypedStorage)
        storage = record._typed_storage()._untyped_storage
        return torch.storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)


def _declarations(archive: Any) -> dict[str, set[str]]:
    """Class -> names that it declares as parameters and buffers, out of the archive's code."""
    declared: dict[str, set[str]] = {}
    for record in archive.get_all_records():
        if record.startswith("code/") and record.endswith(".py"):
            module = record.removeprefix("code/").removesuffix(".py").replace("/", ".")
            for name, parameters, buffers in _CLASS.findall(archive.get_record(record).decode("utf-8")):
                declared[f"{module}.{name}"] = set(_NAME.findall(f"{parameters} {buffers}"))
    return declared


def _collect(
    module: _Module, prefix: str, declared: dict[str, set[str]], found: dict[str, torch.Tensor]
) -> None:
    for name, value in module.attributes.items():
        if isinstance(value, _Module):
            _collect(value, f"{prefix}{name}.", declared, found)
        elif torch.is_tensor(value) and name in declared.get(module.origin, ()):
            found[f"{prefix}{name}"] = value
