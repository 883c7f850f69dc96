"""Which layers of a model have adapters, and the plain weights that these merge into."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

from torch import Tensor, nn

from knowclip.models.open_attention import OpenAttention, closed_name


@dataclass(frozen=True, slots=True)
class Adapters:
    """Names of the layers that have adapters, and of those that could have none: no forward calls them."""

    adapted: tuple[str, ...]
    unreached: tuple[str, ...]

    def told(self) -> str:
        """In a line for a person."""
        image = sum(name.startswith("visual.") for name in self.adapted)
        line = f"adapters: {image} in the image tower, {len(self.adapted) - image} in the text tower"
        if not self.unreached:
            return line
        more = ", ..." if len(self.unreached) > 3 else ""
        names = ", ".join(self.unreached[:3]) + more
        return f"{line}; {len(self.unreached)} layers have none, being read without a call: {names}"


def merged_weights(towers: nn.Module) -> dict[str, Tensor]:
    """The weights of an open_clip model as it names them, every adapter merged; the model stays as it is.

    Raises:
        ValueError: A merged weight is not finite.
    """
    from peft.tuners.lora import LoraLayer

    weights = dict(towers.state_dict())
    for name, layer in towers.named_modules():
        if isinstance(layer, LoraLayer):
            weights = {key: value for key, value in weights.items() if not key.startswith(f"{name}.")}
            # a copy: to merge and take it back again would round the frozen weights
            plain = deepcopy(layer)
            plain.merge(safe_merge=True)
            base = plain.get_base_layer().state_dict()
            weights |= {f"{name}.{key}": value for key, value in base.items()}
    opened = {name for name, part in towers.named_modules() if isinstance(part, OpenAttention)}
    return {closed_name(name, opened): value for name, value in weights.items()}
