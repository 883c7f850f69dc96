"""What the site says of recipes and studies: every key with type, default and meaning, from the sections."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from knowclip.recipe.load import RECIPES
from knowclip.recipe.methods.registry import METHODS
from knowclip.recipe.methods.section import MethodSection
from knowclip.recipe.recipe import Recipe
from knowclip.recipe.section import Section
from knowclip.recipe.study import STUDIES, Study

_BOUNDS = {annotated_types.Ge: ("≥", "ge"), annotated_types.Gt: (">", "gt"),
           annotated_types.Le: ("≤", "le"), annotated_types.Lt: ("<", "lt")}  # fmt: skip


def keys(root: str) -> str:
    """The keys of a recipe or a study, a table a section; of ``method`` those of each method."""
    return "\n".join(_table(*part) for part in sections({"recipe": Recipe, "study": Study}[root]))


def shipped(kind: str) -> str:
    """The recipes or studies that ship with knowclip, each with the comment it starts with."""
    folder = {"recipes": RECIPES, "studies": STUDIES}[kind]
    rows = [f"| `{path.stem}` | {' '.join(_opening(path))} |" for path in sorted(folder.glob("*.yaml"))]
    return "\n".join([f"| {kind} | what its file says first |", "|---|---|", *rows])


def _opening(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            return
        if words := line.lstrip("# ").strip():
            yield f"`{words}`<br>" if words.startswith("knowclip ") else words.replace("|", "\\|")


def sections(root: type[Section], prefix: str = "", of: str = "") -> Iterator[tuple[type[Section], str, str]]:
    """A section and all below it, each with the keys that lead there and the method whose option it is."""
    yield root, prefix, of
    for name, field in root.model_fields.items():
        here = f"{prefix}.{name}".lstrip(".")
        for kind, suffix in _held(field.annotation):
            if kind is MethodSection:
                for method, section in METHODS.items():
                    yield from sections(section, here, method)
            else:
                yield from sections(kind, here + suffix, of)


def _held(annotation: Any, suffix: str = "") -> Iterator[tuple[type[Section], str]]:
    """The sections that a type holds: one alone, ``[]`` in a list, ``.NAME`` in a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation, suffix
    held = {dict: ".NAME", tuple: "[]"}.get(get_origin(annotation), suffix)
    for inner in get_args(annotation):
        yield from _held(inner, held)


def _table(section: type[Section], prefix: str, of: str) -> str:
    dotted = f"{prefix}." if prefix else ""
    heading = f"\n### `{prefix}`{f' of {of}' if of else ''}\n\n" if prefix else ""
    rows = [
        f"| `{dotted}{name}` | {told(field.annotation, field.metadata)} | {default(field)} "
        f"| {described(section, name)} |"
        for name, field in section.model_fields.items()
    ]
    about = f"{heading}{_about(section)}\n"
    return "\n".join([about, "| key | type | default | what |", "|---|---|---|---|", *rows])


def _about(section: type[Section]) -> str:
    return (inspect.getdoc(section) or "").splitlines()[0].replace("``", "`")


def told(annotation: Any, metadata: Any = ()) -> str:
    """A type in words: ``int > 0``, ``fp32 or bf16``, ``path or null``."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if any(_held(annotation)):
        return "section" + (" or null" if type(None) in inner else "s" if origin in (dict, tuple) else "")
    if origin is Annotated:
        return told(inner[0], inner[1:])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        kinds = dict.fromkeys(told(kind, metadata) for kind in inner if kind is not type(None))
        return " or ".join([*kinds, *(["null"] if type(None) in inner else [])])
    if origin is dict:
        return f"{told(inner[0])} → {told(inner[1])}"
    if origin is tuple:
        return f"list of {told(inner[0])}" if inner[-1] is Ellipsis else ", ".join(map(told, inner))
    bounds = [f"{sign} {getattr(each, name):g}" for each in metadata
              for kind, (sign, name) in _BOUNDS.items() if isinstance(each, kind)]  # fmt: skip
    name = {"Path": "path", "str": "text", "bool": "true or false"}.get(
        annotation.__name__, annotation.__name__
    )
    return " ".join([name, " and ".join(bounds)]).strip()


def default(field: FieldInfo) -> str:
    """The value that stands where the recipe says nothing."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Section):
        return "its own"
    if value is None or isinstance(value, bool):
        return f"`{str(value).lower() if value is not None else 'null'}`"
    return f"`{list(value) if isinstance(value, tuple) else value or repr(value)}`"


def described(section: type[Section], name: str) -> str:
    """What a key is: the string below it in the class that declares it."""
    for kind in section.__mro__:
        if name in (strings := _strings(kind)):
            return strings[name]
    return " ".join(dict.fromkeys(_about(kind) for kind, _ in _held(section.model_fields[name].annotation)))


@cache
def _strings(kind: type) -> dict[str, str]:
    if not issubclass(kind, Section) or kind is Section:
        return {}
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    found, key = {}, None
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            key = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and key:
            found[key] = " ".join(str(node.value.value).split()).replace("``", "`").replace("|", "\\|")
            key = None
        else:
            key = None
    return found
