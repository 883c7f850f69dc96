"""Sets of images that must stay out of training, such as those a benchmark holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowclip.knowledge.graph_store import literal

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images by their ``image_id`` in the graph ("vg/2412") and by COCO's ids."""

    image_ids: frozenset[str] = field(default_factory=frozenset)
    coco_ids: frozenset[int] = field(default_factory=frozenset)

    def mark(self, connection: duckdb.DuckDBPyConnection, graph: Path) -> None:
        """Make the table ``held_entities``: the entities of ``graph`` that are part of these images."""
        connection.execute("CREATE TABLE held_image_ids (id VARCHAR)")
        connection.execute("CREATE TABLE held_coco_ids (id BIGINT)")
        connection.execute(
            "INSERT INTO held_image_ids SELECT unnest($1::VARCHAR[])", [sorted(self.image_ids)]
        )
        connection.execute("INSERT INTO held_coco_ids SELECT unnest($1::BIGINT[])", [sorted(self.coco_ids)])
        connection.execute(
            f"""CREATE TABLE held_entities AS SELECT DISTINCT entity
                FROM read_parquet({literal(graph / "images.parquet")})
                WHERE image_id IN (SELECT id FROM held_image_ids)
                OR coco_id IN (SELECT id FROM held_coco_ids)"""
        )


def read_image_set(path: Path) -> ImageSet:
    """Read which images a benchmark holds.

    Args:
        path: ARO's ``visual_genome_relation.json`` or ``..._attribution.json`` (Visual Genome ids), COCO's
            annotations (all images), a Karpathy-style ``dataset.json`` (its val and test images), or a text
            file with ``vg/2412``, ``coco/139`` or another ``image_id`` of the graph on each line.

    Raises:
        ValueError: None of these, or no image in it.
    """
    text = path.read_text(encoding="utf-8")
    if text.lstrip()[:1] not in ("[", "{"):
        images = _from_lines(text)
    else:
        try:
            images = _from_json(json.loads(text))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}: neither ARO's list, COCO's annotations nor a Karpathy split "
                f"({type(error).__name__}: {error})"
            ) from None
    if not images.image_ids and not images.coco_ids:
        raise ValueError(f"{path}: holds no image")
    return images


def _from_lines(text: str) -> ImageSet:
    lines = {line.strip() for line in text.splitlines()} - {""}
    coco = {line for line in lines if line.startswith("coco/") and line[5:].isdigit()}
    return ImageSet(frozenset(lines - coco), frozenset(int(line[5:]) for line in coco))


def _from_json(content: Any) -> ImageSet:
    if isinstance(content, list):
        return ImageSet(image_ids=frozenset(f"vg/{int(record['image_id'])}" for record in content))
    images = content["images"]
    if images and "split" in images[0]:
        held = (image["cocoid"] for image in images if image["split"] in ("val", "test"))
        return ImageSet(coco_ids=frozenset(held))
    return ImageSet(coco_ids=frozenset(image["id"] for image in images))
