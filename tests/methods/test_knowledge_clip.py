"""Knowledge-CLIP and the joint method: every term, switched on and off, on pairs, triplets or both."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from knowclip.data.graphs.collate import Neighbours, mixed, relation_vocabulary
from knowclip.data.graphs.hierarchy import Hierarchy
from knowclip.data.graphs.queries import Queries
from knowclip.evaluation.links.scorers import PlainClip
from knowclip.evaluation.scoring import Scorer
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.methods.joint import Joint
from knowclip.methods.knowledge_clip import KnowledgeClip
from knowclip.types import Batch, ImageRef
from tiny import tiny_batch, tiny_model
from tiny_graph import OPTIONS, STRUCTURE, graph_steps, make_graph


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeGraph:
    return make_graph(tmp_path_factory.mktemp("graph"))


def knowledge_clip(**changed: Any) -> KnowledgeClip:
    model = tiny_model()
    return KnowledgeClip(model, teacher=model, **OPTIONS | changed)


def joint(**changed: Any) -> Joint:
    model = tiny_model()
    knowledge = OPTIONS | {"captions_as_triplets": False, "teacher": model} | changed
    return Joint(model, knowledge=knowledge, **STRUCTURE)


def step(graph: KnowledgeGraph, *, pairs: int = 6, **options: Any) -> Batch:
    options = {"neighbours": Neighbours(2, 2)} | options
    return dataclasses.replace(tiny_batch(pairs), graph=graph_steps(graph, **options)[0])


def without_pairs(batch: Batch) -> Batch:
    from knowclip.training.mixed import _NO_PAIRS

    return dataclasses.replace(_NO_PAIRS, graph=batch.graph)


TERMS = {"e2e_loss", "e2r_loss", "g2e_loss", "kd_loss"}


@pytest.mark.parametrize(
    ("make", "terms"),
    [
        (knowledge_clip, TERMS),
        (lambda: knowledge_clip(head_side=True, captions_as_triplets=False), TERMS),
        (lambda: knowledge_clip(e2r_weight=0), TERMS - {"e2r_loss"}),
        (lambda: knowledge_clip(e2e_weight=0), TERMS - {"e2e_loss"}),
        (lambda: knowledge_clip(e2e_weight=0, e2r_weight=0), {"g2e_loss", "kd_loss"}),
        (lambda: knowledge_clip(g2e_weight=0, kd_weight=0), {"e2e_loss", "e2r_loss"}),
        (lambda: knowledge_clip(e2e_weight=0, e2r_weight=0, g2e_weight=0), {"kd_loss"}),
        (joint, TERMS | {"contrastive_loss", "hinge_loss"}),
    ],
)
def test_terms_with_a_weight_and_gradients_everywhere(graph, make, terms) -> None:
    method = make().train()
    features = method(step(graph))
    losses, report = method.losses(features)
    assert losses.keys() == terms
    assert all(loss.isfinite() and loss.shape == () for loss in losses.values())
    assert all(isinstance(value, float) and math.isfinite(value) for value in report.values())
    sum(losses.values()).backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    if "e2e_loss" in terms and "g2e_loss" in terms:
        own = dict(method.named_parameters())
        for part in ("fusion.roles", "fusion.head_token", "e2e_logit_scale", "g2e_logit_scale"):
            assert own[f"knowledge.triplets.{part}"].grad.abs().sum() > 0, part
    if terms >= TERMS:
        assert {"e2e_accuracy", "e2r_accuracy", "g2e_accuracy", "e2e_logit_scale"} <= report.keys()


def test_weights_scale_their_terms(graph) -> None:
    batch = step(graph)
    plain, weighted = (
        knowledge_clip(),
        knowledge_clip(e2e_weight=2.0, e2r_weight=3.0, g2e_weight=0.5, kd_weight=4),
    )
    weighted.load_state_dict(plain.state_dict())
    one, _ = plain.losses(plain(batch))
    other, _ = weighted.losses(weighted(batch))
    for name, weight in (("e2e_loss", 2), ("e2r_loss", 3), ("g2e_loss", 0.5), ("kd_loss", 4)):
        torch.testing.assert_close(other[name], weight * one[name])


def test_what_has_no_weight_has_no_parameters() -> None:
    names = {name for name, _ in knowledge_clip(e2r_weight=0, g2e_weight=0).named_parameters()}
    assert not any("classifier" in name or "propagation" in name or "g2e" in name for name in names)
    names = {n for n, _ in knowledge_clip(e2e_weight=0, e2r_weight=0, g2e_weight=0).named_parameters()}
    assert all(name.startswith("model.") for name in names)


def test_the_control_pairs_each_head_with_its_triplet_as_a_caption(graph) -> None:
    method = knowledge_clip(e2e_weight=0, e2r_weight=0, g2e_weight=0, sentence_weight=2.0).eval()
    assert method.knowledge.triplets is None
    steps = graph_steps(graph, batch_size=10, sentences=True)
    batch = dataclasses.replace(tiny_batch(4), graph=steps[0])
    data, model = batch.graph, method.model
    losses, report = method.losses(method(batch))
    assert losses.keys() == {"sentence_loss", "kd_loss"} and "sentence_accuracy" in report

    drawn = mixed(steps.sampler.batch(0, 0), np.random.default_rng([0, 0, 0, 1]))
    text = graph.arrays.entity_text
    said = [
        f"{text[h]} {r} {text[t]}" for h, r, t in zip(drawn.heads, drawn.relation, drawn.tails, strict=True)
    ]
    sentences = torch.cat([model.encode_text([words], normalize=True) for words in said])
    heads = torch.cat(
        [
            model.encode_text([head], normalize=True)
            if isinstance(head, str)
            else model.encode_image(steps._load_images([head]), normalize=True)
            for head in drawn.head
        ]
    )
    assert {type(head) for head in drawn.head} == {str, ImageRef}
    known = torch.tensor(
        [[drawn.head[i] == drawn.head[j] or said[i] == said[j] for j in range(10)] for i in range(10)]
    )
    known &= ~torch.eye(10, dtype=torch.bool)
    assert torch.equal(data.known_sentences, known)
    logits = (model.logit_scale.exp() * heads @ sentences.T).masked_fill(known, -math.inf)
    expected = F.cross_entropy(logits, torch.arange(10)) + F.cross_entropy(logits.T, torch.arange(10))
    torch.testing.assert_close(losses["sentence_loss"], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("fused", "own"), [(True, False), (False, False), (True, True), (False, True)])
def test_the_pooled_term_asks_the_towers_as_plain_clip_is_asked(graph, fused, own) -> None:
    """Every query and every end by itself; with the fusion encoder beside it and without."""
    terms = {} if fused else {"e2e_weight": 0, "e2r_weight": 0, "g2e_weight": 0}
    method = knowledge_clip(pooled_weight=2.0, head_side=fused, self_negatives=own, **terms).eval()
    queries = Queries(Hierarchy(graph), heads=fused)
    steps = graph_steps(graph, batch_size=20, queries=queries, neighbours=Neighbours(2, 2))
    batch = dataclasses.replace(tiny_batch(4), graph=steps[0])
    features = method(batch)
    drawn = mixed(steps.sampler.batch(0, 0), np.random.default_rng([0, 0, 0, 1]))
    assert {type(end) for end in [*drawn.head, *drawn.tail]} == {str, ImageRef}
    plain = PlainClip(Scorer(method.model))
    sides = {"tail": (plain.tail_queries(drawn.head, drawn.relation), plain.tail_candidates(drawn.tail))}
    if fused:
        sides["head"] = plain.head_queries(drawn.relation, drawn.tail), plain.head_candidates(drawn.head)
    total = 0.0
    for side, (asked, ends) in sides.items():
        close(getattr(features, f"pooled_{side}_queries"), torch.tensor(asked))
        close(getattr(features, f"pooled_{side}s"), torch.tensor(ends))
        mask = getattr(batch.graph, f"known_{side}s") | getattr(batch.graph, f"related_{side}s")
        logits = features.pooled_logit_scale * torch.tensor(asked) @ torch.tensor(ends).T
        logits = logits.masked_fill(mask, -math.inf)
        rows = logits
        if own:  # the end that the query says, unless the triplet is a loop
            said = {"tail": drawn.head, "head": drawn.tail}[side]
            given = plain.head_candidates(said) if side == "tail" else plain.tail_candidates(said)
            column = features.pooled_logit_scale * (torch.tensor(asked) * torch.tensor(given)).sum(dim=1)
            loops = batch.graph.triplets[:, 0] == batch.graph.triplets[:, 2]
            rows = torch.cat([logits, column.masked_fill(loops, -math.inf)[:, None]], dim=1)
        total += F.cross_entropy(rows, torch.arange(20)) + F.cross_entropy(logits.T, torch.arange(20))
    losses, report = method.losses(features)
    # of weight 2, each side the mean of two directions
    close(losses["pooled_loss"], 2 * total / 2 / len(sides))
    assert {"pooled_accuracy", "pooled_logit_scale"} <= report.keys()
    assert ("pooled_head_accuracy" in report) == fused


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_the_pooled_term_leaves_the_paper_s_terms_as_they_are(graph) -> None:
    batch = step(graph, queries=Queries(Hierarchy(graph)))
    paper, both = knowledge_clip().eval(), knowledge_clip(pooled_weight=1.0).eval()
    both.load_state_dict(paper.state_dict(), strict=False)
    one, _ = paper.losses(paper(batch))
    other, _ = both.losses(both(batch))
    assert one.keys() == TERMS and other.keys() == TERMS | {"pooled_loss"}
    for name, loss in one.items():
        close(loss, other[name])
    alone = knowledge_clip(e2e_weight=0, e2r_weight=0, g2e_weight=0, kd_weight=0, pooled_weight=1.0)
    beside = [name for name, _ in alone.named_parameters() if not name.startswith("model.")]
    assert beside == ["knowledge.pooled.logit_scale"]


def test_learning_by_the_pooled_term_finds_the_tails(graph) -> None:
    """Thirty steps on one batch, by the towers of the joint method alone."""
    method = joint(e2e_weight=0, e2r_weight=0, g2e_weight=0, kd_weight=0, pooled_weight=1.0).train()
    batch = step(graph, batch_size=8, queries=Queries(Hierarchy(graph)))
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-2)
    found = []
    for _ in range(30):
        losses, report = method.losses(method(batch))
        found.append((losses["pooled_loss"].item(), report["pooled_accuracy"]))
        optimizer.zero_grad()
        losses["pooled_loss"].backward()
        optimizer.step()
    assert found[-1][0] < 0.5 * found[0][0] and found[-1][1] > found[0][1]


def test_features_are_the_fusion_encoder_s_answers(graph) -> None:
    """Y(h, r, -), Y(-, -, t) and the logits of R(h, -, t), asked one triplet at a time."""
    method = knowledge_clip(captions_as_triplets=False, head_side=True).eval()
    batch = step(graph)
    features = method(batch)
    triplets, model, data = method.knowledge.triplets, method.model, batch.graph
    _, entities = method.knowledge._graph_entities(model, data)
    relations = model.encode_text(data.relation_texts)
    for row, (h, r, t) in enumerate(data.triplets.tolist()):
        Y, R = triplets.fusion(
            entities, relations, torch.tensor([[h, r, -1], [-1, -1, t], [h, -1, t], [-1, r, t], [h, -1, -1]])
        )
        names = ("tail_queries", "tail_candidates", None, "head_queries", "head_candidates")
        for name, answer in zip(names, F.normalize(Y, dim=-1), strict=True):
            if name:
                torch.testing.assert_close(getattr(features, name)[row], answer, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            features.relation_logits[row], triplets.classifier(R[2]), atol=1e-5, rtol=1e-4
        )


def test_graph_features_follow_the_equation_on_the_sampled_triplets(graph) -> None:
    method = knowledge_clip(captions_as_triplets=False).eval()
    data = step(graph).graph
    features = method(step(graph))
    fusion, layers = method.knowledge.triplets.fusion, method.knowledge.triplets.propagation.layers
    _, entities = method.knowledge._graph_entities(method.model, data)
    none = torch.zeros(0, method.model.embed_dim)

    def propagated(node: int, level: int) -> torch.Tensor:
        x = int(data.nodes[node])
        if level == 0:
            return fusion(entities, none, torch.tensor([[-1, -1, x]]))[0][0]
        ending = [int(h) for h, t in data.edges.tolist() if t == node]
        if not ending:
            return propagated(node, level - 1)
        total = 0
        for head in ending:
            _, R = fusion(entities, none, torch.tensor([[int(data.nodes[head]), -1, x]]))
            total = total + layers[level - 1](R[0]) * propagated(head, level - 1)
        return total / len(ending)

    with torch.no_grad():
        for row, seed in enumerate(data.seeds.tolist()):
            expected = F.normalize(propagated(seed, 2), dim=-1)
            torch.testing.assert_close(features.graph_features[row], expected, atol=1e-4, rtol=1e-3)
    assert features.graph_mask.all()


def test_pairs_join_as_triplets_and_stay_out_of_the_relation_accuracy(graph) -> None:
    method = knowledge_clip().eval()
    batch = step(graph)
    features = method(batch)
    assert features.from_pairs.tolist() == [False] * 8 + [True] * 6
    turned = batch.caption_ids % 2
    assert features.relation_labels[8:].tolist() == (5 + turned).tolist()
    assert features.relation_logits.shape == (14, 7)
    wrong = torch.zeros_like(features.relation_logits)
    wrong[torch.arange(8), features.relation_labels[:8]] = 5  # right on the graph, wrong on every pair
    wrong[8:, 0] = 5
    _, report = method.losses(dataclasses.replace(features, relation_logits=wrong))
    assert report["e2r_accuracy"] == 1.0


def test_known_truths_of_pairs_are_masked_beside_the_graph_s(graph) -> None:
    """tiny_batch's rows 0 and 2 share an image: making one's tail the other's must not move the loss."""
    from knowclip.methods.knowledge_losses import with_pairs

    features = knowledge_clip().eval()(step(graph))
    mask = with_pairs(features, features.known_tails, side="tail")
    assert torch.equal(mask[:8, :8], features.known_tails)
    assert not mask[:8, 8:].any() and not mask[8:, :8].any()
    none = features.known_tails[:0, :0]
    # image 0 has the captions x and y, image 1 has y; the first three join in the same direction
    ids = {"image_ids": torch.tensor([0, 1, 0, 0, 1, 0]), "from_pairs": torch.arange(6) >= 0}
    for even, side in ((True, "tail"), (False, "head")):
        x, y = (20, 40) if even else (21, 41)
        pairs = dataclasses.replace(features, caption_ids=torch.tensor([x, y, y, 31, 51, 30]), **ids)
        asks_captions = with_pairs(pairs, none, side=side)[:3, :3]
        # y is true of image 0, x not of image 1
        assert asks_captions.tolist() == [[False, True, True], [False, False, True], [True, True, False]]
        asks_images = with_pairs(pairs, none, side="head" if even else "tail")[:3, :3]
        assert asks_images.tolist() == [[False, False, True], [True, False, True], [True, True, False]]
    mixed = dataclasses.replace(features, caption_ids=torch.tensor([20, 41, 40, 31, 51, 30]), **ids)
    assert not with_pairs(mixed, none, side="tail")[0, 1]  # one candidate is an image


def test_on_triplets_alone(graph) -> None:
    method = knowledge_clip(kd_weight=0).train()
    losses, _ = method.losses(method(without_pairs(step(graph))))
    assert losses.keys() == TERMS - {"kd_loss"}
    sum(losses.values()).backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("options", [
    {"batch_size": 1, "proportions": {"words": 1}, "same_image": 1, "pairs": 1},
    {"batch_size": 2, "proportions": {"regions": 1}, "modality": "image"},
])  # fmt: skip
def test_smallest_steps_are_finite(graph, options) -> None:
    method = knowledge_clip(head_side=True).train()
    losses, report = method.losses(method(step(graph, **options)))
    assert all(loss.isfinite() for loss in losses.values()), losses
    assert all(math.isfinite(value) for value in report.values())
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in method.parameters())


def test_distillation_is_from_the_start_and_its_teacher_is_no_parameter(graph) -> None:
    method = knowledge_clip(e2e_weight=0, e2r_weight=0, g2e_weight=0).train()
    batch = tiny_batch(6)
    losses, _ = method.losses(method(batch))
    assert losses["kd_loss"].item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        method.model.model.text_projection.normal_()
    losses, _ = method.losses(method(batch))
    assert losses["kd_loss"].item() > 1e-3
    assert not any("teacher" in name for name in method.state_dict())
    losses["kd_loss"].backward()
    assert all(p.grad is None for p in method.knowledge._teacher.model.parameters())
    assert not method.knowledge._teacher.model.training


def test_another_teacher_of_another_width(graph) -> None:
    from knowclip.models.clip import DualEncoder
    from knowclip.models.loading.architectures import construct
    from tiny import Tokenizer

    student = tiny_model()
    config = dict(student.config) | {"embed_dim": 12}
    teacher = DualEncoder(construct(config), config=config, tokenizer=Tokenizer())
    method = KnowledgeClip(student, teacher=teacher, **OPTIONS)
    losses, _ = method.losses(method(step(graph)))
    assert losses["kd_loss"].isfinite() and losses["kd_loss"] > 0


def test_mistakes_are_told(graph) -> None:
    with pytest.raises(ValueError, match="all 0: nothing to learn"):
        knowledge_clip(e2e_weight=0, e2r_weight=0, g2e_weight=0, kd_weight=0)
    with pytest.raises(ValueError, match="relation vocabulary is empty"):
        knowledge_clip(relations=())
    with pytest.raises(ValueError, match="the batch has none"):
        knowledge_clip()(tiny_batch(4))
    to_evaluate = KnowledgeClip(tiny_model(), **OPTIONS)
    with pytest.raises(ValueError, match="needs a teacher"):
        to_evaluate(step(graph))


def test_settings_build_the_same_method(graph) -> None:
    for method, make in ((knowledge_clip(), KnowledgeClip), (joint(), Joint)):
        again = make(tiny_model(), **method.settings())
        again.load_state_dict(method.state_dict())
        assert again.settings() == method.settings()
    assert list(OPTIONS["relations"]) == relation_vocabulary(graph, inverse=False)


def test_learning_separates_the_tails(graph) -> None:
    """Thirty steps on one batch: E2E, E2R and G2E all fall, and most tails are found."""
    method = knowledge_clip(captions_as_triplets=False).train()
    batch = step(graph, batch_size=8)
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-2)
    for number in range(30):
        losses, report = method.losses(method(batch))
        if number == 0:
            first = losses
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    for name in ("e2e_loss", "e2r_loss", "g2e_loss"):
        assert losses[name] < 0.7 * first[name], name
    assert report["e2r_accuracy"] >= 0.75
