"""What a run with a knowledge graph is refused for before it starts: images, crops, a teacher."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from knowclip.build.trainer import build_trainer
from knowclip.export.open_clip import save_pretrained
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.staging import graph_builder
from knowclip.knowledge.graph.store import Source
from knowclip.models.loading.load import build, load
from knowclip.models.tokenizers import word_tokenizer
from knowclip.recipe.load import load_recipe

CAPTION = "a red dog chases the blue cat and carries a green bird"
TRUNK = ("data.cache=trunk", "model.lock_image=true", "method.captions_as_triplets=false")


@pytest.fixture
def base(stand_in, graph_stand_in) -> list[str]:
    return [*stand_in, *graph_stand_in("knowledge-clip"), "train.steps=2", "train.epochs=null"]


def built(base: list[str], *more: str, recipe: str = "knowledge-clip") -> Any:
    return build_trainer(load_recipe(recipe, [*base, *more]))[0]


def test_a_graph_that_shows_images_of_a_validation_suite_is_refused(kg, world, base, tmp_path) -> None:
    names = sorted(path.name for path in KnowledgeGraph(kg).image_paths())[:2]
    (tmp_path / "images").symlink_to(kg.parent / "pictures")
    captions = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [{"id": number, "image_id": number, "caption": "a dog"} for number in range(2)],
    }
    (tmp_path / "captions_val.json").write_text(json.dumps(captions))
    with pytest.raises(ValueError, match=r"shows 2 validation images, such as .*0\.png.*--without-images"):
        built(base, f"selection.suite={tmp_path}")
    found = built(base, f"selection.suite={world}").validate.benchmarks
    assert [benchmark.card.name for benchmark in found] == ["image_to_text", "text_to_image"] * 2


def test_a_crop_that_cannot_be_read_is_told_when_the_cache_is_built(base, tmp_path) -> None:
    pictures = 120  # 1% may be unreadable before the cache itself refuses
    with graph_builder(tmp_path / "kg") as builder:
        for number in range(pictures):
            Image.new("RGB", (16, 16), (number, 0, 0)).save(tmp_path / f"{number}.png")
            builder.entity(f"{number}", None)
            builder.image(f"{number}", f"{number}.png", image_id=f"pictures/{number}")
        for number in range(pictures - 1):
            builder.triplet(f"{number}", "next to", f"{number + 1}")
        builder.finish((Source("pictures", "CC0", image_root=str(tmp_path)),))
    graph = f"data.graph={{batch_size: 6, neighbours: 2, cache: true, path: {tmp_path / 'kg'}}}"
    built(base, graph)
    (tmp_path / "77.png").write_bytes(b"no image")
    with pytest.raises(
        ValueError,
        match=r"1 images and regions of .*77\.png cannot be decoded.*filter GRAPH --without-images",
    ):
        built(base, graph)


def save(folder: Path, *, caption: str = CAPTION, context_length: int = 24, **preprocess: Any) -> str:
    """A random model whose tokenizer knows the words of ``caption``."""
    torch.manual_seed(0)
    config = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
        "text_cfg": {
            "context_length": context_length, "width": 16, "heads": 2, "layers": 1, "pool_type": "eos",
        },
    }  # fmt: skip
    tokenizer = word_tokenizer([caption], context_length=context_length)
    save_pretrained(build(config, tokenizer=tokenizer, preprocess_cfg=preprocess), folder)
    return str(folder)


def retrained(source: str, folder: Path, part: str) -> str:
    """The same model with other weights in its parameters that begin with ``part``."""
    model = load(source)
    with torch.no_grad():
        for name, parameter in model.model.named_parameters():
            if name.startswith(part):
                parameter.add_(torch.randn_like(parameter))
    save_pretrained(model, folder)
    return str(folder)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"caption": CAPTION.replace("bird", "bear")}, "tokenizer or context length"),
        ({"context_length": 16}, "tokenizer or context length"),
        ({"mean": (0.5, 0.5, 0.5)}, "image preprocessing"),
    ],
    ids=["a word", "context", "preprocessing"],
)
def test_a_teacher_that_would_misread_its_inputs_is_refused(base, tmp_path, other, message) -> None:
    student, teacher = save(tmp_path / "student"), save(tmp_path / "teacher", **other)
    model = f"model={{name: {student}}}"
    with pytest.raises(
        ValueError, match=rf"method\.teacher=.*has another {message}.*or leave method\.teacher"
    ):
        built(base, model, f"method.teacher={teacher}")


def test_a_teacher_with_another_trunk_is_refused_where_trunk_features_are_cached(base, tmp_path) -> None:
    student = save(tmp_path / "student")
    model = f"model={{name: {student}}}"
    other = retrained(student, tmp_path / "image", "visual.")
    with pytest.raises(ValueError, match=r"method\.teacher=.*has another image trunk.*data\.cache=pixels"):
        built(base, model, *TRUNK, f"method.teacher={other}")
    for accepted in ((f"method.teacher={other}",), (f"method.teacher={student}", *TRUNK)):
        assert built(base, model, *accepted).method.knowledge._teacher is not None
    same_trunk = retrained(student, tmp_path / "text", "transformer.")
    trainer = built(base, model, *TRUNK, f"method.teacher={same_trunk}")
    teacher = trainer.method.knowledge._teacher.model
    batch = next(trainer.batches.epoch(0))
    assert torch.equal(
        teacher.encode_trunk(batch.trunk_features), trainer.method.model.encode_trunk(batch.trunk_features)
    )
    assert not torch.equal(teacher.encode_text(batch.texts), trainer.method.model.encode_text(batch.texts))


def test_the_teacher_of_both_papers_at_once_is_named_by_its_own_key(
    stand_in, graph_stand_in, tmp_path
) -> None:
    base = [*stand_in, *graph_stand_in("scenes-joint"), "method.knowledge.kd_weight=1"]
    with pytest.raises(ValueError, match=r"method\.knowledge\.teacher=.*has another tokenizer"):
        built(base, f"method.knowledge.teacher={save(tmp_path / 'teacher')}", recipe="scenes-joint")
