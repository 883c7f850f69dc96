"""What every method's section is: its options, the class they build, what it asks of the rest of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from knowclip.recipe.data import DataConfig
from knowclip.recipe.section import Section

if TYPE_CHECKING:
    from knowclip.recipe.methods.knowledge_terms import KnowledgeConfig


class MethodSection(Section):
    """Options of a method; every key but ``name`` is a keyword argument of the class it builds."""

    name: str
    """Of the method, in the registry."""
    implementation: ClassVar[str]
    """``module:Class`` of the :class:`~knowclip.methods.method.Method`; imported when it is built, for torch
    loads slowly and a recipe is checked before it."""

    @property
    def reads_triples(self) -> bool:
        """Whether it has a KEE, which reads the triples of captions and negatives."""
        return False

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
