"""What is in a file of weights: allowed names, other formats, and files that are something else."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import zipfile
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from torch import nn

from knowclip.models.loading.torchscript import read_torchscript
from knowclip.models.loading.weight_files import find_weights, read_content

BESIDE = {
    "a NumPy float": np.float64(1e-6),
    "a NumPy integer": np.int32(3),
    "a NumPy bool": np.bool_(True),
    "a NumPy string": np.str_("x"),
    "a NumPy date": np.datetime64("2020-01-01"),
    "an array": np.arange(3),
    "a dtype": np.dtype("float32"),
    "NumPy's random state": np.random.RandomState(0).get_state(),
    "arguments": argparse.Namespace(lr=np.float64(0.1), betas=[0.9]),
    "a set": {1, 2},
    "a frozenset": frozenset({1}),
    "a range": range(3),
    "a slice": slice(1, 2),
    "a counter": Counter("aab"),
    "an ordered mapping": OrderedDict(a=1),
    "a version": torch.torch_version.TorchVersion("2.9.0"),
    "a device": torch.device("cpu"),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_what_trainers_save_beside_the_weights_is_read(kind, tmp_path):
    value = BESIDE[kind]
    torch.save({"epoch": 1, "beside": value}, tmp_path / "x.pt")
    found = read_content(tmp_path / "x.pt")["beside"]
    assert str(found) == str(value)


def test_paths_and_defaultdicts_come_as_their_plain_kin(tmp_path):
    torch.save({"path": Path("runs/a"), "state": defaultdict(dict, {1: {}})}, tmp_path / "x.pt")
    assert read_content(tmp_path / "x.pt") == {"path": PurePosixPath("runs/a"), "state": {1: {}}}


def test_names_that_another_library_added_neither_stand_for_ours_nor_are_lost(tmp_path):
    torch.save({"state": defaultdict(dict, {1: {}})}, tmp_path / "x.pt")
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([defaultdict])  # as a library may for its own files
    try:
        assert read_content(tmp_path / "x.pt") == {"state": {1: {}}}
        assert defaultdict in torch.serialization.get_safe_globals()
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def test_numpy_1_wrote_another_name_for_its_numbers(tmp_path):
    torch.save({"lr": np.float64(0.5)}, tmp_path / "new.pt")
    with zipfile.ZipFile(tmp_path / "new.pt") as new, zipfile.ZipFile(tmp_path / "old.pt", "w") as old:
        for name in new.namelist():
            old.writestr(name, new.read(name).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert b"numpy.core.multiarray" in (tmp_path / "old.pt").read_bytes()
    assert read_content(tmp_path / "old.pt")["lr"] == 0.5


class Command:
    """Runs a command when it is unpickled freely."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_of_a_pickle_is_run(tmp_path, zipped):
    content = {"state_dict": {"a": torch.ones(2, 2)}, "optimizer": Command(tmp_path / "ran")}
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"x.pt: the pickle holds objects beyond tensors \(\w+\.system\)"):
        read_content(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()


def test_no_code_of_a_torchscript_archive_is_run(tmp_path):
    file = io.BytesIO()
    pickle.Pickler(file, 2).dump(Command(tmp_path / "ran"))
    writer = torch._C.PyTorchFileWriter(str(tmp_path / "x.pt"))
    writer.write_record("data.pkl", file.getvalue(), len(file.getvalue()))
    writer.write_record("constants.pkl", b"\x80\x02).", 4)
    writer.write_end_of_file()
    with pytest.raises(ValueError, match=r"objects beyond tensors \(posix.system\)"):
        read_content(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 3).half()])
        self.tied = self.layers[0].weight
        self.register_buffer("count", torch.tensor(5))
        self.attribute = torch.ones(3)

    def forward(self, x):
        return x + self.attribute.sum() + self.count


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [torch.jit.script, lambda m: torch.jit.trace(m, torch.zeros(1))])
def test_a_torchscript_archive_gives_the_state_dict_of_its_program(make, tmp_path):
    make(Half()).save(tmp_path / "x.pt")
    expected = torch.jit.load(tmp_path / "x.pt").state_dict()
    found = read_torchscript(tmp_path / "x.pt")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert found["tied"].dtype is torch.float16


def test_a_pickle_that_is_called_safetensors_is_read_as_what_it_is(tmp_path):
    for old in (False, True):
        torch.save({"a": torch.ones(2)}, tmp_path / "x.safetensors", _use_new_zipfile_serialization=old)
        assert read_content(tmp_path / "x.safetensors")["a"].tolist() == [1, 1]


def test_older_formats_are_read(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert read_content(tmp_path / "old.pth")["a"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS.*git lfs pull"),
        (b"<!doctype html><html>sign in</html>", "web page"),
        (pickle.dumps({"a": 1}, protocol=4), "pickle protocol other than 2"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, content, message):
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(ValueError, match=f"x.bin: .*{message}"):
        read_content(tmp_path / "x.bin")


def index(folder: Path, files: dict[str, str]) -> Path:
    import json

    path = folder / "pytorch_model.bin.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return path


def test_shards_of_pickles_come_together(tmp_path):
    names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    for i, name in enumerate(names):
        torch.save({f"t{i}": torch.full((2,), i)}, tmp_path / name)
    files = {"t0": names[0], "t1": names[1]}
    assert find_weights(tmp_path) == tmp_path / names[0]
    assert set(read_content(tmp_path / names[1])) == {"t0", "t1"}
    path = index(tmp_path, files)
    assert find_weights(tmp_path) == path
    assert set(read_content(path)) == {"t0", "t1"}
    with pytest.raises(ValueError, match="lack 1 of the tensors that it lists, the first is t2"):
        read_content(index(tmp_path, {**files, "t2": names[1]}))
    with pytest.raises(ValueError, match=r"beside their index, got '../x.bin'"):
        read_content(index(tmp_path, {"t0": "../x.bin"}))
    (tmp_path / names[1]).unlink()
    with pytest.raises(ValueError, match=f"1 of 2 shards are missing, the first is {names[1]}"):
        read_content(index(tmp_path, files))


def test_what_trainers_write_beside_weights_is_not_taken_for_them(tmp_path):
    for name in ("optimizer.bin", "training_args.bin", "rng_state.pth", "._model.bin", "weights.pt"):
        (tmp_path / name).touch()
    assert find_weights(tmp_path) == tmp_path / "weights.pt"
    (tmp_path / "others.pt").touch()
    with pytest.raises(ValueError, match=r"one file of weights, found others.pt, weights.pt"):
        find_weights(tmp_path)
