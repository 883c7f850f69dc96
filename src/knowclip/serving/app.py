"""The endpoints: ``/embed``, ``/score``, ``/parse``, ``/search``, ``/health``, ``/metrics``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import knowclip
from knowclip.serving import schemas
from knowclip.serving.guard import Guard, problem
from knowclip.serving.limits import Limits, RefusedError
from knowclip.serving.metrics import Metrics
from knowclip.serving.reading import read
from knowclip.serving.service import Service

if TYPE_CHECKING:
    from fastapi.responses import JSONResponse

    from knowclip.models.clip import DualEncoder
    from knowclip.search.index import Index

_REFUSALS = {
    400: "The body cannot be read: no JSON, no form.",
    403: "Asked for under a name that is not this machine's.",
    408: "The body did not come in time.",
    413: "Too many bytes, items, characters or pixels: the limit is named.",
    415: "Neither JSON nor a form.",
    422: "A field or value that makes no sense: it is named.",
    429: "Too much to do: come again after ``Retry-After`` seconds.",
}


def create_app(
    model: DualEncoder,
    *,
    name: str,
    index: Index | None = None,
    limits: Limits | None = None,
    batch: int = 64,
    wait: float = 0.003,
    hosts: Collection[str] = (),
) -> FastAPI:
    """Make the service of a model, for any ASGI server; ``knowclip serve`` runs it under uvicorn.

    Args:
        model: As ``knowclip.load`` gives it.
        name: What ``/health`` calls it.
        index: To search; of this model.
        limits: Of requests.
        batch: Texts or images from which on a forward pass waits for no more.
        wait: Seconds that it waits for others.
        hosts: Names that it answers to; all, if there are none.

    Raises:
        ValueError: The index is of another model; the model gives NaN or infinite numbers.
    """
    limits, metrics = limits or Limits(), Metrics()
    service = Service(model, index=index, limits=limits, metrics=metrics, batch=batch, wait=wait)

    @asynccontextmanager
    async def working(app: FastAPI) -> AsyncIterator[None]:
        with service.batcher:
            yield

    app = FastAPI(
        title="knowclip",
        version=knowclip.__version__,
        description=f"{name}: vectors and scores of images and texts, scene graphs, search.",
        lifespan=working,
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
    )
    _add_looks(app, service, metrics, name)
    _add_model(app, service, limits)
    if index is not None:
        _add_search(app, service, limits)
    _add_refusals(app)
    paths = {route.path for route in app.routes}
    app.add_middleware(Guard, limits=limits, metrics=metrics, paths=paths, hosts=hosts)
    return app


def _post(app: FastAPI, path: str, asked: type[schemas.Asked], limits: Limits) -> Any:
    """The decorator of an endpoint that takes JSON or a form, with all that it may answer."""
    refusals = {code: {"model": schemas.Problem, "description": text} for code, text in _REFUSALS.items()}
    body = {"requestBody": schemas.request_body(asked, limits)}
    return app.post(path, responses=refusals, openapi_extra=body)


def _add_looks(app: FastAPI, service: Service, metrics: Metrics, name: str) -> None:
    @app.get("/health")
    async def health() -> schemas.Health:
        """Whether the service is up, and with what."""
        return schemas.Health(
            version=knowclip.__version__,
            model=name,
            device=service.device,
            width=service.width,
            kee=service.has_knowledge,
            photos=service.photos,
        )

    told = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

    @app.get("/metrics", response_class=Response, responses=told)
    async def counters() -> Response:
        """Counters in the text format of Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _add_model(app: FastAPI, service: Service, limits: Limits) -> None:
    @_post(app, "/embed", schemas.EmbedRequest, limits)
    async def embed(request: Request) -> schemas.EmbedResponse:
        """Vectors of texts and images, of length 1."""
        asked, images, field = await read(request, schemas.EmbedRequest, limits)
        if not asked.texts and not images:
            raise RefusedError(422, "nothing to embed: give texts, images, or both")
        limits.check_texts(asked.texts, "texts")
        pixels = await service.pixels(images, field)
        texts, vectors = await asyncio.gather(
            service.texts(asked.texts, knowledge=asked.kee), service.images(pixels)
        )
        return schemas.EmbedResponse(texts=texts.tolist(), images=vectors.tolist(), width=service.width)

    @_post(app, "/score", schemas.ScoreRequest, limits)
    async def score(request: Request) -> schemas.ScoreResponse:
        """Cosine similarities of each image with each text."""
        asked, images, field = await read(request, schemas.ScoreRequest, limits)
        if not images:
            raise RefusedError(422, "no image: give one at least, as images")
        limits.check_texts(asked.texts, "texts")
        kee = service.has_knowledge if asked.kee is None else asked.kee
        pixels = await service.pixels(images, field)
        texts, vectors = await asyncio.gather(
            service.texts(asked.texts, knowledge=kee), service.images(pixels)
        )
        return schemas.ScoreResponse(scores=(vectors @ texts.T).tolist(), kee=kee)

    @_post(app, "/parse", schemas.ParseRequest, limits)
    async def parse(request: Request) -> schemas.ParseResponse:
        """Scene graphs of captions: objects, attributes, relations, with their places in the text."""
        asked, _, _ = await read(request, schemas.ParseRequest, limits)
        limits.check_texts(asked.texts, "texts")
        return schemas.ParseResponse(graphs=await service.graphs(asked.texts))


def _add_search(app: FastAPI, service: Service, limits: Limits) -> None:
    @_post(app, "/search", schemas.SearchRequest, limits)
    async def search(request: Request) -> schemas.SearchResponse:
        """The photos of the index that show what is asked for."""
        asked, images, _ = await read(request, schemas.SearchRequest, limits)
        if asked.text is None and not images:
            raise RefusedError(
                422, "nothing to look for: give text, image, or both (minus alone is too little)"
            )
        if asked.text is not None:
            limits.check_text(asked.text, "text")
        limits.check_texts(asked.minus, "minus")
        top = min(schemas.TOP, limits.top) if asked.top is None else asked.top
        if top > limits.top:
            raise RefusedError(413, f"top is {top:,}: at most {limits.top:,}")
        image = await service.image(images[0]) if images else None
        return await service.search(
            text=asked.text, image=image, minus=asked.minus, top=top, rerank=asked.rerank
        )


def _add_refusals(app: FastAPI) -> None:
    paths = sorted(route.path for route in app.routes)

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:
        return problem(error)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        return problem(RefusedError(400, "the client went away before its request was complete"))

    @app.exception_handler(404)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        hint = "an index (knowclip serve MODEL --index IDX)" if request.url.path == "/search" else ""
        needs = f"/search needs {hint}; " if hint else f"nothing is at {request.url.path}; "
        return problem(RefusedError(404, f"{needs}there are {', '.join(paths)}"))
