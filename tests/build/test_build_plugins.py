"""Methods and losses of other packages: sections are checked, terms train, checkpoints load again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from knowclip import plugins
from knowclip.api.loaded import load_model
from knowclip.build.method import load_method
from knowclip.build.trainer import build_trainer
from knowclip.commands.train import summary
from knowclip.data.captions.read import read_captions
from knowclip.evaluation.benchmarks import registry as benchmarks
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.readers.registry import import_graph
from knowclip.recipe.load import load_recipe, save_recipe
from plugin_packages import Site, installed

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "knowclip-own-scale"
PAGE = (ROOT / "docs" / "bring_your_own.md").read_text(encoding="utf-8")
OWN_SCALE = "method={name: own_scale, own_scale: 30}"
CYCLIP = "losses={cyclip: {weight: 0.25, within: 0.5}}"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    yield from installed(tmp_path / "site", monkeypatch)


@pytest.fixture
def example(site: Site) -> Site:
    """The example package, installed."""
    files = {str(path.relative_to(EXAMPLE)): path.read_text() for path in EXAMPLE.rglob("*.py")}
    site.install("knowclip-own-scale", entries((EXAMPLE / "pyproject.toml").read_text()), files)
    return site


@pytest.fixture
def page(site: Site) -> Site:
    """All that the page shows, installed as one package."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, flags=re.DOTALL)
    found = entries("\n".join(re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)))
    site.install("page-package", found, dict(blocks), version="2.1")
    return site


def entries(toml: str) -> dict[str, dict[str, str]]:
    return tomllib.loads(toml if "[project]" in toml else f"[project]\n{toml}")["project"]["entry-points"]


def train(recipe, steps: int):
    trainer, _ = build_trainer(recipe)
    recipe.output.folder.mkdir(parents=True, exist_ok=True)
    save_recipe(recipe, recipe.output.folder / "recipe.yaml")
    assert trainer.fit().step == steps
    return trainer


def test_the_example_is_short() -> None:
    lines = [path.read_text().count("\n") for path in EXAMPLE.rglob("*") if path.suffix in (".py", ".toml")]
    assert len(lines) == 3 and sum(lines) <= 60


def test_the_example_s_method_trains_and_its_checkpoint_loads(example, stand_in, tmp_path) -> None:
    recipe = load_recipe("negclip", [*stand_in, OWN_SCALE, "train.epochs=null", "train.steps=2"])
    assert recipe.method.own_scale == 30 and "knowclip_own_scale.method" not in sys.modules
    trainer = train(recipe, steps=2)
    start = torch.tensor(30.0).log()
    assert trainer.method.log_scale != start
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert any("own_scale" in line and "own_scale_loss" in line for line in lines)
    again = load_method(tmp_path / "run" / "last")
    assert type(again).__name__ == "OwnScale" and torch.equal(again.log_scale, trainer.method.log_scale)
    loaded = load_model(str(tmp_path / "run" / "last"))
    assert loaded.method.model is loaded.clip
    assert load_recipe(tmp_path / "run" / "recipe.yaml").method == recipe.method
    kept = json.loads((tmp_path / "run" / "last" / "method.json").read_text())
    assert kept["name"] == "own_scale" and kept["package"] == "knowclip-own-scale 1.0"


def test_a_checkpoint_whose_package_is_gone_names_it(example, stand_in, tmp_path, monkeypatch) -> None:
    train(load_recipe("negclip", [*stand_in, OWN_SCALE, "train.epochs=null", "train.steps=2"]), steps=2)
    monkeypatch.undo()
    plugins.forget()
    with pytest.raises(ValueError, match=r"'own_scale' of knowclip-own-scale 1\.0, which is not installed"):
        load_method(tmp_path / "run" / "last")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method.own_scalee=3", "method: unknown key 'own_scalee'; did you mean 'own_scale'?"),
        ("method.own_scale=many", "method.own_scale: got 'many'; input should be a valid number"),
        ("method.own_scale=0", "method.own_scale: got 0; input should be greater than 0"),
        ("data.negatives.per_caption=0", "method own_scale learns from negatives"),
    ],
)
def test_the_section_is_checked_and_its_package_named(example, override, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as told:
        load_recipe("negclip", ["method={name: own_scale}", override])
    assert "method 'own_scale' of knowclip-own-scale 1.0 (knowclip_own_scale:OwnScaleConfig)" in str(
        told.value
    )


def test_mistakes_elsewhere_name_no_package(example) -> None:
    with pytest.raises(ValueError, match="optimizer") as told:
        load_recipe("negclip", ["method={name: own_scale}", "optimizer.lr=fast"])
    assert "knowclip-own-scale" not in str(told.value)
    with pytest.raises(ValueError, match=r"unknown method 'own_scael': .*Did you mean 'own_scale'"):
        load_recipe("negclip", ["method.name=own_scael"])


def test_methods_that_cannot_be_used_are_refused_with_their_package(site, stand_in) -> None:
    text = """
from knowclip.recipe.methods.section import MethodSection

class Nowhere(MethodSection):
    implementation = "no_such_module:Method"

class Wrong(MethodSection):
    implementation = "some_package:Wrong"

class Without(MethodSection):
    size: int = 1

class Fails(MethodSection):
    implementation = "some_method:Fails"
    size: int = 1

def function():
    pass
"""
    method = """
from knowclip.methods.clip import Clip

class Fails(Clip):
    def __init__(self, model):
        super().__init__(model)
"""
    names = {"nowhere": "Nowhere", "wrong": "Wrong", "without": "Without", "fails": "Fails", "f": "function"}
    group = {name: f"some_package:{place}" for name, place in names.items()}
    site.install(
        "some-package", {"knowclip.methods": group}, {"some_package.py": text, "some_method.py": method}
    )
    messages = {
        "nowhere": "No module named 'no_such_module'",
        "wrong": "a class derived from Method is wanted",
        "without": "has no implementation",
        "fails": "unexpected keyword argument 'size'",
        "f": "a class derived from MethodSection is wanted",
    }
    for name, message in messages.items():
        with pytest.raises(ValueError, match=rf"'{name}' of some-package 1\.0.*{message}"):
            build_trainer(load_recipe("clip", [*stand_in, f"method={{name: {name}}}"]))
    assert load_recipe("clip").method.name == "clip"


def test_a_loss_joins_any_method_with_its_weight(page, stand_in, tmp_path) -> None:
    overrides = [*stand_in, "train.epochs=null", "train.steps=2"]
    alone, _ = build_trainer(load_recipe("clip", overrides))
    recipe = load_recipe("clip", [*overrides, CYCLIP])
    assert "cyclip_loss" not in sys.modules
    trainer, pairs = build_trainer(recipe)
    features = trainer.method(next(trainer.batches.epoch(0)))
    losses, _ = trainer.method.objective(features)
    images, texts = features.image_features, features.text_features
    crossed = images @ texts.T
    across = (crossed - crossed.T).square().mean()
    within = (images @ images.T - texts @ texts.T).square().mean()
    torch.testing.assert_close(losses["cyclip_loss"], 0.25 * (across + 0.5 * within))
    assert set(losses) - {"cyclip_loss"} == set(alone.method.objective(features)[0])
    told = "from another package: loss 'cyclip' of page-package 2.1 (cyclip:CyclipConfig)"
    assert told in summary(trainer, pairs)
    train(recipe, steps=2)
    assert '"cyclip_loss"' in (tmp_path / "run" / "log.jsonl").read_text()
    assert load_recipe(tmp_path / "run" / "recipe.yaml").losses == recipe.losses


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("losses.cyclipp.weight=1", "unknown loss 'cyclipp': choose one of cyclip. Did you mean 'cyclip'?"),
        ("losses.cyclip.with=1", "losses.cyclip: unknown key 'with'; did you mean 'within'?"),
        ("losses.cyclip.weight=0", "losses.cyclip.weight: got 0; input should be greater than 0"),
        ("losses.cyclip=3", "losses.cyclip"),
    ],
)
def test_a_loss_s_section_is_checked(page, override, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as told:
        load_recipe("clip", [override])
    assert "cyclipp" in override or "[loss 'cyclip' of page-package 2.1 (cyclip:CyclipConfig)]" in str(
        told.value
    )


def test_a_loss_of_a_term_s_name_and_one_that_is_no_scalar(site, stand_in) -> None:
    text = """
from knowclip.recipe.losses import LossSection

class Taken(LossSection):
    implementation = "some_losses:rows"
"""
    function = "def rows(features):\n    return features.image_features.sum(dim=1)\n"
    group = {"contrastive": "some_sections:Taken", "rows": "some_sections:Taken"}
    modules = {"some_sections.py": text, "some_losses.py": function}
    site.install("some-package", {"knowclip.losses": group}, modules)
    for name, message in {"contrastive": "name of a term of Clip", "rows": "gave a tensor of shape"}.items():
        trainer, _ = build_trainer(load_recipe("clip", [*stand_in, f"losses.{name}.weight=1"]))
        features = trainer.method(next(trainer.batches.epoch(0)))
        with pytest.raises(ValueError, match=message):
            trainer.method.objective(features)


def test_a_loss_that_does_not_take_its_section_s_keys(site, stand_in) -> None:
    section = """
from knowclip.recipe.losses import LossSection

class Sized(LossSection):
    implementation = "some_losses:fixed"
    size: int = 1
"""
    modules = {"some_sections.py": section, "some_losses.py": "def fixed(features):\n    return 0\n"}
    site.install("some-package", {"knowclip.losses": {"fixed": "some_sections:Sized"}}, modules)
    with pytest.raises(ValueError, match=r"'fixed' of some-package 1\.0.*unexpected keyword argument 'size'"):
        build_trainer(load_recipe("clip", [*stand_in, "losses.fixed.weight=1"]))


def test_without_packages_losses_say_what_they_are_for(site) -> None:
    with pytest.raises(ValueError, match=r"no installed package has one: group knowclip\.losses"):
        load_recipe("clip", ["losses.cyclip.weight=1"])


def test_formats_of_packages_are_known_to_recipes(example, world, stand_in, tmp_path) -> None:
    content = json.loads((world / "captions_train.json").read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    lines = [f"{names[one['image_id']]} * {one['caption']}" for one in content["annotations"]]
    (tmp_path / "captions.star").write_text("\n".join(lines))
    source = f"{{path: {tmp_path / 'captions.star'}, images: {world / 'images'}, format: starred}}"
    _, pairs = build_trainer(load_recipe("clip", [*stand_in, f"data.train={source}"]))
    assert len(pairs.train) == len(lines)
    with pytest.raises(ValueError, match=r"unknown caption format 'starrd': .*Did you mean 'starred'"):
        load_recipe("clip", ["data.train.format=starrd"])


def test_what_the_page_shows_works(page, tmp_path) -> None:
    assert [o.name for g in parse(["A dog.", "two cats"], parser="last_word") for o in g.objects] == [
        "dog",
        "cats",
    ]
    (tmp_path / "pairs.txt").write_text("dog cat\nno\n" + "cat mouse\n" * 200)
    graph = import_graph(
        "word-pairs", tmp_path / "pairs.txt", tmp_path / "graph", options={"relation": "beside"}
    )
    assert graph.sql("select count(*) from triplets").fetchone() == (2,)
    (tmp_path / "lefts").mkdir()
    cases = [{"image": "a.png", "true": "a dog left of a cat", "false": "a cat left of a dog"}]
    (tmp_path / "lefts" / "lefts.json").write_text(json.dumps(cases))
    assert len(benchmarks.read("lefts", tmp_path).cases) == 1
    assert benchmarks.ability("lefts") == "compositional"


@pytest.mark.slow
def test_the_example_installs_with_pip_and_trains(site, stand_in, tmp_path) -> None:
    copied = shutil.copytree(EXAMPLE, tmp_path / "source")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*pip, "--target", str(site.folder), str(copied)], check=True)
    plugins.forget()
    recipe = load_recipe("negclip", [*stand_in, OWN_SCALE, "train.epochs=null", "train.steps=2"])
    trainer = train(recipe, steps=2)
    assert Path(sys.modules["knowclip_own_scale"].__file__).is_relative_to(site.folder)
    again = load_method(tmp_path / "run" / "last")
    assert torch.equal(again.log_scale, trainer.method.log_scale)


def test_the_starred_format_is_read(example, tmp_path) -> None:
    (tmp_path / "a.star").write_text("a.jpg * A dog.\nno star\n")
    (tmp_path / "a.jpg").touch()
    pairs = read_captions(tmp_path / "a.star", allow_missing=True)
    assert pairs.format == "starred" and pairs.skipped == {"line without ' * '": 1}
