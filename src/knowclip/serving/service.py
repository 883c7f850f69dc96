"""The model, the parser and the index behind a service: what its thread does, and what is asked of it.

Shape legend: n images, m texts, D embedding width, H height, W width.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import torch

from knowclip.knowledge.parsing.parsers import parse
from knowclip.search.encoder import PARSER, Encoder
from knowclip.search.found import printable
from knowclip.serving import schemas
from knowclip.serving.batching import Batcher
from knowclip.serving.limits import Limits, RefusedError
from knowclip.serving.metrics import Metrics
from knowclip.serving.reading import open_image

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from knowclip.models.clip import DualEncoder
    from knowclip.search.index import Index

TEXT, KEE, IMAGE, GRAPH, SEARCH = "text", "text_with_kee", "image", "graph", "search"
"""Kinds of work, as the metrics call them."""
_DECODERS = 4
"""Images decoded at a time, at most: each may take three bytes a pixel."""


class Service:
    """What the endpoints call.

    Args:
        model: As ``knowclip.load`` gives it.
        index: To search, of the same model.
        limits: Of images.
        metrics: Where batches are counted.
        batch: Items from which on no more are waited for.
        wait: Seconds to wait for others.

    Raises:
        ValueError: The index is of another model; the model gives NaN or infinite numbers.
    """

    def __init__(
        self,
        model: DualEncoder,
        *,
        index: Index | None,
        limits: Limits,
        metrics: Metrics,
        batch: int,
        wait: float,
    ) -> None:
        self._model, self._index, self._limits = model, index, limits
        self._encoder = Encoder.load(model) if index is None else index.encoder
        self.has_knowledge = self._encoder.has_knowledge
        works = {
            TEXT: lambda texts: self._encoder.texts(texts),
            KEE: lambda texts: self._encoder.texts(texts, knowledge=True),
            IMAGE: self._encoder.pixels,
            GRAPH: lambda texts: list(parse(texts, parser=PARSER)),
            SEARCH: lambda queries: [self._found(**query) for query in queries],
        }
        self.batcher = Batcher(works, size=batch, wait=wait, done=metrics.batch)
        self.photos = None if index is None else len(index)
        self._decoding = anyio.CapacityLimiter(min(_DECODERS, os.cpu_count() or 1))
        self._try()

    @property
    def device(self) -> str:
        """Where the model is."""
        return str(self._model.device)

    @property
    def width(self) -> int:
        """D."""
        return self._model.embed_dim

    async def pixels(self, images: Sequence[bytes], field: str) -> list[Tensor]:
        """Decode and preprocess images: ``[3, H, W]`` each.

        Raises:
            RefusedError: One cannot be read, or is too large.
        """

        def preprocessed(data: bytes, what: str) -> Tensor:
            return self._model.preprocess(self._opened(data, what))

        several = field != "image"
        return [
            await anyio.to_thread.run_sync(
                preprocessed, data, f"{field}[{number}]" if several else field, limiter=self._decoding
            )
            for number, data in enumerate(images)
        ]

    async def image(self, data: bytes) -> Image.Image:
        """Decode the image of a search."""
        return await anyio.to_thread.run_sync(self._opened, data, "image", limiter=self._decoding)

    async def texts(self, texts: Sequence[str], *, knowledge: bool) -> np.ndarray:
        """Vectors ``[m, D]``.

        Raises:
            RefusedError: ``knowledge``, and the model has no KEE.
        """
        if knowledge and not self.has_knowledge:
            raise RefusedError(422, "kee: true, and this model has no KEE: leave it out")
        return await self._done(KEE if knowledge else TEXT, texts)

    async def images(self, pixels: Sequence[Tensor]) -> np.ndarray:
        """Vectors ``[n, D]``."""
        return await self._done(IMAGE, pixels)

    async def graphs(self, texts: Sequence[str]) -> list[schemas.SceneGraph]:
        """Scene graphs of captions."""
        graphs = await self._done(GRAPH, texts)
        return [schemas.SceneGraph.model_validate(asdict(graph)) for graph in graphs]

    async def search(self, **query: Any) -> schemas.SearchResponse:
        """``Index.search``."""
        (found,) = await self._done(SEARCH, [query])
        return found

    async def _done(self, kind: str, items: Sequence[Any]) -> Any:
        if not items:
            return np.zeros((0, self.width), dtype=np.float32)
        return await asyncio.wrap_future(self.batcher.submit(kind, items))

    def _opened(self, data: bytes, what: str) -> Image.Image:
        return open_image(data, what, limits=self._limits, shorter=max(self._model.image_size))

    def _found(self, **query: Any) -> schemas.SearchResponse:
        assert self._index is not None
        found = self._index.search(**query).to_dict()
        self.photos = found["photos"]  # another process may have added some
        for hit in found["hits"]:
            paths = [hit["path"], *hit["copies"]]
            hit["path"], *hit["copies"] = [printable(os.path.relpath(p, self._index.folder)) for p in paths]
        return schemas.SearchResponse.model_validate(found)

    def _try(self) -> None:
        """Encode and parse once: weights that have diverged are refused now, and no client waits longer."""
        list(parse(["a photo"], parser=PARSER))
        blank = torch.zeros(3, *self._model.image_size)
        vectors = [self._encoder.pixels([blank]), self._encoder.texts(["a photo"])]
        if not all(np.isfinite(rows).all() for rows in vectors):
            raise ValueError("the model gives NaN or infinite vectors: its weights have diverged")
