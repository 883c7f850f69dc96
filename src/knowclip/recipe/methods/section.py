"""What every method's section is: its options, the class they build, what it asks of the rest of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from knowclip.recipe.data import DataConfig
from knowclip.recipe.section import Section

if TYPE_CHECKING:
    from knowclip.recipe.methods.knowledge_terms import KnowledgeConfig
    from knowclip.recipe.methods.terms import SubgraphsConfig


class MethodSection(Section):
    """Options of a method; :meth:`arguments` are keyword arguments of the class it builds."""

    name: str
    """Of the method, in the registry."""
    implementation: ClassVar[str]
    """``module:Class`` of the :class:`~knowclip.methods.method.Method`; imported when it is built, for torch
    loads slowly and a recipe is checked before it."""

    def arguments(self) -> dict[str, Any]:
        """Every key but ``name``."""
        return self.model_dump(exclude={"name"})

    @property
    def reads_triples(self) -> bool:
        """Whether it has a KEE, which reads the triples of captions and negatives."""
        return False

    @property
    def object_prompt(self) -> str | None:
        """Text of an object (``{a} {name}``), where it learns from those that the captions' graphs name."""
        return None

    @property
    def subgraph_texts(self) -> SubgraphsConfig | None:
        """How parts of the captions' graphs are drawn as texts, where it learns from these."""
        return None

    @property
    def reads_graphs(self) -> bool:
        """Whether it needs the graphs of captions, whether it learns from negatives or not."""
        return self.reads_triples or self.object_prompt is not None or self.subgraph_texts is not None

    @property
    def knowledge_terms(self) -> KnowledgeConfig | None:
        """Knowledge-CLIP's terms, if it has them."""
        return None

    @property
    def needs_pairs(self) -> bool:
        """Whether it learns from image-caption pairs, with a graph or without."""
        return True

    def check_data(self, data: DataConfig) -> None:
        """Refuse data that the method could not learn from, or would not read.

        Raises:
            ValueError: Naming the key.
        """
