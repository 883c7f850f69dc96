"""Zero-shot classification on folders of classes, torchvision data sets and CLIP_benchmark's WebDatasets.

The latter two are unpacked once into a folder of classes (see ``classification_sources``), so that there is
one way to read labelled images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from knowclip.evaluation.benchmarks import classification_sources as sources
from knowclip.evaluation.benchmarks.base import Card
from knowclip.evaluation.benchmarks.zero_shot import ZeroShot
from knowclip.evaluation.metrics import NoDataError
from knowclip.files import IMAGE_SUFFIXES, is_junk, read_text
from knowclip.types import ImageRef

CLASSIFICATION = Card(
    name="zero_shot_classification",
    title="Zero-shot classification",
    paper="Radford et al., Learning transferable visual models from natural language supervision",
    address="https://github.com/LAION-AI/CLIP_benchmark",
    licence="that of the images",
    main="zero_shot_classification_acc1",
    protocol="cosine with the mean of the class's normalised prompts (CLIP's 80 ImageNet templates unless "
    "the data set brings its own); the right class strictly above all others",
    layout="<split>/<class>/*.jpg; or <split>/*.tar with classnames.txt and "
    "zeroshot_classification_templates.txt (CLIP_benchmark's WebDatasets); or a torchvision data set "
    "(cifar-10-batches-py/ ...)",
    crop="whole image, the model's own preprocessing",
    average="micro (mean-per-class recall beside it)",
    differs="ties count as wrong here, by class order elsewhere",
    flaws="Class names and templates decide several points; overlap with web training data is unknown.",
)
PLACES = ("", "classification", "zero_shot_classification")
"""Where a data folder may hold the labelled images."""
SPLITS = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test", "val", "validation")}
"""Names a split goes by; ImageNet's val is what the field tests on, used where there is no test."""
NAMES, TEMPLATES = "classnames.txt", "zeroshot_classification_templates.txt"
_WORDNET_ID = re.compile(r"n\d{8}")
IMAGENET = 1000


def read_classification(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ZeroShot:
    """Read labelled images of ``split``.

    ``classnames.txt`` has a name a line in order of the sorted class folders; without it ImageNet's thousand
    WordNet ids get open_clip's names, and any other folder's name is the class's name.

    Raises:
        NoDataError: none of the layouts is there.
        ValueError: as many names as classes are not there.
    """
    if split not in SPLITS:
        raise NoDataError(f"labelled images have no split {split!r}, only {', '.join(SPLITS)}")
    for place in PLACES:
        home = folder / place
        if found := _split_folder(home, split):
            return _read(found, home)
        if unpacked := sources.unpack(home, SPLITS[split]):
            return _read(unpacked, unpacked.parent)
    raise NoDataError(f"no labelled images of {split!r} under {folder}: expected {CLASSIFICATION.layout}")


def _split_folder(home: Path, split: str) -> Path | None:
    return next((home / name for name in SPLITS[split] if _classes(home / name)), None)


def _classes(folder: Path) -> list[Path]:
    """Subfolders with images, if there are two at least."""
    if not folder.is_dir():
        return []
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not is_junk(path.name) and any(map(_is_image, path.iterdir()))
    ]
    return found if len(found) > 1 else []


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_junk(path.name)


def _read(folder: Path, home: Path) -> ZeroShot:
    classes = _classes(folder)
    names = _names([path.name for path in classes], home)
    files = [
        (label, path)
        for label, each in enumerate(classes)
        for path in sorted(each.iterdir())
        if not is_junk(path.name)
    ]
    images = [(label, path) for label, path in files if _is_image(path)]
    keys = [f"{path.parent.name}/{path.name}" for _, path in images]
    return ZeroShot(
        card=CLASSIFICATION,
        images=[ImageRef(path) for _, path in images],
        image_ids=keys,
        labels=[label for label, _ in images],
        names=names,
        templates=_templates(home),
        keys=keys,
        skipped={"no image file": len(files) - len(images)} if len(files) > len(images) else {},
    )


def _names(folders: Sequence[str], home: Path) -> Sequence[str]:
    """Name of each class, in order of the sorted folders."""
    path = home / NAMES
    if path.is_file():
        names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        if len(names) != len(folders):
            raise ValueError(
                f"{path} has {len(names)} names for {len(folders)} class folders; it must have one a line, "
                "in order of the sorted folders"
            )
    elif len(folders) == IMAGENET and all(map(_WORDNET_ID.fullmatch, folders)):
        from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

        names = list(IMAGENET_CLASSNAMES)
    else:
        names = [folder.replace("_", " ") for folder in folders]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{home}: several classes are called {twice[:5]}; no prompt can tell them apart")
    return names


def _templates(home: Path) -> Sequence[str]:
    """The data set's own templates, with ``{c}`` for the class name; else CLIP's for ImageNet."""
    path = home / TEMPLATES
    if not path.is_file():
        from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

        return [template("{c}") for template in OPENAI_IMAGENET_TEMPLATES]
    templates = [line for line in read_text(path).splitlines() if line.strip()]
    fields: Mapping[str, str] = {"c": "", "name": "", "a": ""}
    for template in templates:
        try:
            template.format(**fields)
        except (KeyError, ValueError, IndexError) as error:
            raise ValueError(
                f"{path}: template {template!r}: {error!r}; write {{c}} for the class"
            ) from error
    return templates
