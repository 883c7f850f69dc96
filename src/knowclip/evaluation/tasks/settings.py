"""How heads are trained, as ``key=value`` words say it; read before torch is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, get_args

Kind = Literal["pooled", "tokens"]
"""What a head is shown of a tower: its embedding, or the last layer's tokens."""


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How heads are trained; ``tune`` trains the text tower too (GLUE), with ``tower_lr``."""

    features: Kind = "pooled"
    hidden: int = 512
    dropout: float = 0.2
    lr: float = 1e-3
    weight_decay: float = 0.01
    batch_size: int = 256
    epochs: int = 30
    patience: int = 5
    held_out: float = 0.1
    tune: bool = False
    tower_lr: float = 2e-5

    def __post_init__(self) -> None:
        if self.features not in get_args(Kind):
            raise ValueError(f"features={self.features!r}; allowed: {', '.join(get_args(Kind))}")
        if min(self.hidden, self.batch_size, self.epochs, self.patience) < 1:
            raise ValueError("hidden, batch_size, epochs and patience must be at least 1")
        if not 0 < self.held_out < 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"held_out={self.held_out} and dropout={self.dropout}: shares below 1")
        if min(self.lr, self.tower_lr) <= 0 or self.weight_decay < 0:
            raise ValueError("lr and tower_lr must be above 0, weight_decay at least 0")


def parse_settings(options: Sequence[str]) -> HeadSettings:
    """Make settings of ``key=value`` words.

    Raises:
        ValueError: a word is no ``key=value``, the key is unknown or the value of the wrong type.
    """
    kinds: dict[str, type] = {field.name: type(field.default) for field in fields(HeadSettings)}
    values: dict[str, Any] = {}
    for option in options:
        key, separator, text = option.partition("=")
        if not separator or key not in kinds:
            near = get_close_matches(key, kinds, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"option {option!r}: {hint}expected key=value with a key of {', '.join(kinds)}")
        if kinds[key] is bool and text not in ("true", "false"):
            raise ValueError(f"option {option!r}: expected true or false")
        try:
            values[key] = text == "true" if kinds[key] is bool else kinds[key](text)
        except ValueError:
            raise ValueError(f"option {option!r}: expected a value of type {kinds[key].__name__}") from None
    return HeadSettings(**values)
