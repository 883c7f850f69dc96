"""Wrappers and prefixes off, shapes and temperature compared, nothing adapted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from knowclip.models.loading.checkpoints import load_state, read_state_dict, to_open_clip
from tiny_models import make


@pytest.fixture(scope="module")
def model():
    return make("vit_quickgelu", Path()).model


def saved(content: object, folder: Path) -> Path:
    torch.save(content, folder / "x.pt")
    return folder / "x.pt"


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """A bare file into a model of its shape, as ``load`` does it."""
    load_state(model, to_open_clip(read_state_dict(path), path), path)


def prefixed(state, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"checkpoint": {"model": {"module": s}}, "epoch": 1},
        lambda s: {"model": None, "state_dict": s, "ema": {"decay": 0.9}},
        lambda s: {**s, "epoch": 3, "name": "run", "lr": 0.1},
        lambda s: {"ema": {"module": s, "decay": 0.9}},
        lambda s: {"ema_model": prefixed(s, "module.")},
        lambda s: {"weights": s, "rng": {"cpu": torch.get_rng_state()}, "optim": {"m": torch.ones(2, 2)}},
        lambda s: {"net": {**prefixed(s, "a.b.c."), "n_averaged": torch.tensor(1)}},
        lambda s: prefixed(
            {**s, "input_resolution": torch.tensor(32), "vocab_size": torch.tensor(9)}, "clip."
        ),
        lambda s: prefixed(s, "model._forward_module.module._orig_mod."),
        lambda s: {
            "logit_scale": s["logit_scale"],
            **prefixed({k: t for k, t in s.items() if k != "logit_scale"}, "towers."),
        },
        lambda s: {**prefixed(s, "model."), "criterion.weight": torch.ones(2, 2)},
        lambda s: {**s, "attn_mask": torch.zeros(77, 77), "logit_scale": s["logit_scale"].reshape(1)},
        lambda s: {k if k.startswith(("visual", "logit")) else f"text.{k}": t for k, t in s.items()},
    ],
)
@pytest.mark.filterwarnings("ignore:.*beside the model:UserWarning")
def test_wrappers_and_prefixes_come_off(model, wrap, tmp_path):
    state = model.state_dict()
    fresh = make("vit_quickgelu", tmp_path, seed=1).model
    load_weights(fresh, saved(wrap(dict(state)), tmp_path))
    assert all(torch.equal(tensor, state[name]) for name, tensor in fresh.state_dict().items())


def test_the_average_of_a_flat_file_is_taken(model, tmp_path):
    state = model.state_dict()
    other = {name: tensor + 1 for name, tensor in state.items()}
    both = {
        **prefixed(other, "online_model."),
        **prefixed(state, "ema_model."),
        "initted": torch.tensor(True),
    }
    with pytest.warns(UserWarning, match="moving average"):
        found = read_state_dict(saved(both, tmp_path))
    assert torch.equal(found["visual.proj"], state["visual.proj"])


@pytest.mark.parametrize("key", ["swa_model", "swa_state_dict", "ema_weights", "averaged_model", "EMA"])
def test_averages_are_told_by_their_key(model, key, tmp_path):
    state = model.state_dict()
    other = {name: tensor + 1 for name, tensor in state.items()}
    with pytest.warns(UserWarning, match=rf"moving average \({key}\): the average is taken"):
        found = read_state_dict(saved({"model": other, key: state, "avg_loss": 0.3}, tmp_path))
    assert torch.equal(found["visual.proj"], state["visual.proj"])


def test_further_weights_under_a_key_that_says_nothing_are_told(model, tmp_path):
    state = model.state_dict()
    other = {name: tensor + 1 for name, tensor in state.items()}
    content = {"state_dict": state, "best": other, "optimizer": {"m": torch.ones(2, 2)}}
    with pytest.warns(UserWarning, match="under 'state_dict' are taken; those under 'best' are not"):
        found = read_state_dict(saved(content, tmp_path))
    assert torch.equal(found["visual.proj"], state["visual.proj"])


@pytest.mark.parametrize("both", [
    lambda s: {"student": s, "teacher": s},
    lambda s: {"model": {"student": s, "teacher": s}},
    lambda s: {**prefixed(s, "student.clip."), **prefixed(s, "teacher.clip.")},
])  # fmt: skip
def test_two_models_are_a_question(model, both, tmp_path):
    with pytest.raises(ValueError, match=r"several .*student.*teacher.*save the one to load alone"):
        read_state_dict(saved(both(model.state_dict()), tmp_path))


def test_two_known_keys_are_a_question_too(model, tmp_path):
    state = model.state_dict()
    with pytest.raises(ValueError, match="several state dicts, under 'model', 'net'"):
        read_state_dict(saved({"net": state, "model": state}, tmp_path))


def test_wrapped_and_plain_names_must_not_collide(model, tmp_path):
    state = model.state_dict()
    with pytest.raises(ValueError, match="two weights have one name"):
        read_state_dict(saved({**state, "visual.module.proj": state["visual.proj"]}, tmp_path))


@pytest.mark.parametrize(
    ("name", "shape"), [("visual.positional_embedding", (10, 32)), ("positional_embedding", (248, 32))]
)
def test_positions_are_never_resized(model, name, shape, tmp_path):
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=rf"{name} is \[{shape[0]}, 32\].*Weights are not resized"):
        load_weights(model, saved({**before, name: torch.zeros(shape)}, tmp_path))
    assert torch.equal(model.state_dict()["visual.proj"], before["visual.proj"])


@pytest.mark.parametrize("scale", [100.0, 14.3, 7.0, -7.0])
def test_what_is_no_temperature_is_refused(model, scale, tmp_path):
    with pytest.raises(ValueError, match=f"logit_scale is {scale:g}, .*logarithm of the inverse"):
        load_weights(model, saved({**model.state_dict(), "logit_scale": torch.tensor(scale)}, tmp_path))


@pytest.mark.parametrize("scale", [4.6052, 4.77, 2.659, 1.0])
def test_a_temperature_is_kept(model, scale, tmp_path):
    fresh = make("vit_quickgelu", tmp_path).model
    load_weights(fresh, saved({**model.state_dict(), "logit_scale": torch.tensor(scale)}, tmp_path))
    assert fresh.logit_scale.item() == pytest.approx(scale)


@pytest.mark.parametrize(
    ("scale", "told"), [(-2.66, "-2.66.*by 0.0699; .*negative one"), (0.07, "0.07.*by 1.07; .*near 0.07")]
)
def test_a_scale_that_is_likely_another_number_is_told(model, scale, told, tmp_path):
    fresh = make("vit_quickgelu", tmp_path).model
    with pytest.warns(UserWarning, match=f"logit_scale is {told}"):
        load_weights(fresh, saved({**model.state_dict(), "logit_scale": torch.tensor(scale)}, tmp_path))
    assert fresh.logit_scale.item() == pytest.approx(scale)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.to("meta"), r"a shape alone \(device meta\)"),
        (lambda t: t.to_sparse(), "a sparse tensor"),
        (lambda t: t.to(torch.int8), "torch.int8"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "a quantised tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tensors_that_hold_no_plain_numbers_are_named(model, change, told):
    state = model.state_dict()
    with pytest.raises(ValueError, match=rf"text_projection holds {told}, no floating-point numbers"):
        load_state(model, {**state, "text_projection": change(state["text_projection"])}, "x.pt")


def test_a_mad_bias_is_refused(tmp_path):
    siglip = make("siglip", tmp_path).model
    with pytest.raises(ValueError, match=r"logit_bias is 1e[+]06"):
        load_state(siglip, {**siglip.state_dict(), "logit_bias": torch.tensor(1e6)}, "x.pt")


def test_half_precision_weights_load_exactly(model, tmp_path):
    half = {name: tensor.half() for name, tensor in model.state_dict().items()}
    fresh = make("vit_quickgelu", tmp_path, seed=1).model
    load_weights(fresh, saved(half, tmp_path))
    assert torch.equal(fresh.visual.proj, half["visual.proj"].float())
