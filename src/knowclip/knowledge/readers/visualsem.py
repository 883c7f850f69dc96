"""VisualSem v2: 90k BabelNet concepts with images and glosses in 14 languages, 13 relations between them.

Files, as its official loaders read them: ``nodes.v2.json`` ``{id: {ms, se, ims}}`` (main sense, senses, image
names), ``tuples.v2.json`` ``{tail id: [{s: head id, r: relation, r_id}]}``, keyed by the *tail*,
``gloss_files/nodes.glosses.json``, a list of metadata and then ``{id: {language: [gloss, ...]}}``, and the
image folder, where image ``abcd`` is ``ab/abcd.jpg``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from knowclip.knowledge.graph.image_files import ImageFolder
from knowclip.knowledge.graph.staging import GraphBuilder
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.readers.json_stream import find_file, iterate_array, iterate_object
from knowclip.storage.text_files import is_utf8

SOURCE = Source(
    "visualsem",
    "BabelNet non-commercial licence (CC BY-NC-SA 3.0)",
    "https://github.com/iacercalixto/visualsem",
)

RELATIONS = {
    "is-a": "is a", "has-part": "has the part", "related-to": "is related to", "used-for": "is used for",
    "used-by": "is used by", "subject-of": "is the subject of", "receives-action": "receives the action",
    "made-of": "is made of", "has-property": "has the property", "gloss-related": "is mentioned with",
    "synonym": "is a synonym of", "part-of": "is part of", "located-at": "is located at",
}  # fmt: skip


def read_visualsem(
    path: Path,
    build: GraphBuilder,
    *,
    images: Path | None = None,
    language: str = "en",
    max_images: int = 0,
) -> Source:
    """Read VisualSem's folder.

    An entity's text is its main sense followed by its first gloss in ``language`` ("dog: a member of ...").

    Args:
        path: The folder.
        build: What to write to.
        images: Its image folder; ``images`` in ``path`` where that is there; else entities have no images.
        language: Of the glosses, ISO code.
        max_images: Images an entity, the first so many; 0 takes all.
    """
    nodes, tuples = find_file(path, "nodes.v2", "nodes"), find_file(path, "tuples.v2", "tuples")
    if nodes is None or tuples is None:
        raise FileNotFoundError(f"{path}: nodes.v2.json and tuples.v2.json are both needed")
    root = images or (path / "images" if (path / "images").is_dir() else None)
    folder = ImageFolder(root) if root else None
    glosses = _glosses(path, build, language)
    known = set()
    for id, node in iterate_object(nodes, report=build.report):
        build.records += 1
        sense = node.get("ms") if isinstance(node, dict) else None
        words = sense.replace("_", " ").strip() if isinstance(sense, str) else ""
        if not words or not id.strip():
            build.bad(f"{nodes}: $.{id}", "no id or no main sense 'ms'")
            continue
        if not is_utf8(id + words):
            build.bad(
                f"{nodes}: $.{id!a}", "id or main sense 'ms' holds half a surrogate pair, which is no letter"
            )
            continue
        build.described += 1
        known.add(id)
        build.entity(id, f"{words}: {glosses[id]}" if id in glosses else words)
        names = node.get("ims")
        _add_images(build, folder, id, names if isinstance(names, list) else [], max_images)
    for tail, entries in iterate_object(tuples, report=build.report):
        for index, entry in enumerate(entries if isinstance(entries, list) else [entries]):
            build.records += 1
            where = f"{tuples}: $.{tail if is_utf8(tail) else ascii(tail)}[{index}]"
            head, relation = (entry.get("s"), entry.get("r")) if isinstance(entry, dict) else (None, None)
            if not isinstance(relation, str) or not isinstance(head, str):
                build.bad(where, "no head 's' or no relation 'r'")
            elif relation not in RELATIONS:
                build.bad(where, f"relation {relation!r} is none of VisualSem's {len(RELATIONS)}")
            elif head not in known or tail not in known:
                build.bad(where, "head or tail is no node")
            else:
                build.relation(f"visualsem:{relation}", RELATIONS[relation])
                build.triplet(head, f"visualsem:{relation}", tail)
    return Source(SOURCE.name, SOURCE.licence, SOURCE.url, image_root=str(root.resolve()) if root else "")


def _add_images(
    build: GraphBuilder, folder: ImageFolder | None, id: str, names: list[Any], limit: int
) -> None:
    if folder is None:
        build.without_image("image without an image folder", len(names))
        return
    found = [path for name in names if isinstance(name, str) and (path := folder.find(name))]
    build.without_image("image that is not in the image folder", len(names) - len(found))
    build.without_image("image above the limit an entity", max(len(found) - limit, 0) if limit else 0)
    for path in found[: limit or None]:
        build.image(id, path)


def _glosses(path: Path, build: GraphBuilder, language: str) -> dict[str, str]:
    """First gloss of every node that has one in ``language``; empty where there is no gloss file."""
    file = find_file(path / "gloss_files", "nodes.glosses") or find_file(path, "nodes.glosses")
    if file is None:
        return {}
    glosses = {}
    for index, element in enumerate(iterate_array(file, report=build.report)):
        if index == 0 and isinstance(element, dict) and "available_languages" in element:
            languages = element["available_languages"]
            if not isinstance(languages, list) or language not in languages:
                there = ", ".join(map(str, languages)) if isinstance(languages, list) else repr(languages)
                raise ValueError(f"{file}: no glosses in language={language!r}; there are {there}")
            continue
        build.records += 1
        if not isinstance(element, dict) or not all(
            _is_glossed(value, language) for value in element.values()
        ):
            build.bad(f"{file}: $[{index}]", "not of the form {id: {language: [gloss, ...]}}")
            continue
        build.described += 1
        for id, by_language in element.items():
            texts = by_language.get(language) or [""]
            text = " ".join((texts if isinstance(texts, str) else texts[0]).split())
            if text:
                glosses[id] = text.encode("utf-8", "replace").decode()  # half a surrogate pair
    return glosses


def _is_glossed(value: Any, language: str) -> bool:
    """Whether a node's glosses are by language, and those of ``language`` a text, texts or none."""
    texts = value.get(language) if isinstance(value, dict) else ()
    return texts is None or isinstance(texts, str) or (isinstance(texts, list) and _are_texts(texts))


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
