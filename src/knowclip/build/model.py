"""Section ``model`` -> the CLIP to train."""

from __future__ import annotations

from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import load
from knowclip.models.lora import add_lora
from knowclip.recipe.model import ModelConfig


def build_model(config: ModelConfig) -> DualEncoder:
    """Load the model to train."""
    model = load(
        config.name,
        pretrained=config.pretrained,
        activation=config.activation,
        preprocess=config.preprocess,
        seed=None,  # the run's own, which the trainer has set
    )
    if config.lock_image:
        model.lock_image_trunk(dropout=config.trunk_dropout)
    if config.freeze_batch_norm:
        model.freeze_batch_norm()
    cache_bytes = int(config.text_cache * 1e9)
    if config.lock_text:
        model.lock_text_tower(cache_bytes=cache_bytes)
    if config.unlocked_text_layers is not None:
        model.lock_text_layers(unlocked=config.unlocked_text_layers, cache_bytes=cache_bytes)
    if config.lora is not None:  # after the locks, which it heeds
        add_lora(model, **config.lora.model_dump())
    return model
