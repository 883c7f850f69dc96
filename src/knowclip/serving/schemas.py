"""What is asked and answered, as OpenAPI describes it.

Shape legend: n images, m texts, D embedding width.
"""

from __future__ import annotations

from typing import Any, get_origin

from pydantic import BaseModel, ConfigDict, Field

from knowclip.serving.limits import Limits

IMAGES = ("images", "image")
"""Fields that hold images: base64 of a file's bytes in JSON, files in a form."""
TOP = 20
"""Photos that a search gives where it does not say how many."""
_BASE64 = "an image file's bytes in base64, as they are or as a data: URL"
_TEXT, _WORD = "A text with a word in it.", r"\S"


class Asked(BaseModel):
    """A request: a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid")

    def encoded_images(self) -> tuple[list[str], str]:
        """The images of a request in JSON, and the field that they stand in."""
        field = next((name for name in IMAGES if name in type(self).model_fields), IMAGES[0])
        given = getattr(self, field, None) or []
        return ([given] if isinstance(given, str) else given), field


class EmbedRequest(Asked):
    """Texts, images, or both."""

    texts: list[str] = Field([], description="Texts to embed.")
    images: list[str] = Field([], description=f"Images to embed: each {_BASE64}.")
    kee: bool = Field(False, description="Read texts with their triples; only where the model has a KEE.")


class ScoreRequest(Asked):
    """Images and texts to compare, each with each."""

    texts: list[str] = Field(description="Texts.", min_length=1)
    images: list[str] = Field([], description=f"Images, one at least: each {_BASE64}.")
    kee: bool | None = Field(
        None, description="Read texts with their triples; by default where the model has a KEE."
    )


class ParseRequest(Asked):
    """Captions to parse."""

    texts: list[str] = Field(description="Captions.", min_length=1)


class SearchRequest(Asked):
    """What photos are to show: a text, an image, or both; and what not."""

    text: str | None = Field(None, description="What they are to show, in words.")
    image: str | None = Field(None, description=f"What they are to be like: {_BASE64}.")
    minus: list[str] = Field([], description="What they are not to show, each in words.")
    top: int | None = Field(None, ge=1, description=f"At most so many photos; by default {TOP}.")
    rerank: bool = Field(True, description="Rank the nearest hundred by the text's structure.")


class EmbedResponse(BaseModel):
    """Vectors of length 1, in the order asked."""

    texts: list[list[float]] = Field(description="[m, D].")
    images: list[list[float]] = Field(description="[n, D].")
    width: int = Field(description="D.")


class ScoreResponse(BaseModel):
    """Cosine similarities."""

    scores: list[list[float]] = Field(description="[n, m]: a row an image, a column a text.")
    kee: bool = Field(description="Whether texts were read with their triples.")


class SceneObject(BaseModel):
    """What a caption speaks of."""

    name: str
    span: tuple[int, int] | None = Field(description="Where in the caption, in characters, end exclusive.")


class Attribute(BaseModel):
    """What an object is."""

    object: int = Field(description="Its place in ``objects``.")
    name: str
    span: tuple[int, int] | None


class Relation(BaseModel):
    """What an object does to, or where it is of, another."""

    subject: int = Field(description="Place in ``objects``.")
    name: str
    object: int = Field(description="Place in ``objects``.")
    span: tuple[int, int] | None


class SceneGraph(BaseModel):
    """The structure of a caption."""

    objects: list[SceneObject]
    attributes: list[Attribute]
    relations: list[Relation]


class ParseResponse(BaseModel):
    """Scene graphs, one a caption."""

    graphs: list[SceneGraph]


class Hit(BaseModel):
    """A photo that was found."""

    path: str = Field(description="Relative to the index's folder.")
    relative: float = Field(description="1 for the best of this search, 0 for the collection's average.")
    above_cut: bool
    similarity: float
    margin: float | None = Field(description="What the text's cosine exceeds its best negative's by.")
    rival: str | None = Field(description="That negative.")
    copies: list[str] = Field(description="Other files with the same bytes.")


class SearchResponse(BaseModel):
    """Photos, the best first."""

    hits: list[Hit]
    photos: int = Field(description="That could have been found.")
    gone: int = Field(description="Left out because their files are no longer there.")
    ranked_by: str = Field(
        description="``similarity less doubt`` (by the text's negatives); or ``similarity``."
    )
    with_kee: bool
    cut: float = Field(description="Photos whose ``relative`` is less stand below the cut.")
    triples: list[tuple[str, str, str]] = Field(description="What the text was taken to say.")
    negatives: list[tuple[str, str]] = Field(description="Kind and text of each of its negatives.")


class Health(BaseModel):
    """That the service is up, and with what."""

    status: str = "ok"
    version: str = Field(description="Of knowclip.")
    model: str
    device: str
    width: int = Field(description="D, of the vectors.")
    kee: bool = Field(description="Whether the model has one.")
    photos: int | None = Field(description="That the index finds; null where there is none.")


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str = Field(description="What was got, what is allowed.")


def takes_several(model: type[Asked], field: str) -> bool:
    """Whether a field is a list."""
    known = model.model_fields.get(field)
    return known is not None and get_origin(known.annotation) is list


def request_body(model: type[Asked], limits: Limits) -> dict[str, Any]:
    """A request as OpenAPI describes it: JSON, or a form whose images are files; with its limits."""
    form = model.model_json_schema()
    for name in IMAGES:
        if name in form["properties"]:
            file = {"type": "string", "format": "binary"}
            told = {"description": "Image files." if takes_several(model, name) else "An image file."}
            form["properties"][name] = told | (
                {"type": "array", "items": file} if takes_several(model, name) else file
            )
    schemas = {"application/json": model.model_json_schema(), "multipart/form-data": form}
    content = {kind: {"schema": _limited(schema, limits)} for kind, schema in schemas.items()}
    return {"required": True, "content": content}


def _limited(schema: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """A schema with what is allowed at most."""
    text = {"type": "string", "description": _TEXT, "pattern": _WORD, "maxLength": limits.characters}
    properties = schema["properties"]
    for name in {"texts", "minus"} & properties.keys():
        properties[name] |= {"items": text, "maxItems": limits.texts}
    if "text" in properties:
        properties["text"] = {"anyOf": [text, {"type": "null"}]}
    if "images" in properties:
        properties["images"]["maxItems"] = limits.images
    if "top" in properties:
        properties["top"]["maximum"] = limits.top
    return schema
