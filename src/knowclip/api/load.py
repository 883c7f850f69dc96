"""``knowclip.load``: anything that ``models.loading.load`` takes, with its KEE where a run has one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from knowclip.models.clip import DualEncoder
    from knowclip.models.loading.load import Activation


def load(
    name_or_path: str | Path,
    *,
    device: str | torch.device | None = None,
    pretrained: str | Path | None = None,
    activation: Activation | None = None,
    preprocess: str | dict[str, Any] | None = None,
) -> DualEncoder:
    """Load a model in eval mode (``knowclip.load``).

    ``encode_image`` and ``encode_text`` of what it gives are the towers' own, as stock open_clip has them;
    ``score`` reads texts with their triples where the run was trained with a KEE (``score(..., kee=False)``
    does not).

    Args:
        name_or_path: A run's folder, a checkpoint's folder or file, an open_clip or transformers name
            (docs/weights.md).
        device: Where to put it; the CPU by default.
        pretrained: Tag, file of weights, or ``"random"``, for an architecture.
        activation: ``gelu`` or ``quick_gelu``, of weights that do not say it. With any of these three, the
            towers alone are loaded, without a KEE.
        preprocess: For a bare file of weights, as ``models.loading.load`` takes it.

    Raises:
        ValueError: The source is unknown, unreadable or does not fit; the message says what to give.
    """
    from knowclip.api.loaded import load_model
    from knowclip.models.loading.load import load as load_clip
    from knowclip.preflight.untrained import tell_untrained

    tell_untrained(Path(name_or_path))
    if (pretrained, activation, preprocess) == (None, None, None):
        model = load_model(name_or_path, device=device).with_kee()
    else:
        model = load_clip(
            name_or_path, device=device, pretrained=pretrained, activation=activation, preprocess=preprocess
        )
    model.loaded_from = str(name_or_path)
    return model
