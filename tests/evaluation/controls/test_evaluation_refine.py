"""Adversarial refinement: readers end at chance, are never scored on what they saw, and files survive."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from knowclip.commands import swaps as command
from knowclip.evaluation.benchmarks.registry import read
from knowclip.evaluation.controls import refine as module
from knowclip.evaluation.controls.refine import (
    BEYOND,
    FOLDS,
    UNBALANCED,
    Item,
    blind_accuracy,
    refine,
    scored_items,
    write_items,
)
from knowclip.evaluation.metrics import NoDataError
from knowclip.types import Example, ImageRef, Negative


def items(count: int, kind: str = "relation_swap", seed: int = 0) -> list[Item]:
    """Items that one reader solves in 90% and the other in 70% of the cases."""
    rng = np.random.default_rng(seed)
    gaps = rng.normal([1.3, 0.5], 1, (count, 2))
    return [
        Item(
            Example(f"{i}#0", str(i), ImageRef(Path(f"/images/{i}.jpg")), f"caption {i}"),
            Negative(f"negative {i}", kind, ((0, 8),), seed=3),
            {"ngram": (float(a), 0.0), "classifier": (0.0, float(-b))},
        )
        for i, (a, b) in enumerate(gaps)
    ]


def test_refined_items_leave_both_readers_at_chance() -> None:
    every = items(2_000)
    full = blind_accuracy(every)["relation_swap"]
    assert full["n"] == 2_000 and full["ngram"] > 0.85 and full["classifier"] > 0.65
    kept = refine(every)
    refined = blind_accuracy(kept)["relation_swap"]
    assert refined["ngram"] == refined["classifier"] == 0.5 and refined["n"] > 200
    gaps = np.array([item.gaps for item in kept])
    assert abs(gaps.mean()) < 0.1 * np.abs(gaps).mean()  # the sizes balance too, not only the signs


def test_kinds_are_refined_alone_capped_and_drawn_by_seed() -> None:
    every = [*items(600), *items(600, "attribute_swap", 1)]
    left_out: Counter[str] = Counter()
    kept = refine(every, most=50, skipped=left_out)
    assert len(every) == len(kept) + left_out[UNBALANCED] + left_out[BEYOND] and left_out[BEYOND] > 0
    assert {k: v["n"] for k, v in blind_accuracy(kept).items()} == {"attribute_swap": 50, "relation_swap": 50}
    assert refine(every[::-1], most=50) == kept  # whatever the order
    assert refine(every, most=50, seed=1) != kept


def test_an_undecided_reader_leaves_nothing() -> None:
    example = Example("1", "1", ImageRef(Path("1.jpg")), "a")
    assert refine([Item(example, Negative("b", "k"), {"ngram": (1.0, 1.0)})]) == []


def examples(count: int) -> list[Example]:
    """Captions in which the n-gram model finds what it saw, and only that."""
    return [
        Example(
            f"{i}#0", str(i), ImageRef(Path(f"{i}.jpg")), f"a dog w{i}", None, (Negative(f"w{i} a dog", "k"),)
        )
        for i in range(count)
    ]


def test_readers_never_see_what_they_are_scored_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    tested: list[set[str]] = []
    readers, score = module._readers, module._items

    def record_training(training, seed):
        seen.append({example.image_id for example in training})
        return readers(training, seed)

    def record_test(held_out, found):
        tested.append({example.image_id for example in held_out})
        return score(held_out, found)

    monkeypatch.setattr(module, "_readers", record_training)
    monkeypatch.setattr(module, "_items", record_test)
    every = examples(60)
    told: list[tuple[str, float, float | None]] = []
    assert len(scored_items(every, [], progress=lambda *now: told.append(now))) == 60
    assert [done for _, done, _ in told] == list(range(FOLDS)) and {of for *_, of in told} == {FOLDS}
    assert len(seen) == FOLDS and set().union(*tested) == {e.image_id for e in every}
    assert all(a.isdisjoint(b) for a, b in zip(seen, tested, strict=True))
    scored_items(every[:10], every)  # training captions of tested images are left out
    assert seen[-1] == {e.image_id for e in every[10:]} and tested[-1] == {e.image_id for e in every[:10]}


def test_nothing_to_learn_from_is_said() -> None:
    bare = [Example(str(i), str(i), ImageRef(Path("x")), "a dog") for i in range(9)]
    with pytest.raises(NoDataError, match="train the blind readers"):
        scored_items(bare, [])


def test_the_benchmark_reads_what_was_written(tmp_path: Path) -> None:
    every = items(40)
    write_items(tmp_path / "swaps.jsonl", every)
    benchmark = read("swaps", tmp_path)
    assert [case.true for case in benchmark.cases] == [item.example.caption for item in every]
    assert (
        benchmark.cases[3].image.path == Path("/images/3.jpg") and benchmark.cases[3].group == "relation_swap"
    )
    result = benchmark.grade(np.ones(40), np.zeros(40))
    blind = result.details["text_only"]
    solved = blind_accuracy(every)["relation_swap"]
    assert blind["all"]["ngram"]["accuracy"] == pytest.approx(solved["ngram"])
    assert blind["strongest"] == "ngram" and result.metrics["swaps"] == 1


@pytest.mark.parametrize("line", ["{", "[]", '{"key": "1"}', '{"key": 1, "blind": 3}'])
def test_broken_items_name_file_and_line(tmp_path: Path, line: str) -> None:
    write_items(tmp_path / "swaps.jsonl", items(1))
    with open(tmp_path / "swaps.jsonl", "a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"swaps\.jsonl, line 2"):
        read("swaps", tmp_path)


def test_command_from_any_captioned_folder(tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    colours, animals = ("red", "blue", "green", "black"), ("dog", "cat", "horse", "cow", "goat")
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(40):
        Image.new("RGB", (8, 8)).save(folder / f"{number}.jpg")
        a, b, c = colours[number % 4], animals[number % 5], animals[(number + 1 + number % 3) % 5]
        (folder / f"{number}.txt").write_text(f"A {a} {b} chases a {c} on a bench.\n")
    for name, caption in (("cut", "A red dog chases a blue cat."), ("empty", ""), ("plain", "Good morning!")):
        content = (folder / "0.jpg").read_bytes()
        (folder / f"{name}.jpg").write_bytes(content[: 300 if name == "cut" else None])
        (folder / f"{name}.txt").write_text(caption)
    app = typer.Typer()
    app.command()(command.command)
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        done = CliRunner().invoke(
            app, [str(folder), "--out", str(out), "--seed", "4"], catch_exceptions=False
        )
        assert done.exit_code == 0 and "solved by readers" in done.output
    reasons = {"empty caption": 1, "image cannot be read": 1, "caption without a negative": 1}
    counted = ", ".join(f"{reason}: {n}" for reason, n in reasons.items())
    assert f"43 captions read = 40 kept + 3 skipped ({counted})" in done.output
    assert f"skipped: image {folder / 'cut.jpg'} cannot be decoded" in done.output
    header = [line for line in done.output.splitlines() if "classifier" in line or "refined:" in line]
    assert len(header) == 2 and max(map(len, header)) <= 80
    columns = [" ".join(pair) for pair in zip(header[0].split(), header[1].split()[1:], strict=True)]
    assert len(set(columns)) == 6
    assert (outs[0] / "swaps.jsonl").read_text() == (outs[1] / "swaps.jsonl").read_text()
    summary = json.loads((outs[0] / "swaps.json").read_text())
    assert "4 of 5 parts" in summary["readers_saw"]
    assert summary["captions"] == {"read": 43, "kept": 40, "skipped": reasons}
    items = summary["items"]
    assert items["kept"] == len(read("swaps", outs[0]).cases) and items["skipped"][UNBALANCED] > 0
    assert items["read"] == items["kept"] + sum(items["skipped"].values())
    assert f"{items['read']:,} items read = {items['kept']:,} kept + " in done.output
    assert all(part["ngram"] == part["classifier"] == 0.5 for part in summary["refined"].values())
    assert sum(part["n"] for part in summary["full"].values()) == len(read("swaps", outs[0] / "full").cases)
    benchmark = read("swaps", outs[0])
    assert all(case.image.path.is_file() for case in benchmark.cases)
