"""Studies: what they may hold, and that every shipped one makes recipes that load."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from knowclip.recipe.study import STUDIES, load_study, slug

CONTENT = {
    "title": "Two ways",
    "baseline": "plain",
    "paths": {"photos": "photos"},
    "overrides": ["data.train.path=${photos}/captions.json"],
    "arms": {
        "plain": {"recipe": "scenes-clip"},
        "+ negatives": {"recipe": "scenes-negclip", "overrides": ["train.steps=7"]},
    },
    "measure": [{"data": "${photos}", "suite": "scenes"}],
    "output": "runs/two-ways",
}


def written(folder: Path, **changes: object) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(CONTENT | changes, sort_keys=False))
    return path


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_study_makes_recipes(path: Path) -> None:
    study = load_study(path.stem)
    recipes = {arm: study.recipe(arm, 1) for arm in study.trained}
    assert all(recipe.seed == 1 for recipe in recipes.values())
    assert len({recipe.output.folder for recipe in recipes.values()}) == len(recipes)
    assert len({recipe.train.precision for recipe in recipes.values()}) == 1
    # a study of graphs alone has no batch of pairs
    images = {recipe.train.steps * (recipe.train.batch_size or 1) for recipe in recipes.values()}
    assert len(images) == 1, "arms see the same number of images"
    assert path.read_text().startswith(f"# knowclip ablate {path.stem}")


def test_paths_and_overrides_reach_the_recipes(tmp_path: Path) -> None:
    study = load_study(written(tmp_path), ["paths.photos=/data/photos", "seeds=[3, 4]"])
    assert study.seeds == (3, 4)
    assert study.measure[0].data == Path("/data/photos")
    recipe = study.recipe("+ negatives", 4)
    assert recipe.data.train is not None and recipe.data.train.path == Path("/data/photos/captions.json")
    assert (recipe.train.steps, recipe.seed) == (7, 4)
    assert recipe.output.folder == Path("runs/two-ways/negatives/seed-4")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "nothing"}, "baseline 'nothing' is none of the arms: plain, \\+ negatives"),
        ({"seeds": [0]}, "seeds"),
        ({"seeds": [0, 0]}, "the same seed twice"),
        ({"arms": {"plain": {"recipe": "x"}, "+ plain": {"recipe": "y"}}}, "do not make a folder each"),
        ({"arms": {"plain": {"recipe": "x", "model": "y"}, "no": {"recipe": "y"}}}, "recipe to train by, or"),
        ({"arms": {"plain": {}, "no": {"recipe": "y"}}}, "a recipe to train by, or a model"),
        ({"arms": {"plain": {"model": "x", "overrides": ["a=1"]}, "no": {"recipe": "y"}}}, "no overrides"),
        ({"arms": {"plain": {"model": "x"}, "no": {"model": "y"}}}, "no arm has a recipe"),
        ({"measure": []}, "nothing to measure"),
        ({"overides": []}, "did you mean 'overrides'"),
        ({"measure": [{"data": "x", "arms": ["+ negatives"]}]}, "it needs the baseline 'plain'"),
        ({"tasks": [{"task": "vqa", "data": "x", "arms": ["plain", "no"]}]}, "and arms of the study: plain"),
        ({"measure": [{"data": "${fotos}"}]}, "\\$\\{fotos\\} is none of its paths"),
        ({"measure": [{"data": "100$"}]}, "study .*'100\\$' has a dollar without a name: write .*\\$\\$"),
        ({"paths": ["photos"]}, "study .*paths"),
    ],
)
def test_wrong_studies_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_study(written(tmp_path, **changes))


def test_an_unknown_study_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no study 'scenes-structur'.*did you mean 'scenes-structure'"):
        load_study("scenes-structur")


def test_names_of_arms_as_folders() -> None:
    assert slug("+ Semantic negatives, folded (λ = 0.2)") == "semantic-negatives-folded-λ-0-2"
