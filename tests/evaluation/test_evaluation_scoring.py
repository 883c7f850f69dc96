"""The Scorer: once each, cached by content, nothing lost in silence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from knowclip.evaluation.scoring import Scorer, model_hash
from knowclip.types import ImageRef
from tiny_models import make


class Tiny(nn.Module):
    """Mean colour and text length through one linear layer; counts what it encodes."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(3, 4)
        self.dropout = nn.Dropout(0.5)
        self.images, self.texts = 0, 0

    def encode_image(self, images: Sequence[ImageRef], *, normalize: bool = False) -> Tensor:
        pixels = []
        for ref in images:
            picture = Image.open(ref.path).convert("RGB")
            if ref.box:
                x, y, w, h = ref.box
                picture = picture.crop((x, y, x + w, y + h))
            pixels.append(np.asarray(picture, dtype=np.float32).mean(axis=(0, 1)) / 255)
        self.images += len(images)
        return self._embed(np.stack(pixels))

    def encode_text(self, texts: Sequence[str], *, normalize: bool = False) -> Tensor:
        self.texts += len(texts)
        return self._embed(np.array([[len(t), t.count("a"), 1] for t in texts], dtype=np.float32))

    def _embed(self, inputs: np.ndarray) -> Tensor:
        return nn.functional.normalize(self.dropout(self.linear(torch.from_numpy(inputs))), dim=-1)


@pytest.fixture
def pictures(tmp_path: Path) -> list[ImageRef]:
    refs = []
    for i in range(5):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", (8, 8), (50 * i, 10, 200)).save(path)
        refs.append(ImageRef(path))
    return refs


def test_progress_counts_what_is_known_of_what_is_asked(pictures: list[ImageRef]) -> None:
    scorer, told = Scorer(Tiny(), batch_size=2), []
    scorer.progress = lambda *counts: told.append(counts)
    scorer.pair_scores(pictures[:3], ["a cat", "a dog", "rain"])
    scorer.pair_scores(pictures[:4], ["a cat"] * 4)
    assert told == [
        ("images", 2, 3), ("images", 3, 3), ("texts", 2, 3), ("texts", 3, 3), ("images", 4, 4),
    ]  # fmt: skip


def test_each_distinct_input_is_encoded_once(pictures: list[ImageRef]) -> None:
    model = Tiny()
    scorer = Scorer(model, batch_size=2)
    first = scorer.pair_scores([*pictures, pictures[0]], ["a cat", "a dog", "a cat", "rain", "sun", "sun"])
    again = scorer.pair_scores([pictures[0]], ["sun"])
    assert (model.images, model.texts) == (5, 4)
    assert again[0] == first[5]
    assert first.dtype == np.float32


def test_pair_scores_are_the_cosines(pictures: list[ImageRef]) -> None:
    model = Tiny().eval()
    texts = ["a", "bb", "cac", "dddd", "aaaaa"]
    with torch.no_grad():
        expected = (model.encode_image(pictures) * model.encode_text(texts)).sum(-1).numpy()
    assert Scorer(model).pair_scores(pictures, texts) == pytest.approx(expected, abs=1e-6)


def test_encoding_is_in_evaluation_mode_and_leaves_the_mode_as_it_was(pictures: list[ImageRef]) -> None:
    model = Tiny().train()
    features = Scorer(model).images(pictures)
    assert model.training
    assert features == pytest.approx(Scorer(model.eval()).images(pictures))


def test_disk_cache_serves_another_process_and_knows_the_weights(
    pictures: list[ImageRef], tmp_path: Path
) -> None:
    cache, texts = tmp_path / "cache", ["a cat", "a dog"]
    first = Scorer(Tiny(), cache=cache)
    images, words = first.images(pictures), first.texts(texts)
    model = Tiny()
    second = Scorer(model, cache=cache)
    assert np.array_equal(second.images(pictures), images)
    assert np.array_equal(second.texts(texts), words)
    assert (model.images, model.texts) == (0, 0)
    other = Tiny(seed=1)
    Scorer(other, cache=cache).images(pictures)
    assert other.images == 5
    assert not list(cache.rglob("*.tmp"))


def test_disk_cache_goes_by_content_and_box(pictures: list[ImageRef], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    Scorer(Tiny(), cache=cache).images(pictures[:1])
    copy = tmp_path / "copy.png"
    copy.write_bytes(pictures[0].path.read_bytes())
    model = Tiny()
    Scorer(model, cache=cache).images([ImageRef(copy)])
    assert model.images == 0
    Scorer(model, cache=cache).images([ImageRef(copy, (0, 0, 4, 4))])
    assert model.images == 1
    Image.new("RGB", (8, 8), "white").save(copy)
    Scorer(model, cache=cache).images([ImageRef(copy)])
    assert model.images == 2


def test_model_hash_sees_weights_and_preprocessing_not_addresses() -> None:
    model, same = Tiny(), Tiny()
    model.preprocess, same.preprocess = object(), object()
    assert model_hash(model) == model_hash(same)
    same.preprocess = "resize 224"
    assert model_hash(model) != model_hash(same)


def test_model_hash_sees_what_a_text_tower_s_folder_holds_not_where_it_lies(tmp_path: Path) -> None:
    models = [make("timm_cnn_bert", tmp_path / place) for place in ("here", "there")]
    first, second = map(model_hash, models)
    assert first == second
    with (tmp_path / "there" / "bert" / "tokenizer.json").open("a") as file:
        file.write("\n")
    assert model_hash(models[1]) != first


def test_too_many_missing_images_are_refused_by_name(pictures: list[ImageRef], tmp_path: Path) -> None:
    gone = ImageRef(tmp_path / "gone.png")
    with pytest.raises(ValueError, match=r"1 of 6 images are missing or unreadable.*gone\.png"):
        Scorer(Tiny()).images([*pictures, gone])


def test_all_images_missing_is_refused_whatever_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 of 1 images are missing"):
        Scorer(Tiny(), max_missing=1.0).images([ImageRef(tmp_path / "gone.png")])


def test_few_missing_images_count_as_wrong_and_are_told_once(
    pictures: list[ImageRef], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(pictures[0].path.read_bytes()[:40])
    scorer = Scorer(Tiny(), max_missing=0.2, cache=tmp_path / "cache")
    with pytest.warns(UserWarning, match=r"1 of 6 images are unreadable"):
        features = scorer.images([*pictures, ImageRef(broken)])
    assert features.shape == (6, 4)
    assert not features[5].any() and features[:5].any(axis=1).all()
    assert list(scorer.missing) == [ImageRef(broken)]
    assert scorer.pair_scores([ImageRef(broken)] * 1 + pictures, ["a"] * 6)[0] == 0


def test_diverged_models_are_refused(pictures: list[ImageRef]) -> None:
    model = Tiny()
    nn.init.constant_(model.linear.weight, float("nan"))
    with pytest.raises(ValueError, match="NaN or infinite"):
        Scorer(model).images(pictures)


def test_empty_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 texts are empty, the first at index 1"):
        Scorer(Tiny()).texts(["a", " "])


def test_a_cache_needs_weights_to_hash(constant: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no state_dict"):
        Scorer(constant, cache=tmp_path)  # type: ignore[arg-type]
