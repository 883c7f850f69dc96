"""The T5 parser: text -> graph by hand, and a tiny random T5 in the published format, end to end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowclip.knowledge.negatives.generate import generate
from knowclip.knowledge.parsing import factual_parser
from knowclip.knowledge.parsing.factual_parser import graph_of
from knowclip.knowledge.parsing.parsers import parse
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject


def test_facts_become_a_graph_with_the_places_of_their_words() -> None:
    caption = "Two boys are sitting on the red bench."
    graph = graph_of("( boys , is , 2 ) , ( boys , sit on , bench ), ( bench , is , red )", caption)
    assert graph == SceneGraph(
        (SceneObject("boys", (4, 8)), SceneObject("bench", (32, 37))),
        (Attribute(0, "two", (0, 3)), Attribute(1, "red", (28, 31))),
        (Relation(0, "sit on", 1, (13, 23)),),
    )


def test_spaces_that_the_tokenizer_removed_do_not_matter() -> None:
    assert graph_of("( dog, chase, cat )", "dog chasing cat") == graph_of(
        "( dog , chase , cat )", "dog chasing cat"
    )


@pytest.mark.parametrize(
    ("phrase", "caption", "words"),
    [
        ("carry", "a man carries a box", "carries"),
        ("hit", "a man hitting a ball", "hitting"),
        ("on side of", "a sign on the side of a bus", "on the side of"),
        ("ice cream", "two ice creams", "ice creams"),
        ("cat", "a category of cats", "cats"),
        ("red", "a red apple", "red"),
        ("lie", "a dog lay there", None),
    ],
)
def test_words_are_found_in_other_forms(phrase: str, caption: str, words: str | None) -> None:
    span = graph_of(f"( {phrase} )", caption).objects[0].span
    assert (caption[slice(*span)] if span else None) == words


def test_what_is_no_fact_is_left_out() -> None:
    text = "( dog , is , ) , ( dog , chase , dog ) , ( a , b ) , ( , , ) , ( cat ) , ( cat , is , bla"
    assert [item.name for item in graph_of(text, "a dog").objects] == ["dog", "cat"]
    assert graph_of("", "a dog") == SceneGraph()


@given(st.text(alphabet="(), dogis", max_size=60), st.text(max_size=30))
def test_no_text_crashes_it(text: str, caption: str) -> None:
    for item in graph_of(text, caption).objects:
        assert item.name
        assert item.span is None or 0 <= item.span[0] < item.span[1] <= len(caption)


def test_its_graphs_serve_negatives() -> None:
    caption = "a red horse riding a blue astronaut"
    text = "( horse , is , red ) , ( astronaut , is , blue ) , ( horse , ride , astronaut )"
    made = {negative.kind for negative in generate(caption, graph_of(text, caption))}
    assert {"relation_swap", "attribute_swap"} <= made


@pytest.fixture(scope="module")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random T5 of a few hundred weights whose every word is one of a graph."""
    torch = pytest.importorskip("torch")
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")

    folder = tmp_path_factory.mktemp("t5")
    words = "<pad> </s> <unk> ( ) , is dog cat red chase a Generate Scene Graph :".split()
    model = tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=len(words), d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_a_local_t5_parses_in_order_whatever_the_batch(
    tiny_t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factual_parser, "_MAX_NEW_TOKENS", 12)
    monkeypatch.setattr(factual_parser, "graph_of", lambda text, caption: caption)
    captions = ["a dog", " ", "a cat chase a red dog", "", "\ud800 a cat"]
    found = list(parse(captions, parser=f"factual:{tiny_t5}", batch_size=2))
    assert found == ["a dog", SceneGraph(), "a cat chase a red dog", SceneGraph(), "\ud800 a cat"]


def test_the_command_reaches_it(tiny_t5: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from knowclip.commands.parse import command

    monkeypatch.setattr(factual_parser, "_MAX_NEW_TOKENS", 12)
    (tmp_path / "captions.txt").write_text("a dog\na cat\n")
    out = tmp_path / "graphs.jsonl"
    command(tmp_path / "captions.txt", out=out, parser=f"factual:{tiny_t5}")
    assert len(out.read_text().splitlines()) == 2


def test_missing_weights_and_libraries_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"no T5 scene-graph parser at .*factual:FOLDER"):
        next(parse(["a dog"], parser=f"factual:{tmp_path}"))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match="pip install transformers"):
        next(parse(["a dog"], parser="factual:elsewhere"))


def test_what_the_caption_denies_is_left_out() -> None:
    caption = "A man who is not wearing a red hat walks a dog, and a boy without a shirt rides a bike"
    text = (
        "( man , wear , hat ) , ( man , walk , dog ) , ( hat , is , red ) , ( boy , ride , bike ) , "
        "( boy , without , shirt ) , ( boy , is , without shirt )"
    )
    found = graph_of(text, caption)
    names = [item.name for item in found.objects]
    assert names == ["man", "dog", "boy", "bike"]
    assert [(names[a.object], a.name) for a in found.attributes] == [("boy", "without shirt")]
    assert [(names[r.subject], r.name, names[r.object]) for r in found.relations] == [
        ("man", "walk", "dog"),
        ("boy", "ride", "bike"),
    ]
