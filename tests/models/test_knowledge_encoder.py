"""The KEE: order, padding and other texts change nothing; texts without triples keep their embedding."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import AutoConfig, BertConfig, BertModel

from knowclip.evaluation.scoring import Scorer
from knowclip.models.knowledge_encoder import KnowledgeEncoder, phrase_means
from knowclip.models.text_length import word_embedding
from knowclip.models.with_knowledge import WithKnowledge
from tiny import VOCABULARY, tiny_batch, tiny_model, triples
from tiny_models import make


def encoder(**changed: object) -> KnowledgeEncoder:
    torch.manual_seed(0)
    options = {"layers": 2, "composition": "minus", "scale": 0.2, "renormalize": True}
    return KnowledgeEncoder(tiny_model(), **options | changed).eval()


def words() -> torch.Tensor:
    return word_embedding(tiny_model().model).weight


def unit(rows: int) -> torch.Tensor:
    return F.normalize(torch.randn(rows, 8, generator=torch.Generator().manual_seed(1)), dim=-1)


SOME = triples(6, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("composition", ["minus", "sum", "concatenation"])
@pytest.mark.parametrize("renormalize", [True, False])
def test_texts_without_triples_keep_their_embedding_bit_for_bit(composition, renormalize) -> None:
    kee = encoder(composition=composition, renormalize=renormalize)
    plain = unit(6)
    enhanced = kee(plain, SOME, words=words())
    without = (SOME < 0).flatten(1).all(dim=1)
    assert 0 < without.sum() < 6
    assert torch.equal(enhanced[without], plain[without])
    assert (enhanced[~without] != plain[~without]).any(dim=1).all()
    nothing = torch.full((6, 0, 3, 0), -1)
    assert torch.equal(kee(plain, nothing, words=words()), plain)


def test_lambda_and_length() -> None:
    plain = unit(6)
    there = (SOME >= 0).flatten(1).any(dim=1)
    raw = encoder(renormalize=False)(plain, SOME, words=words())
    torch.testing.assert_close((raw - plain)[there].norm(dim=-1), torch.full((int(there.sum()),), 0.2))
    again = encoder()(plain, SOME, words=words())
    torch.testing.assert_close(again[there], F.normalize(raw[there], dim=-1))
    stronger = encoder(scale=0.5, renormalize=False)(plain, SOME, words=words())
    torch.testing.assert_close((stronger - plain) / 0.5, (raw - plain) / 0.2)


def test_order_of_triples_padding_and_neighbours_do_not_matter() -> None:
    kee, plain = encoder(), unit(6)
    expected = kee(plain, SOME, words=words())
    torch.testing.assert_close(kee(plain, SOME.flip(1), words=words()), expected)
    padded = F.pad(SOME, (0, 3, 0, 0, 0, 4), value=-1)
    torch.testing.assert_close(kee(plain, padded, words=words()), expected)
    alone = torch.cat([kee(plain[i, None], SOME[i, None], words=words()) for i in range(6)])
    torch.testing.assert_close(alone, expected)


@pytest.mark.parametrize(
    ("composition", "differs"), [("minus", True), ("sum", False), ("concatenation", True)]
)
def test_who_does_it_matters_unless_phrases_are_summed(composition, differs) -> None:
    kee, plain = encoder(composition=composition), unit(1)
    said = torch.tensor([[[[5], [6], [7]]]])
    one, other = (kee(plain, text, words=words()) for text in (said, said.flip(2)))
    assert torch.allclose(one, other, atol=1e-6) != differs


def testphrase_means_by_hand() -> None:
    """Rows 0, 1, 2 are (0, 1), (2, 3), (4, 5); padding is no zero in the mean, an empty phrase is zero."""
    table = torch.arange(6.0).view(3, 2)
    phrases = torch.tensor([[[[0, 2, 1], [1, -1, -1], [-1, -1, -1]]]])
    assert phrase_means(phrases, table).tolist() == [[[[2, 3], [2, 3], [0, 0]]]]


def test_long_phrases_and_many_triples() -> None:
    generator = torch.Generator().manual_seed(0)
    many = torch.randint(1, VOCABULARY, (2, 60, 3, 40), generator=generator)
    enhanced = encoder()(unit(2), many, words=words())
    assert enhanced.isfinite().all()
    last = many.clone()
    last[:, -1, -1, -1] = 0
    assert not torch.allclose(encoder()(unit(2), last, words=words()), enhanced, atol=1e-7)


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    folder = tmp_path / "bert"
    make("timm_cnn_bert", tmp_path)  # writes a tokenizer and a configuration
    torch.manual_seed(3)
    BertModel(BertConfig.from_pretrained(folder), add_pooling_layer=False).save_pretrained(folder)
    return folder


def test_starts_from_a_bert(bert) -> None:
    kee = encoder(pretrained=bert, layers=1)
    saved = BertModel.from_pretrained(bert, add_pooling_layer=False)
    assert torch.equal(kee.transformer.words.weight, saved.get_input_embeddings().weight)
    assert len(kee.transformer.bert.encoder.layer) == 1
    first = saved.encoder.layer[0].attention.self.query.weight
    assert torch.equal(kee.transformer.bert.encoder.layer[0].attention.self.query.weight, first)
    assert kee.phrase_ids("red horse") == kee.transformer.tokenizer.encode("red horse")[1:-1]
    plain, some = unit(6), SOME.clamp(max=5)
    expected = kee(plain, some, words=words())
    torch.testing.assert_close(kee(plain, some.flip(1), words=words()), expected)
    assert torch.equal(expected[1], plain[1])


def test_folders_that_hold_no_bert(bert, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        encoder(pretrained=tmp_path)
    with pytest.raises(ValueError, match=r"2 layers: .* at least layers=3"):
        encoder(pretrained=bert, layers=3)
    config = AutoConfig.from_pretrained(bert).to_dict() | {"model_type": "roberta"}
    (bert / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="holds a 'roberta'"):
        encoder(pretrained=bert)


def test_with_knowledge_is_the_model_where_texts_have_no_triples(tmp_path, monkeypatch) -> None:
    model = make("word_level", tmp_path)
    options = {"layers": 1, "composition": "minus", "scale": 0.2, "renormalize": True}
    enhanced = WithKnowledge(model, KnowledgeEncoder(model, **options), parser="spacy").eval()
    texts = ["a red horse", "an astronaut", "a big astronaut riding a small horse"]
    parsed = []
    parse = "knowclip.models.with_knowledge.parse"
    import knowclip.models.with_knowledge as module

    real = module.parse
    monkeypatch.setattr(parse, lambda new, parser: parsed.append((list(new), parser)) or real(new))
    with torch.no_grad():
        plain = model.encode_text(texts, normalize=True)
        got = enhanced.encode_text(texts, normalize=True)
        again = enhanced.encode_text(texts[::-1])
    assert torch.equal(got[1], plain[1])
    assert not torch.allclose(got[[0, 2]], plain[[0, 2]])
    torch.testing.assert_close(again, got.flip(0))
    assert parsed == [(texts, "spacy"), ([], "spacy")]


def test_parsed_texts_are_kept_but_not_without_end(tmp_path, monkeypatch) -> None:
    import knowclip.models.with_knowledge as module

    monkeypatch.setattr(module, "_PARSED", 2)
    model = make("word_level", tmp_path)
    options = {"layers": 1, "composition": "minus", "scale": 0.2, "renormalize": True}
    enhanced = WithKnowledge(model, KnowledgeEncoder(model, **options), parser="spacy").eval()
    texts = ["a red horse", "an astronaut", "a big astronaut", "a small horse"]
    with torch.no_grad():
        together = enhanced.encode_text(texts)  # more than are kept
        assert list(enhanced._triplets) == texts[2:]
        torch.testing.assert_close(enhanced.encode_text(texts[:1]), together[:1])
    assert list(enhanced._triplets) == [texts[3], texts[0]]


@pytest.mark.parametrize("renormalize", [True, False])
def test_a_scorer_adds_the_kee_to_what_it_has_encoded(tmp_path, monkeypatch, renormalize) -> None:
    model = make("word_level", tmp_path)
    options = {"layers": 1, "composition": "minus", "scale": 0.2, "renormalize": renormalize}
    enhanced = WithKnowledge(model, KnowledgeEncoder(model, **options), parser="spacy").eval()
    texts = ["a red horse", "an astronaut", "a big astronaut riding a small horse"]
    with torch.no_grad():
        expected = enhanced.encode_text(texts, normalize=True).numpy()
    plain = Scorer(model)
    first = plain.texts(texts)
    again = plain.with_texts_of(enhanced)
    monkeypatch.setattr(model, "encode_text", lambda *_, **__: pytest.fail("encoded again"))
    np.testing.assert_allclose(again.texts(texts), expected, atol=1e-6)
    assert np.array_equal(plain.texts(texts), first)
    assert again.model_hash != plain.model_hash


def test_tiny_batch_has_texts_with_and_without_triples() -> None:
    there = (tiny_batch(6).triples >= 0).flatten(1).any(dim=1)
    assert 0 < there.sum() < 6
