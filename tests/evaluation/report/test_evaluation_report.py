"""Summary, table, plots and page from Results whose numbers are known."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from knowclip.evaluation.benchmarks.aro import read_vg_relation
from knowclip.evaluation.report import plots
from knowclip.evaluation.report.html_page import (
    endings,
    flatten,
    galleries,
    picture_uri,
    sort_cases,
    spread,
    with_code,
)
from knowclip.evaluation.report.records import records
from knowclip.evaluation.report.summary import Report, beside, headline, items_note, summarise, verdict
from knowclip.evaluation.report.write import console_table, markdown, model_card, write_report
from knowclip.types import ImageRef, Result


@pytest.fixture
def report(data_folder: Path) -> Report:
    benchmark = read_vg_relation(data_folder)
    n = len(benchmark.cases)
    rng = np.random.default_rng(0)
    false = np.zeros(n)
    plain = benchmark.grade(np.where(np.arange(n) % 3 == 0, 0.2, -0.2), false)
    ours = benchmark.grade(np.where(np.arange(n) < 26, 0.3, -0.1) + 0.01 * rng.random(n), false)
    control = {"strongest": "ngram", "accuracy": 0.52, "tie_rate": 0.0, "all": {}}
    ours = replace(ours, details={**ours.details, "text_only": control})
    retrieval = Result(
        "text_to_image",
        "text_to_image_R@1",
        2,
        {"text_to_image_R@1": 0.5, "text_to_image_R@5": 1.0},
        {"key": np.array(["a", "b"]), "correct": np.array([True, False])},
    )
    return Report(
        title="A <test> page",
        runs={"plain": [plain], "ours": [ours, retrieval]},
        baseline="plain",
        choices={"vg_relation": benchmark.cases},
        absent={"swaps": "no negatives.jsonl"},
        provenance={"wall_seconds": 12.5, "seeds": {"train": 0}, "licences": ["OpenMoji CC BY-SA 4.0"]},
    )


def test_recalls_and_the_other_scores_of_two_by_two_stand_beside_the_main_one() -> None:
    scores = {"twins_text": 0.5, "twins_image": 0.4, "twins_group": 0.3, "twins_group_macro": 0.29}
    kinds = {"twins_role_text": 0.9, "twins_role_group": 0.2, "twins_own_group": 0.4}
    assert beside(scores | kinds, "twins_group") == [
        "text 50.0 · image 40.0", "role 20.0", "own 40.0"
    ]  # fmt: skip
    assert beside(scores, "twins_text") == ["image 40.0 · group 30.0"]
    assert beside({"a_R@1": 0.5, "a_R@5": 0.7, "a_R@10": 0.8}, "a_R@1") == ["R@5 70.0 · R@10 80.0"]
    assert beside({"sugarcrepe_pp_text": 0.5, "sugarcrepe_pp_text_macro": 0.4}, "sugarcrepe_pp_text") == []


def test_summary_schema(report: Report) -> None:
    summary = summarise(report)
    assert set(summary["methods"]["ours"]) == {
        "vg_relation", "vg_relation_macro", "vg_relation_micro", "text_to_image_R@1", "text_to_image_R@5"
    }  # fmt: skip
    assert summary["wall_seconds"] == 12.5
    assert summary["seeds"] == {"train": 0}
    entry = summary["benchmarks"]["vg_relation"]["methods"]
    assert entry["plain"]["difference"] is None
    assert entry["ours"]["interval"]["value"] == pytest.approx(summary["methods"]["ours"]["vg_relation"])
    gained = summary["methods"]["ours"]["vg_relation"] - summary["methods"]["plain"]["vg_relation"]
    assert entry["ours"]["difference"]["effect"] == pytest.approx(gained)
    assert entry["ours"]["n"] == 27
    assert (
        summary["benchmarks"]["text_to_image"]["methods"]["ours"]["difference"] is None
    )  # no baseline there
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_baseline_must_be_a_run_and_names_may_not_clash(report: Report) -> None:
    with pytest.raises(ValueError, match="'base' is none of the runs"):
        replace(report, baseline="base")
    with pytest.raises(ValueError, match=r"names of results\.json: 'methods'"):
        replace(report, provenance={"methods": 1})


def test_headline_states_scores_and_difference(report: Report) -> None:
    sentence = headline(summarise(report))
    assert re.fullmatch(
        r"On 27 items of VG-Relation, ours scores 8\d\.\d% \[.*\], plain 3\d\.\d% \[.*\]: "
        r"a paired difference of \+5\d\.\d \[.*\] points\.",
        sentence,
    ), sentence


def test_console_table_has_every_cell(report: Report) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(console_table(summarise(report)))
    text = console.export_text()
    for expected in ("vg_relation", "52.0%", "ngram", "no data: swaps", "text_to_image_R@1"):
        assert expected in text


def test_plots_are_pngs_of_every_benchmark(report: Report) -> None:
    drawn = plots.all_plots(summarise(report), plots.LIGHT)
    assert set(drawn) == {"scores", "vg_relation_classes", "vg_relation_margins"}
    for image in drawn.values():
        picture = Image.open(io.BytesIO(image))
        assert picture.width > 800
        assert np.asarray(picture).std() > 5


def test_last_run_always_has_the_accent(report: Report) -> None:
    one = replace(report, runs={"ours": report.runs["ours"]}, baseline="ours")
    for some in (report, one):
        assert plots.run_colours(summarise(some), plots.LIGHT)["ours"] == plots.LIGHT.runs[2]


def test_words_between_backticks_are_code_on_the_page() -> None:
    assert with_code("see `a <b>` & `c`, `d") == "see <code>a &lt;b&gt;</code> &amp; <code>c</code>, `d"


def test_page_is_self_contained_and_escaped(report: Report, tmp_path: Path) -> None:
    summary = write_report(report, tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text()
    assert not re.search(r"""(src|srcset|href)\s*=\s*["'](?!data:|#)""", page)
    assert "http" not in page and "url(" not in page and "@import" not in page
    assert page.count("<script") == page.count("<script>") == 1
    assert "A &lt;test&gt; page" in page
    assert "OpenMoji CC BY-SA 4.0" in page
    assert "no data: no negatives.jsonl" in page
    shown = [p for gallery in galleries(report) for kind in gallery["kinds"] for p in kind["pictures"]]
    found = [one for picture in shown for one in picture.found if one.source]
    assert page.count("data:image/jpeg") == len(shown) + len(found)
    assert json.loads((tmp_path / "out/results.json").read_text()) == summary
    assert sorted(p.name for p in (tmp_path / "out/plots").iterdir()) == [
        "scores.png",
        "vg_relation_classes.png",
        "vg_relation_margins.png",
    ]
    assert not list((tmp_path / "out").glob("*.tmp"))


def test_the_page_can_be_narrowed_to_benchmarks_outcomes_and_kinds(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    page = (tmp_path / "report.html").read_text()
    (gallery,) = galleries(report)
    shown = {picture.case.group for kind in gallery["kinds"] for picture in kind["pictures"]}
    options = dict(re.findall(r'<option value="([^"]+)">([^<]+)</option>', page))
    assert {"vg_relation", "text_to_image", "mended", "lost", "wrong", "right"} | shown == set(options)
    for group in shown:
        assert f'data-kind="{group}"' in page
    assert page.count("<article") == len(re.findall(r"<article[^>]*data-kind=", page))


def test_many_runs_with_long_names_get_plots_where_nothing_is_cut_off(report: Report) -> None:
    results = report.runs["ours"]
    many = {f"runs/a-model-with-quite-a-long-name-{number}/best": results for number in range(5)}
    summary = summarise(replace(report, runs=many, baseline=next(iter(many))))
    for theme in (plots.LIGHT, plots.LIGHT.narrow()):
        for drawn in (plots.scores(summary, theme), plots.margins(summary, "vg_relation", theme)):
            alpha = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGBA"))[:, :, 3]
            assert not alpha[:, :4].any() and not alpha[:, -4:].any()
            assert not alpha[:3].any() and not alpha[-3:].any()


def test_a_page_of_one_run(report: Report, tmp_path: Path) -> None:
    one = replace(report, runs={"ours": report.runs["ours"]}, baseline="ours", headline="Said by hand.")
    write_report(one, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Said by hand." in page
    assert "Mended" not in page and "paired difference against" not in page


def test_cases_are_sorted_by_what_became_of_them(report: Report) -> None:
    kinds = sort_cases(report.runs["plain"][0], report.runs["ours"][0])
    assert kinds["wrong"] == [26, 28, 29]
    assert kinds["lost"] == [27]
    assert kinds["mended"] == [i for i in range(26) if i % 3]
    assert sum(map(len, kinds.values())) == 30


def test_spread_takes_every_class_first() -> None:
    groups = ["on"] * 50 + ["in"] * 2 + ["by"]
    assert {groups[i] for i in spread(range(53), groups, 3)} == {"on", "in", "by"}
    assert len(spread(range(53), groups, 60)) == 53
    assert spread(range(53), groups, 5) == spread(range(53), groups, 5)


def test_pictures_are_cropped_and_missing_ones_are_empty(data_folder: Path) -> None:
    import base64

    uri = picture_uri(ImageRef(data_folder / "images/000000000003.jpg", (0, 0, 10, 20)))
    picture = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert picture.size == (10, 20)
    assert picture_uri(ImageRef(data_folder / "images/none.jpg")) == ""


def test_flatten_names_the_path_to_each_value() -> None:
    tree: dict[str, Any] = {"seeds": {"train": 0}, "licences": ["a", "b"]}
    assert flatten(tree) == [("seeds.train", "0"), ("licences", "a, b")]


def test_markdown_has_every_cell_with_n_and_interval(report: Report) -> None:
    text = markdown(summarise(report))
    row = next(line for line in text.splitlines() if line.startswith("| VG-Relation"))
    assert re.fullmatch(
        r"\| VG-Relation \(`vg_relation`\) \| 27 \| 52.0 ngram \| 3\d\.\d% \[.*\] n < 100, not ranked "
        r"\| 8\d\.\d% \[.*\] \(\+5\d\.\d \[.*\]\) n < 100, not ranked \|",
        row,
    ), row
    assert "| no data: not run |" in text
    assert "- swaps: no data: no negatives.jsonl" in text


def test_a_model_card_tells_how_to_load_and_what_it_scores(report: Report) -> None:
    summary = summarise(report)
    card = model_card(summary, "ours", loading="Loads with X.")
    assert card.startswith("---\nlibrary_name:")
    assert "Loads with X." in card and "| VG-Relation" in card and "strictly" in card
    details = report.runs["ours"][0].details
    protocol, flaws = details["protocol"].strip("."), details["flaws"]
    assert f"- VG-Relation: {protocol[0].upper()}{protocol[1:]}. Known flaws: {flaws}\n" in card
    with pytest.raises(ValueError, match="no run 'other'"):
        model_card(summary, "other", loading="")


def test_a_metric_without_outcomes_brings_its_own_interval(report: Report) -> None:
    interval = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9, "clusters": 9}
    task = Result("stsb", "stsb", 9, {"stsb": 0.5}, {"key": np.arange(9)}, {"interval": interval})
    summary = summarise(replace(report, runs={**report.runs, "ours": [task]}))
    cell = summary["benchmarks"]["stsb"]["methods"]["ours"]
    assert (cell["interval"], cell["difference"]) == (interval, None)


def test_a_task_stands_beside_the_benchmarks_with_its_head_and_its_control(
    report: Report, tmp_path: Path
) -> None:
    items = {"key": np.arange(200).astype(str), "correct": np.arange(200) % 4 != 0}
    details = {
        "title": "SNLI-VE",
        "train_items": 1234,
        "seeds": {"0": {}, "1": {}},
        "text_only": {"strongest": "head without image", "accuracy": 0.333},
    }
    task = Result("snli_ve", "snli_ve_accuracy", 200, {"snli_ve_accuracy": 0.75}, items, details)
    both = replace(report, runs={name: [*found, replace(task)] for name, found in report.runs.items()})
    summary = write_report(both, tmp_path)
    row = next(line for line in (tmp_path / "report.md").read_text().splitlines() if "SNLI-VE" in line)
    assert row.startswith("| SNLI-VE (`snli_ve_accuracy`) | 200 | 33.3 head without image | **75.0% [")
    page = (tmp_path / "report.html").read_text()
    assert "head trained on 1,234 items, 2 seeds" in page
    assert summary["benchmarks"]["snli_ve"]["methods"]["ours"]["difference"]["effect"] == 0
    assert "snli_ve" not in summary["abilities"].get("general", [])


def test_worst_errors_are_those_with_the_widest_margins(report: Report) -> None:
    (gallery,) = galleries(report)
    worst = next(kind for kind in gallery["kinds"] if kind["title"] == "Worst errors")
    margins = [p.verdicts[-1].true - p.verdicts[-1].false for p in worst["pictures"]]
    assert margins == sorted(margins) and len(margins) == 3


def test_models_measured_on_other_items_stand_side_by_side(report: Report, tmp_path: Path) -> None:
    whole = report.runs["plain"][0]
    few = np.arange(len(whole.items["key"])) < 12
    items = {name: column[few] for name, column in whole.items.items()}
    blind = {run: {"text_only": {"accuracy": share, "strongest": "ngram"}} for run, share in
             (("plain", 0.75), ("ours", 0.8125))}  # fmt: skip
    part = replace(whole, n=12, items=items, details=whole.details | blind["plain"])
    ours = report.runs["ours"][0]
    ours = replace(ours, details=ours.details | blind["ours"])
    both = replace(report, runs={"plain": [part], "ours": [ours]}, headline="")
    summary = write_report(both, tmp_path)
    entry = summary["benchmarks"]["vg_relation"]
    assert entry["methods"]["ours"]["difference"] is None and entry["best"] == []
    page = (tmp_path / "report.html").read_text()
    assert "n = 27: other items than plain, not compared" in page
    assert "n = 12</small>" in page and "n = 12:" not in page  # it is what the other is not compared with
    assert "n = 27: other items than plain, not compared" in markdown(summary)
    assert "n = 12: other" not in markdown(summary) and ", n = 12" in markdown(summary)
    # each beside what text alone reads of its own items
    assert "75.0 ngram plain / 81.2 ngram ours" in markdown(summary)
    assert "on the items of plain" in page and "on the items of ours" in page
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(console_table(summary))
    printed = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert [line.partition(" ")[0] for line in printed if line.startswith(("plain", "ours", "text"))] == [
        "plain", "text", "ours", "text",
    ]  # fmt: skip
    assert "text only, ngram 75.0%" in printed and "text only, ngram 81.2%" in printed


def test_two_on_the_same_items_are_compared_beside_a_third_on_others(report: Report) -> None:
    part = replace(report.runs["plain"][0], n=12)
    part = replace(part, items={name: column[:12] for name, column in part.items.items()})
    three = replace(report, runs={**report.runs, "part": [part]}, headline="")
    entry = summarise(three)["benchmarks"]["vg_relation"]
    assert [items_note(entry, run, "plain") for run in three.runs] == [
        "n = 27", "n = 27", "n = 12: other items than plain, not compared",
    ]  # fmt: skip


def test_one_item_has_no_interval(report: Report) -> None:
    result = report.runs["ours"][0]
    one = replace(result, n=1, items={name: column[5:6] for name, column in result.items.items()})
    summary = summarise(replace(report, runs={"ours": [one]}, baseline="ours"))
    assert "[" not in headline(summary) and "[100.0, 100.0]" not in markdown(summary)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(console_table(summary))
    assert "100.0, 100.0" not in console.export_text()


def test_the_verdict_counts_all_benchmarks(report: Report) -> None:
    assert verdict(summarise(report)) == "ours against plain: better on VG-Relation."
    one = replace(report, runs={"ours": report.runs["ours"]}, baseline="ours")
    assert verdict(summarise(one)) == "ours sees more than a reader without the image on VG-Relation."
    solved = {"text_only": {"accuracy": 0.99, "strongest": "classifier"}}
    blind = {
        run: [replace(results[0], details=results[0].details | solved)]
        for run, results in report.runs.items()
    }
    assert verdict(summarise(replace(report, runs=blind))) == (
        "ours against plain: better on VG-Relation. "
        "It is not shown to see more than a reader without the image on VG-Relation."
    )


def test_rules_end_no_part_with_a_full_stop() -> None:
    from knowclip.evaluation.benchmarks.registry import BENCHMARKS

    assert not [name for name, entry in BENCHMARKS.items() if ".;" in entry.card.rules]


def test_long_paths_are_cut_where_they_are_alike() -> None:
    names = [
        "/home/me/experiments/runs/clip/best",
        "/home/me/experiments/runs/negclip/best",
        "ViT-B-32/openai",
    ]
    assert list(endings(names).values()) == ["clip/best", "negclip/best", "openai"]
    assert endings(["mine", "runs/mine"]) == {"mine": "mine", "runs/mine": "runs/mine"}
    assert endings(["runs/mine", "runs/mine with KEE"])["runs/mine with KEE"] == "mine with KEE"


def test_one_image_is_one_image() -> None:
    details = {"read": 9, "used": 9, "skipped": {}, "missing_images": 1}
    assert "; 1 image cannot be read" in records(details)
    assert "; 1,200 images cannot be read" in records({**details, "missing_images": 1200})


def test_rows_are_as_high_as_their_longest_label() -> None:
    short, long = "dog", "attribute / replacement of a thing that was named  (531)"
    assert plots.row_height(0.2, [short], plots.LIGHT) == plots.row_height(0.2, [short, short], plots.LIGHT)
    assert plots.row_height(0.2, [short, long], plots.LIGHT) > 1.9 * plots.LINE
    assert plots.row_height(0.2, [long], plots.LIGHT.narrow()) > plots.row_height(0.2, [long], plots.LIGHT)
    assert plots.row_height(3.0, [long], plots.LIGHT) == 3.0
