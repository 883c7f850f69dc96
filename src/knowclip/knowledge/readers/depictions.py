"""Pictures of single things as triplets: (noun, depicted by, picture)."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from knowclip.knowledge.graph.image_files import ImageFolder
from knowclip.knowledge.graph.staging import GraphBuilder
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.readers.conceptnet import concept

_NUMBER = re.compile(r"[-_ ]*\d+$")


def read_depictions(
    path: Path, build: GraphBuilder, *, name: str = "depictions", licence: str = "not stated"
) -> Source:
    """Read a folder of images: ``dog/anything.png`` and ``dog_2.png`` both show a dog.

    Args:
        path: The folder, flat or with one folder a noun.
        build: What to write to.
        name: Name of the source.
        licence: Its licence, kept with the graph.
    """
    build.relation("depicted by", "is depicted by")
    for file in ImageFolder(path).paths:
        build.records += 1
        place = PurePosixPath(file)
        noun = place.parent.name or _NUMBER.sub("", place.stem)
        words = re.sub("[-_]+", " ", noun).strip()
        if not words:
            build.bad(f"{path / file}", "a file name without the noun it shows")
            continue
        picture = f"{name}/{file}"
        build.entity(picture, None)
        build.image(picture, file, image_id=picture)
        build.triplet(concept(words), "depicted by", picture)
    return Source(name, licence, image_root=str(path.resolve()))
