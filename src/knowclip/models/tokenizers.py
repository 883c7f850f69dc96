"""Tokenizers: open_clip's for a text configuration, and word-level ones for small worlds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer, SimpleTokenizer

Tokenizer = HFTokenizer | SimpleTokenizer

HERE = "."
"""``hf_tokenizer_name`` of a checkpoint folder that brings its own tokenizer."""

_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model",
          "sentencepiece.bpe.model", "tokenizer.model")  # fmt: skip
_NAMED = "tokenizer.json and tokenizer_config.json, or vocab.json and merges.txt"

SPECIAL_TOKENS = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": "[SOT]", "eos_token": "[EOT]"}


def word_tokenizer(words: Iterable[str], *, context_length: int) -> HFTokenizer:
    """Make a tokenizer whose vocabulary is exactly ``words``, as a Hugging Face WordLevel model.

    Texts are lower-cased and split at white space and punctuation, and so are ``words``: captions will do.
    ``[PAD]`` is id 0 and ``[EOT]`` the highest id, so that both ``eos`` and ``argmax`` pooling find it; words
    outside the vocabulary become ``[UNK]``.

    Raises:
        ValueError: If there is no word.
    """
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    normalizer, splitter = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    known = {
        piece for word in words for piece, _ in splitter.pre_tokenize_str(normalizer.normalize_str(word))
    }
    if not known:
        raise ValueError("a word tokenizer needs at least one word, got none")
    pad, unk, sot, eot = SPECIAL_TOKENS.values()
    # sorted: the same captions in any order give the same ids
    vocabulary = {word: index for index, word in enumerate([pad, unk, sot, *sorted(known), eot])}
    backend = Backend(models.WordLevel(vocabulary, unk_token=unk))
    backend.normalizer, backend.pre_tokenizer = normalizer, splitter
    backend.post_processor = processors.TemplateProcessing(
        single=f"{sot} $A {eot}", special_tokens=[(sot, vocabulary[sot]), (eot, vocabulary[eot])]
    )
    with TemporaryDirectory() as folder:  # HFTokenizer reads a folder only
        PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL_TOKENS).save_pretrained(folder)
        return HFTokenizer(folder, context_length=context_length)


def phrase_ids(tokenizer: Tokenizer, phrase: str) -> list[int]:
    """Token ids of a phrase, without those that mark beginning and end of a text, and without padding."""
    if isinstance(tokenizer, SimpleTokenizer):
        return tokenizer.encode(phrase)
    return tokenizer.tokenizer.encode(tokenizer.clean_fn(phrase), add_special_tokens=False)


def open_tokenizer(text_cfg: dict[str, Any], source: str | Path | None = None) -> Tokenizer:
    """Open the tokenizer that ``text_cfg`` names, by the rules of ``open_clip.get_tokenizer``.

    Args:
        text_cfg: open_clip's text configuration.
        source: The folder of a checkpoint, which holds its Hugging Face tokenizer; where it holds none, the
            one that ``text_cfg`` names is looked up.

    Raises:
        ValueError: If it cannot be opened, naming it, the folder, and what to put where.
    """
    context_length = text_cfg.get("context_length", DEFAULT_CONTEXT_LENGTH)
    options = text_cfg.get("tokenizer_kwargs") or {}
    name = text_cfg.get("hf_tokenizer_name")
    if not name:
        if options:
            return SimpleTokenizer(context_length=context_length, **options)
        return _simple_tokenizer(context_length)
    brought = source is not None and any((Path(source) / file).is_file() for file in _FILES)
    if source is not None and not brought and name == HERE:
        raise ValueError(f"{source} holds no tokenizer: put {_FILES[0]} (or another of {_NAMED}) there")
    try:
        return HFTokenizer(
            str(source if brought else name),
            context_length=context_length,
            tokenizer_mode=text_cfg.get("tokenizer_mode"),
            **options,
        )
    except Exception as error:  # tokenizers raises nothing narrower for a broken file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if brought:
            raise ValueError(f"{source}: its tokenizer cannot be read: {reason}") from error
        where = f"{source}" if source is not None else "a folder, and name that as hf_tokenizer_name"
        raise ValueError(
            f"{source or name}: the tokenizer {name!r} (text_cfg.hf_tokenizer_name) is neither in the "
            f"checkpoint nor to be had from the Hugging Face hub: put the tokenizer files of {name} "
            f"({_NAMED}) into {where}. ({reason})"
        ) from error


@cache
def _simple_tokenizer(context_length: int) -> SimpleTokenizer:
    """CLIP's own, read once in a process: models share it, and the words that it has split already."""
    return SimpleTokenizer(context_length=context_length)


def fit_text_cfg(text_cfg: dict[str, Any], tokenizer: Tokenizer) -> dict[str, Any]:
    """Complete a text configuration without ``vocab_size`` by what the tokenizer decides.

    Raises:
        ValueError: If configuration and tokenizer disagree.
    """
    context_length = text_cfg.get("context_length", DEFAULT_CONTEXT_LENGTH)
    if tokenizer.context_length != context_length:
        raise ValueError(
            f"the tokenizer's context_length is {tokenizer.context_length} and text_cfg's {context_length}: "
            "make them equal"
        )
    if "hf_model_name" in text_cfg:  # its own configuration says all this
        return text_cfg
    if isinstance(tokenizer, SimpleTokenizer):
        size, decided = tokenizer.vocab_size, {}
    else:
        backend = tokenizer.tokenizer
        # any name will do: stock open_clip reads the tokenizer from the folder of the checkpoint
        decided = {"pad_id": backend.pad_token_id, "eos_id": backend.eos_token_id, "hf_tokenizer_name": HERE}
        size = len(backend)
    fitted = text_cfg if "vocab_size" in text_cfg else {**text_cfg, "vocab_size": size, **decided}
    if fitted["vocab_size"] < size:
        raise ValueError(f"the tokenizer has {size} tokens, text_cfg['vocab_size'] is {fitted['vocab_size']}")
    return fitted
