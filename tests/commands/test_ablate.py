"""A study from end to end at the smallest size: trained once, measured as saved, told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from accelerate.state import AcceleratorState
from PIL import Image

from knowclip.commands import ablate, ablate_measure, ablate_run
from knowclip.data.scenes.write import write_scenes
from knowclip.knowledge.graph.split import split
from knowclip.recipe.study import Measurement, load_study
from knowclip.types import Result
from tiny_graph import make_graph

STEPS = 2
BATCH = 8


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model as it is and three arms on 48 scenes; one has a KEE, one a fusion encoder."""
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    write_scenes(tmp_path / "scenes", numbers={"train": 16, "val": 16, "test": 16}, seed=0, workers=1)
    split(make_graph(tmp_path).path, tmp_path / "parts", val=0.3, test=0.2)
    graph = [
        "data.graph={path: '${graph}/train', batch_size: 4, neighbours: 1}",
        "method.fusion={width: 16, layers: 1, heads: 2}",
    ]
    kee = ["method.kee.layers=1", "data.negatives.processes=1", "data.negatives.per_caption=1"]
    kee.append("method.distillation=null")  # names of objects are texts too, which are counted below
    content = {
        "title": "With and without",
        "baseline": "plain",
        "paths": {"scenes": str(tmp_path / "scenes"), "graph": str(tmp_path / "parts")},
        "overrides": [
            "data.train.path=${scenes}",
            "data.val.path=${scenes}",
            "data.cache=none",
            f"data.cache_dir={tmp_path / 'cache'}",
            "selection={metrics: [text_to_image_R@1]}",
            f"train.steps={STEPS}",
            f"train.batch_size={BATCH}",
            "train.validate_every=2",
            "schedule.warmup=1",
        ],
        "arms": {
            "base": {"model": "scenes-base"},
            "plain": {"recipe": "scenes-clip"},
            "+ KEE": {"recipe": "scenes-structure-clip", "overrides": kee},
            "+ graph": {"recipe": "scenes-knowledge-clip", "overrides": [*graph, "method.e2r_weight=0"]},
        },
        "seeds": [0, 1],
        "measure": [
            {"data": "${scenes}", "benchmarks": ["text_to_image", "vg_relation"]},
            {
                "data": "${scenes}",
                "benchmarks": ["vg_relation"],
                "split": "val",
                "name": "val",
                "groups": {"places": ["behind", "chasing"]},
            },
        ],
        "tasks": [
            {"task": "snli_ve", "data": "${scenes}", "settings": ["epochs=1"], "groups": {"no": ["neutral"]}}
        ],
        "links": [
            {
                "path": "${graph}",
                "sides": ["tail", "relation"],
                "also": ["link_tail_hits@10", "link_relation_hits@1"],
            }
        ],
        "output": str(tmp_path / "out"),
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.mark.slow
def test_a_study_is_trained_once_and_told(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ablate.command(str(study), [], seed=[1])
    assert not list((tmp_path / "out").rglob("seed-0")) and not (tmp_path / "out/ablation.json").exists()
    ablate.command(str(study), [], json=True)
    table = json.loads(capsys.readouterr().out)
    assert table == json.loads((tmp_path / "out/ablation.json").read_text())
    assert list(table["metrics"]) == [
        "text_to_image_R@1", "vg_relation", "val vg_relation", "val vg_relation: places",
        "snli_ve_accuracy", "snli_ve_accuracy: no", "link_tail_mrr", "link_relation_mrr",
        "link_tail_hits@10", "link_relation_hits@1",
    ]  # fmt: skip
    arms = table["metrics"]["vg_relation"]
    assert list(arms) == ["base", "plain", "+ KEE", "+ KEE with KEE", "+ graph"]
    assert len(set(arms["base"]["values"])) == 1 and "base" not in table["costs"]
    assert table["n"]["val vg_relation: places"] < table["n"]["val vg_relation"]
    links = table["metrics"]["link_tail_mrr"]
    assert list(links) == ["base", "plain", "+ KEE", "+ graph", "+ graph with fusion encoder"]
    assert links["+ graph"]["values"] != links["+ graph with fusion encoder"]["values"]
    assert list(table["metrics"]["link_relation_mrr"]) == ["base", "plain", "+ KEE", "+ graph"]
    assert all(len(row["values"]) == 2 for row in arms.values())
    assert arms["plain"]["difference"] is None and arms["+ KEE"]["difference"]["items"]["n"] > 0
    plain, kee = table["costs"]["plain"], table["costs"]["+ KEE"]
    assert plain["images"] == kee["images"] == plain["texts"] == STEPS * BATCH
    assert STEPS * BATCH < kee["texts"] <= 2 * STEPS * BATCH
    told = (tmp_path / "out/ablation.md").read_text()
    assert "| + KEE with KEE |" in told and "| text only |" in told
    assert (tmp_path / "out/ablation.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "out/results").rglob("*.parquet"))) == 2 * (4 * 4 + 7) + 6

    for checkpoint in ("best", "last"):
        chosen = load_study(study, [f"checkpoint={checkpoint}"])
        names = {Path(name).name for seed, _, name in ablate_measure._models(chosen) if seed is not None}
        assert names == {checkpoint}

    monkeypatch.setattr(ablate_run, "prepare", lambda *_, **__: pytest.fail("trained again"))
    ablate.command(str(study), [], json=False)
    with pytest.raises(ValueError, match=r"with other values of optimizer\.lr: choose another"):
        ablate.command(str(study), ["arms.plain.overrides=[optimizer.lr=0.5]"], json=False)


def test_a_seed_that_the_study_lacks_is_refused(study: Path) -> None:
    with pytest.raises(ValueError, match=r"seed 7 is none of the study's, 0, 1"):
        ablate.command(str(study), [], seed=[1, 7])


def test_what_cannot_be_measured_is_refused_before_training(study: Path, tmp_path: Path) -> None:
    """Photos of one's own without splits have no test split; ``split: null`` measures all their rows."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        Image.new("RGB", (8, 8)).save(photos / f"{number}.png")
    rows = "".join(f"{number}.png,a red dog chases a blue cat {number}\n" for number in range(3))
    (photos / "captions.csv").write_text(f"image,caption\n{rows}")
    for asked, told in {
        "": "no benchmark has data for split 'test'",
        "split: ''": "no benchmark has data for split ''",
        "benchmarks: [vsr], split: null": r"vsr: none of test\.jsonl in",
        "suite: aro, split: null": "no benchmark has data for split .test. in",
    }.items():
        with pytest.raises(ValueError, match=told):
            ablate.command(str(study), [f"measure=[{{data: {photos}, {asked}}}]", "links=[]", "tasks=[]"])
        assert not (tmp_path / "out").exists()
    for asked, told in {
        f"tasks=[{{task: snli_ve, data: {photos}}}]": "snli_ve",
        f"tasks=[{{task: snli_ve, data: {tmp_path / 'scenes'}, settings: [epoch=1]}}]": "epoch",
        f"links=[{{path: {tmp_path / 'scenes'}}}]": "scenes",
    }.items():
        with pytest.raises(ValueError, match=told):
            ablate.command(str(study), [asked])
        assert not (tmp_path / "out").exists()
    for data in (photos, photos / "captions.csv"):
        found = ablate_measure._found(Measurement(data=data, split=None))
        assert "text_to_image" in [benchmark.card.name for benchmark in found]


def test_arms_of_different_precision_are_refused_before_training(study: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.precision bf16 and fp32: set one"):
        ablate.command(str(study), ["arms.plain.overrides=[train.precision=bf16]"], json=False)
    assert not (tmp_path / "out").exists()


def test_groups_and_metrics_that_were_not_measured_are_refused() -> None:
    result = Result("a", "a", 1, {"a": 1.0}, {"correct": np.array([True])})
    with pytest.raises(ValueError, match="a has no groups of items to take one from"):
        ablate_measure._shown([result], Measurement(data="x", groups={"both": ("one",)}))
    with pytest.raises(ValueError, match="no metric 'b' was measured; there are a"):
        ablate_measure._shown([result], Measurement(data="x", also=("b",)))
