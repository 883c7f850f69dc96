"""A small data folder that serves every benchmark of no official layout of its own."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

from PIL import Image

NOUNS = ("horse", "astronaut", "cat", "umbrella")
IMAGES = 30


def write_shared(root: Path) -> None:
    """ARO, COCO captions, Visual Genome objects and negatives, all over the same 30 images; class folders."""
    for name in ("images", "aro", "visual_genome"):
        (root / name).mkdir()
    relation, attribution, captions, objects, negatives = [], [], [], [], []
    for i in range(IMAGES):
        name = f"{i:012d}.jpg"
        Image.new("RGB", (32, 32), (8 * i, 255 - 8 * i, 64)).save(root / "images" / name)
        a, b = NOUNS[i % 4], NOUNS[(i + 1) % 4]
        case = {"image_id": i, "image_path": name, "bbox_x": 2, "bbox_y": 3, "bbox_w": 20, "bbox_h": 21}
        verb = "facing" if i < 3 else ("riding" if i % 2 else "holding")  # "facing" is on ARO's drop list
        texts = {"true_caption": f"the {a} is {verb} the {b}", "false_caption": f"the {b} is {verb} the {a}"}
        relation.append(case | texts | {"relation_name": verb})
        pair = {
            "true_caption": f"the red {a} and the blue {b}",
            "false_caption": f"the blue {a} and the red {b}",
        }
        rare = i < 2  # a pair with fewer than 25 cases
        attribution.append(case | pair | {"attributes": ["green", "red"] if rare else ["red", "blue"]})
        captions += [(i, f"a {a} {verb} a {b}, scene {i}"), (i, f"scene {i} has a {a}")]
        negatives.append(
            {
                "key": str(i),
                "caption": f"a {a} {verb} a {b}, scene {i}",
                "negative": f"a {b} {verb} a {a}, scene {i}",
                "kind": "relation_swap",
                "changed": [[2, 5]],
            }
        )
        boxes = [
            {"object_id": 2 * i, "names": [a], "x": 1, "y": 1, "w": 12, "h": 12},
            {"object_id": 2 * i + 1, "names": [b], "x": 15, "y": 15, "w": 12, "h": 12},
        ]
        objects.append({"image_id": i, "objects": boxes})  # fmt: skip
    coco = {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg"} for i in range(IMAGES)],
        "annotations": [{"id": k, "image_id": i, "caption": text} for k, (i, text) in enumerate(captions)],
    }
    images = [{"image_id": i, "url": f"images/{i:012d}.jpg"} for i in range(IMAGES)]
    for name, content in {
        "aro/visual_genome_relation.json": relation,
        "aro/visual_genome_attribution.json": attribution,
        "captions_test.json": coco,
        "visual_genome/objects.json": objects,
        "visual_genome/image_data.json": images,
    }.items():
        (root / name).write_text(json.dumps(content))
    _write_general(root)
    (root / "negatives.jsonl").write_text("".join(json.dumps(line) + "\n" for line in negatives))


def _write_general(root: Path) -> None:
    """Class folders for zero-shot classification, the scenes' probes over the images, and their twins."""
    for number in range(2 * len(NOUNS)):
        place = root / "classification" / "test" / NOUNS[number % len(NOUNS)]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (30 * number, 0, 99)).save(place / f"{number}.png")
    (root / "probes").mkdir()
    probes = [
        {
            "image_id": i,
            "image_path": f"{i:012d}.jpg",
            "semantic": ("colour", "size")[i // 2 % 2],
            "true_caption": f"number {i // 2} is {'small' if i % 2 else 'big'}",
            "false_caption": f"number {i // 2} is {'big' if i % 2 else 'small'}",
        }
        for i in range(20)
    ]
    (root / "probes" / "probes_test.json").write_text(json.dumps(probes))
    (root / "twins" / "images").mkdir(parents=True)
    twins = [
        {f"image_{j}": f"{2 * i + j}.png" for j in (0, 1)}
        | {"caption_0": f"a {a} on a {b}, {i}", "caption_1": f"a {b} on a {a}, {i}"}
        | {"id": i, "tag": ("relation", "attribute")[i % 2]}
        for i, (a, b) in enumerate(permutations(NOUNS, 2))
    ]
    for number in range(2 * len(twins)):
        picture = Image.new("RGB", (16, 16), (9 * number, 0, 200))
        picture.save(root / "twins" / "images" / f"{number}.png")
    (root / "twins" / "twins_test.json").write_text(json.dumps(twins))
