"""Typed studies: recipes that are compared on the same data over several seeds (``knowclip ablate``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any, Literal

from pydantic import Field, PositiveInt, ValidationError, field_validator, model_validator

from knowclip.recipe.load import describe_problem, find_recipe, load_recipe, read_sections
from knowclip.recipe.recipe import Recipe
from knowclip.recipe.section import Section
from knowclip.recipe.selection import LinksConfig

STUDIES = Path(__file__).parent / "studies"


class Arm(Section):
    """One thing compared: a recipe, and what is changed in it; or a model as it is."""

    recipe: str | None = None
    """Name of a shipped recipe, or a YAML file."""
    overrides: tuple[str, ...] = ()
    """``section.key=value``, after those of the study."""
    model: str | None = None
    """In place of a recipe: a model that is measured and not trained, as ``knowclip evaluate`` names it."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Arm:
        if (self.recipe is None) == (self.model is None):
            raise ValueError("give an arm a recipe to train by, or a model to measure as it is")
        if self.model is not None and self.overrides:
            raise ValueError("a model that is not trained has no overrides: leave them out")
        return self


class Measured(Section):
    """What is shown of a measurement."""

    name: str = ""
    """Put before its metrics, where another measurement has metrics of the same name."""
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Metrics of its own for items of these groups alone: name -> kinds of swap, or relations."""
    also: tuple[str, ...] = ()
    """Metrics shown beside each benchmark's main one."""
    arms: tuple[str, ...] = ()
    """The arms that are measured, the baseline among them; all when empty."""


class Measurement(Measured):
    """Benchmarks that every arm is measured on; see ``knowclip evaluate``."""

    data: Path
    """Folder of their files; or captioned photos of one's own, a file of them too."""
    suite: str = ""
    """Name of a suite; without it and ``benchmarks``, everything the folder has data for."""
    benchmarks: tuple[str, ...] = ()
    """Names of benchmarks."""
    split: str | None = "test"
    """Of the data; null: test, and of photos of one's own all rows, whether or not they have splits."""


class TaskMeasurement(Measured):
    """A small head on every arm's frozen features; see ``knowclip task``."""

    task: str
    """``vqa``, ``snli_ve``, ``linear_probe``, ``glue_sst2`` ... or ``glue``."""
    data: Path
    """Folder of its files."""
    settings: tuple[str, ...] = ()
    """The head's, as ``key=value``."""
    split: str | None = None
    """To measure on; null: the task's own."""
    head_seeds: PositiveInt = 1
    """Heads trained on each checkpoint; their mean counts."""


class LinkMeasurement(Measured, LinksConfig):
    """Triplets that every arm has to complete; see ``knowclip link-prediction``."""

    split: Literal["test", "val"] | None = None
    """Whose triplets; null: test, or all of a whole graph."""


class Study(Section):
    """Arms, seeds, and what they are measured on."""

    title: str
    """Of its table and plot."""
    baseline: str
    """The arm that differences are taken against, seed by seed."""
    arms: dict[str, Arm] = Field(min_length=2)
    """By name, in the order of the table."""
    measure: tuple[Measurement, ...] = ()
    """Benchmarks."""
    tasks: tuple[TaskMeasurement, ...] = ()
    """Downstream tasks."""
    links: tuple[LinkMeasurement, ...] = ()
    """Link prediction: by the towers as plain CLIP, and by the fusion encoder of the arms that have one."""
    output: Path
    """Folder of the study: a folder an arm and seed, ``ablation.json``, ``ablation.md``, ``ablation.png``."""
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=2)
    """One training of every arm for each."""
    checkpoint: Literal["best", "last"] = "best"
    """Of each training: what validation chose, the model it starts from among them; or where it ended, which
    compares what terms do where they are no gain by the selection metrics."""
    overrides: tuple[str, ...] = ()
    """``section.key=value`` for the recipes of all arms."""
    paths: dict[str, Path] = Field(default_factory=dict)
    """What ``${name}`` stands for in overrides, ``measure``, ``tasks`` and ``links``."""

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"the same seed twice in {', '.join(map(str, seeds))}")
        return seeds

    @model_validator(mode="after")
    def _fits_together(self) -> Study:
        if self.baseline not in self.arms:
            raise ValueError(f"baseline {self.baseline!r} is none of the arms: {', '.join(self.arms)}")
        for part in (*self.measure, *self.tasks, *self.links):
            if part.arms and (self.baseline not in part.arms or set(part.arms) - set(self.arms)):
                raise ValueError(
                    f"a measurement of arms {', '.join(part.arms)}: it needs the baseline {self.baseline!r}, "
                    f"and arms of the study: {', '.join(self.arms)}"
                )
        if not (self.measure or self.tasks or self.links):
            raise ValueError("nothing to measure: give it measure, tasks or links")
        if not self.trained:
            raise ValueError("no arm has a recipe, so no seed matters: use 'knowclip evaluate --baseline'")
        folders = [slug(arm) for arm in self.arms]
        if len(set(folders)) != len(folders) or "" in folders:
            raise ValueError(f"the names of the arms do not make a folder each: {', '.join(folders)}")
        return self

    @property
    def trained(self) -> dict[str, Arm]:
        """The arms with a recipe."""
        return {name: arm for name, arm in self.arms.items() if arm.recipe is not None}

    def recipe(self, arm: str, seed: int) -> Recipe:
        """The recipe of one training; its folder is ``output/<arm>/seed-<seed>``."""
        chosen = self.trained[arm]
        own = (f"seed={seed}", f"output.folder={self.output / slug(arm) / f'seed-{seed}'}")
        return load_recipe(chosen.recipe, [*self.overrides, *chosen.overrides, *own])


def slug(name: str) -> str:
    """A name of an arm as a folder: ``+ semantic negatives`` is ``semantic-negatives``."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def load_study(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study that ships with knowclip (by name) or a YAML file, and apply overrides.

    Args:
        name_or_path: ``scenes-structure``, or ``my/study.yaml``.
        overrides: ``key=value`` of the study, as in ``seeds=[0, 1]`` or ``paths.photos=/data/photos``.

    Raises:
        ValueError: Naming the study, and the key, what was got and what is allowed.
    """
    path = find_recipe(name_or_path, folder=STUDIES, kind="study")
    values = read_sections(path, Study, overrides)
    paths = values.get("paths") or {}
    try:
        return Study.model_validate(_filled(values, paths if isinstance(paths, dict) else {}))
    except ValidationError as error:
        problems = "; ".join(describe_problem(problem) for problem in error.errors())
        raise ValueError(f"study {path}: {problems}") from error
    except KeyError as error:
        raise ValueError(f"study {path}: ${{{error.args[0]}}} is none of its paths") from error
    except ValueError as error:
        raise ValueError(f"study {path}: {error}") from error


def _filled(value: Any, paths: dict[str, Any]) -> Any:
    """``${name}`` replaced in every string."""
    if isinstance(value, str):
        template = Template(value)
        if not template.is_valid():
            raise ValueError(
                f"{value!r} has a dollar without a name: write ${{NAME}} of one of its paths, or $$"
            )
        return template.substitute(paths)
    if isinstance(value, dict):
        return {key: _filled(one, paths) for key, one in value.items()}
    return [_filled(one, paths) for one in value] if isinstance(value, list) else value
