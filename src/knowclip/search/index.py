"""``knowclip.Index``: photos, indexed once, found by what they show.

Shape legend: n photos, s photos that stand for the collection, k negatives, D embedding width.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from knowclip.console.progress import Stages, stages
from knowclip.console.screen import Screen
from knowclip.preflight.machine import existing, require
from knowclip.preflight.models import check_model
from knowclip.search.found import DOUBT, SIMILARITY, Found, Hit
from knowclip.search.query import Query, Reading, as_tuple, read_query
from knowclip.search.rerank import Ranking, Scores, Vectors, relative
from knowclip.search.scan import digest_of, refuse_empty
from knowclip.search.store import DOING, IN_MEMORY, Counts, Store, is_index
from knowclip.search.vectors import NearestImages
from knowclip.search.weights import weights_of, width_of
from knowclip.storage.locks import locked

if TYPE_CHECKING:
    from knowclip.models.clip import DualEncoder
    from knowclip.models.images import ImageInput
    from knowclip.search.encoder import Encoder
    from knowclip.search.indexing import Added

RECALL = 100
"""Nearest photos, which are then ranked by structure."""
_COLLECTION = 1024
"""Photos, evenly drawn, whose scores stand for those of all."""

Places = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Index:
    """An index on disk. One process at a time may add to it; any number may search.

    Args:
        folder: As ``build`` or ``knowclip index`` made it.
        model: In place of the name it was made with, where that model lies elsewhere now, or is loaded.
        device: To load the model on; it is loaded when it is first needed.

    Raises:
        ValueError: There is no index, or one of another version.
        ImportError: USearch is not installed.
    """

    def __init__(
        self, folder: str | Path, *, model: str | Path | DualEncoder | None = None, device: str | None = None
    ) -> None:
        require("search", "search")
        self.folder = Path(folder)
        self._store = Store(self.folder)
        self._model, self._device = model, device
        self._nearest: NearestImages | None = None
        self._collection: Vectors | None = None

    @classmethod
    def open(
        cls, folder: str | Path, *, model: str | Path | DualEncoder | None = None, device: str | None = None
    ) -> Self:
        """``Index(folder)``, by the name that says so."""
        return cls(folder, model=model, device=device)

    @classmethod
    def build(
        cls,
        photos: Places,
        folder: str | Path,
        *,
        model: str | Path | DualEncoder | None = None,
        device: str | None = None,
        progress: Stages | None = None,
    ) -> Self:
        """Make an index of photos, or bring one up to date: :meth:`start`, then :meth:`add`.

        What is left out is named on standard error, as by ``knowclip index``.
        """
        for place in _places(photos):
            existing(Path(place), "photos")
        if not is_index(Path(folder)):
            refuse_empty(_places(photos))  # before an index is made for nothing
        with _shown(progress) as told:
            told("loading the model", 0, None)
            index = cls.start(folder, model=model, device=device)
            added = index.add(photos, progress=told)
        console = Screen(stderr=True)
        for line in added.lines():
            console.print(line)
        return index

    @classmethod
    def start(
        cls, folder: str | Path, *, model: str | Path | DualEncoder | None = None, device: str | None = None
    ) -> Self:
        """Open an index, or make an empty one where there is none.

        Args:
            folder: Made where it is not there.
            model: What ``knowclip.load`` takes, or gave; an index that is there knows its own, and keeps it
                unless it is empty.
            device: To load the model on.

        Raises:
            ValueError: A new index without a model; a folder that holds other things.
        """
        require("search", "search")
        folder = Path(folder)
        if is_index(folder) and (model is None or not _is_empty(folder)):
            return cls(folder, model=model, device=device)
        if model is None:
            raise ValueError(f"{folder} is no index yet: say which model is to make its vectors")
        from knowclip.search.encoder import Encoder

        encoder = Encoder.load(model, device=device)
        with locked(folder, doing=DOING):
            weights = weights_of(model) if isinstance(model, str | Path) else None
            about = {"model": encoder.name, "fingerprint": encoder.fingerprint, "weights": weights}
            if not is_index(folder):  # another process may have been quicker
                Store.create(folder, **about, width=encoder.clip.embed_dim).close()
            elif _is_empty(folder):
                with closing(Store(folder)) as store:
                    store.bind(**about, width=encoder.clip.embed_dim)
        index = cls(folder, model=model, device=device)
        index.encoder = index._same(encoder)
        return index

    def __len__(self) -> int:
        return self.counts.images

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its files."""
        self._store.close()

    @property
    def counts(self) -> Counts:
        """How many images it finds, of how many files, and how many files have gone."""
        return self._store.counts()

    @property
    def model_name(self) -> str:
        """What it was made with."""
        return self._store.about("model")

    @cached_property
    def encoder(self) -> Encoder:
        """Its model.

        Raises:
            ValueError: It cannot be found, or is another one now: vectors of two models cannot be compared.
        """
        model = self.model_name if self._model is None else self._model
        if model == IN_MEMORY:
            raise ValueError(f"{self.folder} was made with {IN_MEMORY}: give it again, as model=...")
        if isinstance(model, str):
            check_model(model, key=f"the model of {self.folder}" if self._model is None else "")
        if isinstance(model, str | Path):
            self._same_weights(model)
        from knowclip.search.encoder import Encoder  # torch: after what can be refused without

        return self._same(Encoder.load(model, device=self._device))

    def _same(self, encoder: Encoder) -> Encoder:
        """Refuse a model that did not make the vectors."""
        if encoder.fingerprint != (made := self._store.about("fingerprint")):
            other = f"{encoder.name} has other weights or preprocessing ({encoder.fingerprint})"
            raise self._another(f"{self.model_name} ({made})", other)
        return encoder

    def _same_weights(self, model: str | Path) -> None:
        """Refuse it before it is loaded, where its files tell."""
        width, kept = width_of(model), self._store.about("width")
        if width not in (None, kept):
            raise self._another(self.model_name, f"{model} has vectors of {width} numbers, not of {kept}")
        made = self._store.about("weights")
        given = weights_of(model) if made else None
        if given is not None and given[0] == made[0] and given[1] != made[1]:
            raise self._another(self.model_name, f"{model} has other weights")

    def _another(self, made: str, other: str) -> ValueError:
        return ValueError(
            f"{self.folder} was made with {made}, and {other}: their vectors cannot be compared. Give the "
            "model it was made with, or index the photos into another folder"
        )

    def add(self, photos: Places, *, prune: bool = False, progress: Stages | None = None) -> Added:
        """Bring it up to date with folders of photos: only what is new is encoded.

        A process that is killed here loses at most the last batches; the next call goes on from there.

        Args:
            photos: A folder, a photo, or several.
            prune: Forget the photos that have gone, which are kept otherwise: a drive may come back.
            progress: Told what is being done, how much of it is done, and of how much; by default that is
                shown on standard error.

        Returns:
            What became of each photo.

        Raises:
            ValueError: A place is not there, or holds no photo; another process is adding; another model.
        """
        from knowclip.search.indexing import add_photos

        refuse_empty(_places(photos), before=self._store.paths(missing=False))  # before the model is loaded
        with locked(self.folder, doing=DOING), _shown(progress) as told:
            added = add_photos(self._store, self.encoder, _places(photos), progress=told)
            if prune:
                with self._store.changing():
                    added.pruned = self._store.prune()
            self._nearest = NearestImages(self._store, save=True, progress=told)
        self._collection = None
        return added

    def search(
        self,
        text: str | None = None,
        *,
        image: ImageInput | None = None,
        minus: str | Sequence[str] = (),
        top: int = 20,
        rerank: bool = True,
    ) -> Found:
        """Find the photos that show what is asked for.

        The nearest hundred by vector are ranked by similarity less doubt: what the text's own swaps and
        replacements fit a photo better than the text does, or as well; with the KEE where the model has one.

        Args:
            text: What they show, in words.
            image: What they are like.
            minus: What they do not show, in words.
            top: At most so many.
            rerank: Rank by structure; else by similarity alone, which needs no parser.

        Raises:
            ValueError: Nothing is asked for; the model is not there, or another one; an unreadable image.
            ImportError: The parser is not installed.
        """
        query = Query(text, image, as_tuple(minus))
        if top < 1:
            raise ValueError(f"top={top}: ask for one photo at least")
        reading = read_query(text, parser=self.encoder.parser) if text and rerank else Reading()
        ranking = self._ranking(query, reading)
        ids = self._vectors().nearest(ranking.vector, max(RECALL, top))
        # single precision now: the nearest were found by half
        photos = self._store.vectors(ids)
        scores = ranking.scores(photos)
        order = np.argsort(-scores.final, kind="stable")
        places, gone = self._present(ids, order, top)
        standing = relative(scores.final[list(places)], ranking.background)
        hits = [
            _hit(paths, place, scores, float(score), reading)
            for (place, paths), score in zip(places.items(), standing, strict=True)
        ]
        ranked_by = SIMILARITY if scores.margin is None else DOUBT
        knowledge = scores.margin is not None and self.encoder.has_knowledge
        return Found(query, tuple(hits), len(self._vectors()), ranked_by, reading, knowledge, gone)

    def holds(self, path: str | Path) -> bool:
        """Whether a file has the bytes that were indexed, which need not be: others may lie there by now."""
        try:
            return self._store.digest_at(str(path)) == digest_of(str(path))
        except OSError:
            return False

    def _vectors(self) -> NearestImages:
        """The vectors as they are now: another process may have added some."""
        if self._nearest is None or self._nearest.changes != self._store.about("changes"):
            self._nearest, self._collection = NearestImages(self._store), None
        return self._nearest

    def _ranking(self, query: Query, reading: Reading) -> Ranking:
        self._vectors()
        if self._collection is None:
            ids = self._store.ids()
            self._collection = self._store.vectors(ids[:: -(-len(ids) // _COLLECTION) or 1])
        parts = [] if query.text is None else [self.encoder.texts([query.text])[0]]
        parts += [] if query.image is None else [self.encoder.image(query.image)]
        signs = [1.0] * len(parts) + [-1.0] * len(query.minus)
        parts += list(self.encoder.texts(query.minus)) if query.minus else []
        against = {}
        if query.text is not None and reading.negatives:
            texts = [query.text, *(negative.caption for negative in reading.negatives)]
            read = self.encoder.texts(texts, knowledge=True)
            against = {"text": read[0], "negatives": read[1:], "logit_scale": self.encoder.logit_scale}
        return Ranking(np.stack(parts), np.array(signs, dtype=np.float32), self._collection, **against)

    def _present(self, ids: np.ndarray, order: np.ndarray, top: int) -> tuple[dict[int, list[str]], int]:
        """Place among ``ids`` -> its files, of the best that are there; how many better ones have gone."""
        found: dict[int, list[str]] = {}
        gone = 0
        for place in order:
            if len(found) == top:
                break
            if paths := [path for path in self._store.paths_of(int(ids[place])) if os.path.exists(path)]:
                found[int(place)] = paths
            else:
                gone += 1
        return found, gone


def _is_empty(folder: Path) -> bool:
    with closing(Store(folder)) as store:
        return store.is_empty


def _shown(progress: Stages | None) -> AbstractContextManager[Stages]:
    """What is told of progress: the caller's, or bars and lines of our own."""
    return stages() if progress is None else nullcontext(progress)


def _places(photos: Places) -> list[str | os.PathLike[str]]:
    return [photos] if isinstance(photos, str | os.PathLike) else list(photos)


def _hit(paths: list[str], place: int, scores: Scores, standing: float, reading: Reading) -> Hit:
    margin = rival = None
    if scores.margin is not None and scores.rival is not None:
        margin, rival = float(scores.margin[place]), reading.negatives[scores.rival[place]].caption
    return Hit(paths[0], standing, float(scores.similarity[place]), margin, rival, tuple(paths[1:]))
