"""The contract every loss must keep: one test class per loss inherits :class:`LossCase`.

After a deliberate change of a loss, ``python tests/losses/cases.py`` writes the golden values anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from knowclip.losses import blocks
from knowclip.losses.contrastive import clip_loss, siglip_loss
from knowclip.losses.distillation import folding_loss, own_folding_loss
from knowclip.losses.hard_negative import negative_siglip_loss, negclip_loss, own_negative_loss
from knowclip.losses.hinge import batch_hard_loss, hinge_loss
from knowclip.losses.knowledge_distillation import distillation_loss, object_distillation_loss
from knowclip.losses.pooled import pooled_loss
from knowclip.losses.readout import readout_loss
from knowclip.losses.subgraphs import subgraph_loss
from knowclip.losses.triplet import e2e_loss, e2r_loss, g2e_loss

GOLDEN = Path(__file__).with_name("golden.json")
B, N, D = 6, 2, 8


POSITIVES = torch.eye(B, dtype=torch.bool)
POSITIVES[0, 1] = POSITIVES[3, 1] = True
POSITIVES[2, 2] = False


def random_inputs(names: set[str]) -> dict[str, Tensor]:
    """Seeded inputs of the tests, those a loss takes; some slots empty, one pair a false negative."""
    random = torch.Generator().manual_seed(0)

    def features(*shape: int) -> Tensor:
        return F.normalize(torch.randn(*shape, D, generator=random, dtype=torch.float64), dim=-1)

    own = torch.tensor([[1, 1], [1, 0], [0, 0], [1, 1], [0, 1], [1, 1]], dtype=torch.bool)
    usable = own[None].repeat(B, 1, 1)
    usable[0, 3, 1] = False
    false = torch.zeros(B, B, dtype=torch.bool)
    false[1, 4] = false[4, 1] = True
    related = torch.zeros(B, B, dtype=torch.bool)
    related[2, 0] = True
    everything = {
        "image_features": features(B),
        "text_features": features(B),
        "negative_features": features(B, N),
        "logit_scale": torch.tensor(10.0, dtype=torch.float64),
        "logit_bias": torch.tensor(-2.0, dtype=torch.float64),
        "own_negatives": own,
        "usable_negatives": usable,
        "false_negatives": false,
        "query_features": features(B),
        "candidate_features": features(B),
        "entity_features": features(B),
        "graph_features": features(B),
        "known_true": false,
        "related": related,
        "has_graph": torch.tensor([1, 1, 0, 1, 1, 1], dtype=torch.bool),
        "relation_logits": features(B),
        "relation_labels": torch.tensor([0, 3, 3, 7, 1, 2]),
        "teacher_image_features": features(B),
        "teacher_text_features": features(B),
        "teacher_negative_features": features(B, N),
        "teacher_logit_scale": torch.tensor(8.0, dtype=torch.float64),
        "margin": torch.tensor(0.2, dtype=torch.float64),
        "object_features": features(B),
        "teacher_object_features": features(B),
        "subgraph_features": features(B),
        "positives": POSITIVES,
        "false_texts": ~POSITIVES & ~false,
        "false_images": ~POSITIVES & ~false,
        "shared": torch.tensor(True),
        "tail_features": features(B),
        "tail_labels": torch.tensor([0, 3, 3, 5, 2, 1]),
        "known_tails": false,
    }
    return {name: value for name, value in everything.items() if name in names}


class LossCase:
    """Contract of a loss over features of a batch."""

    loss: Callable[..., Tensor]
    learnt: tuple[str, ...] = ("image_features", "text_features", "negative_features")
    """What the loss moves; the first of them must feel it."""

    @property
    def inputs(self) -> set[str]:
        return LOSSES[type(self).loss]

    @property
    def name(self) -> str:
        return self.loss.__name__

    def call(self, **changed: Tensor) -> Tensor:
        return type(self).loss(**(random_inputs(self.inputs) | changed))

    def leaves(self) -> dict[str, Tensor]:
        floats = {k: v for k, v in random_inputs(self.inputs).items() if v.is_floating_point()}
        return {name: value.clone().requires_grad_() for name, value in floats.items()}

    def test_is_a_finite_scalar_with_finite_gradients(self) -> None:
        leaves = self.leaves()
        loss = self.call(**leaves)
        assert loss.shape == ()
        assert loss.isfinite()
        loss.backward()
        for name, leaf in leaves.items():
            assert leaf.grad is not None, name
            assert leaf.grad.isfinite().all(), name
        assert leaves[self.learnt[0]].grad.abs().sum() > 0

    def test_gradient_is_that_of_finite_differences(self) -> None:
        leaves = self.leaves()
        names = list(leaves)
        assert torch.autograd.gradcheck(
            lambda *values: self.call(**dict(zip(names, values, strict=True))), tuple(leaves.values())
        )

    def test_is_the_same_in_blocks(self, monkeypatch) -> None:
        found = []
        for largest in (blocks.LARGEST, 2 * B):
            monkeypatch.setattr(blocks, "LARGEST", largest)
            leaves = self.leaves()
            loss = self.call(**leaves)
            loss.backward()
            found.append({"loss": loss.detach(), **{name: leaf.grad for name, leaf in leaves.items()}})
        torch.testing.assert_close(found[1], found[0])

    def test_takes_keywords_only(self) -> None:
        with pytest.raises(TypeError):
            type(self).loss(*random_inputs(self.inputs).values())

    def test_order_of_the_batch_does_not_matter(self) -> None:
        order = torch.tensor([3, 0, 5, 1, 4, 2])
        inputs = random_inputs(self.inputs)
        permuted = {name: value[order] if value.ndim else value for name, value in inputs.items()}
        for name in MASKS & self.inputs:
            permuted[name] = permuted[name][:, order]
        torch.testing.assert_close(self.call(**permuted), self.call())

    def test_inputs_are_left_as_they_were(self) -> None:
        inputs, fresh = random_inputs(self.inputs), random_inputs(self.inputs)
        type(self).loss(**inputs)
        for name, value in inputs.items():
            assert torch.equal(value, fresh[name]), name

    def test_ten_steps_separate_positives_from_negatives(self) -> None:
        before, after = self.margins(steps=0), self.margins(steps=10)
        assert (after > before).all()

    def margins(self, *, steps: int) -> Tensor:
        """Similarity of positives minus the highest negative's, after so many steps on free features."""
        leaves = self.leaves()
        free = [value for name, value in leaves.items() if name in self.learnt]
        optimizer = torch.optim.Adam(free, lr=0.1)
        for _ in range(steps):
            optimizer.zero_grad()
            self.call(
                **leaves | {k: F.normalize(v, dim=-1) for k, v in leaves.items() if k.endswith("_features")}
            ).backward()
            optimizer.step()
        unit = {k: F.normalize(v.detach(), dim=-1) for k, v in leaves.items() if k.endswith("_features")}
        return self.separation(unit)

    def separation(self, features: dict[str, Tensor]) -> Tensor:
        """Positive minus mean negative similarity, per row that has a negative."""
        raise NotImplementedError

    def test_golden_value(self) -> None:
        assert self.call().item() == pytest.approx(json.loads(GOLDEN.read_text())[self.name], rel=1e-9)


def in_batch_separation(features: dict[str, Tensor]) -> Tensor:
    similarity = features["image_features"] @ features["text_features"].T
    off = (similarity.sum(dim=1) - similarity.diag()) / (len(similarity) - 1)
    return similarity.diag() - off


def own_separation(features: dict[str, Tensor]) -> Tensor:
    own = random_inputs({"own_negatives"})["own_negatives"]
    images = features["image_features"]
    positive = (images * features["text_features"]).sum(-1, keepdim=True)
    negative = torch.einsum("bd,bnd->bn", images, features["negative_features"])
    return (positive - negative)[own]


def negative_separation(features: dict[str, Tensor]) -> Tensor:
    """No positives here: the negatives must move away from all images."""
    usable = random_inputs({"usable_negatives"})["usable_negatives"]
    similarity = torch.einsum("bd,jnd->bjn", features["image_features"], features["negative_features"])
    return -(similarity * usable).sum((0, 2))[usable.any(dim=2).any(dim=0)]


def triplet_separation(features: dict[str, Tensor]) -> Tensor:
    """Of the triplets that take part: own minus mean other similarity."""
    first, second = (value for name, value in features.items())
    counted = random_inputs({"has_graph"})["has_graph"]
    return in_batch_separation({"image_features": first, "text_features": second})[counted]


def nearness_to_teacher(features: dict[str, Tensor]) -> Tensor:
    rest = random_inputs({"logit_scale", "teacher_logit_scale"})
    return -distillation_loss(**features, **rest)[None]


def nearness_in_naming(features: dict[str, Tensor]) -> Tensor:
    rest = random_inputs({"logit_scale", "teacher_logit_scale"})
    return -object_distillation_loss(**features, **rest)[None]


def subgraph_separation(features: dict[str, Tensor]) -> Tensor:
    """Of each image that has any: its positives' mean similarity minus that of false texts."""
    similarity = features["image_features"] @ features["subgraph_features"].T
    false = random_inputs({"false_texts"})["false_texts"]
    mean = [(similarity * mask).sum(dim=1) / mask.sum(dim=1) for mask in (POSITIVES, false)]
    return (mean[0] - mean[1])[POSITIVES.any(dim=1)]


def readout_separation(features: dict[str, Tensor]) -> Tensor:
    similarity = features["query_features"] @ features["tail_features"].T
    own = similarity.gather(1, random_inputs({"tail_labels"})["tail_labels"][:, None])
    return (own - similarity).sum(dim=1)


def nearness_to_choice(features: dict[str, Tensor]) -> Tensor:
    names = {"image_features", "logit_scale", "own_negatives"}
    teacher = {"teacher_text_features", "teacher_negative_features"}
    return -own_folding_loss(**random_inputs(names | teacher) | features)[None]


def nearness_to_enhanced(features: dict[str, Tensor]) -> Tensor:
    return (features["text_features"] * features["teacher_text_features"]).sum(-1)


MASKS = {
    "usable_negatives", "false_negatives", "known_true", "related", "positives", "false_texts",
    "false_images", "known_tails",
}  # fmt: skip
"""``[image, text, ...]``"""
PAIRS = {"image_features", "text_features", "logit_scale", "false_negatives"}
TRIPLETS = {"logit_scale", "known_true"}
LOSSES: dict[Callable[..., Tensor], set[str]] = {
    e2e_loss: TRIPLETS | {"query_features", "candidate_features"},
    pooled_loss: TRIPLETS | {"query_features", "candidate_features", "related"},
    e2r_loss: {"relation_logits", "relation_labels"},
    g2e_loss: TRIPLETS | {"entity_features", "graph_features", "has_graph"},
    distillation_loss: {
        "image_features", "text_features", "logit_scale",
        "teacher_image_features", "teacher_text_features", "teacher_logit_scale",
    },
    object_distillation_loss: {
        "image_features", "object_features", "logit_scale",
        "teacher_image_features", "teacher_object_features", "teacher_logit_scale",
    },
    hinge_loss: {"image_features", "text_features", "negative_features", "own_negatives", "margin"},
    batch_hard_loss: {"image_features", "text_features", "false_negatives", "margin"},
    subgraph_loss: {
        "image_features", "subgraph_features", "logit_scale", "positives", "false_texts", "false_images",
        "shared",
    },
    readout_loss: {"query_features", "tail_features", "logit_scale", "tail_labels", "known_tails"},
    folding_loss: {"text_features", "teacher_text_features"},
    own_folding_loss: {
        "image_features", "text_features", "negative_features", "logit_scale", "own_negatives",
        "teacher_text_features", "teacher_negative_features",
    },
    clip_loss: PAIRS,
    siglip_loss: PAIRS | {"logit_bias"},
    negclip_loss: PAIRS | {"negative_features", "usable_negatives"},
    own_negative_loss: PAIRS - {"false_negatives"} | {"negative_features", "own_negatives"},
    negative_siglip_loss: {
        "image_features", "negative_features", "logit_scale", "logit_bias", "usable_negatives"
    },
}  # fmt: skip


def update_golden() -> None:
    """Write the values of today: after a deliberate change, with the reason in the commit."""
    values = {loss.__name__: loss(**random_inputs(inputs)).item() for loss, inputs in LOSSES.items()}
    GOLDEN.write_text(json.dumps(values, indent=2) + "\n")


if __name__ == "__main__":
    update_golden()
