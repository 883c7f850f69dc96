"""A folder on disk -> the photos in it, with what tells whether a file is still the one that was read."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from knowclip.console.counts import by_reason
from knowclip.console.progress import Stages
from knowclip.storage.text_files import IMAGE_SUFFIXES, is_junk

LINK = "link to a folder, not followed"
UNREADABLE = "cannot be read"
_ALLOWED = ", ".join(sorted(IMAGE_SUFFIXES))
_Folder = tuple[str, list[str], list[str]]


class FileState(NamedTuple):
    """Size in bytes, and when content and entry last changed, in ns.

    A program may set the time of the content; it cannot set the other.
    """

    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, path: str) -> FileState:
        """The state of a file now.

        Raises:
            OSError: There is none.
        """
        status = os.stat(path)
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A file that is a photo by its name: its absolute path and its state."""

    path: str
    state: FileState


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in some folders."""

    roots: tuple[str, ...]
    photos: list[PhotoFile] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    """Files and folders that cannot be looked at, and why."""
    others: Counter[str] = field(default_factory=Counter)
    """Files that are no photo by their name, by reason; junk of the system is not counted."""

    @property
    def without_photos(self) -> str:
        """What is told of places without a photo: what lies there instead."""
        unreadable = Counter({UNREADABLE: len(self.unreadable)})
        found = by_reason(unreadable + self.others) or "it is empty"
        return f"no photo in {', '.join(self.roots)} ({found}): allowed are {_ALLOWED}"


def refuse_empty(places: Sequence[str | os.PathLike[str]], *, before: Iterable[str] = ()) -> None:
    """Refuse places without a photo, before a model is loaded for them; the first photo is enough.

    Args:
        places: Folders, or single photos.
        before: Paths of photos that were there: of those that have gone an index takes note.

    Raises:
        ValueError: As ``list_photos``; or there is no photo, and what lies there.
    """
    roots = _roots(places)
    if not any(_holds_photo(root) for root in roots) and not any(is_below(path, roots) for path in before):
        raise ValueError(list_photos(places).without_photos)


def list_photos(places: Sequence[str | os.PathLike[str]], *, progress: Stages | None = None) -> Listing:
    """Go through folders, in order of names; a place may be a single photo. ``progress`` is told how many.

    Raises:
        ValueError: A place is not there, or a single file is no photo by its name.
    """
    listing = Listing(_roots(places))
    for root in listing.roots:
        if os.path.isdir(root):
            _walk(root, listing, progress)
        else:
            _look_at(root, listing)
    return listing


def _roots(places: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Absolute paths of places; a folder within another one is looked at once."""
    named = dict.fromkeys(os.path.abspath(place) for place in places)
    roots = tuple(root for root in named if not is_below(root, [other for other in named if other != root]))
    for root in roots:
        if os.path.isdir(root):
            continue
        if not os.path.isfile(root):
            raise ValueError(f"{root} does not exist: give a folder of photos, or a photo")
        if (reason := _no_photo(root)) is not None:
            raise ValueError(f"{root} is a {reason}: allowed are {_ALLOWED}")
    return roots


def _folders(root: str, onerror: Callable[[OSError], None] | None = None) -> Iterator[_Folder]:
    """Every folder from a root on, and the names in it, in order; without junk of the system."""
    for folder, folders, files in os.walk(root, onerror=onerror):
        folders[:] = sorted(name for name in folders if not is_junk(name))
        yield folder, folders, sorted(name for name in files if not is_junk(name))


def _holds_photo(root: str) -> bool:
    if not os.path.isdir(root):
        return True
    files = (os.path.join(folder, name) for folder, _, names in _folders(root) for name in names)
    return any(_no_photo(file) is None and os.path.exists(file) for file in files)


def _walk(root: str, listing: Listing, progress: Stages | None) -> None:
    def told(error: OSError) -> None:
        listing.unreadable[str(error.filename)] = f"folder {error.filename} cannot be read: {error.strerror}"

    for folder, folders, files in _folders(root, told):
        listing.others[LINK] += sum(os.path.islink(os.path.join(folder, name)) for name in folders)
        for name in files:
            if (reason := _no_photo(name)) is not None:
                listing.others[reason] += 1
            else:
                _look_at(os.path.join(folder, name), listing)
        if progress is not None:
            progress("looking for photos", len(listing.photos), None)


def _look_at(path: str, listing: Listing) -> None:
    try:
        listing.photos.append(PhotoFile(path, FileState.of(path)))
    except OSError as error:
        listing.unreadable[path] = f"image {path} cannot be read: {error.strerror}"


def _no_photo(name: str) -> str | None:
    """Why a file is taken for no photo; None for one that is."""
    suffix = Path(name).suffix.lower()
    return None if suffix in IMAGE_SUFFIXES else f"{suffix} file" if suffix else "file without a suffix"


def is_below(path: str, roots: Sequence[str]) -> bool:
    """Whether a path lies in, or is, one of the roots."""
    return path in roots or path.startswith(tuple(os.path.join(root, "") for root in roots))


def digest_of(path: str) -> bytes:
    """SHA-256 of a file's bytes.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        return digest(file)


def digest(file: IO[bytes]) -> bytes:
    """SHA-256 of what an open file holds; it stands at its beginning then.

    Raises:
        OSError: It cannot be read.
    """
    found = hashlib.file_digest(file, "sha256").digest()
    file.seek(0)
    return found
