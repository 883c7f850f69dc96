from __future__ import annotations

import datetime
import json
import shutil
from fnmatch import fnmatch
from pathlib import Path
from urllib.error import HTTPError, URLError

import huggingface_hub
import open_clip
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from open_clip import factory, pretrained

from knowclip.export.open_clip import save_pretrained
from knowclip.models.clip import DualEncoder
from knowclip.models.loading import architectures, hub
from knowclip.models.loading import load as loading
from knowclip.models.loading.load import build, load
from tiny_models import CAPTIONS, TEXT, VIT, make, pixels

TINY = {"embed_dim": 16, "vision_cfg": VIT, "text_cfg": {**TEXT, "vocab_size": 49408}}


@pytest.fixture
def tiny(monkeypatch) -> dict:
    """Register an architecture ``Tiny-32`` and its ``-quickgelu`` twin in open_clip, with tags."""
    configs = {"Tiny-32": TINY, "Tiny-32-quickgelu": {**TINY, "quick_gelu": True}}
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", {**configs, "RN50": factory._MODEL_CONFIGS["RN50"]})
    tags = {"openai": pretrained._pcfg(quick_gelu=True), "laion": pretrained._pcfg(mean=(0.5, 0.5, 0.5))}
    monkeypatch.setitem(pretrained._PRETRAINED, "Tiny-32", tags)
    return TINY


@pytest.fixture
def weights(tiny) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return open_clip.CLIP(**tiny, quick_gelu=True).state_dict()


def same_text_features(model: DualEncoder, weights: dict, *, quick_gelu: bool) -> bool:
    stock = open_clip.CLIP(**TINY, quick_gelu=quick_gelu).eval()
    stock.load_state_dict(weights)
    ids = open_clip.SimpleTokenizer(context_length=24)(CAPTIONS)
    with torch.no_grad():
        return torch.allclose(model.encode_text(CAPTIONS), stock.encode_text(ids), atol=1e-5, rtol=0)


def published(weights: dict, path: Path, *, prefix: str = "module.") -> Path:
    """As open_clip's trainer wrote NegCLIP and CE-CLIP: beside the optimizer, of a parallel module."""
    state = {f"{prefix}{key}": tensor for key, tensor in weights.items()}
    optimizer = {
        "state": {0: {"step": torch.tensor(3.0)}},
        "param_groups": [{"lr": 1e-6, "betas": (0.9, 0.98)}],
    }
    torch.save({"epoch": 5, "name": "run", "state_dict": state, "optimizer": optimizer}, path)
    return path


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_a_published_checkpoint_is_told_by_its_shapes(weights, tmp_path, prefix):
    path = published(weights, tmp_path / "negclip.pt", prefix=prefix)
    model = load(path, activation="quick_gelu")
    assert same_text_features(model, weights, quick_gelu=True)
    assert not same_text_features(model, weights, quick_gelu=False)
    assert model.config["quick_gelu"] is True
    assert not model.training


def test_an_architecture_with_a_file_of_weights(weights, tmp_path):
    path = published(weights, tmp_path / "negclip.pth")
    quick = load("Tiny-32-quickgelu", pretrained=path)  # the name says the activation
    assert same_text_features(quick, weights, quick_gelu=True)
    assert same_text_features(load("Tiny-32", pretrained=path, activation="gelu"), weights, quick_gelu=False)


@pytest.mark.parametrize("named", [True, False])
def test_an_unknown_activation_is_required(weights, tmp_path, named):
    path = published(weights, tmp_path / "negclip.pt")
    with pytest.raises(ValueError, match=r"negclip.pt: Tiny-32 exists with both.*NegCLIP"):
        load("Tiny-32", pretrained=path) if named else load(path)


def test_a_misspelt_activation_is_refused(weights, tmp_path):
    with pytest.raises(ValueError, match="'gelu' or 'quick_gelu', got 'quickgelu'"):
        load(published(weights, tmp_path / "negclip.pt"), activation="quickgelu")


def test_a_pickle_of_objects_is_refused(weights, tmp_path):
    torch.save({"state_dict": weights, "args": datetime.timedelta(1)}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"(?s)run.pt: the pickle holds objects beyond tensors.*timedelta"):
        load(tmp_path / "run.pt")


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"not a checkpoint at all, just text\n" * 9])
def test_broken_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}: no readable checkpoint"):
        load(tmp_path / name)


@pytest.mark.parametrize("content", [{"model": {"a": 1}}, [1, 2], {}, {"state_dict": {"a": 3}}])
def test_files_without_a_state_dict_are_named(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"x.pt: expected a state dict of tensors"):
        load(tmp_path / "x.pt")


def test_unknown_shapes_ask_for_the_architecture(weights, tmp_path):
    weights.pop("ln_final.weight")
    with pytest.raises(ValueError, match=r"no native one of open_clip's fits.*load\('ViT-B-32', pretrained="):
        load(published(weights, tmp_path / "x.pt"))


def test_weights_of_another_architecture_are_refused(weights, tmp_path):
    weights["visual.proj"] = weights["visual.proj"][:, :8]
    path = published(weights, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"(?s)x.pt holds no weights of this architecture.*visual.proj"):
        load("Tiny-32", pretrained=path, activation="gelu")


def test_not_finite_weights_are_refused(weights, tmp_path):
    weights["visual.proj"][0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"x.pt: 1 tensors hold NaN or infinity \(visual.proj"):
        load(published(weights, tmp_path / "x.pt"), activation="gelu")


@pytest.mark.parametrize(("tag", "quick_gelu"), [("openai", True), ("laion", False)])
def test_a_tag_brings_its_activation_and_preprocessing(weights, tmp_path, monkeypatch, tag, quick_gelu):
    path = published(weights, tmp_path / "cached.pt")
    monkeypatch.setattr(hub, "_answers", lambda: True)
    monkeypatch.setattr(loading, "download_pretrained", lambda cfg: str(path))
    for model in (load(f"Tiny-32/{tag}"), load("Tiny-32", pretrained=tag)):
        assert model.config["quick_gelu"] is quick_gelu
        assert same_text_features(model, weights, quick_gelu=quick_gelu)
        mean = model.model.visual.preprocess_cfg["mean"]
        assert mean == ((0.5, 0.5, 0.5) if tag == "laion" else open_clip.OPENAI_DATASET_MEAN)


def test_random_weights_are_asked_for_by_name(tiny):
    torch.manual_seed(1)
    one = load("Tiny-32/random")
    torch.manual_seed(1)
    two = load("Tiny-32", pretrained="random")
    assert torch.equal(one.encode_text(CAPTIONS), two.encode_text(CAPTIONS))
    assert one.config["quick_gelu"] is False
    assert load("Tiny-32-quickgelu/random").config["quick_gelu"] is True


def test_an_architecture_alone_lists_its_tags(tiny):
    with pytest.raises(ValueError, match=r"Tiny-32 needs weights, got none: .* openai, laion, random"):
        load("Tiny-32")
    with pytest.raises(ValueError, match=r"'opneai' is no tag of it and no file: .* openai, laion, random"):
        load("Tiny-32/opneai")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-B-33/openai", r"'ViT-B-33/openai' is no file.*did you mean .*ViT-B-32"),
        ("lite0", r"'lite0' is no file.*did you mean lite0-minilm"),
        ("runs/demo/absent", r"'runs/demo/absent' is no file.*give a folder, a file or"),
        ("absent.pt", r"'absent.pt' is no file"),
    ],
)
def test_an_unknown_name_or_path_is_named_and_near_names_suggested(name, message):
    with pytest.raises(ValueError, match=message):
        load(name)


def test_without_a_connection_what_needs_none_is_named(monkeypatch):
    def lost(*args, **options):
        raise OSError("no connection")

    monkeypatch.setattr("knowclip.models.loading.load.download_pretrained", lost)
    with pytest.raises(ValueError, match="there are scenes-base, lite0-minilm and your own files"):
        load("ViT-B-32/openai")


def test_a_folder_does_not_hide_an_architecture(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("Tiny-32").mkdir()
    assert load("Tiny-32", pretrained="random").embed_dim == 16
    with pytest.raises(ValueError, match="no folder 'best'"):
        load("./Tiny-32")
    with pytest.raises(ValueError, match="no folder 'best'"):
        load(Path("Tiny-32"))


def test_own_architectures(tmp_path):
    assert architectures.own_names() == ["lite0-minilm", "scenes"]
    with pytest.raises(ValueError, match="pass tokenizer=word_tokenizer"):
        load("scenes")
    (tmp_path / "tiny.json").write_text(json.dumps({"model_cfg": TINY}))
    assert load(tmp_path / "tiny.json").embed_dim == 16
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    with pytest.raises(ValueError, match="an architecture is"):
        load(tmp_path / "tiny.json")


def test_a_folder_of_open_clip_with_foreign_file_names(weights, tmp_path):
    config = {
        "model_cfg": {**TINY, "quick_gelu": True},
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="or one file of weights, found none"):
        load(tmp_path)
    torch.save(weights, tmp_path / "open_clip_pytorch_model.bin")
    assert same_text_features(load(tmp_path), weights, quick_gelu=True)
    assert load(tmp_path).model.visual.preprocess_cfg["mean"] == [0.5] * 3
    assert same_text_features(load(tmp_path, activation="gelu"), weights, quick_gelu=False)
    with pytest.raises(ValueError, match="has its own weights"):
        load(tmp_path, pretrained="openai")


def test_a_run_folder_stands_for_its_best(weights, tmp_path):
    with pytest.raises(ValueError, match="no folder 'best'"):
        load(tmp_path)
    best = tmp_path / "best"
    best.mkdir()
    (best / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY}))
    torch.save(weights, best / "open_clip_model.pt")
    best.rename(tmp_path / ".best.previous")  # as a kill between two renames leaves it
    assert same_text_features(load(tmp_path), weights, quick_gelu=False)


def hub_of(folder: Path, into: Path):
    """A hub that holds ``folder``: gives what the patterns ask for, as ``snapshot_download`` does."""

    def snapshot(repository: str, allow_patterns: list[str]) -> str:
        assert repository == "org/name"
        for path in folder.rglob("*"):
            name = str(path.relative_to(folder))
            if path.is_file() and any(fnmatch(name, pattern) for pattern in allow_patterns):
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, into / name)
        return str(into)

    return snapshot


def test_the_hub_gives_a_folder_with_one_set_of_weights(tmp_path, monkeypatch):
    model = make("vit_quickgelu", tmp_path)
    (tmp_path / "cache").mkdir()
    save_pretrained(model, tmp_path / "repository")
    torch.save({}, tmp_path / "repository" / "open_clip_pytorch_model.bin")
    monkeypatch.setattr(hub, "_answers", lambda: True)
    monkeypatch.setattr(hub, "snapshot_download", hub_of(tmp_path / "repository", tmp_path / "cache"))
    loaded = load("hf-hub:org/name")
    assert torch.equal(loaded.encode_text(CAPTIONS), model.encode_text(CAPTIONS))
    assert loaded.config["quick_gelu"] is True
    assert not (tmp_path / "cache" / "open_clip_pytorch_model.bin").exists()
    assert load("hf-hub:org/name", activation="gelu").config["quick_gelu"] is False


def test_the_hub_gives_what_only_knowclip_loads(tmp_path, monkeypatch):
    model = make("timm_cnn_bert", tmp_path)
    (tmp_path / "cache").mkdir()
    assert save_pretrained(model, tmp_path / "repository") == "knowclip"
    monkeypatch.setattr(hub, "_answers", lambda: True)
    monkeypatch.setattr(hub, "snapshot_download", hub_of(tmp_path / "repository", tmp_path / "cache"))
    assert torch.equal(load("hf-hub:org/name").encode_text(CAPTIONS), model.encode_text(CAPTIONS))


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch):
    asked = []

    def silent(request, timeout):
        asked.append(request.full_url)
        raise URLError("no route")

    def looked_up(*_, **__):
        assert huggingface_hub.constants.is_offline_mode()
        raise LocalEntryNotFoundError("HF_HUB_OFFLINE=0 would help")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "urlopen", silent)
    monkeypatch.setattr(hub, "snapshot_download", looked_up)
    monkeypatch.setattr(loading, "download_pretrained", looked_up)
    without = "does not answer, and it is not in the cache"
    with pytest.raises(ValueError, match=rf"hf-hub:org/name .*{without}\): download it"):
        load("hf-hub:org/name")
    with pytest.raises(ValueError, match=rf"ViT-B-32/openai .*{without}.*model\.name=FILE.*scenes-base"):
        load("ViT-B-32/openai")
    assert len(asked) == 2 and not huggingface_hub.constants.HF_HUB_OFFLINE


def test_a_hub_that_refuses_answers(monkeypatch):
    def refuses(request, timeout):
        raise HTTPError(request.full_url, 403, "no", {}, None)

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "urlopen", refuses)
    with hub.at_once():
        assert not huggingface_hub.constants.HF_HUB_OFFLINE


def test_weights_that_no_file_holds_are_the_same_each_time(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"model_cfg": TINY}))
    state = torch.get_rng_state()
    first, again = load(tmp_path / "x.json"), load(tmp_path / "x.json")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.encode_text(CAPTIONS), again.encode_text(CAPTIONS))
    other = load(tmp_path / "x.json", seed=1)
    assert not torch.equal(first.encode_text(CAPTIONS), other.encode_text(CAPTIONS))
    torch.manual_seed(1)  # as a run's own generator
    drawn = load(tmp_path / "x.json", seed=None)
    assert torch.equal(drawn.encode_text(CAPTIONS), other.encode_text(CAPTIONS))


def test_a_hub_out_of_reach_names_what_to_download(monkeypatch):
    monkeypatch.setattr(hub, "_answers", lambda: True)

    def offline(repository: str, allow_patterns: list[str]) -> str:
        raise LocalEntryNotFoundError("no connection\nand more")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(ValueError, match=r"hf-hub:org/name .*\(no connection\).*hf download org/name"):
        load("hf-hub:org/name")


def test_activation_without_effect_is_refused(tmp_path):
    model = make("timm_cnn_bert", tmp_path)
    (tmp_path / "x.json").write_text(json.dumps({"model_cfg": model.config}))
    with pytest.raises(ValueError, match="no effect"):
        load(tmp_path / "x.json", activation="gelu")


def test_decoders_and_misplaced_image_weights_are_refused():
    with pytest.raises(ValueError, match="multimodal_cfg"):
        build({**TINY, "multimodal_cfg": {}})
    with pytest.raises(ValueError, match="need a timm image tower"):
        build(TINY, image_weights="x.pth")


def test_device(tiny):
    model = load("Tiny-32/random", device="meta")
    assert model.device.type == "meta"
    assert model.encode_image(pixels(model).to("meta")).shape == (3, 16)


@pytest.mark.parametrize("name", ["RN50", "RN50x4", "ViT-B-16", "ViT-B-32", "ViT-L-14", "ViT-L-14-336"])
def test_shapes_tell_openai_s_architectures_apart(name):
    """Each is found among all of open_clip's; building those on meta takes no memory."""
    state = architectures._without_weights(open_clip.get_model_config(name))
    assert architectures.matching_names(state) == [name, f"{name}-quickgelu"]


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-L-14-336", "RN50"])
def test_shapes_tell_an_architecture_at_another_image_size_and_text_length(name):
    state = architectures._without_weights(open_clip.get_model_config(name))
    key = "visual.positional_embedding" if name.startswith("ViT") else "visual.attnpool.positional_embedding"
    state[key] = torch.empty(11 * 11 + 1, state[key].shape[1], device="meta")
    state["positional_embedding"] = torch.empty(248, state["positional_embedding"].shape[1], device="meta")
    assert architectures.matching_names(state) == [name.removesuffix("-336")]
    sized = architectures.with_sizes_of(open_clip.get_model_config(name), state, "w.pt")
    pixels_a_position = {"ViT-B-32": 32, "ViT-L-14-336": 14, "RN50": 32}[name]
    assert sized["vision_cfg"]["image_size"] == 11 * pixels_a_position
    assert sized["text_cfg"]["context_length"] == 248


def test_positions_of_no_square_ask_for_the_image_size(weights, tmp_path):
    weights["visual.positional_embedding"] = torch.zeros(1 + 6, 32)
    with pytest.raises(ValueError, match=r"6 image positions are those of no square.*image_size as"):
        load("Tiny-32", pretrained=published(weights, tmp_path / "x.pt"), activation="gelu")


def test_a_folder_whose_weights_have_another_size_is_not_resized(weights, tmp_path):
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY}))
    torch.save({**weights, "visual.positional_embedding": torch.zeros(10, 32)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"positional_embedding is \[10, 32\].*not resized"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["open_clip_config.json", "open_clip_pytorch_model.bin"])
def test_a_configuration_in_its_folder_stands_for_the_weights_beside_it(weights, tmp_path, name):
    config = {"model_cfg": {**TINY, "quick_gelu": True}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    torch.save(weights, tmp_path / "open_clip_pytorch_model.bin")
    assert same_text_features(load(tmp_path / name), weights, quick_gelu=True)


def test_a_configuration_without_weights_beside_it_is_no_model_but_on_request(weights, tmp_path):
    path = tmp_path / "open_clip_config.json"
    path.write_text(json.dumps({"model_cfg": TINY}))
    with pytest.raises(ValueError, match="one file of weights, found none"):
        load(path)
    assert load(path, pretrained="random").model.visual.image_size == (32, 32)


def test_an_architecture_of_another_image_size_may_need_quickgelu_too(monkeypatch):
    """ViT-L-14-280 has no twin of that name; ViT-L-14-quickgelu at 280 pixels has its shapes."""
    assert not architectures.has_quick_twin("ViT-L-14-280")
    assert architectures.has_quick_relative("ViT-L-14-280")
    assert not architectures.has_quick_relative("ViT-S-32")


def test_a_configuration_without_a_vision_tower_is_no_match_and_refused_by_name(
    weights, monkeypatch, tmp_path
):
    sound = {"embed_dim": 16, "audio_cfg": {}, "text_cfg": {"vocab_size": 49408, "width": 32}}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "Sound", sound)
    assert architectures.matching_names(weights) == ["Tiny-32", "Tiny-32-quickgelu"]
    assert architectures.has_quick_relative("Tiny-32")
    with pytest.raises(ValueError, match=r"Sound is no model of images and texts.*no vision_cfg"):
        load("Sound", pretrained="random")


@pytest.mark.parametrize(
    ("name", "pretrained", "message"),
    [
        ("lite0-minilm", "openai", r"model.pretrained=null"),
        ("Tiny-32", None, r"in a recipe model.pretrained=openai"),
        ("Tiny-32", ".", r"is a folder, which is a model itself"),
    ],
)
def test_messages_name_the_override_of_a_recipe(tiny, name, pretrained, message):
    with pytest.raises(ValueError, match=message):
        load(name, pretrained=pretrained)
