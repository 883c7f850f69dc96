"""A tiny world in COCO's format, and an architecture small enough to train on it in a second."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import yaml
from PIL import Image

from knowclip.knowledge.graph.split import split
from knowclip.recipe.load import find_recipe
from tiny_graph import make_graph

NOUNS = ("dog", "cat", "horse", "bird")
COLOURS = ("red", "blue", "green", "black")


def write_captions(folder: Path, name: str, *, images: int, seed: int) -> Path:
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(exist_ok=True)
    content: dict[str, list] = {"images": [], "annotations": []}
    for index in range(images):
        file = f"{name}{index:03}.png"
        Image.fromarray(random.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / "images" / file)
        content["images"].append({"id": index, "file_name": file})
        first, second = random.choice(NOUNS, 2, replace=False)
        one, other = random.choice(COLOURS, 2, replace=False)
        for verb in ("chases", "carries"):
            caption = f"A {one} {first} {verb} a {other} {second}."
            content["annotations"].append(
                {"id": len(content["annotations"]), "image_id": index, "caption": caption}
            )
    path = folder / f"captions_{name}.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with captions_train.json, captions_val.json, images/ and tiny.json (an architecture)."""
    folder = tmp_path_factory.mktemp("world")
    write_captions(folder, "train", images=12, seed=0)
    write_captions(folder, "val", images=6, seed=1)
    architecture = {
        "model_cfg": {
            "embed_dim": 8,
            "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
            "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
        }
    }
    (folder / "tiny.json").write_text(json.dumps(architecture))
    return folder


@pytest.fixture
def stand_in(world: Path, tmp_path: Path) -> list[str]:
    """Overrides that put the tiny world and model in place of a recipe's own."""
    return [
        f"model={{name: {world / 'tiny.json'}}}",
        f"data.train={{path: {world / 'captions_train.json'}, images: {world / 'images'}}}",
        f"data.val={{path: {world / 'captions_val.json'}, images: {world / 'images'}}}",
        "data.val_images=0",
        "data.cache=none",
        f"data.cache_dir={tmp_path / 'cache'}",
        "selection={metrics: [text_to_image_R@1]}",
        "optimizer.lr_multipliers={}",
        "schedule.warmup=1",
        "train.epochs=2",
        "train.steps=null",
        "train.batch_size=8",
        "train.num_workers=0",
        "train.precision=fp32",
        f"output.folder={tmp_path / 'run'}",
    ]


@pytest.fixture
def shallow(tmp_path: Path) -> Callable[[str], Path]:
    """An architecture of open_clip's with two layers a tower, else its sizes (deep: ``tests/models``)."""

    def write(name: str) -> Path:
        architecture = open_clip.get_model_config(name)
        for tower in ("vision_cfg", "text_cfg"):
            architecture[tower]["layers"] = 2
        (tmp_path / f"{name}.json").write_text(json.dumps({"model_cfg": architecture}))
        return tmp_path / f"{name}.json"

    return write


@pytest.fixture(scope="session")
def kg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small knowledge graph of image regions and words."""
    return make_graph(tmp_path_factory.mktemp("kg")).path


@pytest.fixture(scope="session")
def kg_parts(kg: Path) -> Path:
    """The same graph, split."""
    split(kg, kg.parent / "parts", val=0.3, test=0.2)
    return kg.parent / "parts"


@pytest.fixture
def graph_stand_in(kg: Path) -> Callable[[str], list[str]]:
    """Overrides that put a small graph and fusion encoder in place of a recipe's own, if it has them."""

    def overrides(name: str) -> list[str]:
        recipe = yaml.safe_load(find_recipe(name).read_text())
        if "graph" not in recipe["data"]:
            return []
        section = "method.knowledge" if recipe["method"]["name"] == "joint" else "method"
        graph = "{batch_size: 6, same_image: 2, neighbours: 2, path: " + str(kg) + "}"
        return [f"data.graph={graph}", f"{section}.fusion={{width: 16, layers: 1, heads: 2}}"]

    return overrides
