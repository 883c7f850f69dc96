"""Image-caption pairs as triplets, with the made-up relations "image of" and "caption of" (K1)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from knowclip.knowledge.graph.image_files import coco_id
from knowclip.knowledge.graph.staging import GraphBuilder
from knowclip.knowledge.graph.store import Source
from knowclip.types import Example


def read_captions_as_triplets(
    examples: Sequence[Example], build: GraphBuilder, *, name: str = "captions", licence: str = "not stated"
) -> Source:
    """Turn every pair into (image, image of, caption) and (caption, caption of, image).

    COCO's images are known by their file names, so that those a benchmark holds can be left out.

    A pair states two triplets; one without a caption is left out.

    Args:
        examples: The pairs.
        build: What to write to.
        name: Name of the source.
        licence: Its licence, kept with the graph.
    """
    if not examples:
        raise ValueError("no image-caption pairs to import")
    root = os.path.commonpath([example.image.path.resolve().parent for example in examples])
    for number, example in enumerate(examples):
        if number % 10_000 == 0:
            build.report("reading captions", number / len(examples))
        build.records += 2
        if not example.caption.strip():
            build.skip("empty caption", 2)
            continue
        # the source's name before both: two sets of captions may call their images alike
        image, caption = f"{name}/image/{example.image_id}", f"{name}/caption/{example.key}"
        path = example.image.path.resolve()
        build.entity(image, None)
        build.image(
            image,
            path.relative_to(root).as_posix(),
            box=example.image.box,
            image_id=image,
            coco_id=coco_id(path.name),
        )
        build.entity(caption, example.caption)
        build.triplet(image, "image of", caption)
        build.triplet(caption, "caption of", image)
    return Source(name, licence, image_root=str(Path(root)))
