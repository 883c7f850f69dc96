"""Recipes as files: found by name or path, read with overrides, saved whole, compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from knowclip.plugins import loaded
from knowclip.recipe.recipe import Recipe
from knowclip.recipe.section import Section
from knowclip.storage.text_files import read_text

RECIPES = Path(__file__).parent / "recipes"


Overrides = Sequence[str] | Mapping[str, Any]
"""``section.key=value`` as on a command line, or keys and values of Python."""


def load_recipe(name_or_path: str | Path, overrides: Overrides = ()) -> Recipe:
    """Read a recipe that ships with knowclip (by name) or a YAML file, and apply overrides.

    Args:
        name_or_path: ``negclip``, or ``my/recipe.yaml``.
        overrides: ``section.key=value``, the value as YAML writes it (``null``, ``[a, b]``, ``1e-5``); or a
            mapping of ``section.key``, or of a section or key alone, to values, where mappings under a name
            without a dot are merged into what the recipe has there.

    Raises:
        ValueError: Naming the recipe, and the key, what was got and what is allowed.
    """
    path = find_recipe(name_or_path)
    values = read_sections(path, Recipe, overrides)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        found = error.errors()
        problems = "; ".join(describe_problem(e) + _package(e, values) for e in found)
        given = all(_is_given(e["loc"], overrides) for e in found)
        raise ValueError(
            f"{'given beside recipe' if given else 'recipe'} {path.stem if given else path}: {problems}"
        ) from error
    recipe._source = path
    return recipe


def _is_given(location: Sequence[int | str], overrides: Overrides) -> bool:
    """Whether an override set what stands at a place of a recipe, or a part or the whole of it."""
    place = [str(part) for part in location]
    keys = [key.partition("=")[0].split(".") for key in overrides]
    return bool(place) and any(place[: len(key)] == key[: len(place)] for key in keys)


def read_sections(path: Path, kind: type[Section], overrides: Overrides) -> dict[str, Any]:
    """Read the YAML file of a recipe, or of another ``kind``, with overrides applied and nothing validated.

    Raises:
        ValueError: It is no YAML, holds no sections, or an override is not of the form ``section.key=value``.
    """
    try:
        values = yaml.load(read_text(path), Loader=_Once)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} should hold sections ({', '.join(kind.model_fields)}), got {values!r}")
    if isinstance(overrides, Mapping):
        for key, value in overrides.items():
            _set(values, key, _merged(values.get(key), value), f"{key}={value!r}")
    else:
        for override in overrides:
            _apply(values, override)
    return values


class _Once(yaml.SafeLoader):
    """YAML with each key once: of two, the first would be lost in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, or raise a YAML error that says which key stands there twice."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice[0]!r} stands twice in one section", node.start_mark
            )
        return super().construct_mapping(node, deep)


def find_recipe(name_or_path: str | Path, *, folder: Path = RECIPES, kind: str = "recipe") -> Path:
    """Locate a recipe: a path that exists, or the name of one that ships with knowclip in ``folder``.

    Raises:
        ValueError: If there is none.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = {recipe.stem: recipe for recipe in sorted(folder.glob("*.yaml"))}
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    _refuse_option(str(name_or_path))
    near = get_close_matches(str(name_or_path), shipped, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"no {kind} {str(name_or_path)!r}: no such file; {hint}shipped: {', '.join(shipped)}")


def _refuse_option(text: str) -> None:
    """Say how keys are written where one was given as an option."""
    if text.startswith("-"):
        raise ValueError(
            f"no such option: {text} (--help lists them); keys of a recipe are written KEY=VALUE, as in "
            "data.train.path=captions.csv, train.batch_size=64 or output.folder=runs/mine "
            "(docs/recipe_keys.md lists them)"
        )


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write every value of a recipe, defaults included, so that it can be loaded again."""
    values = recipe.model_dump(mode="json")
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")


def differences(old: Recipe, new: Recipe) -> dict[str, tuple[Any, Any]]:
    """Name the dotted keys whose values differ: ``{key: (old, new)}``."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    keys = [*before, *(key for key in after if key not in before)]
    return {k: (before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _apply(values: dict[str, Any], override: str) -> None:
    """Set one dotted key in nested dictionaries."""
    key, equals, text = override.partition("=")
    _refuse_option(key)
    if not equals or not key:
        raise ValueError(f"an override reads section.key=value, got {override!r}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"override {override!r}: {text!r} is no valid YAML value") from error
    _set(values, key, value, override)


def _merged(there: Any, value: Any) -> Any:
    """A mapping merged into the one that stands there, at every depth; anything else stands in its place."""
    if not isinstance(value, Mapping):
        return value
    before = there if isinstance(there, Mapping) else {}
    return {**before, **{key: _merged(before.get(key), new) for key, new in value.items()}}


def _set(values: dict[str, Any], key: str, value: Any, override: str) -> None:
    *parents, last = key.split(".")
    for depth, parent in enumerate(parents):
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise ValueError(f"override {override!r}: {'.'.join(parents[: depth + 1])} has no keys in it")
    values[last] = value


def _package(problem: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """The plug-in whose section a problem is of, or which may ask it of other sections."""
    section, *keys = *problem["loc"], ""
    method = values.get("method") if section in ("", "method") else None
    name = method.get("name") if isinstance(method, Mapping) else None
    wanted = ("loss", keys[0]) if section == "losses" else ("method", name)
    return "".join(f" [{plugin}]" for plugin in loaded() if (plugin.kind, plugin.name) == wanted)


def describe_problem(problem: Mapping[str, Any]) -> str:
    """``optimizer.lr: got 'fast'; input should be a valid number``."""
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "value_error":
        message = str(problem["ctx"]["error"])
        return f"{key}: {message}" if key else message
    if problem["type"] == "missing":
        return f"{key} is missing: set it in the recipe or as {key}=VALUE"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{key}: got {problem['input']!r}; {message}"
