"""The endpoints give what the Python API gives; what is too much or makes no sense is refused in words."""

from __future__ import annotations

import base64
import io
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import knowclip
from knowclip.models.knowledge_encoder import KnowledgeEncoder
from knowclip.models.with_knowledge import KnowledgeDualEncoder
from tiny_models import make

pytest.importorskip("fastapi")
pytest.importorskip("usearch")

from fastapi import FastAPI
from starlette.testclient import TestClient

from knowclip.commands.serve import run
from knowclip.serving.app import create_app
from knowclip.serving.limits import Limits
from knowclip.serving.reading import FORMATS

TEXTS = ["a red horse", "an astronaut on the left of a house"]
LIMITS = Limits(
    body=300_000, texts=5, images=3, characters=80, pixels=1_000_000, side=4_000, top=4, requests=60
)


def png(seed: int = 0, size: tuple[int, int] = (40, 30)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def header(width: int, height: int) -> bytes:
    """A PNG that says its size and has no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data) & 0xFFFFFFFF)
        )

    about = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", about) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service")
    (folder / "photos").mkdir()
    for number in range(5):
        (folder / "photos" / f"{number}.png").write_bytes(png(number))
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return make("word_level", folder)


@pytest.fixture(scope="module")
def index(model: Any, folder: Path) -> knowclip.Index:
    return knowclip.Index.build(folder / "photos", folder / "idx", model=model)


@pytest.fixture(scope="module")
def client(model: Any, index: knowclip.Index) -> Iterator[TestClient]:
    with TestClient(create_app(model, name="tiny", index=index, limits=LIMITS)) as client:
        yield client


def test_embed_gives_the_models_own_vectors(client: TestClient, model: Any) -> None:
    images = [png(0), png(1)]
    opened = [Image.open(io.BytesIO(data)) for data in images]
    answer = client.post("/embed", json={"texts": TEXTS, "images": [text64(data) for data in images]})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    np.testing.assert_allclose(found["texts"], model.encode_text(TEXTS, normalize=True).detach(), atol=1e-5)
    np.testing.assert_allclose(
        found["images"], model.encode_image(opened, normalize=True).detach(), atol=1e-5
    )
    assert found["width"] == 128 == len(found["texts"][0])
    form = client.post(
        "/embed", data={"texts": TEXTS}, files=[("images", (f"{n}.png", d)) for n, d in enumerate(images)]
    )
    np.testing.assert_allclose(form.json()["images"], found["images"], atol=1e-5)
    np.testing.assert_allclose(form.json()["texts"], found["texts"], atol=1e-5)
    assert client.post("/embed", json={"texts": TEXTS}).json()["images"] == []


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(kind: str, client: TestClient) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(file, kind)
    assert client.post("/embed", files={"images": file.getvalue()}).status_code == 200


def test_score_gives_the_models_own_scores(client: TestClient, model: Any) -> None:
    images = [png(number) for number in range(3)]
    expected = model.score([Image.open(io.BytesIO(data)) for data in images], TEXTS)
    url = "data:image/png;base64,"
    answer = client.post("/score", json={"texts": TEXTS, "images": [url + text64(data) for data in images]})
    np.testing.assert_allclose(answer.json()["scores"], expected, atol=1e-5)
    assert answer.json()["kee"] is False
    form = client.post("/score", data={"texts": TEXTS[0]}, files={"images": images[0]})
    np.testing.assert_allclose(form.json()["scores"], expected[:1, :1], atol=1e-5)


def test_parse_gives_the_parsers_graphs(client: TestClient) -> None:
    graphs = client.post("/parse", json={"texts": TEXTS}).json()["graphs"]
    for graph, expected in zip(graphs, knowclip.parse(TEXTS), strict=True):
        assert [(o["name"], tuple(o["span"])) for o in graph["objects"]] == [
            (o.name, o.span) for o in expected.objects
        ]
        assert [(a["object"], a["name"]) for a in graph["attributes"]] == [
            (a.object, a.name) for a in expected.attributes
        ]
        assert [(r["subject"], r["name"], r["object"]) for r in graph["relations"]] == [
            (r.subject, r.name, r.object) for r in expected.relations
        ]


def test_search_gives_what_the_index_finds(client: TestClient, index: knowclip.Index) -> None:
    expected = index.search(TEXTS[1], minus="a dog", top=3)
    found = client.post("/search", json={"text": TEXTS[1], "minus": ["a dog"], "top": 3}).json()
    assert [hit["path"] for hit in found["hits"]] == [
        f"../photos/{Path(hit.path).name}" for hit in expected
    ]  # relative to the index
    np.testing.assert_allclose([h["margin"] for h in found["hits"]], [h.margin for h in expected], atol=1e-5)
    assert found["ranked_by"] == "similarity less doubt" and found["photos"] == 5 and found["triples"]
    form = client.post("/search", data={"top": "2", "rerank": "false"}, files={"image": png(3)}).json()
    assert len(form["hits"]) == 2 and form["hits"][0]["path"] == "../photos/3.png"
    both = client.post("/search", json={"text": TEXTS[0], "image": text64(png(3))})
    assert both.status_code == 200 and len(both.json()["hits"]) == 4


def test_health_and_metrics(client: TestClient) -> None:
    health = client.get("/health").json()
    assert health == {
        "status": "ok", "version": knowclip.__version__, "model": "tiny", "device": "cpu", "width": 128,
        "kee": False, "photos": 5,
    }  # fmt: skip
    client.post("/embed", json={"texts": TEXTS})
    client.get("/nowhere/1")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'knowclip_requests_total{path="/embed",status="200"}' in answer.text
    assert 'knowclip_requests_total{path="other",status="404"}' in answer.text
    assert 'knowclip_batch_items_count{kind="text"}' in answer.text and "nowhere" not in answer.text


TYPE = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def with_kee(model: Any) -> KnowledgeDualEncoder:
    torch.manual_seed(0)
    kee = KnowledgeEncoder(model, layers=1, composition="minus", scale=0.5, renormalize=True).eval()
    return KnowledgeDualEncoder(model, kee, parser="spacy").eval()


def test_a_kee_reads_texts_as_in_the_models_own_score(with_kee: KnowledgeDualEncoder) -> None:
    photo = Image.open(io.BytesIO(png()))
    plain, enhanced = (with_kee.score([photo], TEXTS, kee=kee) for kee in (False, None))
    assert np.abs(plain - enhanced).max() > 1e-3
    with TestClient(create_app(with_kee, name="kee")) as client:
        asked = {"texts": TEXTS, "images": [text64(png())]}
        for kee, expected in ((None, enhanced), (True, enhanced), (False, plain)):
            found = client.post("/score", json=asked | {"kee": kee}).json()
            np.testing.assert_allclose(found["scores"], expected, atol=1e-5)
            assert found["kee"] is (kee is not False)
        for kee, expected in ((True, enhanced), (False, plain)):
            found = client.post("/embed", json=asked | {"kee": kee}).json()
            cosines = np.array(found["images"]) @ np.array(found["texts"]).T
            np.testing.assert_allclose(cosines, expected, atol=1e-5)
        assert client.get("/health").json()["kee"] is True


def test_no_file_of_the_machine_can_be_asked_for(client: TestClient, folder: Path) -> None:
    """By a name in a field, by the name of an upload, by a path of the address."""
    secret = folder / "secret.png"
    secret.write_bytes(png(9))
    for named in (str(secret), f"file://{secret}", f"data:image/png;file,{secret}"):
        for field, path in (("images", "/embed"), ("image", "/search")):
            given = [named] if field == "images" else named
            assert client.post(path, json={field: given}).status_code == 422
            assert client.post(path, data={field: given}).status_code in (415, 422)  # no file in the form
            assert client.post(path, files={field: (named, b"")}).status_code == 422
    for path in (str(secret), f"/..{secret}", "/%2e%2e/%2e%2e/etc/passwd", "/photos/0.png", "/idx/photos.db"):
        answer = client.get(path)
        assert answer.status_code == 404 and png(9) not in answer.content


REFUSED: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "nothing": ("/embed", {"json": {}}, 422, "nothing to embed"),
    "an empty text": ("/embed", {"json": {"texts": ["a", " "]}}, 422, "texts[1] is empty"),
    "a text that is none": ("/embed", {"json": {"texts": ["a", 1]}}, 422, "texts[1]"),
    "a long text": ("/embed", {"json": {"texts": ["a" * 81]}}, 413, "texts[0] has 81 characters: at most 80"),
    "10,000 texts": ("/embed", {"json": {"texts": ["a"] * 10_000}}, 413, "10,000 texts: at most 5"),
    "10,000 fields": ("/embed", {"data": {"texts": ["a"] * 3000}, "files": {"images": b"x"}}, 413, "5 texts"),
    "many images": ("/embed", {"json": {"images": [text64(png())] * 4}}, 413, "4 images: at most 3"),
    "many files": ("/embed", {"files": [("images", png())] * 4}, 413, "3 images"),
    "a large body": ("/embed", {"content": b"x" * 300_001}, 413, "at most 300,000 bytes"),
    "no image": ("/embed", {"json": {"images": [text64(b"GIF, not")]}}, 422, "images[0] is no image"),
    "an empty file": ("/embed", {"files": {"images": b""}}, 422, "images[0] is empty"),
    "half an image": ("/embed", {"files": {"images": png()[:200]}}, 422, "images[0] cannot be decoded"),
    "no base64": ("/embed", {"json": {"images": ["/etc/passwd"]}}, 422, "images[0] is"),
    "a path": ("/search", {"json": {"image": "photos/1.png"}}, 422, "image"),
    "a wide image": ("/embed", {"files": {"images": header(20_000, 9)}}, 413, "20,000 x 9 pixels: at"),
    "a large image": ("/embed", {"files": {"images": header(2_000, 600)}}, 413, "at most 1,000,000"),
    "a strip": ("/embed", {"files": {"images": header(4_000, 1)}}, 413, "scaled for the model"),
    "a bomb": ("/embed", {"files": {"images": header(40_000, 40_000)}}, 413, "pixels"),
    "no JSON": ("/embed", {"content": b"{", "headers": TYPE}, 400, "no JSON"),
    "no text": ("/parse", {"content": b"\xff\xfe", "headers": TYPE}, 400, "JSON"),
    "no form": ("/embed", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "form"),
    "another type": ("/embed", {"content": b"x"}, 415, "application/json"),
    "an unknown field": ("/embed", {"json": {"text": "a"}}, 422, "text"),
    "a list": ("/embed", {"json": []}, 422, "the request"),
    "no KEE": ("/embed", {"json": {"texts": ["a"], "kee": True}}, 422, "this model has no KEE"),
    "scores without texts": ("/score", {"files": {"images": png()}}, 422, "texts"),
    "scores without images": ("/score", {"json": {"texts": ["a"]}}, 422, "no image"),
    "nothing to parse": ("/parse", {"json": {"texts": []}}, 422, "texts"),
    "files to parse": ("/parse", {"data": {"texts": "a"}, "files": {"images": png()}}, 422, "no files"),
    "a file of another name": ("/embed", {"files": {"photo": png()}}, 422, "files as 'images'"),
    "nothing to find": ("/search", {"json": {"minus": ["a dog"]}}, 422, "minus alone is too little"),
    "an empty query": ("/search", {"json": {"text": ""}}, 422, "text is empty"),
    "many photos": ("/search", {"json": {"text": "a", "top": 5}}, 413, "top is 5: at most 4"),
    "no photo": ("/search", {"json": {"text": "a", "top": 0}}, 422, "top"),
    "two images to find": ("/search", {"files": [("image", png())] * 2}, 422, "give one"),
    "an unknown path": ("/photos/17", {"json": {}}, 404, "there are /embed"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_in_words(case: str, client: TestClient) -> None:
    path, request, status, told = REFUSED[case]
    answer = client.post(path, **request)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"]), answer.text
    assert told in answer.json()["detail"]
    assert client.post("/embed", json={"texts": ["a horse"]}).status_code == 200  # nothing died


def test_a_body_without_a_stated_length_is_counted_as_it_comes(client: TestClient) -> None:
    json = {"content-type": "application/json"}
    answer = client.post("/embed", content=(b"x" * 10_000 for _ in range(31)), headers=json)
    assert answer.status_code == 413 and "at most 300,000 bytes" in answer.text


def test_search_without_an_index_says_what_it_needs(model: Any) -> None:
    with TestClient(create_app(model, name="tiny")) as client:
        answer = client.post("/search", json={"text": "a"})
        assert answer.status_code == 404 and "knowclip serve MODEL --index IDX" in answer.text
        assert client.get("/health").json()["photos"] is None


def test_concurrent_requests_share_forwards(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty requests at once: each gets its own vectors, of few passes of each tower."""
    passes = {"encode_text": 0, "encode_image": 0}

    def counted(name: str) -> None:
        whole = getattr(model, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            passes[name] += 1
            return whole(*args, **kwargs)

        monkeypatch.setattr(model, name, call)

    texts = [f"{word} {noun}" for word in ("a red", "the green", "a big", "a small") for noun in "abcdefghij"]
    expected = model.encode_text(texts, normalize=True).detach().numpy()
    image = text64(png())
    counted("encode_text")
    counted("encode_image")
    start = threading.Barrier(40)
    with TestClient(create_app(model, name="tiny", wait=0.1)) as client:
        passes.update(encode_text=0, encode_image=0)  # without the first try

        def ask(text: str) -> list[float]:
            start.wait()
            answer = client.post("/embed", json={"texts": [text], "images": [image]})
            assert answer.status_code == 200
            return answer.json()["texts"][0]

        with ThreadPoolExecutor(40) as pool:
            found = list(pool.map(ask, texts))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert max(passes.values()) <= 20, passes


def test_more_requests_than_allowed_are_told_to_come_again(model: Any) -> None:
    app = create_app(model, name="tiny", limits=Limits(requests=1), wait=0.3)
    with TestClient(app) as client, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: client.post("/embed", json={"texts": [f"a {n}"]}), range(6)))
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1" and "the most at a time" in refused.text


def test_what_takes_too_long_is_given_up(model: Any) -> None:
    with TestClient(create_app(model, name="tiny", limits=Limits(seconds=0.3), wait=1.0)) as client:
        answer = client.post("/embed", json={"texts": ["a horse"]})
        assert answer.status_code == 429 and "within 0.3 seconds" in answer.text
        assert client.get("/health").status_code == 200


def test_a_model_that_has_diverged_is_refused_at_the_start(tmp_path: Path) -> None:
    broken = make("word_level", tmp_path)
    broken.model.visual.proj.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="diverged"):
        create_app(broken, name="tiny")


def test_an_index_of_another_model_is_refused(folder: Path, index: knowclip.Index) -> None:
    other = make("word_level", folder, seed=1)
    with pytest.raises(ValueError, match="cannot be compared"):
        create_app(other, name="tiny", index=knowclip.Index(folder / "idx", model=other))


def test_the_description_names_limits_and_refusals(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/embed", "/score", "/parse", "/search", "/health", "/metrics"}
    embed = paths["/embed"]["post"]
    body = embed["requestBody"]["content"]
    assert body["application/json"]["schema"]["properties"]["texts"]["maxItems"] == 5
    assert body["multipart/form-data"]["schema"]["properties"]["images"]["items"]["format"] == "binary"
    assert {"200", "400", "408", "413", "415", "422", "429"} <= set(embed["responses"])


def test_ctrl_c_is_the_way_to_end_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("uvicorn.Server.run", interrupted)
    with socket.socket() as listening:
        run(FastAPI(), listening, seconds=1)
