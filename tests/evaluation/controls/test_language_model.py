"""A causal language model as a blind reader, on a tiny random GPT-2."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from knowclip.evaluation.controls.language_model import CausalLanguageModel
from knowclip.evaluation.controls.text_only import TextOnly
from knowclip.models.tokenizers import word_tokenizer

TEXTS = ["a red horse rides a small astronaut", "a horse", "an astronaut rides a red horse", "horse"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gpt2")
    tokenizer = word_tokenizer(TEXTS, context_length=16).tokenizer
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=16, n_embd=16, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_scores_are_the_summed_log_probabilities(folder: Path) -> None:
    reader = CausalLanguageModel(str(folder), batch_size=3)
    scores = reader(TEXTS)
    for text, score in zip(TEXTS, scores, strict=True):
        ids = torch.tensor([[reader.start, *reader.tokenizer(text, add_special_tokens=False).input_ids]])
        with torch.no_grad():
            steps = reader.model(ids).logits.log_softmax(-1)[0]
        expected = sum(steps[place, token].item() for place, token in enumerate(ids[0, 1:]))
        assert score == pytest.approx(expected, abs=1e-4)


def test_it_joins_the_text_only_control(folder: Path) -> None:
    control = TextOnly((), readers={"gpt2": CausalLanguageModel(str(folder))})
    assert list(control.readers) == ["gpt2"]
    assert list(TextOnly(TEXTS, readers=control.readers).readers) == ["gpt2", "ngram"]


def test_what_is_no_language_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no causal language model of transformers"):
        CausalLanguageModel(str(tmp_path))


def test_blanks_at_the_ends_are_no_part_of_a_text(folder: Path) -> None:
    class Blanks:
        """A tokenizer that makes a token of every letter, blanks too, as GPT-2's does."""

        def __call__(self, text: str, *, add_special_tokens: bool) -> Any:
            return SimpleNamespace(input_ids=[ord(letter) % 7 for letter in text])

    reader = CausalLanguageModel(str(folder))
    reader.tokenizer = Blanks()
    assert reader(["a horse ", " a horse", "a horse"]).tolist() == pytest.approx([reader(["a horse"])[0]] * 3)
    assert reader._ids("a b") == [reader.start, *(ord(letter) % 7 for letter in "a b")]
