from __future__ import annotations

import pytest
import torch

from knowclip.models.loading.load import load


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "millions", "embed_dim", "backward"),
    [("ViT-B-32-quickgelu", 151, 512, True), ("ViT-L-14-quickgelu", 428, 768, False)],
)
def test_the_papers_models_are_of_their_sizes(name, millions, embed_dim, backward):
    """Structure-CLIP's and Knowledge-CLIP's, with random weights; L/14 goes backward in tests/build."""
    model = load(f"{name}/random").train()
    assert round(sum(p.numel() for p in model.parameters()) / 1e6) == millions
    with torch.set_grad_enabled(backward):
        image_features = model.encode_image(torch.randn(1, 3, 224, 224), normalize=True)
        text_features = model.encode_text(["an astronaut riding a horse"], normalize=True)
    assert image_features.shape == text_features.shape == (1, embed_dim)
    if not backward:
        return
    (model.logit_scale.exp() * image_features @ text_features.T).sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), parameter_name
