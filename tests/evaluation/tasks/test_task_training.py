"""Heads learn what features hold, are selected on held-out groups, and see nothing they should not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from knowclip.cli import build_app
from knowclip.data.scenes.write import write_scenes
from knowclip.evaluation.benchmarks.zero_shot import ZeroShot
from knowclip.evaluation.runs import find_runs
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.statistics.bootstrap import interval
from knowclip.evaluation.tasks import registry
from knowclip.evaluation.tasks.glue_tasks import GLUE
from knowclip.evaluation.tasks.head import PooledHead, TokenHead
from knowclip.evaluation.tasks.linear_probe import LINEAR_PROBE, LinearProbe
from knowclip.evaluation.tasks.objectives import Classification, Regression, SoftAnswers
from knowclip.evaluation.tasks.run import run_task
from knowclip.evaluation.tasks.settings import HeadSettings, parse_settings
from knowclip.evaluation.tasks.sides import Pooled, Tokens, sides_of
from knowclip.evaluation.tasks.task import Task, TaskItems
from knowclip.evaluation.tasks.training import fit, hold_out
from knowclip.export.open_clip import save_pretrained
from knowclip.types import ImageRef
from tiny import tiny_model
from tiny_models import make

QUICK = HeadSettings(hidden=32, epochs=30, patience=30, batch_size=32, lr=1e-2, dropout=0.0)


class Bits:
    """Image i and text "j" as codes of their numbers, so that equality of two bits can be learned."""

    def encode_image(self, images: Sequence[ImageRef], *, normalize: bool = False) -> torch.Tensor:
        return self._codes([int(ref.path.stem) for ref in images])

    def encode_text(self, texts: Sequence[str], *, normalize: bool = False) -> torch.Tensor:
        return self._codes([int(text.split()[-1]) for text in texts])

    def _codes(self, numbers: list[int]) -> torch.Tensor:
        noise = torch.Generator().manual_seed(sum(numbers))
        bits = torch.nn.functional.one_hot(torch.tensor(numbers) % 2, 2).float()
        return torch.nn.functional.normalize(
            torch.cat([bits, 0.1 * torch.randn(len(numbers), 6, generator=noise)], 1)
        )


def same_bit(n: int, offset: int = 0) -> tuple[TaskItems, np.ndarray]:
    random = np.random.default_rng(offset)
    images, texts = random.integers(0, 50, n), random.integers(0, 50, n)
    items = TaskItems(
        keys=[f"{offset}/{i}" for i in range(n)],
        texts=[f"number {text}" for text in texts],
        images=[ImageRef(Path(f"{image}.jpg")) for image in images],
        groups=[str(image) for image in images],
        kinds=["odd" if image % 2 else "even" for image in images],
    )
    return items, (images % 2 == texts % 2).astype(np.int64)


def make_task(n: int = 400) -> Task:
    (train, labels), (test, truth) = same_bit(n), same_bit(150, offset=1)
    return Task(
        card=registry.READERS["snli_ve"][0],
        train=train,
        test=test,
        objective=Classification(torch.from_numpy(labels), 2),
        grade=lambda logits, rows: {"snli_ve_accuracy": float((logits.argmax(1) == truth[rows]).mean())},
        outcomes=lambda logits: (logits.argmax(1) == truth).astype(float),
    )


def test_a_head_learns_what_needs_both_sides_and_the_control_cannot() -> None:
    result = run_task(make_task(), Scorer(Bits()), settings=QUICK, seeds=(0, 1))
    assert result.metrics["snli_ve_accuracy"] > 0.95
    assert result.details["text_only"]["accuracy"] < 0.7
    assert set(result.details["seeds"]) == {"0", "1"}
    assert interval(result).value == pytest.approx(result.metrics[result.main])
    assert set(result.details["classes"]) == {"odd", "even"}


def test_the_same_seed_gives_the_same_head_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    quick = HeadSettings(hidden=8, epochs=2)
    first, second = (run_task(make_task(60), Scorer(Bits()), settings=quick, seeds=(3,)) for _ in range(2))
    assert first.items["correct"].tolist() == second.items["correct"].tolist()
    assert torch.equal(torch.get_rng_state(), state)


def test_groups_are_held_out_whole() -> None:
    groups = [str(number % 10) for number in range(100)]
    rows, held = hold_out(groups, share=0.2, seed=0)
    assert len(rows) == 80 and len(held) == 20
    assert not {groups[row] for row in rows} & {groups[row] for row in held}
    with pytest.raises(ValueError, match="one group"):
        hold_out(["a", "a"], share=0.5, seed=0)


def test_the_best_epoch_is_kept() -> None:
    """An objective whose score falls with every epoch: the weights of the first must come back."""
    scores = iter([0.9, 0.5, 0.4])

    class Falling(Classification):
        def score(self, logits: Any, rows: Any) -> float:
            kept.append(head.layers[0].weight.detach().clone())
            return next(scores)

    kept: list[torch.Tensor] = []
    head = PooledHead([4], outputs=2, hidden=4, dropout=0.0)
    side = Pooled(torch.randn(20, 4), torch.arange(20))
    objective = Falling(torch.arange(20) % 2, 2)
    settings = HeadSettings(epochs=9, patience=2, hidden=4)
    fitted = fit(
        head, [side], objective, rows=torch.arange(16), held=torch.arange(16, 20), settings=settings, seed=0
    )
    assert (fitted.epoch, fitted.score, len(kept)) == (1, 0.9, 3)
    assert torch.equal(head.layers[0].weight, kept[0])


def test_objectives_by_hand() -> None:
    soft = SoftAnswers(torch.tensor([[0, 2], [1, 0]]), torch.tensor([[0.3, 1.0], [0.9, 0.0]]), 3)
    rows = torch.tensor([0, 1])
    assert soft.score(torch.tensor([[0.0, 0, 1], [1.0, 0, 0]]), rows) == pytest.approx(0.5)
    even = soft.loss(torch.zeros(2, 3), rows).item()
    assert even == pytest.approx(3 * np.log(2))  # every probability is a half, whatever the target
    assert soft.loss(torch.tensor([[-1.0, -9, 9], [-9.0, 2, -9]]), rows) < even
    regression = Regression(torch.tensor([1.0, 0.0]), metric=lambda p, v: float((p - v).abs().sum()))
    assert regression.loss(torch.tensor([[0.5], [0.5]]), rows).item() == pytest.approx(0.25)
    assert regression.score(torch.tensor([[0.5], [0.5]]), rows) == pytest.approx(1.0)


def test_padding_changes_nothing_in_the_token_head() -> None:
    torch.manual_seed(0)
    head = TokenHead(6, 5, outputs=3, hidden=32, dropout=0.0).eval()
    image = torch.randn(2, 4, 6), torch.ones(2, 4, dtype=torch.bool)
    text, real = torch.randn(2, 3, 5), torch.tensor([[True, True, False], [True, True, True]])
    longer = (
        torch.cat([text, 9 * torch.randn(2, 2, 5)], 1),
        torch.cat([real, torch.zeros(2, 2, dtype=torch.bool)], 1),
    )
    assert torch.allclose(head(image, (text, real)), head(image, longer), atol=1e-5)
    with pytest.raises(ValueError, match="multiple of 32"):
        TokenHead(6, 5, outputs=3, hidden=40, dropout=0.0)


def test_tokens_are_the_model_s_own_and_encoded_once(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), "red").save(tmp_path / "a.png")
    Image.new("RGB", (20, 20), "blue").save(tmp_path / "b.png")
    refs = [ImageRef(tmp_path / f"{name}.png") for name in "aba"]
    model = tiny_model().train()
    image, text = sides_of(
        TaskItems(["1", "2", "3"], ["one two", "one", "one"], refs), Scorer(model), kind="tokens"
    )
    assert isinstance(image, Tokens) and len(image.features) == 2 and len(text.features) == 2
    tokens, mask = text.take(torch.tensor([1, 2]))
    assert mask.sum(1).tolist() == [mask.shape[1]] * 2 and torch.equal(tokens[0], tokens[1])
    expected = model.eval().encode_image_tokens(refs)[1]
    assert torch.allclose(image.take(torch.arange(3))[0], expected, atol=1e-2)  # kept in half precision
    with pytest.raises(ValueError, match="tasks with images"):
        sides_of(TaskItems(["1"], ["one"]), Scorer(model), kind="tokens")


def text_task() -> Task:
    """Is it the word "dog"? Only the words of the text say it."""
    texts = [f"{'dog' if n % 2 else 'cat'} {n}" for n in range(40)]
    items = TaskItems([str(n) for n in range(40)], texts)
    truth = np.arange(40) % 2
    return Task(
        card=GLUE["glue_sst2"].card,
        train=items,
        test=items,
        objective=Classification(torch.arange(40) % 2, 2),
        grade=lambda logits, rows: {"glue_sst2": float((logits.argmax(1) == truth[rows]).mean())},
    )


def test_tuning_changes_a_copy_of_the_tower_only() -> None:
    model = tiny_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = HeadSettings(hidden=8, epochs=12, batch_size=8, tune=True, tower_lr=1e-2, lr=1e-2, dropout=0.0)
    result = run_task(text_task(), Scorer(model), settings=settings)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    found = result.details["interval"]
    assert result.metrics["glue_sst2"] > 0.8 and found["low"] <= result.metrics["glue_sst2"] <= found["high"]
    with pytest.raises(ValueError, match="tune=true is for text tasks"):
        run_task(make_task(60), Scorer(Bits()), settings=settings)


def test_settings_from_words() -> None:
    settings = parse_settings(["features=tokens", "epochs=3", "lr=0.01", "tune=true"])
    assert (settings.features, settings.epochs, settings.lr, settings.tune) == ("tokens", 3, 0.01, True)
    for wrong, message in {
        "epoch=3": "did you mean 'epochs'",
        "epochs=x": "type int",
        "tune=1": "true or false",
        "features=all": "allowed: pooled, tokens",
        "dropout=1": "shares below 1",
        "held_out=0": "shares below 1",
        "epochs=0": "at least 1",
        "lr=0": "above 0",
    }.items():
        with pytest.raises(ValueError, match=message):
            parse_settings([wrong])


def test_unknown_tasks() -> None:
    assert registry.names_of("glue") == tuple(GLUE)
    with pytest.raises(ValueError, match="Did you mean 'snli_ve'"):
        registry.names_of("snlive")


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_linear_probe_learns_remainders_and_has_no_settings(classes: int) -> None:
    class Remainders:
        def encode_image(self, images: Sequence[ImageRef], *, normalize: bool = False) -> torch.Tensor:
            return torch.eye(8)[[int(ref.path.stem) % 8 for ref in images]]

        def encode_text(self, texts: Sequence[str], *, normalize: bool = False) -> torch.Tensor:
            raise AssertionError("a linear probe reads no text")

    def part(numbers: range) -> ZeroShot:
        names = [f"class {c}" for c in range(classes)]
        refs = [ImageRef(Path(f"{n}.png")) for n in numbers]
        return ZeroShot(LINEAR_PROBE, refs, [str(n) for n in numbers], [n % classes for n in numbers], names)

    probe = LinearProbe(part(range(40)), None, part(range(40, 60)))
    result = registry.run(probe, Scorer(Remainders()), settings=HeadSettings(), seeds=(0, 1))
    assert (result.metrics["linear_probe_acc1"], result.n) == (1.0, 20)
    assert set(result.details["seeds"]) == {"0", "1"}
    with pytest.raises(ValueError, match="linear_probe takes no key=value settings"):
        registry.run(probe, Scorer(Remainders()), settings=QUICK, seeds=(0,))


@pytest.mark.slow
@pytest.mark.usefixtures("quick_probes")
def test_every_task_of_the_scenes_runs_by_one_command_and_is_reported(tmp_path: Path) -> None:
    write_scenes(tmp_path / "scenes", numbers={"train": 600, "val": 20, "test": 60}, size=32)
    save_pretrained(make("word_level", tmp_path), tmp_path / "clip")
    app, runner = build_app(), CliRunner()

    def run(*arguments: str) -> str:
        return runner.invoke(app, arguments, catch_exceptions=False).stdout

    common = ["--data", str(tmp_path / "scenes"), "--json", "--out", str(tmp_path / "out")]
    options = {
        "vqa": ["features=tokens", "hidden=32", "epochs=1", "--seeds", "2"],
        "snli_ve": ["epochs=1", "--seeds", "2"],
        "linear_probe": [],
    }
    for name, given in options.items():
        found = json.loads(run("task", name, str(tmp_path / "clip"), *given, *common))
        (task,) = found["tasks"]
        assert task["task"] == name and task["n"] > 0
        assert task["interval"]["low"] <= task["metrics"][task["main"]] <= task["interval"]["high"]
    (kept,) = find_runs([tmp_path / "out"]).values()
    assert [result.benchmark for result in kept.results] == ["linear_probe", "snli_ve", "vqa"]
    for result in kept.results:
        assert len(result.items["key"]) == len(result.items["correct"]) == result.n
        assert result.items["correct"].mean() == pytest.approx(result.metrics[result.main])
    run("task", "snli_ve", str(tmp_path / "clip"), *options["snli_ve"], *common)
    assert len(list(kept.folder.glob("*.parquet"))) == 3, "the same result again is the same file"
    run("report", str(tmp_path / "out"), "--out", str(tmp_path / "page"))
    told, page = ((tmp_path / "page" / f"report.{kind}").read_text() for kind in ("md", "html"))
    for result in kept.results:
        assert f"(`{result.main}`) | {result.n:,} |" in told
        assert f"<small>{result.main}</small>" in page
    assert "2 seeds" in page and "head without image" in page


def test_two_sides_must_be_of_one_width() -> None:
    with pytest.raises(ValueError, match="one width"):
        PooledHead([3, 4], outputs=2, hidden=4, dropout=0.1)
