from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_clip import SimpleTokenizer
from open_clip.tokenizer import HFTokenizer

from knowclip.models.tokenizers import fit_text_cfg, open_tokenizer, word_tokenizer

TOKENIZER = word_tokenizer(["A red horse, riding", "an astronaut's HORSE."], context_length=8)


def test_the_vocabulary_is_the_words_between_pad_and_eot():
    backend = TOKENIZER.tokenizer
    words = sorted([",", ".", "a", "an", "astronaut", "horse", "red", "riding", "s", "'"])
    expected = ["[PAD]", "[UNK]", "[SOT]", *words, "[EOT]"]
    assert backend.convert_ids_to_tokens(range(len(backend))) == expected
    assert (backend.pad_token_id, backend.eos_token_id) == (0, len(backend) - 1)


def test_texts_are_lower_cased_split_padded_and_truncated_before_eot():
    backend = TOKENIZER.tokenizer
    ids = TOKENIZER(["The RED horse!", "a a a a a a a a a a"])
    tokens = [backend.convert_ids_to_tokens(row.tolist()) for row in ids]
    assert tokens[0] == ["[SOT]", "[UNK]", "red", "horse", "[UNK]", "[EOT]", "[PAD]", "[PAD]"]
    assert tokens[1] == ["[SOT]", *["a"] * 6, "[EOT]"]


@given(st.text(max_size=60))
def test_every_text_has_one_start_and_one_end(text):
    ids = TOKENIZER([text])
    backend = TOKENIZER.tokenizer
    assert ids.shape == (1, 8)
    # a text may spell the special tokens out; then there are more, and the first is what pooling takes
    if "[" not in text:
        assert (ids == backend.eos_token_id).sum() == 1
        assert ids[0, 0] == backend.bos_token_id


def test_saved_and_opened_again_it_is_the_same(tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    opened = open_tokenizer({"hf_tokenizer_name": ".", "context_length": 8}, source=tmp_path)
    texts = ["a red zebra, riding.", "", "HORSE"]
    assert isinstance(opened, HFTokenizer)
    assert opened(texts).equal(TOKENIZER(texts))


def test_order_and_repetition_of_words_do_not_matter():
    one = word_tokenizer(["b", "a", "a b"], context_length=4)
    two = word_tokenizer(["a", "b"], context_length=4)
    assert one.tokenizer.get_vocab() == two.tokenizer.get_vocab()


def test_no_word_is_refused():
    with pytest.raises(ValueError, match="at least one word"):
        word_tokenizer(["  "], context_length=4)


def test_the_tokenizer_completes_a_configuration():
    fitted = fit_text_cfg({"context_length": 8, "width": 4}, TOKENIZER)
    assert fitted["vocab_size"] == 14
    assert (fitted["pad_id"], fitted["eos_id"], fitted["width"]) == (0, 13, 4)
    given = {"context_length": 8, "vocab_size": 20, "eos_id": 3}
    assert fit_text_cfg(given, TOKENIZER) == given  # a trained checkpoint's word stands
    assert fit_text_cfg({}, SimpleTokenizer())["vocab_size"] == 49408


def test_disagreement_is_refused():
    with pytest.raises(ValueError, match="context_length is 8 and text_cfg's 77"):
        fit_text_cfg({}, TOKENIZER)
    with pytest.raises(ValueError, match="14 tokens, text_cfg"):
        fit_text_cfg({"context_length": 8, "vocab_size": 10}, TOKENIZER)
