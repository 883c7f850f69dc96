"""Section ``method`` -> what is learned around the model; and a saved method again."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from knowclip.export.method import SETTINGS, load_own_tensors, read_settings
from knowclip.methods.distillation import Distillation
from knowclip.methods.method import Method
from knowclip.methods.readout import Readout
from knowclip.methods.subgraphs import Subgraphs
from knowclip.methods.teacher import different_inputs
from knowclip.methods.terms import Term
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import load
from knowclip.plugins import known
from knowclip.recipe.methods.contrastive import ContrastiveSection
from knowclip.recipe.methods.joint import JointConfig
from knowclip.recipe.methods.knowledge_clip import KnowledgeClipConfig
from knowclip.recipe.methods.knowledge_terms import KnowledgeConfig
from knowclip.recipe.methods.registry import METHODS, method_section
from knowclip.recipe.methods.section import MethodSection
from knowclip.recipe.methods.structure_clip import StructureClipConfig


def build_method(
    config: MethodSection,
    model: DualEncoder,
    *,
    parser: str = "spacy",
    cache: str = "none",
    relations: Sequence[str] = (),
) -> Method:
    """Build a method around a model; the other keys of its section are its arguments.

    Args:
        config: Section of a recipe.
        model: To train.
        parser: Name of the parser of its captions, for a method that reads their triples.
        cache: What images come as, for a method with a teacher: ``none``, ``pixels`` or ``trunk``.
        relations: Vocabulary of the knowledge graph, for a method that reads one.

    Raises:
        ValueError: A teacher that would misread what is prepared for ``model``; a plug-in's section and class
            that do not fit together.
    """
    options = config.arguments()
    if isinstance(config, StructureClipConfig):
        options["parser"] = parser
    if isinstance(config, KnowledgeClipConfig):
        options |= _learned_from(config, model, relations, cache=cache, key="method.teacher")
    if isinstance(config, JointConfig):
        options["knowledge"] |= {"captions_as_triplets": False} | _learned_from(
            config.knowledge, model, relations, cache=cache, key="method.knowledge.teacher"
        )
    method = method_class(config.name)
    if (plugin := known("method", config.name, METHODS)) is not None:
        plugin.check_call(method, model, **options)
    built = method(model, **options)
    built.terms.extend(build_terms(config, model, cache=cache))
    return built


def build_terms(config: MethodSection, model: DualEncoder, *, cache: str) -> list[Term]:
    """Build what a section adds to its method.

    Raises:
        ValueError: A teacher that would misread what is prepared for ``model``.
    """
    terms: list[Term] = []
    if not isinstance(config, ContrastiveSection):
        return terms
    if (section := config.distillation) is not None:
        key = "method.distillation.teacher"
        teacher = build_teacher(section.teacher, model, cache=cache, key=key)
        terms.append(Distillation(teacher, **section.model_dump(include=_OF_DISTILLATION)))
    if config.subgraphs is not None:
        terms.append(Subgraphs(**config.subgraphs.model_dump(include=_OF_SUBGRAPHS)))
    if config.readout is not None:
        terms.append(Readout(model, **config.readout.model_dump()))
    return terms


_OF_DISTILLATION = {"pairs_weight", "objects_weight", "crops"}
_OF_SUBGRAPHS = {"weight", "against", "shared", "curriculum"}
"""What the terms are told; the rest says what is drawn, or who the teacher is."""


def method_class(name: str) -> type[Method]:
    """Import the class that a method's section names.

    Raises:
        ValueError: There is no such method, several, or it cannot be imported.
    """
    place, plugin = method_section(name).implementation, known("method", name, METHODS)
    if plugin is not None:
        return plugin.load_class(Method, place=place)
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def _learned_from(
    config: KnowledgeConfig, model: DualEncoder, relations: Sequence[str], *, cache: str, key: str
) -> dict[str, Any]:
    return {"relations": relations, "teacher": build_teacher(config.teacher, model, cache=cache, key=key)}


def build_teacher(name: str | None, model: DualEncoder, *, cache: str, key: str) -> DualEncoder:
    """Load the model to distil: the one named at ``key`` of the recipe, or that which the run starts from.

    Raises:
        ValueError: It would misread what is prepared for ``model``.
    """
    if name is None:
        return model
    teacher = load(name, device=model.device)
    if differs := different_inputs(teacher, model, cache=cache):
        raise ValueError(
            f"{key}={name} has another {differs} than the model that learns, and is given what is "
            f"prepared for that one: name a teacher that shares it, or leave {key} out to distil the model "
            "that the run starts from"
        )
    return teacher


def load_method(folder: str | Path) -> Method:
    """Load a method with weights of its own from a checkpoint folder, to ask or evaluate it, in eval mode.

    Raises:
        ValueError: The folder holds a CLIP alone, or weights that do not fit.
    """
    folder = Path(folder)
    name, settings = read_settings(folder)
    method = method_class(name)(load(folder), **settings)
    load_own_tensors(method, folder)
    return method.eval()


def method_folder(name: str | Path) -> Path | None:
    """The folder of a checkpoint or a run that keeps a method's own weights; None for a CLIP alone."""
    return next((f for f in (Path(name), Path(name) / "best") if (f / SETTINGS).is_file()), None)
