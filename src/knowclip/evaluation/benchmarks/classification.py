"""Zero-shot classification on folders of classes, torchvision data sets and CLIP_benchmark's WebDatasets.

The latter two are unpacked once into a folder of classes (see ``classification_sources``), so that there is
one way to read labelled images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from knowclip.evaluation.benchmarks import classification_sources as sources
from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.class_names import Named, class_names
from knowclip.evaluation.benchmarks.zero_shot import ZeroShot
from knowclip.evaluation.metrics import NoDataError, NotHereError
from knowclip.storage.text_files import IMAGE_SUFFIXES, is_junk, read_text
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
    differs="ties count as wrong here, by class order elsewhere; classes of equal name (ImageNet's missile "
    "and sunglasses, two of each) share their prompts, and any of them is right here, elsewhere the first",
    flaws="Class names and templates decide several points; overlap with web training data is unknown.",
)
PLACES = ("", "classification", "zero_shot_classification")
"""Where a data folder may hold the labelled images."""
SPLITS = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test", "val", "validation")}
"""Names a split goes by; ImageNet's val is what the field tests on, used where there is no test."""
TEMPLATES = "zeroshot_classification_templates.txt"
NESTED = "images"
"""Where Tiny ImageNet has the images of a class, below the class's own folder."""


def read_classification(
    folder: Path, *, split: str = "test", allow_missing: bool = False, named: bool = True
) -> ZeroShot:
    """Read labelled images of ``split``.

    ``classnames.txt`` has a name a line in order of the sorted class folders (of their numbers, where they
    are numbers); without it WordNet ids get open_clip's names of ImageNet's thousand or WordNet's
    lemma, and any other folder's name is the class's name.

    Args:
        folder: the data folder, or the data set's own.
        split: to read.
        allow_missing: no meaning here: what is there is measured.
        named: False for tasks that need no names: classes without one are called as their folders.

    Raises:
        NoDataError: none of the layouts is there.
        ValueError: as many names as classes are not there, or ids stand where names are needed.
    """
    if split not in SPLITS:
        raise NoDataError(f"labelled images have no split {split!r}, only {', '.join(SPLITS)}")
    for place in PLACES:
        home = folder / place
        if found := _split_folder(home, split):
            return _read(found, home, [home, found], named=named)
        if unpacked := sources.unpack(home, SPLITS[split]):
            return _read(unpacked, home, [home, unpacked.parent], named=named)
    raise _nothing(folder, split)


def _nothing(folder: Path, split: str) -> NoDataError:
    """Why there is nothing: no files at all, or images that are not sorted into classes."""
    for home in (folder / place for place in PLACES):
        for name in SPLITS[split]:
            if (home / name).is_dir() and any(map(_is_image, (home / name).iterdir())):
                return NoDataError(
                    f"{home / name} holds images, but no two folders of classes: sort them into "
                    f"{home / name}/<class>/"
                )
    near = ""
    if alone := _with_images(folder / split):
        near = f"; {folder / split} holds images of one class alone, {alone[0].name}"
    elif _classes(folder):
        near = f"; if its own folders of images are classes, put them into {folder / split}"
    return NotHereError(
        f"no labelled images of {split!r} under {folder}: expected {CLASSIFICATION.layout}{near}"
    )


def _split_folder(home: Path, split: str) -> Path | None:
    return next((home / name for name in SPLITS[split] if _classes(home / name)), None)


def _classes(folder: Path) -> list[Path]:
    """Subfolders with images, if there are two at least."""
    found = _with_images(folder)
    return found if len(found) > 1 else []


def _with_images(folder: Path) -> list[Path]:
    return [path for path in _subfolders(folder) if any(map(_is_image, _images_of(path).iterdir()))]


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not is_junk(path.name)]


def _images_of(place: Path) -> Path:
    """The folder of a class's images: its own, or ``images`` in it if it holds nothing else to look at."""
    nested = place / NESTED
    return nested if nested.is_dir() and not any(map(_is_image, place.iterdir())) else place


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_junk(path.name)


def _read(folder: Path, home: Path, places: Sequence[Path], *, named: bool) -> ZeroShot:
    classes = _classes(folder)
    ids = [path.name for path in classes]
    found = _named(ids, home, places, from_zero=folder.parent.name == sources.UNPACKED, strict=named)
    files = [
        (label, path)
        for label, each in enumerate(classes)
        for path in sorted(_images_of(each).iterdir())
        if not is_junk(path.name)
    ]
    images = [(label, path) for label, path in files if _is_image(path)]
    empty = [path for path in _subfolders(folder) if path not in classes]
    keys = [f"{ids[label]}/{path.name}" for label, path in images]
    return ZeroShot(
        card=CLASSIFICATION,
        images=[ImageRef(path) for _, path in images],
        image_ids=keys,
        labels=[label for label, _ in images],
        names=found.names,
        ids=ids,
        templates=_templates(places),
        keys=keys,
        skipped={"no image file": len(files) - len(images)} if len(files) > len(images) else {},
        notes=[*found.notes, *_told_empty(empty)],
    )


def _told_empty(folders: Sequence[Path]) -> list[str]:
    named = ", ".join(path.name for path in folders[:3]) + (" ..." if len(folders) > 3 else "")
    return [f"{len(folders)} folders without an image are no classes here: {named}"] if folders else []


def _named(ids: list[str], home: Path, places: Sequence[Path], *, from_zero: bool, strict: bool) -> Named:
    try:
        return class_names(ids, home, places=places, from_zero=from_zero)
    except ValueError:
        if strict:
            raise
        return Named(ids, [])


def _templates(places: Sequence[Path]) -> Sequence[str]:
    """The data set's own templates, with ``{c}`` for the class name; else CLIP's for ImageNet."""
    path = next((path for place in places if (path := place / TEMPLATES).is_file()), None)
    if path is None:
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
