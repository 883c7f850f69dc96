"""Files of weights and what is in them: safetensors, pickles, TorchScript archives, shards.

What a file is, its first bytes say; its name may lie. Pickles are read with ``weights_only=True`` and the
names of ``models.harmless`` beyond torch's own: whatever else a pickle names is refused.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from knowclip.models.loading.harmless import harmless_only
from knowclip.models.loading.names import INDEX, WEIGHTS
from knowclip.models.loading.torchscript import is_torchscript, read_torchscript
from knowclip.storage.checksums import refuse_damaged

_PREFERRED = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    f"model.safetensors{INDEX}",
    "pytorch_model.bin",
    f"pytorch_model.bin{INDEX}",
    "pytorch_model.pth",
    "model.pth",
)
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.\w+)")
_BROKEN = (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, AttributeError, LookupError,
           TypeError, ValueError, OSError)  # fmt: skip
"""What torch, safetensors and unpicklers raise on files that are cut off or something else."""

_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_NOT_WEIGHTS = ("method.safetensors", "training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt",
                "scheduler.bin", "scaler.pt", "rng_state.pth")  # fmt: skip
"""What trainers (ours, transformers', accelerate) write beside the weights."""


def find_weights(folder: Path) -> Path:
    """Return the file of weights of a checkpoint folder, or the first of its shards or their index.

    Raises:
        ValueError: If there is none, or several of which none has a usual name.
    """
    for name in _PREFERRED:
        if (folder / name).is_file():
            return folder / name
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in WEIGHTS and path.name not in _NOT_WEIGHTS and not path.name.startswith(".")
    ]
    if len({_SHARD.sub(r"\1\4", path.name) for path in files}) != 1:
        found = ", ".join(path.name for path in files) or "none"
        raise ValueError(f"{folder}: expected {_PREFERRED[0]} or one file of weights, found {found}")
    return files[0]


def read_content(path: Path) -> Any:
    """Read what a file of weights holds, on the CPU; shards and their index give one mapping.

    Raises:
        ValueError: If the file is broken, is none of weights, is not the one of its checksum, lacks a shard,
            or names what is not harmless.
    """
    if path.name.endswith(INDEX):
        return _read_indexed(path)
    if shard := _SHARD.fullmatch(path.name):
        names = [f"{shard[1]}-{i + 1:05d}-of-{shard[3]}{shard[4]}" for i in range(int(shard[3]))]
        return _read_shards(path, names)
    return _read_file(path)


def read_json(path: Path) -> Any:
    """Read a JSON file that belongs to a checkpoint.

    Raises:
        ValueError: Naming the file, if it is broken or not the one of its checksum.
    """
    refuse_damaged(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is no readable JSON ({error}): the file is cut off or was edited; write or download it "
            "again"
        ) from error


def _read_file(path: Path) -> Any:
    refuse_damaged(path)
    with path.open("rb") as file:
        head = file.read(9)
    try:
        # safetensors: eight bytes of length, then JSON
        if head[8:] == b"{" or (path.suffix == ".safetensors" and not head.startswith((b"PK", b"\x80"))):
            return load_file(path)
        if head.startswith(b"PK"):
            if is_torchscript(path):
                return read_torchscript(path)
        with harmless_only():
            if path.suffix == ".safetensors":  # a pickle that is called so: torch goes by the name of a path
                return torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
            # torch maps its zip format alone, and raises on the older one
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except _BROKEN as error:
        raise ValueError(f"{path}: {_explain(error, head)}") from error


def _read_indexed(index: Path) -> dict[str, Any]:
    listed = read_json(index)
    files = listed.get("weight_map") if isinstance(listed, dict) else None
    if not isinstance(files, dict) or not files:
        raise ValueError(f"{index}: an index of shards has names and their files under 'weight_map'")
    if outside := [name for name in files.values() if Path(str(name)).name != name]:
        raise ValueError(f"{index}: shards lie beside their index, got {outside[0]!r}")
    state = _read_shards(index, sorted(set(files.values())))
    if lacking := sorted(set(files) - set(state)):
        raise ValueError(
            f"{index}: its shards lack {len(lacking)} of the tensors that it lists, the first is "
            f"{lacking[0]} ({files[lacking[0]]}): shards of two checkpoints, or an interrupted download"
        )
    return state


def _read_shards(beside: Path, names: list[str]) -> dict[str, Any]:
    absent = [name for name in names if not (beside.parent / name).is_file()]
    if absent:
        raise ValueError(
            f"{beside}: {len(absent)} of {len(names)} shards are missing, the first is {absent[0]}: put them "
            f"into {beside.parent}"
        )
    state: dict[str, Any] = {}
    for name in names:
        shard = _read_file(beside.parent / name)
        if not isinstance(shard, dict):
            raise ValueError(f"{beside.parent / name}: a shard is a mapping, got {type(shard).__name__}")
        state |= shard
    return state


def _explain(error: Exception, head: bytes) -> str:
    text = str(error)
    if name := _GLOBAL.search(text):
        return (
            f"the pickle holds objects beyond tensors ({name[1]}); to load them would run whatever code it "
            "names. If you trust it, load it with torch.load(..., weights_only=False) yourself and save "
            "its state_dict alone"
        )
    if head.startswith(b"version h"):
        return "a pointer of Git LFS, not the weights: fetch them with 'git lfs pull'"
    if head.lstrip()[:1] == b"<":
        return "an HTML or XML page, not weights: the download was answered with a web page"
    if "Unsupported operand" in text and head.startswith((b"PK", b"\x80")):
        return (
            "written with a pickle protocol other than 2, torch's own: save it again without pickle_protocol"
        )
    lines = text.rpartition("WeightsUnpickler error:")[2].strip().splitlines()
    reason = lines[0].partition(". ")[0] if lines else type(error).__name__
    return f"no readable checkpoint, cut off or no file of weights ({reason})"
