"""What classes are called: by a list beside their folders, by WordNet id, or by the folders themselves.

A folder's name that is only a number or an id is no name: it is looked up, or refused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from knowclip.storage.text_files import read_text

NAMES = "classnames.txt"
IMAGENET = 1000
_WORDNET_ID = re.compile(r"(n\d{8})(?:[-_. ]+(.*\D.*))?")
_NUMBERED = re.compile(r"\d+[-_. ]+(\D.*)")
_ID = re.compile(r"(?:class|label|category|cls|c|id)?[-_ ]?(\d+)", re.IGNORECASE)
_BEFORE_NAME = re.compile(r"\s*[\s,:;=]\s*")
_SPLITS = frozenset(("train", "training", "val", "valid", "validation", "dev", "test", "testing"))


class Named(NamedTuple):
    """Name of each class, in order of their folders, and what a reader must be told of how it was found."""

    names: list[str]
    notes: list[str]


def class_names(folders: Sequence[str], home: Path, *, places: Sequence[Path], from_zero: bool) -> Named:
    """Name the classes whose folders are called ``folders``.

    Args:
        folders: names of the class folders.
        home: the data set's folder, for messages.
        places: where ``classnames.txt`` may lie; the first that is there counts.
        from_zero: whether the folders are called by class numbers that begin with 0.

    Raises:
        ValueError: the folders are called by numbers, ids nobody knows, or splits; or the list does not fit.
    """
    if {folder.lower() for folder in folders} <= _SPLITS:
        raise ValueError(
            f"{home}: its class folders would be {', '.join(folders)}, which are splits; give --data the "
            "folder that holds <split>/<class>/*.jpg"
        )
    listing = next((path for place in places if (path := place / NAMES).is_file()), None)
    if listing is not None:
        return Named(_listed(listing, folders, from_zero=from_zero), [])
    if any(map(_plain_wordnet_id, folders)):
        return _by_wordnet(folders, home)
    if all(map(_ID.fullmatch, folders)):
        raise ValueError(
            f"{home}: its class folders are called {', '.join(folders[:3])} ..., which are no names: write "
            f"{home / NAMES} with a name a line, in order of the folders' numbers"
        )
    return Named(_own_names(folders), [])


def shared_names(names: Sequence[str], ids: Sequence[str]) -> dict[str, list[str]]:
    """Names that several classes have, with the ids of those classes."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, id in zip(names, ids, strict=True):
        found[name].append(id)
    return {name: owners for name, owners in found.items() if len(owners) > 1}


def _listed(path: Path, folders: Sequence[str], *, from_zero: bool) -> list[str]:
    """Names of a list: by id where each line begins with one, else by the folders' numbers or their order."""
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    by_id = _by_id(lines) or _by_folder(lines, folders)
    if by_id and set(folders) <= by_id.keys():
        return [by_id[folder] for folder in folders]
    numbers = [int(match[1]) for folder in folders if (match := _ID.fullmatch(folder))]
    if len(numbers) == len(folders):
        return [lines[place] for place in _places(path, numbers, len(lines), from_zero=from_zero)]
    if len(lines) != len(folders):
        raise ValueError(
            f"{path} has {len(lines)} names for {len(folders)} class folders; it must have one a line, "
            "in order of the sorted folders (or begin each line with the folder's name)"
        )
    return lines


def _by_id(lines: Sequence[str]) -> Mapping[str, str]:
    """``n01440764 tench, Tinca tinca`` (ImageNet's own lists): id to the first of its names."""
    parts = [line.split(maxsplit=1) for line in lines]
    if not all(len(part) == 2 and _plain_wordnet_id(part[0]) for part in parts):
        return {}
    return {id: names.split(",")[0].strip() for id, names in parts}


def _by_folder(lines: Sequence[str], folders: Sequence[str]) -> Mapping[str, str]:
    """``0 cat``, ``0: cat``, ``0,cat`` on every line, in any order: folder to name."""
    if any(map(_plain_wordnet_id, folders)):
        return {}  # lists of these have several names a line
    parts = [_BEFORE_NAME.split(line, maxsplit=1) for line in lines]
    found = {part[0]: part[1].strip() for part in parts if len(part) == 2 and part[1].strip()}
    return found if len(found) == len(lines) and set(folders) <= found.keys() else {}


def _places(path: Path, numbers: Sequence[int], count: int, *, from_zero: bool) -> list[int]:
    """Line of each class number: they begin with 0, or with 1 where 0 is missing and ``count`` is there."""
    if from_zero or 0 in numbers:
        first = 0
    elif count in numbers:
        first = 1
    else:
        raise ValueError(
            f"{path} has {count} names, the class folders are numbers from {min(numbers)} to {max(numbers)}: "
            "whether they begin with 0 or 1 cannot be told; call the folders by their names"
        )
    places = [number - first for number in numbers]
    if max(places) >= count:
        raise ValueError(f"{path} has {count} names, and there is a class folder {max(numbers)}")
    return places


def _plain_wordnet_id(folder: str) -> bool:
    match = _WORDNET_ID.fullmatch(folder)
    return match is not None and match[2] is None


def _by_wordnet(folders: Sequence[str], home: Path) -> Named:
    """ImageNet's thousand ids get open_clip's names, other ids WordNet's first lemma."""
    known = _imagenet_names()
    unknown = [folder for folder in folders if _plain_wordnet_id(folder) and folder not in known]
    if not unknown:
        return Named([known.get(folder, name) for folder, name in _pairs(folders)], [])
    if len(folders) == IMAGENET and all(map(_plain_wordnet_id, folders)):
        from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

        note = f"{len(unknown):,} of the 1,000 ids ({unknown[0]} ...) are none of ImageNet's: named by order"
        return Named(list(IMAGENET_CLASSNAMES), [note])
    raise ValueError(
        f"{home}: {len(unknown)} class folders, such as {unknown[0]}, look like WordNet ids and are none of "
        f"ImageNet's: write {home / NAMES} with a name a line, in order of the sorted folders"
    )


def _imagenet_names() -> dict[str, str]:
    """WordNet id to name: all of ImageNet-22k's lemmas, and of the thousand open_clip's names."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
    from timm.data.imagenet_info import ImageNetInfo

    info: Any = ImageNetInfo
    every, thousand = info("imagenet-22k"), info()
    ids = (*every.label_names(), *thousand.label_names())
    lemmas = {id: every.label_name_to_description(id).split(",")[0].strip() for id in ids}
    return lemmas | dict(zip(thousand.label_names(), IMAGENET_CLASSNAMES, strict=True))


def _pairs(folders: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(folders, _own_names(folders), strict=True))


def _own_names(folders: Sequence[str]) -> list[str]:
    """The folders' names, without the WordNet ids or the numbering in front of all of them."""
    for pattern, group in ((_WORDNET_ID, 2), (_NUMBERED, 1)):
        matches = [pattern.fullmatch(folder) for folder in folders]
        names = [match[group] for match in matches if match and match[group]]
        if len(names) == len(folders):
            return [name.replace("_", " ") for name in names]
    return [folder.replace("_", " ") for folder in folders]
