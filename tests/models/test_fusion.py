"""The fusion encoder (K3), graph propagation (K6) and what asks them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch_geometric.utils as pyg
from PIL import Image

from knowclip.models.fusion import (
    MASKED,
    Entities,
    FusionEncoder,
    GraphPropagation,
    _groups,
    joined,
    relation_classifier,
)
from knowclip.models.triplet_encoder import LinkPredictor, TripletEncoder, masked_rows, token_widths
from knowclip.types import ImageRef
from tiny import tiny_model
from tiny_models import FAMILIES, make, pixels

FUSION = {"width": 8, "layers": 2, "heads": 2, "drop_path": 0.0}


def fusion(**changed: object) -> FusionEncoder:
    torch.manual_seed(0)
    options = {"text_width": 6, "image_width": 5, "relation_width": 4, **FUSION, **changed}
    encoder = FusionEncoder(**options)
    with torch.no_grad():
        encoder.roles.normal_()
        encoder.head_token.normal_()
    return encoder.eval()


def world(encoder: FusionEncoder) -> tuple[Entities, torch.Tensor]:
    """Three texts of 2, 4 and 1 tokens, two images of 3 tokens, two relations."""
    random = torch.Generator().manual_seed(1)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.bool)
    entities = encoder.entities(
        text_tokens=torch.randn(3, 4, 6, generator=random),
        text_mask=mask,
        image_tokens=torch.randn(2, 3, 5, generator=random),
    )
    return entities, torch.randn(2, 4, generator=random)


def literally(encoder: FusionEncoder, entities: Entities, relations: torch.Tensor, triplet: list[int]):
    """K3 as it is written, one triplet at a time: [<head>, x^h + P_h, xbar^r + P_r, x^t + P_t]."""
    h, r, t = triplet
    zero = torch.zeros(1, encoder.head_token.shape[1])

    def tokens(entity: int) -> torch.Tensor:
        start, length = int(entities.start[entity]), int(entities.length[entity])
        return entities.tokens[start : start + length]

    head = zero if h == MASKED else tokens(h) + encoder.roles[0]
    relation = zero if r == MASKED else encoder.relation_projection(relations[[r]]) + encoder.roles[1]
    tail = zero if t == MASKED else tokens(t) + encoder.roles[2]
    x = torch.cat([encoder.head_token, head, relation, tail])[None]
    for block in encoder.blocks:
        x = block(x)
    x = encoder.norm(x)[0]
    return x[0], x[1 + len(head)]


def test_outputs_are_those_of_the_equation() -> None:
    encoder = fusion()
    entities, relations = world(encoder)
    assert entities.length.tolist() == [2, 4, 1, 3, 3] and entities.start.tolist() == [0, 2, 6, 7, 10]
    triplets = [[0, 1, 3], [0, 1, -1], [-1, -1, 3], [0, -1, 3], [-1, 0, 4], [2, -1, -1], [0, 1, 3], [1, 0, 1]]
    with torch.no_grad():
        Y, R = encoder(entities, relations, torch.tensor(triplets))
        for row, triplet in enumerate(triplets):
            y, r = literally(encoder, entities, relations, triplet)
            torch.testing.assert_close(Y[row], y, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(R[row], r, atol=1e-5, rtol=1e-5)


def test_equal_rows_are_computed_once_and_like_lengths_together(monkeypatch) -> None:
    encoder = fusion()
    entities, relations = world(encoder)
    calls = []
    encode = encoder._encode
    monkeypatch.setattr(
        encoder, "_encode", lambda x, real: calls.append(tuple(x.shape[:2])) or encode(x, real)
    )
    encoder(entities, relations, torch.tensor([[0, 0, -1], [0, 0, -1], [-1, -1, 3], [3, -1, 4], [1, 0, 1]]))
    assert calls == [(3, 8), (1, 10)]  # lengths 5, 6 and 8 in one group, 10 in another


def test_no_row_is_more_than_half_padding() -> None:
    lengths = torch.randint(4, 600, (200,))
    groups = _groups(lengths)
    assert sorted(torch.cat(groups).tolist()) == list(range(200))
    for group in groups:
        assert lengths[group].max() <= 2 * lengths[group].min()


def test_head_and_tail_differ_and_a_masked_element_hides_its_length() -> None:
    encoder = fusion()
    entities, relations = world(encoder)
    with torch.no_grad():
        Y, _ = encoder(entities, relations, torch.tensor([[0, 0, 3], [3, 0, 0]]))
        assert (Y[0] - Y[1]).abs().max() > 1e-3
        longer = entities.tokens.clone()
        longer[7:] = 0  # other images: Y(h, r, -) knows nothing of any tail
        same, _ = encoder(
            Entities(longer, entities.start, entities.length), relations, torch.tensor([[0, 0, -1]])
        )
        alone, _ = encoder(entities, relations, torch.tensor([[0, 0, -1]]))
    assert torch.equal(same, alone)


def test_joined_entities_are_numbered_on() -> None:
    encoder = fusion()
    entities, relations = world(encoder)
    both = joined(entities, entities)
    with torch.no_grad():
        Y, R = encoder(both, relations, torch.tensor([[1, 0, 3], [6, 0, 8]]))
    assert torch.equal(Y[0], Y[1]) and torch.equal(R[0], R[1])


def test_width_must_fit_heads() -> None:
    with pytest.raises(ValueError, match="no multiple of its 3 heads"):
        fusion(heads=3)


def test_drop_path_rises_with_depth() -> None:
    encoder = fusion(layers=3, drop_path=0.2)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in encoder.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2])


def slow_propagation(layers: list, G0: dict, R: dict, edges: list, t: int, level: int) -> torch.Tensor:
    """K6 word for word: a mean over the triplets that end in t, recursively."""
    if level == 0:
        return G0[t]
    ending = [(h, number) for number, (h, tail) in enumerate(edges) if tail == t]
    below = [slow_propagation(layers, G0, R, edges, h, level - 1) for h, _ in ending]
    if not ending:
        return slow_propagation(layers, G0, R, edges, t, level - 1)
    W = layers[level - 1].weight
    return sum((W @ R[number]) * g for (_, number), g in zip(ending, below, strict=True)) / len(ending)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_propagation_is_the_equation(depth) -> None:
    torch.manual_seed(depth)
    nodes, edges = 7, [(0, 1), (2, 1), (0, 1), (1, 0), (3, 2), (4, 3), (5, 5), (1, 6)]
    propagation = GraphPropagation(width=4, layers=depth).double()
    G0 = torch.randn(nodes, 4, dtype=torch.float64)
    R = torch.randn(len(edges), 4, dtype=torch.float64)
    got = propagation(G0, R, torch.tensor(edges))
    for node in range(nodes):
        expected = slow_propagation(list(propagation.layers), G0, R, edges, node, depth)
        torch.testing.assert_close(got[node], expected)


def test_propagation_is_pyg_s_mean() -> None:
    """The same numbers as PyTorch Geometric's ``scatter``, for nodes in which a triplet ends."""
    torch.manual_seed(0)
    edges = torch.randint(0, 6, (20, 2))
    propagation = GraphPropagation(width=4, layers=1)
    G0, R = torch.randn(6, 4), torch.randn(20, 4)
    messages = propagation.layers[0](R) * G0[edges[:, 0]]
    mean = pyg.scatter(messages, edges[:, 1], dim=0, dim_size=6, reduce="mean")
    ended = torch.bincount(edges[:, 1], minlength=6) > 0
    torch.testing.assert_close(propagation(G0, R, edges)[ended], mean[ended])


def test_propagation_without_edges_keeps_the_entities() -> None:
    G0 = torch.randn(3, 4)
    none = torch.zeros(0, 2, dtype=torch.long)
    assert torch.equal(GraphPropagation(width=4, layers=2)(G0, torch.zeros(0, 4), none), G0)


def test_empty_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="relation vocabulary is empty"):
        relation_classifier(8, 0)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_tokens_of_every_family_go_into_the_fusion(family, tmp_path) -> None:
    """Widths are found, padding is left out, and a gradient reaches both towers."""
    model = make(family, tmp_path)
    encoder = TripletEncoder(model, relations=2, graph_layers=1, contrastive=True, fusion=FUSION)
    texts = ["a red horse", "an astronaut is riding a big horse"]
    _, tokens, mask = model.encode_text_tokens(texts)
    assert (tokens.shape[-1], model.encode_image_tokens(pixels(model))[1].shape[-1]) == token_widths(model)[
        ::-1
    ]
    if family not in ("siglip",):  # its tower reads and fills every position
        assert mask[0].sum() < mask[1].sum()
    _, images = model.encode_image_tokens(pixels(model, 2))
    entities = encoder.fusion.entities(text_tokens=tokens, text_mask=mask, image_tokens=images)
    relations = model.encode_text(["on", "riding"])
    Y, R = encoder.fusion(entities, relations, torch.tensor([[0, 0, 2], [1, 1, -1], [3, -1, 0]]))
    (Y.square().sum() + R.square().sum()).backward()
    for tower in (model.model.visual, next(p for n, p in model.named_parameters() if "token_embedding" in n
                                           or "word_embeddings" in n)):  # fmt: skip
        gradients = (
            [p.grad for p in tower.parameters()] if isinstance(tower, torch.nn.Module) else [tower.grad]
        )
        assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


def test_padding_of_a_batch_changes_no_entity(tmp_path) -> None:
    model = make("timm_cnn_bert", tmp_path)
    encoder = TripletEncoder(model, relations=None, graph_layers=None, contrastive=True, fusion=FUSION).eval()
    ask = LinkPredictor(model, encoder)
    with torch.no_grad():
        alone = ask.tail_candidates(ask.encode_entities(["a red horse"]))
        padded = ask.tail_candidates(ask.encode_entities(["the small green horse is riding", "a red horse"]))
    torch.testing.assert_close(padded[1:], alone, atol=1e-5, rtol=1e-4)


def test_link_predictor_answers_in_the_order_asked(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(
        tmp_path / "x.png"
    )
    region = ImageRef(tmp_path / "x.png", (2, 2, 9, 9))
    model = tiny_model().eval()
    encoder = TripletEncoder(model, relations=3, graph_layers=None, contrastive=True, fusion=FUSION).eval()
    ask = LinkPredictor(model, encoder)
    entities = ask.encode_entities(["dog", region, "a red house"])
    relations = ask.encode_relations(["on", "next to"])
    one, two = torch.tensor([0, 1]), torch.tensor([1, 0])
    candidates = ask.tail_candidates(entities)
    assert candidates.shape == (3, 8) and ask.head_candidates(entities).shape == (3, 8)
    for row, entity in enumerate(["dog", region, "a red house"]):
        torch.testing.assert_close(candidates[[row]], ask.tail_candidates(ask.encode_entities([entity])))
    queries = ask.tail_queries(entities, relations, heads=one, relation=two)
    torch.testing.assert_close(queries.norm(dim=1), torch.ones(2))
    Y, _ = encoder.fusion(entities, relations, torch.tensor([[0, 1, -1], [1, 0, -1]]))
    torch.testing.assert_close(queries, torch.nn.functional.normalize(Y, dim=-1))
    heads = ask.head_queries(entities, relations, relation=two, tails=one)
    assert heads.shape == (2, 8) and (heads - queries).abs().max() > 1e-4
    assert ask.relation_logits(entities, heads=one, tails=two).shape == (2, 3)
    assert not queries.requires_grad
    silent = TripletEncoder(model, relations=None, graph_layers=None, contrastive=True, fusion=FUSION)
    with pytest.raises(ValueError, match="e2r_weight=0"):
        LinkPredictor(model, silent).relation_logits(entities, heads=one, tails=two)


def test_masked_rows() -> None:
    rows = masked_rows(torch.tensor([4, 5]), None, torch.tensor([6, 7]))
    assert rows.tolist() == [[4, MASKED, 6], [5, MASKED, 7]]
