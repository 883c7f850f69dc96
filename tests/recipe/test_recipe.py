"""Recipes: what is accepted, and what a stranger reads when something is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from knowclip.recipe.load import differences, find_recipe, load_recipe, save_recipe
from knowclip.recipe.recipe import Recipe

MINIMAL = """
model: {name: ViT-B-32}
data: {train: {path: captions.json}, negatives: {per_caption: 1}}
method: {name: negclip}
train: {epochs: 2, batch_size: 8}
output: {folder: runs/test}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(MINIMAL)
    return file


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (MINIMAL.encode("utf-16"), "is UTF-16 text"),
        (MINIMAL.encode() + b"# caf\xe9\n", "is not UTF-8 text: .*Latin-1"),
        (b"<!DOCTYPE html>\n", "is an HTML or XML page"),
        (MINIMAL.encode() + b"train: {epochs: 3}\n", "the key 'train' stands twice in one section"),
        (MINIMAL.replace("epochs: 2,", "epochs: 2, epochs: 3,").encode(), "the key 'epochs' stands twice"),
    ],
)
def test_a_file_that_is_no_recipe_is_named(path, content, told) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"(?s)mine.yaml .*{told}"):
        load_recipe(path)


def test_reads_a_file_and_remembers_where(path) -> None:
    recipe = load_recipe(path)
    assert recipe.source == path
    assert recipe.train.epochs == 2
    assert recipe.method.own_negative_weight == 0


def test_overrides_are_yaml_values(path) -> None:
    recipe = load_recipe(
        path,
        [
            "optimizer.lr=1e-3",
            "optimizer.betas=[0.8, 0.9]",
            "optimizer.lr_multipliers={visual.: 0.1}",
            "method.own_negative_weight=2",
            "train.clip_grad=null",
            "data.val.path=val.json",
            "model.pretrained=laion2b_s34b_b79k",
        ],
    )
    assert recipe.optimizer.lr == 1e-3  # YAML 1.1 reads 1e-3 as a string
    assert recipe.optimizer.betas == (0.8, 0.9)
    assert recipe.optimizer.lr_multipliers == {"visual.": 0.1}
    assert recipe.method.own_negative_weight == 2
    assert recipe.train.clip_grad is None
    assert recipe.data.val.path == Path("val.json")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("metod=1", r"unknown key 'metod'; did you mean 'method'\?"),
        ("optimizer.weigth_decay=1", r"optimizer: unknown key 'weigth_decay'; did you mean 'weight_decay'\?"),
        ("data.train.splt=1", r"data\.train: unknown key 'splt'; did you mean 'split'\?"),
        ("method.own_negative_wieght=1", r"method: unknown key .* did you mean 'own_negative_weight'\?"),
        ("method.name=negclp", r"method: .*'negclp'.* clip, negclip.*Did you mean 'negclip'"),
        ("optimizer.lr=fast", r"optimizer\.lr: got 'fast'; input should be a valid number"),
        ("optimizer.lr=-1", r"optimizer\.lr: got -1; input should be greater than 0"),
        ("train.precision=fp8", r"train\.precision: got 'fp8'; input should be 'fp32', 'bf16' or 'fp16'"),
        ("model.name=null", r"model\.name: got None; input should be a valid string"),
        ("train.steps=5", r"give either epochs or steps, got epochs=2 and steps=5"),
        ("data.negatives.per_caption=0", r"set data\.negatives\.per_caption to 1 or more"),
        ("method={name: clip}", r"set data\.negatives\.per_caption to 0"),
        ("data.cache=trunk", r"set model\.lock_image=true"),
        (
            "model={name: m, lock_text: true, unlocked_text_layers: 1}",
            r"leave model\.unlocked_text_layers out",
        ),
        ("model.lora={r: 0}", r"model\.lora\.r: got 0; input should be greater than 0"),
        ("model.lora={rank: 2}", r"model\.lora: unknown key 'rank'"),
        ("optimizer.layer_decay=0", r"optimizer\.layer_decay: got 0; input should be greater than 0"),
        ("model.trunk_dropout=0.5", r"set data\.cache=trunk"),
        ("train.ema=1", r"train\.ema: got 1; input should be less than 1"),
        ("selection.patience=2", r"nothing to validate on: set data\.val, "),
        ("selection.metrics=[]", r"selection\.metrics: got \[\]"),
        ("seed", r"an override reads section\.key=value, got 'seed'"),
        (
            "--batch-size=4",
            r"no such option: --batch-size .*keys of a recipe are written KEY=VALUE",
        ),
        ("seed=[1", r"is no valid YAML value"),
        ("model.name.x=1", r"model\.name has no keys in it"),
        ("data.train={}", r"data\.train\.path is missing"),
    ],
)
def test_errors_name_key_value_and_what_is_allowed(path, override, message) -> None:
    with pytest.raises(ValueError, match=message):
        load_recipe(path, [override])


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'negclip'\? shipped: clip, "):
        load_recipe("negclp")


@pytest.mark.parametrize("text", ["[1, 2]", "", "a: [", "just words"])
def test_a_file_that_is_no_recipe(tmp_path, text) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.yaml"):
        load_recipe(file)


def test_saved_recipes_load_to_the_same(path, tmp_path) -> None:
    recipe = load_recipe(path, ["optimizer.lr_multipliers={visual.: 0.1}", "selection.metrics=[a, b]"])
    save_recipe(recipe, tmp_path / "saved.yaml")
    again = load_recipe(tmp_path / "saved.yaml")
    assert again.model_dump() == recipe.model_dump()
    assert differences(recipe, again) == {}


def test_differences_are_dotted_keys(path) -> None:
    old, new = load_recipe(path), load_recipe(path, ["optimizer.lr=0.1", "data.val.path=v"])
    changed = differences(old, new)
    assert changed.pop("optimizer.lr") == (1e-5, 0.1)
    assert changed["data.val.path"] == (None, "v")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["method.kd_weight=0", "method.teacher=other"], "kd_weight=0 distils from no teacher"),
        (["method.e2e_weight=0", "method.head_side=true"], "head_side is a side of E2E"),
        (["method.self_negatives=true"], "self_negatives are the pooled term's"),
        (["data.graph.hierarchy=[is a]"], "hierarchy is the pooled term's"),
        (
            ["method.g2e_weight=0", "data.graph.shuffle_neighbours=true"],
            "shuffle_neighbours is G2E's control",
        ),
    ],
)
def test_options_of_terms_that_are_off_are_refused(overrides, message) -> None:
    with pytest.raises(ValueError, match=message):
        load_recipe("scenes-knowledge-clip", overrides)


def test_a_text_cache_is_for_locked_layers() -> None:
    with pytest.raises(ValueError, match="text_cache is for text layers that stay as they are"):
        load_recipe("cn100k", ["model.text_cache=1"])


NO_FUSION = "e2e_weight: 0, e2r_weight: 0, g2e_weight: 0, sentence_weight: 1"


@pytest.mark.parametrize(
    ("recipe", "overrides", "prefix"),
    [
        ("flickr8k-structure-clip", ["method={name: structure_clip, kee: null}"], "kee."),
        ("scenes-clip", ["optimizer.lr_multipliers={kee.words: 2}"], "kee."),
        ("scenes-knowledge-clip", ["method={name: knowledge_clip, " + NO_FUSION + "}"], "knowledge."),
    ],
)
def test_learning_rates_of_parts_that_are_not_there_are_refused(recipe, overrides, prefix) -> None:
    with pytest.raises(ValueError, match=f"lr_multipliers has '{prefix}', a part that"):
        load_recipe(recipe, overrides)


SHIPPED = sorted((Path(find_recipe("clip")).parent).glob("*.yaml"))


@pytest.mark.parametrize("recipe", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_load_and_begin_with_their_command(recipe) -> None:
    assert isinstance(load_recipe(recipe.stem), Recipe)
    assert recipe.read_text().startswith("# knowclip ")


@pytest.mark.parametrize("recipe", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_hold_only_differences_from_defaults(recipe) -> None:
    given = _leaves(yaml.safe_load(recipe.read_text()))
    loaded = load_recipe(recipe)
    for key, value in given.items():
        without = {name: other for name, other in given.items() if name != key}
        try:
            same = Recipe.model_validate(_nested(without)).model_dump() == loaded.model_dump()
        except ValueError:
            continue  # a required key
        assert not same, f"{recipe.name}: {key}={value} is the default"


def _leaves(values: dict, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    leaves: dict[tuple[str, ...], object] = {}
    for key, value in values.items():
        leaves |= _leaves(value, (*prefix, key)) if isinstance(value, dict) else {(*prefix, key): value}
    return leaves


def _nested(leaves: dict[tuple[str, ...], object]) -> dict:
    nested: dict = {}
    for (*parents, last), value in leaves.items():
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    return nested
