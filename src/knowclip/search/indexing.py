"""Photos -> rows of a store: what is new is read and encoded, and kept batch by batch."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from knowclip.console.counts import by_reason, named, read_line
from knowclip.console.progress import Stages
from knowclip.data.images.decoding import prepared
from knowclip.search.encoder import Encoder
from knowclip.search.found import printable
from knowclip.search.scan import UNREADABLE, FileState, Listing, PhotoFile, digest, is_below, list_photos
from knowclip.search.store import Store
from knowclip.types import ImageRef

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 64
"""Photos encoded at once, and kept at once: what a process that is killed has to do again."""
_AHEAD = 2
"""Batches that are read while one is encoded."""
GAP = 3
"""How many times as large as the model reads them large JPEGs are decoded at least.

Of 12 mosaics of photos at each scale, the least cosine with the embedding of the whole photo was .9976 at 2,
.9994 at 3 and .9995 at 4 for ``lite0-minilm``, which notices most.
"""

UNCHANGED, NEW, CHANGED, MOVED, COPY = "unchanged", "new", "changed", "moved", "copy"


@dataclass
class Added:
    """What became of the photos found: each has one outcome, or a reason why it cannot be read."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """``unchanged`` since they were indexed, ``new``, ``changed`` content, ``moved`` from another place,
    ``copy`` of another photo, byte for byte."""
    moved: list[tuple[str, str]] = field(default_factory=list)
    """From where to where."""
    gone: list[str] = field(default_factory=list)
    """Indexed before and no longer there; kept, but not found until they are back."""
    pruned: int = 0
    """Of those that have gone, now or before: forgotten."""
    unreadable: dict[str, str] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    """Files that are no photos by their names, by reason."""

    @property
    def skipped(self) -> Counter[str]:
        """Reason -> number of files that are not in the index."""
        return Counter({UNREADABLE: len(self.unreadable)}) + self.others

    def lines(self) -> list[str]:
        """For a person: by name what is not as one may think, and counts that add up to the files read."""
        outcomes = {name: count for name, count in self.outcomes.items() if name != COPY}
        moved = [f"{source} -> {path}" for source, path in self.moved]
        told = {"skipped": [*self.unreadable.values()], "moved": moved, "gone": self.gone}
        return [
            *(line for what, all in told.items() for line in named([*map(printable, all)], ahead=what)),
            *([by_reason(dict(sorted(outcomes.items())))] if outcomes else []),
            read_line(sum(outcomes.values()), self.skipped, merged=self.outcomes[COPY], what="files"),
        ]


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that was read: its hash, and its pixels if they are new; or why it cannot be."""

    file: PhotoFile
    digest: bytes = b""
    pixels: Tensor | None = None
    fault: str | None = None


def add_photos(
    store: Store,
    encoder: Encoder,
    places: Sequence[str | os.PathLike[str]],
    *,
    progress: Stages | None = None,
) -> Added:
    """Bring a store up to date with folders of photos; what was encoded before is not encoded again.

    Args:
        store: To write to, under the lock of its folder.
        encoder: The store's own.
        places: Folders, or single photos.
        progress: Told what is being done, how much of it is done, and of how much.

    Raises:
        ValueError: A place is not there; the model gives NaN.
    """
    listing = list_photos(places, progress=progress)
    added = Added(unreadable=dict(listing.unreadable), others=+listing.others)
    return _Adding(store, encoder, added).run(listing, progress)


class _Adding:
    def __init__(self, store: Store, encoder: Encoder, added: Added) -> None:
        self.store, self.encoder, self.added = store, encoder, added
        self.known = store.digests()
        self.seen: set[int] = set()
        """Images that a file of this run shows: a further one is a copy."""

    def run(self, listing: Listing, progress: Stages | None) -> Added:
        gone = self._note_gone(listing)
        todo = [file for file in listing.photos if not self._is_unchanged(file)]
        done = 0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for batch in self._read_ahead(pool, todo):
                self._keep(batch)
                done += len(batch)
                if progress is not None:
                    progress("encoding photos", done, len(todo))
        with self.store.changing():
            self.store.drop_images_without_files()
        self.added.gone = [path for path in gone if (row := self.store.file(path)) and row.missing]
        return self.added

    def _note_gone(self, listing: Listing) -> list[str]:
        """Mark the files of these folders that have gone: a new file with their content was moved."""
        there = {file.path for file in listing.photos}
        before = [path for path in self.store.paths(missing=False) if is_below(path, listing.roots)]
        gone = [path for path in before if path not in there]
        if gone:
            with self.store.changing():
                for path in gone:
                    self.store.set_missing(path)
                self.store.changed()
        return gone

    def _is_unchanged(self, file: PhotoFile) -> bool:
        row = self.store.file(file.path)
        if row is None or row.missing or row.state != file.state:
            return False
        self._count(UNCHANGED, row.image)
        return True

    def _count(self, outcome: str, image: int) -> None:
        self.added.outcomes[COPY if image in self.seen else outcome] += 1
        self.seen.add(image)

    def _read_ahead(self, pool: ThreadPoolExecutor, files: Iterable[PhotoFile]) -> Iterator[list[_Read]]:
        """Read batches in threads while others are encoded."""
        rest, waiting = iter(files), deque[list[Future[_Read]]]()
        while True:
            while len(waiting) <= _AHEAD and (batch := list(islice(rest, BATCH))):
                waiting.append([pool.submit(self._read, file) for file in batch])
            if not waiting:
                return
            yield [future.result() for future in waiting.popleft()]

    def _read(self, file: PhotoFile) -> _Read:
        try:
            with open(file.path, "rb") as opened:  # once: what is hashed is what is decoded
                found = digest(opened)
                pixels = None if found in self.known else self._pixels(file, opened)
            if FileState.of(file.path) != file.state:
                return _Read(file, fault=f"image {file.path} changed while it was read: index once more")
        except OSError as error:
            return _Read(file, fault=f"image {file.path} cannot be read: {error.strerror or error}")
        except ValueError as error:
            return _Read(file, fault=str(error))
        return _Read(file, found, pixels)

    def _pixels(self, file: PhotoFile, opened: IO[bytes]) -> Tensor:
        clip = self.encoder.clip
        enough = GAP * min(clip.image_size)
        return prepared(ImageRef(Path(file.path)), clip.preprocess, lambda _: opened, enough=enough)

    def _keep(self, batch: list[_Read]) -> None:
        """Encode what is new of a batch, and write all of it."""
        new = {
            read.digest: read.pixels
            for read in batch
            if read.pixels is not None and read.digest not in self.known
        }
        vectors = self.encoder.pixels(list(new.values())) if new else ()
        with self.store.changing():
            for digest, vector in zip(new, vectors, strict=True):
                self.store.add_image(digest, vector)
            for read in batch:
                if read.fault is None:
                    self._place(read, new=read.digest in new)
                else:
                    self.added.unreadable[read.file.path] = read.fault
                    self.store.set_missing(read.file.path)  # what it showed before cannot be shown
            self.store.changed()
        self.known |= new.keys()

    def _place(self, read: _Read, *, new: bool) -> None:
        """Note where an image's file lies, and how it came there."""
        path, image = read.file.path, self.store.image(read.digest)
        before = self.store.file(path)
        if new:
            self._count(NEW if before is None else CHANGED, image)
        elif before is not None and before.image == image:
            self._count(UNCHANGED, image)
        elif (source := self._left(image)) is not None:
            self.store.drop_file(source)
            self.added.moved.append((source, path))
            self._count(MOVED, image)
        else:
            self._count(COPY, image)
        self.store.put_file(path, image, read.file.state)

    def _left(self, image: int) -> str | None:
        """A place where an image's file lay and does not lie any more."""
        elsewhere = (path for path in self.store.paths_of(image) if not os.path.exists(path))
        return next(iter(self.store.paths_of(image, missing=True)), None) or next(elsewhere, None)
