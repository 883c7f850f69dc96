"""Every method's section, by name: the one list of methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knowclip.plugins import PluginError, known, names
from knowclip.recipe.methods.clip import ClipConfig
from knowclip.recipe.methods.joint import JointConfig
from knowclip.recipe.methods.knowledge_clip import KnowledgeClipConfig
from knowclip.recipe.methods.negclip import NegClipConfig
from knowclip.recipe.methods.section import MethodSection
from knowclip.recipe.methods.structure_clip import StructureClipConfig

METHODS: dict[str, type[MethodSection]] = {
    "clip": ClipConfig,
    "negclip": NegClipConfig,
    "structure_clip": StructureClipConfig,
    "knowledge_clip": KnowledgeClipConfig,
    "joint": JointConfig,
}


def method_section(name: str) -> type[MethodSection]:
    """Find the section of a method, knowclip's own or that of a plug-in, which is imported.

    Raises:
        ValueError: There is no such method, with the nearest name; several; or it cannot be imported.
    """
    plugin = known("method", name, METHODS)
    if plugin is None:
        return METHODS[name]
    section = plugin.load_class(MethodSection)
    if not isinstance(getattr(section, "implementation", None), str):
        raise PluginError(f"{plugin} has no implementation: give its class variable as 'module:Class'")
    return section


def read_method(values: Any) -> MethodSection:
    """Validate a method's section as its ``name`` says.

    Raises:
        ValueError: No section, or no method of that name.
        ValidationError: A key of it.
    """
    if isinstance(values, MethodSection):
        return values
    if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
        got = "it has no name" if isinstance(values, Mapping) and "name" not in values else f"got {values!r}"
        raise ValueError(f"{got}; set method.name to one of {', '.join(map(repr, names('method', METHODS)))}")
    return method_section(values["name"]).model_validate(values)
