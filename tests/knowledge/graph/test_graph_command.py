"""The command ``knowclip graph``, end to end on small files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from knowclip.commands.graph import app


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_import_merge_filter_split_stats_show(tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text("".join(f"/c/en/horse\teats\t/c/en/apple_{i}\n" for i in range(40)))
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "pictures" / "horse.png")
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    assert json.loads(run("import", "concepts", "--out", one, "--json"))["sources"][0]["licence"] == "MIT"
    run("import", "triples", tmp_path / "mine.tsv", "name=mine", "licence=CC0", "--out", two)
    run("import", "depictions", tmp_path / "pictures", "--out", three)
    facts = json.loads(run("merge", one, two, three, "--out", tmp_path / "all", "--json"))
    assert [source["name"] for source in facts["sources"]] == ["concepts", "mine", "depictions"]
    assert facts["relation_histogram"]["eats"] == 40 and facts["images"] == 1
    facts = json.loads(
        run("filter", tmp_path / "all", "--source", "mine", "--out", tmp_path / "kept", "--json")
    )
    assert (facts["entities"], facts["relations"], facts["triplets"]) == (41, 1, 40)
    counts = json.loads(
        run("split", tmp_path / "all", "--val", 0.1, "--test", 0.1, "--out", tmp_path / "parts", "--json")
    )
    assert (
        sum(counts["triplets"].values()) == json.loads(run("stats", tmp_path / "all", "--json"))["triplets"]
    )
    told = run("stats", tmp_path / "all", "--plot", tmp_path / "degrees.png", "--verify")
    assert "mine" in told and "quantile" not in told
    assert re.search(r"degree: mean [\d.]+, median \d+, 90% at most \d+, 99% at most \d+, the most \d+", told)
    shown = json.loads(run("show", tmp_path / "all", "horse", "--picture", tmp_path / "horse.svg", "--json"))
    assert shown["id"] == "/c/en/horse" and "horse  is a  animal" in shown["shown"]
    assert "horse  eats  apple 3" in run("show", tmp_path / "all", "horse", "--limit", 100)
    assert ", the 1 heaviest shown" in run("show", tmp_path / "all", "horse", "--limit", 1)
    assert "shown" not in run("show", tmp_path / "all", "horse", "--limit", 100)
    drawn = ["show", str(tmp_path / "all"), "horse", "--picture", str(tmp_path / "horse.svg")]
    again = CliRunner().invoke(app, drawn).stderr
    assert again.startswith(f"{tmp_path / 'horse.svg'} is there, and is replaced when all is done")
    assert again.endswith(f"written: {tmp_path / 'horse.svg'}\n")
    assert (tmp_path / "degrees.png").stat().st_size > 1000 and "<svg" in (tmp_path / "horse.svg").read_text()


@pytest.mark.slow
def test_the_embedded_three_source_graph(tmp_path: Path) -> None:
    """Scenes in Visual Genome's format, facts about their nouns and drawings of these meet in one graph."""
    from knowclip.data.graphs.negatives import known_true
    from knowclip.data.graphs.sampler import TripletSampler
    from knowclip.data.scenes.write import write_scenes
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

    scenes, drawings, graph = tmp_path / "world", tmp_path / "drawings", tmp_path / "demo"
    write_scenes(scenes, numbers={"train": 12, "val": 2, "test": 2})
    run("drawings", drawings, "--size", 16)
    licence = "licence=CC BY-SA 4.0"
    files = scenes / "visual_genome"
    run("import", "visual-genome", files, "name=scenes", licence, "objects=true", "--out", tmp_path / "a")
    run("import", "concepts", "--out", tmp_path / "b")
    run("import", "depictions", drawings, "name=drawings", licence, "--out", tmp_path / "c")
    merged = run("merge", *(tmp_path / name for name in "abc"), "--out", graph, "--json")
    facts = json.loads(merged)

    said: set[tuple[object, ...]] = set()  # counted from the files alone
    regions = set()
    for part in ("relationships", "attributes", "objects"):
        for image in json.loads((files / f"{part}.json").read_text()):
            number = image["image_id"]
            for record in image[part]:
                if part == "relationships":
                    ends = record["subject"], record["object"]
                    regions |= {(number, end["object_id"]) for end in ends}
                    said.add(
                        (number, ends[0]["object_id"], record["predicate"].lower(), ends[1]["object_id"])
                    )
                    continue
                name = record["names"][0] if "names" in record else record["name"]
                tails = record.get("attributes", []) if part == "attributes" else [name]
                if tails:
                    regions.add((number, record["object_id"]))
                said |= {(number, record["object_id"], part, tail.lower()) for tail in tails}
    triplets = {source["name"]: source["triplets"] for source in facts["sources"]}
    pictures = sum(1 for _ in drawings.rglob("*.png"))
    assert triplets == {"scenes": len(said), "concepts": 501, "drawings": pictures}
    assert facts["images"] == len(regions) + pictures
    assert [source["licence"] for source in facts["sources"]] == ["CC BY-SA 4.0", "MIT", "CC BY-SA 4.0"]

    opened = KnowledgeGraph(graph)
    names = [source.name for source in opened.sources]
    shared = opened.sql(
        """SELECT count(*) FROM (SELECT entity, count(DISTINCT source) AS n FROM (
            SELECT unnest([head, tail]) AS entity, source FROM triplets) GROUP BY 1) WHERE n = 3"""
    ).fetchone()
    assert shared is not None and shared[0] >= 8, "nouns at which all three sources meet"
    sampler = TripletSampler(
        opened,
        batch_size=24,
        proportions={"scenes": 0.5, "concepts": 0.25, "drawings": 0.25},
        modality={"scenes": "image"},
        same_image=4,
    )
    batch = sampler.batch(0, 0)
    assert [names[source] for source in batch.sources] == ["scenes"] * 12 + ["concepts"] * 6 + [
        "drawings"
    ] * 6
    for image in (end for end in [*batch.head, *batch.tail] if not isinstance(end, str)):
        with Image.open(image.path) as picture:
            assert image.box is None or (np.array(image.box[:2]) + image.box[2:] <= picture.size).all()
    assert known_true(opened, batch).diagonal().all()


def test_captions_come_through_the_caption_readers(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    (tmp_path / "captions.csv").write_text("image,caption\na.jpg,a dog\na.jpg,a brown dog\n")
    facts = json.loads(
        run("import", "captions", tmp_path / "captions.csv", "name=mine", "--out", tmp_path / "g", "--json")
    )
    assert facts["relation_histogram"] == {"caption of": 2, "image of": 2}


def test_readers_are_listed() -> None:
    listed = json.loads(run("readers", "--json"))
    assert listed["conceptnet"]["options"]["language"] == "en" and "wordnet" in listed


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wordnet needs a PATH: WordNet's dict folder"):
        run("import", "wordnet", "--out", tmp_path / "g")
    with pytest.raises(ValueError, match=r"pictures are written as \.png, \.svg or \.pdf"):
        run("import", "concepts", "--out", tmp_path / "g")
        run("stats", tmp_path / "g", "--plot", tmp_path / "degrees.gif")
