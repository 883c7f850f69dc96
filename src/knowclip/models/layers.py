"""The layers that towers repeat: computed again in the backward pass, or compiled, each for itself."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from open_clip import CLIP
from open_clip.hf_model import HFTextEncoder
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from torch import nn


def tower_parts(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """What runs in an open_clip model's image and text tower; embeddings and heads may lie beside it."""
    return model.visual, model.transformer if isinstance(model, CLIP) else model.text


def checkpoint_layers(model: nn.Module) -> None:
    """Keep what goes into each layer of a tower that learns, and compute the rest again when going back.

    Raises:
        ValueError: A tower that cannot do it.
    """
    for tower in tower_parts(model):
        if not any(parameter.requires_grad for parameter in tower.parameters()):
            continue
        if isinstance(tower, ModifiedResNet):  # whose set_grad_checkpointing does nothing
            raise _cannot_checkpoint("an open_clip ResNet")
        if isinstance(tower, TimmModel):  # whose set_grad_checkpointing warns and goes on
            try:
                tower.trunk.set_grad_checkpointing(True)
            except (AssertionError, AttributeError, NotImplementedError) as error:
                raise _cannot_checkpoint(f"timm's {type(tower.trunk).__name__}") from error
        elif isinstance(tower, HFTextEncoder):
            if not tower.transformer.supports_gradient_checkpointing:
                raise _cannot_checkpoint(f"transformers' {type(tower.transformer).__name__}")
            # older transformers have the other name alone, newer ones warn of it
            older = tower.transformer.gradient_checkpointing_enable
            getattr(tower.transformer, "activation_checkpointing_enable", older)({"use_reentrant": False})
        elif hasattr(tower, "set_grad_checkpointing"):
            tower.set_grad_checkpointing(True)
        else:
            tower.grad_checkpointing = True  # open_clip's Transformer


def compile_layers(model: nn.Module, *, backend: str) -> int:
    """Compile every layer of both towers in its place, and return how many.

    Layers, not towers: equal ones share what was compiled, and what lies between them is Python on lengths
    and masks. Names and classes of modules stay.

    Raises:
        ValueError: torch has no such backend.
    """
    known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise ValueError(
            f"train.compile={backend} is no backend of torch.compile here; there are {', '.join(known)}"
        )
    layers = [layer for tower in tower_layers(model) for layer in tower]
    for layer in layers:
        layer.compile(backend=backend)
    return len(layers)


def tower_layers(model: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """The layers of the image and of the text tower, without those of a head."""
    image, text = tower_parts(model)
    trunk = image.trunk if isinstance(image, TimmModel) else image
    return list(repeated_layers(trunk)), list(repeated_layers(text))


def repeated_layers(module: nn.Module) -> Iterator[nn.Module]:
    """Members of lists of one class of their own, such as a Transformer's blocks; not what lies in them."""
    if isinstance(module, nn.ModuleList | nn.Sequential):
        classes = {type(child) for child in module}
        if len(classes) == 1 and not classes.pop().__module__.startswith("torch.nn"):
            yield from module
            return
    for child in module.children():
        yield from repeated_layers(child)


def _cannot_checkpoint(tower: str) -> ValueError:
    return ValueError(
        f"train.grad_checkpointing: {tower} cannot compute its layers again. Leave it out, and cut batches "
        "by train.accumulate"
    )
