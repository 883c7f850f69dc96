"""Small copies of every published benchmark in its official layout, as the loaders' documented fields say.

Genuine records of SugarCrepe, SugarCrepe++, VALSE, VSR and VL-CheckList are read in the conformance tests.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CASES = 6
ANIMALS = ("dog", "cat", "horse", "cow", "sheep", "goat")
THINGS = ("skateboard", "bench", "boat", "hill", "carpet", "roof")


def draw(path: Path, seed: int) -> Path:
    """A picture of its own for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_lines(path: Path, records: Sequence[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)


def write_all(root: Path) -> None:
    """Every benchmark under ``root/<name>``, COCO's images under ``root/coco``."""
    _coco(root)
    _sugarcrepe(root)
    _quadruples(root)
    _choices(root)
    _regions(root)
    _captioned(root)


def _coco(root: Path) -> None:
    for i in range(CASES):
        draw(root / "coco/val2017" / f"{i:012d}.jpg", i)


def _sugarcrepe(root: Path) -> None:
    for group in ("add_obj", "add_att", "replace_obj", "replace_att", "replace_rel", "swap_obj", "swap_att"):
        records = [
            {
                "filename": f"{i:012d}.jpg",
                "caption": f"{group}: a {ANIMALS[i]}.",
                "negative_caption": f"{group}: no {ANIMALS[i]}.",
            }
            for i in range(CASES)
        ]
        write_json(root / "sugarcrepe" / f"{group}.json", {str(i): r for i, r in enumerate(records)})
        if not group.startswith("add"):
            second = [{"id": i, **r, "caption2": f"That is {r['caption']}"} for i, r in enumerate(records)]
            write_json(root / "sugarcrepe_pp" / f"{group}.json", second)


def _quadruples(root: Path) -> None:
    pairs = [(f"the {a} on the {b}", f"the {b} on the {a}") for a, b in zip(ANIMALS, THINGS, strict=True)]
    for name, suffix in (("winoground", ".png"), ("coco_counterfactuals", ".jpg")):
        records = []
        for i, (first, second) in enumerate(pairs):
            names = [f"ex_{i}_img_{k}" for k in (0, 1)]
            for k in (0, 1):
                draw(root / name / "data/images" / f"{names[k]}{suffix}", 10 * i + k)
            record = {
                "id": i,
                "image_0": names[0],
                "image_1": names[1],
                "caption_0": first,
                "caption_1": second,
            }
            records.append(record | {"collapsed_tag": "Object" if i % 2 else "Relation"})
        write_lines(root / name / "data/examples.jsonl", records)
    swaps = []
    for i, (first, second) in enumerate(pairs):
        names = [f"images/img_{i}_{k}.png" for k in (1, 2)]
        for k, name in enumerate(names):
            draw(root / "colorswap" / name, 100 * i + k)
        swap = {"id": i, "caption_1": first, "caption_2": second, "image_1": names[0], "image_2": names[1]}
        swaps.append(swap | {"image_source": "midjourney", "caption_source": "human"})
    write_json(root / "colorswap/test.json", swaps)
    rows = [
        {
            "image": {"bytes": png(1000 + i), "path": None},
            "negative_image": {"bytes": png(2000 + i), "path": None},
            "caption": first,
            "negative_caption": second,
            "type": "Swap" if i % 2 else "Add",
            "subtype": "Object",
        }
        for i, (first, second) in enumerate(pairs)
    ]
    write_parquet(root / "bivlc/data/test-00000-of-00002.parquet", rows[:4])
    write_parquet(root / "bivlc/data/test-00001-of-00002.parquet", rows[4:])
    _cola_eqben_mmvp(root, pairs)


def _cola_eqben_mmvp(root: Path, pairs: Sequence[tuple[str, str]]) -> None:
    cola, eqben, mmvp = [], [], []
    for i, (first, second) in enumerate(pairs):
        for k in (0, 1):
            draw(root / "vg/VG_100K" / f"{2 * i + k}.jpg", 300 + 2 * i + k)
            draw(root / "mmvp_vlm/MLLM_VLM Images/Color" / f"{2 * i + k + 1}.jpg", 400 + 2 * i + k)
            kind = "Color"
            statement = (first, second)[k]
            mmvp.append({"Question ID": 2 * i + k + 1, "Type": kind, "Statement": statement})
        address = "https://cs-people.bu.edu/array/data/vg_gqa_images"
        cola.append([f"{address}/{2 * i}.jpg", first, f"{address}/{2 * i + 1}.jpg", second])
        source = "eqbenyoucook2" if i % 2 else "eqbensd"
        names = [f"{source}/{i}_{k}.{'npy' if i % 2 else 'png'}" for k in (0, 1)]
        for k, name in enumerate(names):
            path = root / "eqben/image_subset" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if i % 2:
                np.save(path, np.random.default_rng(50 * i + k).integers(0, 256, (24, 24, 3), dtype=np.uint8))
            else:
                draw(path, 50 * i + k)
        captions = {"caption0": [first] if i == 1 else first, "caption1": [second] if i == 1 else second}
        eqben.append({"image0": names[0], "image1": names[1], **captions})
    write_json(root / "cola/data/COLA_multiobjects_matching_benchmark.json", cola)
    write_json(root / "eqben/eqben_subset_10percent_final.json", eqben)
    write_json(root / "eqben/private_info_global.json", eqben)
    write_csv(root / "mmvp_vlm/Questions.csv", mmvp)


def _choices(root: Path) -> None:
    pieces = (
        "existence plurals relations actant-swap action-replacement coreference-standard coreference-hard"
    )
    counting = [f"counting-{kind}" for kind in ("hard", "small-quant", "adversarial")]
    for piece in (*pieces.split(), *counting, "foil-it"):
        records = {
            f"{piece}_{i}": {
                "dataset": "coco2017",
                "image_file": f"{i:012d}.jpg",
                "caption": f"{piece}: the {ANIMALS[i]}.",
                "foil": f"{piece}: the {ANIMALS[i - 1]}.",
                "mturk": {"foil": 0, "caption": 1 if i == 0 else 3, "other": 0},
            }
            for i in range(CASES)
        }
        write_json(root / "valse" / f"{piece}.json", records)
    statements = [
        {"image": f"{i:012d}.jpg", "caption": f"The {a} is {r} the bench.", "label": i % 2, "relation": r}
        for i, a in enumerate(ANIMALS)
        for r in ("on", "under", "left of")
    ]
    write_lines(root / "vsr/test.jsonl", statements)
    write_lines(root / "vsr/dev.jsonl", statements[:4])
    for part, source in (("Attribute/vg/color", "vg"), ("Relation/swig/action", "swig")):
        names = [f"VG_100K/{i}.jpg" if source == "vg" else f"{i}.jpg" for i in range(CASES)]
        for i in range(CASES):
            draw(root / "vl_checklist" / source / names[i], 500 + i)
        records = [
            [n, {"POS": [f"{part} {a}"], "NEG": [f"no {a}"]}] for n, a in zip(names, ANIMALS, strict=True)
        ]
        write_json(root / "vl_checklist/data" / f"{part}.json", records)
    _whatsup_spec_svo(root)


def _whatsup_spec_svo(root: Path) -> None:
    base = root / "whatsup"
    for file, place in (("images", "controlled_images"), ("clevr", "controlled_clevr")):
        records = []
        for i, a in enumerate(ANIMALS):
            name = f"data/{place}/{a}_on_table.jpeg"
            draw(base / place / f"{a}_on_table.jpeg", 600 + i)
            options = [f"{file}: a {a} {word} a table" for word in ("on", "under", "left of", "right of")]
            records.append({"image_path": name, "caption_options": options})
        write_json(base / f"controlled_{file}_dataset.json", records)
    for i in range(CASES):
        draw(base / "vg_images" / f"{i}.jpg", 700 + i)
    for source in ("coco_qa", "vg_qa"):
        for count in ("one", "two"):
            rows = [
                [i, f"{source} {count}: {a} left", f"{source} {count}: {a} right"]
                for i, a in enumerate(ANIMALS)
            ]
            write_json(base / f"{source}_{count}_obj.json", rows)
    for subset in (
        "absolute_size",
        "relative_size",
        "absolute_spatial",
        "relative_spatial",
        "existence",
        "count",
    ):
        place = root / "spec/data" / subset
        keys = [f"{subset}: {number} dogs" for number in ("two", "three", "four")]
        names = [f"images/{i}.jpg" for i in range(3)]
        for i, name in enumerate(names):
            draw(place / name, 800 + i)
        write_json(
            place / "image2text.json", [{"query": n, "keys": keys, "label": i} for i, n in enumerate(names)]
        )
        write_json(
            place / "text2image.json", [{"query": k, "keys": names, "label": i} for i, k in enumerate(keys)]
        )
    rows = []
    for i, a in enumerate(ANIMALS):
        draw(root / "svo_probes/images" / f"{2 * i}.jpg", 900 + 2 * i)
        draw(root / "svo_probes/images" / f"{2 * i + 1}.jpg", 901 + 2 * i)
        changed = {
            kind: str(k == i % 3 or i == 5) for k, kind in enumerate(("subj_neg", "verb_neg", "obj_neg"))
        }
        triplets = {"pos_triplet": f"{a},sit,bench", "neg_triplet": f"{a},sit,grass"}
        images = {"pos_url": "", "neg_url": "", "pos_image_id": 2 * i, "neg_image_id": 2 * i + 1}
        rows.append({"sentence": f"A {a} sits on a bench.", **triplets, **images, **changed})
    write_csv(root / "svo_probes/svo_probes.csv", rows)


def _regions(root: Path) -> None:
    box = {"x": 2, "y": 3, "width": 15, "height": 14}
    rows = [
        {
            "image_id": i,
            **box,
            "caption": f"a {a} on grass",
            "valid_hard_negs_atom": str([f"a {a} on {t}" for t in THINGS[:5]]),
            "valid_hard_negs_comp": str([f"a {t} and {a}" for t in THINGS[:3]] if i else []),
            "hard_negs": str([f"a {a} in {t}" for t in THINGS[:5]]),
        }
        for i, a in enumerate(ANIMALS)
    ]
    place = root / "crepe"
    for seen in ("seen", "unseen"):
        write_csv(place / f"syst_hard_negatives/syst_vg_hard_negs_{seen}_compounds_in_laion.csv", rows)
    for kind in ("atom", "negate", "swap"):
        path = place / f"prod_hard_negatives/{kind}/prod_vg_hard_negs_{kind}_complexity_4.csv"
        write_csv(path, rows)


def _captioned(root: Path) -> None:
    captions = [f"A brown {a} is standing on a {t}." for a, t in zip(ANIMALS, THINGS, strict=True)]
    for name, file, place in (
        ("coco_order", "coco_karpathy", "val2014"),
        ("flickr30k_order", "flickr30k", "flickr30k-images"),
    ):
        names = [f"{place}/{i}.jpg" for i in range(CASES)]
        for i in range(CASES):
            draw(root / name / names[i], 1100 + i)
        records = [{"image": n, "caption": [c, f"{c} Really."]} for n, c in zip(names, captions, strict=True)]
        write_json(root / name / f"{file}_test.json", records)
        write_json(root / name / f"{file}_val.json", records[:2])
    for name in ("coco", "flickr30k", "flickr8k"):
        images = []
        for i, caption in enumerate(captions):
            draw(root / name / "images" / f"{name}_{i}.jpg", 1200 + i)
            sentences = [{"raw": caption}, {"raw": f"{name} {i}: {caption}"}]
            images.append({"filename": f"{name}_{i}.jpg", "split": "test", "sentences": sentences})
        write_json(root / name / f"dataset_{name}.json", {"images": images, "dataset": name})
