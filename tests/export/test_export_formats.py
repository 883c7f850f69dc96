"""Every format for every model that ships and every family of towers: equal embeddings, or a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowclip.export.formats import WRITERS, loading_of
from knowclip.export.parity import TOLERANCE, measure
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.architectures import own_names
from knowclip.models.loading.load import load, shipped_names
from tiny_models import FAMILIES, make

EVERY, TWO = tuple(WRITERS), ("open_clip", "onnx")
EXPRESSED = {
    "scenes-base": TWO,
    "lite0-minilm": TWO,
    "vit_quickgelu": EVERY,
    "custom_text_eos": EVERY,
    "word_level": EVERY,
    "siglip": TWO,
    "class_token_text": TWO,
    "resnet": TWO,
    "timm_cnn_bert": TWO,
    "timm_vit": TWO,
}
OURS_ALONE = ("lite0-minilm", "timm_cnn_bert")
"""Their text towers are Hugging Face's from a local folder: open_clip's folder is for ``knowclip.load``."""
WHOLE_TEXTS = ("siglip", "class_token_text")
"""Their text towers read behind a text's end: a graph takes the whole context length alone."""
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def models() -> dict[str, DualEncoder]:
    return {}


def known(name: str, folder: Path, models: dict[str, DualEncoder]) -> DualEncoder:
    if name not in models:
        models[name] = make(name, folder) if name in FAMILIES else load(name)
    return models[name]


def marks(name: str, to: str) -> tuple[pytest.MarkDecorator, ...]:
    """Graphs take seconds to write, and ``lite0-minilm`` to load."""
    return (SLOW,) if to == "onnx" or name == "lite0-minilm" else ()


def test_the_table_is_whole() -> None:
    bare = {"scenes"}  # an architecture without words of its own: scenes-base is made of it
    assert set(EXPRESSED) == {*shipped_names(), *own_names(), *FAMILIES} - bare


@pytest.mark.parametrize(
    ("name", "to"),
    [pytest.param(name, to, marks=marks(name, to)) for name, formats in EXPRESSED.items() for to in formats],
)
def test_what_can_be_expressed_is_equal_there(
    name: str, to: str, folder: Path, models: dict[str, DualEncoder], tmp_path: Path
) -> None:
    model = known(name, folder, models)
    WRITERS[to](model, tmp_path / "out")
    loading = loading_of(tmp_path / "out")
    assert (loading.library == "knowclip") == (name in OURS_ALONE and to == "open_clip")
    stock = loading.stock(tmp_path / "out")
    assert measure(model, stock).equal_inputs < TOLERANCE
    if to == "onnx":
        assert stock.any_length == (name not in WHOLE_TEXTS)


def test_pixels_that_no_processor_makes_are_refused(tmp_path: Path) -> None:
    model = make("word_level", tmp_path)
    model.model.visual.preprocess_cfg["resize_mode"] = "longest"
    for to in ("transformers", "sentence-transformers"):
        with pytest.raises(ValueError, match=r"resize_mode='longest'.* instead, or to open_clip$"):
            WRITERS[to](model, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "to"),
    [
        pytest.param(name, to, marks=marks(name, to))
        for name, formats in EXPRESSED.items()
        for to in WRITERS
        if to not in formats
    ],
)
def test_what_cannot_is_refused_with_the_formats_that_can(
    name: str, to: str, folder: Path, models: dict[str, DualEncoder], tmp_path: Path
) -> None:
    model = known(name, folder, models)
    alone = " for knowclip.load alone" if name in OURS_ALONE else ""
    with pytest.raises(ValueError, match=rf"Export to onnx instead, or to open_clip{alone}$"):
        WRITERS[to](model, tmp_path / "out")
    assert not (tmp_path / "out").exists()
