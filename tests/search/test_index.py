"""knowclip.Index: what is encoded once stays found, whatever happens to files, processes and models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import knowclip
from knowclip.build.method import load_method
from knowclip.search import index as index_module
from knowclip.search import indexing
from knowclip.search.store import Store
from knowclip.storage.locks import locked
from tiny import tiny_model

pytest.importorskip("usearch")


def draw(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((24, 24), Image.Resampling.NEAREST).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(6):
        draw(tmp_path / "photos" / f"{number}.png", number)
    draw(tmp_path / "photos" / "deep" / "er" / "6.png", 6)
    return tmp_path / "photos"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many photos the model was given, call by call."""
    calls: list[int] = []
    whole = indexing.Encoder.pixels
    monkeypatch.setattr(
        indexing.Encoder, "pixels", lambda self, pixels: calls.append(len(pixels)) or whole(self, pixels)
    )
    return calls


def build(photos: Path, out: Path, *, seed: int = 0) -> knowclip.Index:
    return knowclip.Index.build(photos, out, model=tiny_model(seed=seed))


def names(found) -> list[str]:
    return [os.path.basename(hit.path) for hit in found]


def test_photos_are_ranked_as_the_model_scores_them(photos: Path, out: Path) -> None:
    model = tiny_model()
    index = knowclip.Index.build(photos, out, model=model)
    found = index.search("a red horse", rerank=False)
    files = [hit.path for hit in found]
    assert len(index) == len(found) == found.photos == 7
    assert sorted(files) == sorted(map(str, photos.rglob("*.png")))
    scores = model.score(files, ["a red horse"])[:, 0]
    np.testing.assert_allclose([hit.similarity for hit in found], scores, atol=1e-6)
    assert list(scores) == sorted(scores, reverse=True)
    assert found.ranked_by == "similarity" and found.hits[0].relative == 1
    assert names(index.search("a red horse", rerank=False, top=2)) == names(found)[:2]


def test_a_second_run_reads_no_file_and_encodes_nothing(photos, out, encoded, monkeypatch) -> None:
    build(photos, out)
    assert encoded == [7]
    monkeypatch.setattr(indexing, "digest", lambda file: pytest.fail(f"{file.name} was read again"))
    added = knowclip.Index.open(out, model=tiny_model()).add(photos)
    assert added.outcomes == {"unchanged": 7} and encoded == [7]


def test_large_jpegs_are_decoded_smaller_with_next_to_the_same_vectors(tmp_path: Path, out: Path) -> None:
    model, sizes = tiny_model(), []
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    path = tmp_path / "photo.jpg"
    Image.fromarray(pixels).resize((640, 480), Image.Resampling.BICUBIC).save(path)
    whole = model.preprocess
    model.preprocess = lambda image: sizes.append(image.size) or whole(image)
    index = knowclip.Index.build(path, out, model=model)
    assert 3 * min(model.image_size) <= min(sizes[-1]) < 480  # the last: others are of the fingerprint
    (hit,) = index.search(image=path, rerank=False)
    assert sizes[-1] == (640, 480) and hit.similarity > 0.999


def test_new_changed_and_touched_photos(photos: Path, out: Path, encoded: list[int]) -> None:
    index = build(photos, out)
    draw(photos / "new.png", 10)
    draw(photos / "1.png", 11)
    os.utime(photos / "2.png", (1, 1))
    added = index.add(photos)
    assert added.outcomes == {"unchanged": 6, "new": 1, "changed": 1} and encoded == [7, 2]
    assert index.counts == (8, 8, 0)
    assert names(index.search(image=photos / "1.png"))[0] == "1.png"


def test_content_that_changed_under_the_same_times_is_noticed(photos: Path, out: Path) -> None:
    index = build(photos, out)
    before = os.stat(photos / "1.png")
    other = draw(photos.parent / "other.png", 11).read_bytes()
    (photos / "1.png").write_bytes(other.ljust(before.st_size, b"\0")[: before.st_size])
    os.utime(photos / "1.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert index.add(photos).outcomes["changed"] + len(index.add(photos).unreadable) == 1


def test_copies_are_one_photo_with_several_files(photos: Path, out: Path, encoded: list[int]) -> None:
    shutil.copy(photos / "1.png", photos / "again.png")
    index = build(photos, out)
    assert encoded == [7] and index.counts == (7, 8, 0)
    best = index.search(image=photos / "1.png").hits[0]
    assert (os.path.basename(best.path), len(best.copies)) == ("1.png", 1)
    shutil.copy(photos / "1.png", photos / "third.png")
    assert index.add(photos).outcomes == {"unchanged": 7, "copy": 2}  # as a new index would count them
    assert encoded == [7]


def test_moved_photos_are_not_encoded_again(photos: Path, out: Path, encoded: list[int]) -> None:
    index = build(photos, out)
    (photos / "1.png").rename(photos / "deep" / "one.png")
    added = index.add(photos)
    assert added.moved == [(str(photos / "1.png"), str(photos / "deep" / "one.png"))]
    assert added.outcomes == {"unchanged": 6, "moved": 1} and not added.gone and encoded == [7]
    assert names(index.search(image=photos / "deep" / "one.png"))[0] == "one.png"
    photos.rename(photos.parent / "elsewhere")
    added = index.add(photos.parent / "elsewhere")
    assert added.outcomes == {"moved": 7} and index.counts == (7, 7, 0) and encoded == [7]


def test_photos_that_have_gone_are_kept_until_pruned(photos: Path, out: Path, encoded: list[int]) -> None:
    index = build(photos, out)
    away = photos.parent / "away.png"
    (photos / "1.png").rename(away)
    found = index.search(image=away, rerank=False)
    assert len(found) == 6 and found.gone == 1  # noticed by a search, before any further run
    assert found.hits[0].relative == 1  # the best of those that are there
    added = index.add(photos)
    assert added.gone == [str(photos / "1.png")] and index.counts == (6, 6, 1)
    assert len(index.search(image=away)) == 6 and index.search(image=away).gone == 0
    assert index.add(photos).gone == []  # told once
    away.rename(photos / "1.png")
    assert index.add(photos).outcomes == {"unchanged": 7} and encoded == [7]
    (photos / "1.png").unlink()
    assert index.add(photos, prune=True).pruned == 1 and index.counts == (6, 6, 0)
    draw(photos / "1.png", 1)
    assert index.add(photos).outcomes == {"unchanged": 6, "new": 1} and encoded == [7, 1]


def test_a_folder_beside_is_not_taken_for_gone(photos: Path, out: Path) -> None:
    """``photos2`` begins with the name of ``photos`` and does not lie in it."""
    draw(photos.parent / "photos2" / "9.png", 9)
    index = build([photos, photos.parent / "photos2"], out)  # type: ignore[arg-type]
    assert index.add(photos).gone == [] and index.counts == (8, 8, 0)


def test_folders_within_each_other_are_looked_at_once(photos: Path, out: Path) -> None:
    index = build([photos / "deep", photos, photos], out)  # type: ignore[arg-type]
    assert index.counts == (7, 7, 0) and index.add([photos, photos / "1.png"]).outcomes == {"unchanged": 7}


def test_a_folder_without_photos_is_refused_and_one_that_was_emptied_is_told(
    photos: Path, out: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.heic").touch()
    with pytest.raises(ValueError, match=r"no photo in .*empty \(.heic file: 1\)"):
        build(tmp_path / "empty", out)
    assert not out.exists()
    index = build(photos, out)
    shutil.rmtree(photos)
    photos.mkdir()
    assert len(index.add(photos).gone) == 7 and index.counts == (0, 0, 7)
    assert len(index.search("a horse", rerank=False)) == 0


def test_what_cannot_be_read_is_counted_and_named(photos: Path, out: Path) -> None:
    (photos / "text.jpg").write_text("no picture")
    (photos / "empty.png").touch()
    (photos / "cut.png").write_bytes((photos / "1.png").read_bytes()[:60])
    (photos / "lost.jpg").symlink_to(photos / "nowhere.jpg")
    (photos / "notes.txt").write_text("hello")
    (photos / ".hidden.png").write_text("the system's own")
    index = build(photos, out)
    added = index.add(photos)
    assert {os.path.basename(path) for path in added.unreadable} == {
        "text.jpg", "empty.png", "cut.png", "lost.jpg"
    }  # fmt: skip
    assert all(path in reason for path, reason in added.unreadable.items())
    assert added.skipped == {"cannot be read": 4, ".txt file": 1} and added.outcomes == {"unchanged": 7}
    draw(photos / "text.jpg", 9)
    assert index.add(photos).outcomes["new"] == 1


def test_python_is_told_how_far_it_is_and_what_is_left_out(photos: Path, out: Path, capsys) -> None:
    """As ``knowclip index`` tells it: a folder of photos takes minutes, and some of them are broken."""
    (photos / "cut.png").write_bytes((photos / "1.png").read_bytes()[:60])
    (photos / "copy.png").write_bytes((photos / "1.png").read_bytes())
    stages: list[str] = []
    knowclip.Index.build(photos, out, model=tiny_model(), progress=lambda *stage: stages.append(stage[0]))
    assert list(dict.fromkeys(stages))[:3] == ["loading the model", "looking for photos", "encoding photos"]
    said = capsys.readouterr()
    assert not said.out
    skipped, outcomes, total = said.err.splitlines()
    assert skipped.startswith("skipped: ") and "cut.png" in skipped
    assert outcomes == "new: 7"
    assert total == "9 files read = 7 kept + 1 merged + 1 skipped (cannot be read: 1)"


def test_python_shows_progress_by_itself(photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    @contextmanager
    def noted(unit: str) -> Iterator[Callable[..., None]]:
        yield lambda label, done, total: shown.append(label)

    monkeypatch.setattr("knowclip.console.progress._shown", noted)
    index = build(photos, out)
    assert "encoding photos" in shown
    shown.clear()
    index.add(photos)
    assert "looking for photos" in shown


def test_a_photo_that_breaks_is_not_shown_any_more(photos: Path, out: Path) -> None:
    index = build(photos, out)
    (photos / "1.png").write_text("no picture")
    assert list(index.add(photos).unreadable) == [str(photos / "1.png")]
    assert "1.png" not in names(index.search(image=photos / "2.png")) and len(index) == 6


def test_what_is_interrupted_goes_on_where_it_was(photos, out, encoded, monkeypatch) -> None:
    monkeypatch.setattr(indexing, "BATCH", 2)
    put, count = Store.put_file, iter(range(100))

    def stopped(self, *args) -> None:
        if next(count) == 5:  # within the third batch
            raise KeyboardInterrupt
        put(self, *args)

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(Store, "put_file", stopped)
        build(photos, out)
    assert encoded == [2, 2, 2]
    index = knowclip.Index(out, model=tiny_model())
    assert len(index) == 4 and len(index.search("a horse", rerank=False)) == 4  # no graph was saved
    added = index.add(photos)
    assert added.outcomes == {"unchanged": 4, "new": 3} and encoded == [2, 2, 2, 2, 1]
    assert len(index.search("a horse", rerank=False)) == 7


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
import knowclip
from knowclip.search import indexing
from knowclip.search.store import Store
from tiny import tiny_model
indexing.BATCH = 2
put, count = Store.put_file, iter(range(100))
def killed(self, *args):
    if next(count) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, *args)
Store.put_file = killed
knowclip.Index.build(sys.argv[1], sys.argv[2], model=tiny_model())
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL")
def test_a_killed_process_loses_nothing_it_had_indexed(photos: Path, out: Path, encoded: list[int]) -> None:
    tests = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", KILLED, photos, out, tests], check=False)
    assert done.returncode == -9
    index = knowclip.Index(out, model=tiny_model())
    assert len(index) == 4
    assert index.add(photos).outcomes == {"unchanged": 4, "new": 3} and encoded == [3]


def test_another_model_is_refused(photos: Path, out: Path) -> None:
    build(photos, out)
    for use in (lambda i: i.add(photos), lambda i: i.search("a horse")):
        with pytest.raises(ValueError, match="other weights or preprocessing"):
            use(knowclip.Index(out, model=tiny_model(seed=1)))
    with pytest.raises(ValueError, match="cannot be compared"):
        build(photos, out, seed=1)


def test_an_index_of_no_photo_takes_another_model(photos: Path, out: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.jpg").touch()
    assert len(build(broken, out)) == 0
    assert len(build(photos, out, seed=1)) == 7
    with pytest.raises(ValueError, match="cannot be compared"):
        build(photos, out)


def test_places_without_a_photo_are_refused_before_the_model_is_loaded(
    photos: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(photos, out).close()
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr("knowclip.search.encoder.Encoder.load", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(ValueError, match=r"no photo in .*empty \(it is empty\): allowed are \.bmp"):
        knowclip.Index(out, model=tiny_model()).add(tmp_path / "empty")


def test_a_model_that_is_named_is_loaded_again_and_noticed_when_it_changes(
    photos: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from knowclip.export.open_clip import save_pretrained

    model = knowclip.load("scenes-base")
    folder = tmp_path / "model"
    knowclip.Index.build(photos / "1.png", tmp_path / "shipped", model="scenes-base").close()
    save_pretrained(model, folder)
    knowclip.Index.build(photos, out, model=folder)
    assert len(knowclip.Index(out).search("a horse", rerank=False)) == 7
    with torch.no_grad():
        model.logit_scale.add_(0.1)
    save_pretrained(model, folder)
    with monkeypatch.context() as patch:  # its file says so
        patch.setattr("knowclip.search.encoder.Encoder.load", lambda *_, **__: pytest.fail("it was loaded"))
        with pytest.raises(ValueError, match="has other weights: their vectors cannot be compared"):
            knowclip.Index(out).search("a horse", rerank=False)
        with pytest.raises(ValueError, match=r"made with scenes-base, and .*model has other weights"):
            knowclip.Index.start(tmp_path / "shipped", model=folder).encoder  # noqa: B018
        narrow = {"model_cfg": model.config | {"embed_dim": 3}}
        (tmp_path / "narrow/best").mkdir(parents=True)
        (tmp_path / "narrow/best/open_clip_config.json").write_text(json.dumps(narrow))
        with pytest.raises(ValueError, match=r"narrow has vectors of 3 numbers, not of \d+: their vectors"):
            knowclip.Index.start(out, model=tmp_path / "narrow").encoder  # noqa: B018
    folder.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"the model of .*index=.*model is no file, no folder"):
        knowclip.Index(out).search("a horse", rerank=False)


def test_a_model_in_memory_has_to_be_given_again(photos: Path, out: Path) -> None:
    build(photos, out)
    with pytest.raises(ValueError, match="give it again, as model="):
        knowclip.Index(out).search("a horse")


def test_a_new_index_needs_a_model_and_a_folder_of_its_own(photos: Path, out: Path) -> None:
    with pytest.raises(ValueError, match="say which model"):
        knowclip.Index.build(photos, out)
    with pytest.raises(ValueError, match="holds other files"):
        build(photos, photos)
    with pytest.raises(ValueError, match="does not exist"):
        build(photos / "nowhere", out)
    assert not out.exists()


def test_diverged_weights_are_refused(photos: Path, out: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.model.visual.proj.fill_(float("nan"))
    with pytest.raises(ValueError, match="NaN or infinite"):
        knowclip.Index.build(photos, out, model=model)


def test_one_process_at_a_time_adds_and_others_search(photos: Path, out: Path) -> None:
    index = build(photos, out)
    other = knowclip.Index(out, model=tiny_model())
    assert len(other.search("a horse", rerank=False)) == 7
    draw(photos / "new.png", 10)
    index.add(photos)
    assert len(other.search("a horse", rerank=False)) == 8  # noticed without opening it again
    with locked(out, doing="indexing photos"), pytest.raises(ValueError, match="is in use"):
        index.add(photos)


def test_queries_by_image_both_and_minus(photos: Path, out: Path) -> None:
    model = tiny_model()
    index = knowclip.Index.build(photos, out, model=model)
    by_image = index.search(image=photos / "3.png")
    assert names(by_image)[0] == "3.png" and by_image.hits[0].similarity == pytest.approx(1, abs=1e-5)
    files = [hit.path for hit in by_image]
    text, avoided = model.score(files, ["a horse", "a blue house"]).T
    both = index.search("a horse", image=Image.open(photos / "3.png"), rerank=False)
    like = np.array([hit.similarity for hit in by_image])
    expected = text + text.std() / like.std() * like
    np.testing.assert_allclose(_by_path(both, files), expected, rtol=1e-4)
    minus = index.search("a horse", minus="a blue house", rerank=False)
    expected = text - text.std() / avoided.std() * avoided
    np.testing.assert_allclose(_by_path(minus, files), expected, atol=1e-4)


def _by_path(found, files: list[str]) -> list[float]:
    similarity = {hit.path: hit.similarity for hit in found}
    return [similarity[path] for path in files]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({}, "give a text, an image, or both"),
        ({"minus": "a saddle"}, "give a text, an image, or both"),
        ({"text": " "}, "the query is empty"),
        ({"text": "a horse", "minus": ("a saddle", "")}, "minus is empty"),
        ({"text": "a horse", "minus": ("a saddle", " A  horse")}, "looked for and ruled out by minus"),
        ({"text": "a horse", "top": 0}, "top=0"),
        ({"image": "nowhere.png"}, "nowhere.png does not exist"),
    ],
)
def test_a_query_that_asks_for_nothing_is_refused(query, told, photos: Path, out: Path) -> None:
    with pytest.raises(ValueError, match=told):
        build(photos, out).search(**query)


class Structured:
    """Reads who rides whom; its photos are named after what they show."""

    parser, has_knowledge, logit_scale = "spacy", False, 100.0

    def texts(self, texts: list[str], *, knowledge: bool = False) -> np.ndarray:
        directions = {"astronaut horse": (1, 0.2, 0), "horse astronaut": (1, -0.2, 0), "else": (0.3, 0, 1)}
        rows = [directions[self.order(text)] for text in texts]
        return np.array(rows, np.float32) / np.linalg.norm(rows, axis=1, keepdims=True)

    @staticmethod
    def order(text: str) -> str:
        places = {noun: text.find(noun) for noun in ("astronaut", "horse") if noun in text}
        both = len(places) == 2 and "riding" in text
        return " ".join(sorted(places, key=places.get)) if both else "else"


def test_the_true_photo_stands_above_its_twin_and_is_explained(photos: Path, out: Path) -> None:
    """By similarity the twin would be first; its margin over its own swap puts it behind."""
    index = build(photos, out)
    structured = Structured()
    vectors = {"0.png": (1, 0.4, 0.3), "2.png": (1, -0.1, 0)}
    rows = [vectors.get(f"{n}.png", (0.01 * n, 0, 1)) for n in range(7)]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    with index._store.changing():
        index._store.set_about("width", 3)
        for number, row in enumerate(np.array(rows, np.float32) / lengths):
            (image,) = [index._store.file(str(p)).image for p in photos.rglob(f"{number}.png")]
            blob = row.astype("<f4").tobytes()
            index._store._db.execute("UPDATE images SET vector = ? WHERE id = ?", (blob, image))
        index._store.changed()
    index.encoder = structured
    text = "an astronaut riding a horse"
    assert names(index.search(text, rerank=False))[:2] == ["2.png", "0.png"]
    found = index.search(text)
    assert found.ranked_by == "similarity less doubt" and names(found)[:2] == ["0.png", "2.png"]
    assert [(t.head, t.relation, t.tail) for t in found.reading.triples] == [("astronaut", "ride", "horse")]
    assert "a horse riding an astronaut" in [n.caption for n in found.reading.negatives]
    first, twin = found.hits[:2]
    assert twin.rival == "a horse riding an astronaut" and twin.margin < 0 < first.margin
    assert found.to_dict()["hits"][0]["above_cut"] and first.relative == 1 > twin.relative


RUN = Path(__file__).parents[1] / "old_runs" / "d911184" / "run"
"""A small run whose checkpoint has a KEE."""


def test_a_kee_reads_the_text_and_its_negatives_where_the_model_has_one(photos: Path, out: Path) -> None:
    index = knowclip.Index.build(photos, out, model=RUN)
    found = index.search("a red horse on a blue house")
    assert found.knowledge and index.model_name == str(RUN)
    method = load_method(RUN / "best")
    with_kee, texts = method.with_knowledge(), ["a red horse on a blue house", found.hits[0].rival]
    with torch.no_grad():
        text, rival = with_kee.encode_text(texts, normalize=True)
        photo = method.model.encode_image(found.hits[0].path, normalize=True)[0]
    assert found.hits[0].margin == pytest.approx(float(photo @ (text - rival)), abs=1e-5)
    plain = index.search("a red horse on a blue house", rerank=False)
    assert not plain.knowledge and plain.hits[0].similarity == pytest.approx(
        float(method.model.score([plain.hits[0].path], texts[:1])[0, 0]), abs=1e-5
    )


def test_only_the_nearest_are_ranked_by_structure(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "RECALL", 3)
    index = build(photos, out)
    nearest = names(index.search("a red horse and a blue dog", rerank=False, top=3))
    assert sorted(names(index.search("a red horse and a blue dog", top=3))) == sorted(nearest)


def test_reading_the_photos_keeps_ahead_of_the_model(photos: Path, out: Path, monkeypatch) -> None:
    """Two further batches are read while one is encoded."""
    monkeypatch.setattr(indexing, "BATCH", 1)
    read: list[str] = []
    seen: list[int] = []
    whole = indexing.digest
    monkeypatch.setattr(indexing, "digest", lambda file: read.append(file.name) or whole(file))

    class Waiting:
        def __init__(self, encode: Callable) -> None:
            self.encode = encode

        def __call__(self, pixels):
            import time

            until = time.monotonic() + 5
            while len(read) < min(7, len(seen) + 3) and time.monotonic() < until:
                time.sleep(0.01)
            seen.append(len(read))
            return self.encode(pixels)

    index = knowclip.Index.start(out, model=tiny_model())
    index.encoder.pixels = Waiting(index.encoder.pixels)
    index.add(photos)
    assert seen[0] >= 3 and len(seen) == 7
