"""``knowclip.load``, ``negatives``, ``evaluate`` and ``train`` as Python users call them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import knowclip
from knowclip.evaluation.runs import find_runs
from knowclip.export.method import save_method
from knowclip.methods.structure_clip import StructureClip
from knowclip.models.with_knowledge import KnowledgeDualEncoder
from knowclip.recipe.load import load_recipe
from knowclip.recipe.methods.structure_clip import StructureClipConfig
from knowclip.search.encoder import Encoder
from knowclip.types import Result
from tiny_models import CAPTIONS, make


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose KEE says something: its last layer starts at zero in training."""
    folder = tmp_path_factory.mktemp("run")
    settings = StructureClipConfig(name="structure_clip").arguments() | {"parser": "spacy"}
    method = StructureClip(make("word_level", folder), **settings)
    with torch.no_grad():
        for parameter in method.kee.parameters():
            parameter.normal_(std=0.5)
    save_method(method.eval(), folder / "best", name="structure_clip")
    return folder


def pictures() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), dtype=np.uint8))


def test_score_reads_triples_where_the_run_has_a_kee_and_the_towers_do_not(run: Path) -> None:
    model = knowclip.load(run)
    assert isinstance(model, KnowledgeDualEncoder)
    images = model.encode_image(pictures(), normalize=True)
    plain = images @ model.encode_text(CAPTIONS, normalize=True).T
    enhanced = images @ model.with_knowledge().encode_text(CAPTIONS, normalize=True).T
    np.testing.assert_allclose(model.score(pictures(), CAPTIONS, kee=False), plain.detach(), atol=1e-5)
    np.testing.assert_allclose(model.score(pictures(), CAPTIONS), enhanced.detach(), atol=1e-5)
    assert (plain - enhanced).abs().max() > 1e-3
    alone = knowclip.load(run, activation="gelu")
    np.testing.assert_allclose(alone.score(pictures(), CAPTIONS), plain.detach(), atol=1e-5)
    with pytest.raises(ValueError, match="no KEE: load a run"):
        alone.score(pictures(), CAPTIONS, kee=True)


def test_an_index_takes_a_loaded_run_as_it_takes_its_folder(run: Path) -> None:
    given, named = Encoder.load(knowclip.load(run)), Encoder.load(run)
    assert given.has_knowledge and given.fingerprint == named.fingerprint


def test_a_model_with_a_kee_moves_and_counts_its_parameters_once(run: Path) -> None:
    model = knowclip.load(run).double()
    assert model.with_knowledge().encoder is model.kee
    assert {p.dtype for p in model.with_knowledge().parameters()} == {torch.float64}
    towers, kee = (sum(p.numel() for p in part.parameters()) for part in (model.model, model.kee))
    assert sum(p.numel() for p in model.parameters()) == towers + kee


def test_evaluate_has_a_row_for_the_kee(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    lines = ["image,caption"]
    for number, pixels in enumerate(pictures()):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{CAPTIONS[number]}")
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    model = knowclip.load(run)
    found = knowclip.evaluate(model, ["text_to_image"], data=tmp_path / "captions.csv")
    assert set(found) == {"text_to_image", "text_to_image with KEE"}
    named = knowclip.evaluate(
        str(run), "text_to_image", data=tmp_path / "captions.csv", out=tmp_path / "kept"
    )
    assert {name: result.metrics for name, result in named.items()} == {
        name: result.metrics for name, result in found.items()
    }
    assert [name.endswith(" with KEE") for name in sorted(find_runs([tmp_path / "kept"]))] == [False, True]
    with pytest.raises(ValueError, match=r"move this one with model\.to"):
        knowclip.evaluate(model, "text_to_image", data=tmp_path / "captions.csv", device="cpu")
    with pytest.raises(ValueError, match="data nowhere does not exist"):
        knowclip.evaluate(model, data="nowhere")


def test_negatives_are_a_list_for_each_caption_in_order() -> None:
    captions = ["a red horse chases a blue dog", "fog", "a dog chases a horse"]
    chased, fog, back = knowclip.negatives(captions, kinds=["relation_swap"])
    assert [n.caption for n in chased] == ["a blue dog chases a red horse"]
    assert fog == [] and [n.caption for n in back] == ["a horse chases a dog"]
    together = knowclip.negatives(
        ["a dog chases a cat", "a cat chases a dog"], images=["1.jpg", "1.jpg"], kinds="relation_swap"
    )
    assert list(together) == [[], []]  # each is true of the image that the other is of
    assert len(next(iter(knowclip.negatives(captions[:1], most=2)))) == 2
    streamed = knowclip.negatives((caption for caption in captions), batch_size=1)
    assert len(list(streamed)) == 3
    for wrong, told in (
        (dict(captions="a dog"), "got one string"),
        (dict(captions=captions, kinds=["swap"]), "unknown kind of negative 'swap'"),
        (dict(captions=captions, most=-1), "got -1"),
    ):
        with pytest.raises(ValueError, match=told):
            knowclip.negatives(**wrong)
    with pytest.raises(ValueError, match="shorter"):
        list(knowclip.negatives(captions, images=["1.jpg"]))


def test_overrides_of_python_are_merged_or_set_by_key() -> None:
    written = load_recipe("negclip", ["optimizer.lr=1e-4", "data.train.path=my.csv", "train.epochs=7"])
    merged = {"optimizer": {"lr": 1e-4}, "data": {"train": {"path": Path("my.csv")}}, "train.epochs": 7}
    assert load_recipe("negclip", merged) == written
    assert written.optimizer.weight_decay == 0.2  # what the recipe has beside it stays
    replaced = load_recipe("negclip", {"optimizer": {"lr_multipliers": {"visual.": 0.1}}})
    assert replaced.optimizer.lr_multipliers == {"visual.": 0.1}
    with pytest.raises(ValueError, match="optimizer"):
        load_recipe("negclip", {"optimizer": {"rate": 1}})
    with pytest.raises(ValueError, match="no recipe 'negclp'"):
        knowclip.train("negclp")


@pytest.mark.parametrize("best", [None, 0.5])
def test_the_checkpoint_of_a_run_is_the_best_or_without_validation_the_last(best: float | None) -> None:
    from knowclip.api.train import Run

    run = Run(Path("runs/mine"), 10, best, best and 4)
    assert run.checkpoint == Path("runs/mine") / ("last" if best is None else "best")


def test_the_names_of_the_package_are_there_before_they_are_imported() -> None:
    assert {"load", "parse", "negatives", "evaluate", "train"} <= set(dir(knowclip))
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = knowclip.lode
    assert all(getattr(knowclip, name) for name in knowclip.__all__)


def test_a_result_is_printed_as_its_figures() -> None:
    items = {"key": np.arange(2), "correct": np.array([True, False])}
    result = Result("swaps", "swaps", 2, {"swaps": 0.5}, items, {"tie_rate": 0.0})
    assert repr(result) == "Result(benchmark='swaps', main='swaps', n=2, metrics={'swaps': 0.5})"
