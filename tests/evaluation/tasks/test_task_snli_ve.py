"""SNLI-VE: official jsonl, e-SNLI-VE CSV, what is skipped, the genuine rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from task_files import snli_ve_line, snli_ve_pictures

from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.tasks.snli_ve import LABELS, read_snli_ve


def test_official_jsonl(tmp_path: Path) -> None:
    snli_ve_pictures(tmp_path, "1", "2", "3")
    (tmp_path / "snli_ve_train.jsonl").write_text(
        snli_ve_line("1", "entailment", 1) + snli_ve_line("2", "neutral", 2)
    )
    (tmp_path / "snli_ve_dev.jsonl").write_text(snli_ve_line("3", "neutral", 3))
    (tmp_path / "snli_ve_test.jsonl").write_text(snli_ve_line("3", "contradiction", 4))
    task = read_snli_ve(tmp_path)
    assert task.train.texts == ["Hypothesis 1.", "Hypothesis 2."]
    assert task.test.texts == ["Hypothesis 4."]
    logits = np.eye(3, dtype=np.float32)[[LABELS.index("contradiction")]]
    assert task.grade(logits, np.array([0]))["snli_ve_accuracy"] == 1
    assert read_snli_ve(tmp_path, split="dev").test.texts == ["Hypothesis 3."]


def test_csv_and_repeated_ids(tmp_path: Path) -> None:
    snli_ve_pictures(tmp_path, "7")
    header = "pairID,Flickr30kID,hypothesis,gold_label,explanation\n"
    rows = '7.jpg#1r1e,7.jpg,"A dog, running.",entailment,it runs\n7.jpg#1r1e,7.jpg,A cat.,contradiction,no\n'
    for split in ("train", "test"):
        (tmp_path / f"esnlive_{split}.csv").write_text(header + rows)
    task = read_snli_ve(tmp_path)
    assert task.test.keys == ["7.jpg#1r1e", "7.jpg#1r1e~2"]
    assert task.test.texts[0] == "A dog, running."
    assert task.test.clusters == ["7", "7"]


def test_unusable_records_are_counted_and_refused(tmp_path: Path) -> None:
    snli_ve_pictures(tmp_path, "1")
    train = snli_ve_line("1", "entailment", 1) + snli_ve_line("1", "-", 2) + snli_ve_line("9", "neutral", 3)
    (tmp_path / "snli_ve_train.jsonl").write_text(train)
    (tmp_path / "snli_ve_test.jsonl").write_text(snli_ve_line("1", "neutral", 4))
    with pytest.raises(ValueError, match="2 of 4 records cannot be used"):
        read_snli_ve(tmp_path)
    assert read_snli_ve(tmp_path, allow_missing=True).skipped == {"no gold label": 1, "image not there": 1}
    (tmp_path / "snli_ve_train.jsonl").write_text(snli_ve_line("9", "neutral", 3))
    with pytest.raises(
        NoDataError, match=r"nothing to use of 'train' in .*: 1 x image not there \(no 9\.jpg"
    ):
        read_snli_ve(tmp_path)


def test_labels_are_read_in_any_case_and_others_refused(tmp_path: Path) -> None:
    snli_ve_pictures(tmp_path, "1", "2")
    (tmp_path / "snli_ve_test.jsonl").write_text(snli_ve_line("1", "neutral", 4))
    train = tmp_path / "snli_ve_train.jsonl"
    train.write_text(snli_ve_line("1", "ENTAILMENT", 1) + snli_ve_line("2", " Neutral ", 2))
    task = read_snli_ve(tmp_path)
    assert (list(task.train.kinds), task.skipped) == (["entailment", "neutral"], {})
    train.write_text(snli_ve_line("1", "entailment", 1) + snli_ve_line("2", "2", 2))
    with pytest.raises(
        ValueError, match=r"train\.jsonl, record 2: the label is '2', which is none of entail"
    ):
        read_snli_ve(tmp_path)


@pytest.mark.parametrize(
    ("encoding", "told"), [("utf-16", "is UTF-16 text"), ("latin1", r"is not UTF-8 text: .*line 1.*Latin-1")]
)
def test_other_encodings_are_named(tmp_path: Path, encoding: str, told: str) -> None:
    snli_ve_pictures(tmp_path, "1")
    record = json.loads(snli_ve_line("1", "neutral", 4)) | {"sentence2": "Un café."}
    written = json.dumps(record, ensure_ascii=False) + "\n"
    (tmp_path / "snli_ve_train.jsonl").write_bytes(written.encode(encoding))
    with pytest.raises(ValueError, match=rf"snli_ve_train\.jsonl {told}"):
        read_snli_ve(tmp_path)


def test_a_truncated_line_is_named(tmp_path: Path) -> None:
    snli_ve_pictures(tmp_path, "1")
    (tmp_path / "snli_ve_train.jsonl").write_text(
        snli_ve_line("1", "entailment", 1) + '{"Flickr30K_ID": "1", "gol'
    )
    with pytest.raises(ValueError, match=r"snli_ve_train\.jsonl, record 2"):
        read_snli_ve(tmp_path)
    with pytest.raises(NoDataError, match=r"no snli_ve_<split>\.jsonl"):
        read_snli_ve(tmp_path / "flickr30k_images")


@pytest.mark.conformance
def test_the_genuine_rows(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "snli_ve").symlink_to(real_data / "snli_ve")
    (tmp_path / "images").symlink_to(real_data / "flickr8k" / "Images")
    task = read_snli_ve(tmp_path, split="dev")
    assert (len(task.train), len(task.test)) == (2634, 261)
    assert not task.skipped
    assert not set(task.train.clusters) & set(task.test.clusters)


def test_two_editions_of_a_split_are_not_pooled(tmp_path: Path) -> None:
    snli_ve_pictures(tmp_path, "1")
    (tmp_path / "snli_ve_train.jsonl").write_text(snli_ve_line("1", "entailment", 1))
    (tmp_path / "snli_ve_test.jsonl").write_text(snli_ve_line("1", "neutral", 2))
    header = "pairID,Flickr30kID,hypothesis,gold_label,explanation\n"
    corrected = tmp_path / "esnlive_test.csv"
    corrected.write_text(f"{header}1.jpg#0r2n,1.jpg,Hypothesis 2.,contradiction,no\n")
    with pytest.raises(ValueError, match=r"several editions .*esnlive_test\.csv, .*snli_ve_test\.jsonl"):
        read_snli_ve(tmp_path)
    corrected.rename(tmp_path / "esnlive_dev.csv")
    (tmp_path / "._snli_ve_test.jsonl").write_text("macOS")
    assert read_snli_ve(tmp_path).test.texts == ["Hypothesis 2."]


def test_a_pair_s_name_may_be_anything(tmp_path: Path) -> None:
    snli_ve_pictures(tmp_path, "1")
    (tmp_path / "snli_ve_train.jsonl").write_text(snli_ve_line("1", "entailment", 1, pairID=["x"]))  # type: ignore[arg-type]
    (tmp_path / "snli_ve_test.jsonl").write_text(2 * snli_ve_line("1", "neutral", 2, pairID=7))  # type: ignore[arg-type]
    assert read_snli_ve(tmp_path).test.keys == ["7", "7~2"]
