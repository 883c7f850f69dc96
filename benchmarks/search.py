"""Search: the nearest of a million vectors, reading beside encoding, and re-ranking against swapped twins.

    python benchmarks/search.py vectors                          # 1,000,000 of 512 numbers, in clusters
    python benchmarks/search.py vectors --spread isotropic       # the worst case: no neighbour is near
    python benchmarks/search.py vectors --library faiss-ivf      # or faiss-hnsw, lancedb: what is installed
    python benchmarks/search.py rerank RUN --plain scenes-base   # drawn twins: what re-ranking is worth
    python benchmarks/search.py photos RUN --data FLICKR8K       # captions of photos, and their swaps
    python benchmarks/search.py loading ViT-B-32/random          # reading photos against encoding them
    python benchmarks/search.py loading scenes-base --pixels 4032x3024   # those of a phone

``vectors`` fills an index's database, arranges it, and asks as ``Index.search`` does: the nearest 100 by
half precision, ranked by single precision from the database; on one thread. Exact search of the same queries
is the measure of recall. ``rerank`` draws each scene of a pair of twins several times; a photo is right for a
caption if it was drawn from the caption's scene, and not from its twin's. ``photos`` asks for captions that
can be swapped: how often their photo is found first, and how often it stands higher for the caption than for
the swap. Prints a JSON object a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np

from knowclip.search.found import Hit
from knowclip.search.scan import FileState
from knowclip.search.store import Store, is_index
from knowclip.search.vectors import NAME, NearestImages

BLOCK = 20_000
LATENT = 48
"""Directions in which generated vectors vary most; photos' vectors of CLIP are about as many-sided."""
LISTS, PROBES = 1024, 16
"""Lists about centres, where a library keeps such, and those that a query looks through."""
Vectors = np.ndarray


def generated(count: int, width: int, spread: str, seed: int) -> Iterator[Vectors]:
    """Normalised vectors, block by block; ``photos`` vary in few directions, and lie about many centres."""
    fixed = np.random.default_rng(0)
    mixing = fixed.standard_normal((LATENT, width), dtype=np.float32) / LATENT**0.5
    centres = fixed.standard_normal((2000, LATENT), dtype=np.float32)
    random = np.random.default_rng(seed)
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        if spread == "photos":
            latent = centres[random.integers(0, len(centres), size)]
            latent = latent + 0.7 * random.standard_normal((size, LATENT), dtype=np.float32)
            rows = latent @ mixing + 0.3 * random.standard_normal((size, width), dtype=np.float32)
        else:
            rows = random.standard_normal((size, width), dtype=np.float32)
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def exact(store: Store, queries: Vectors, ids: Vectors, k: int) -> Vectors:
    """Ids of the k best of all, in single precision, ``[queries, k]``."""
    best = np.zeros((len(queries), 0), np.float32)
    found = np.zeros((len(queries), 0), np.int64)
    for start in range(0, len(ids), BLOCK):
        part = ids[start : start + BLOCK]
        best = np.concatenate([best, queries @ store.vectors(part).T], axis=1)
        found = np.concatenate([found, np.broadcast_to(part.astype(np.int64), (len(queries), len(part)))], 1)
        kept = np.argsort(-best, axis=1)[:, :k]
        best, found = np.take_along_axis(best, kept, 1), np.take_along_axis(found, kept, 1)
    return found


def resident() -> int:
    """Bytes of memory this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def fill(store: Store, count: int, width: int, spread: str) -> None:
    """Put generated vectors in, as if each were a photo."""
    number = 0
    for rows in generated(count, width, spread, seed=1):
        with store.changing():
            for row in rows:
                number += 1
                store.add_image(number.to_bytes(8), row)
                store.put_file(f"/photos/{number}.jpg", number, FileState(0, 0, 0))
            store.changed()


class USearch:
    """What knowclip uses: arranged and saved, then opened as a search opens it."""

    def __init__(self, store: Store, width: int) -> None:
        self.graph = NearestImages(store)

    @staticmethod
    def arrange(store: Store, width: int) -> None:
        """Arrange the vectors, and save them."""
        NearestImages(store, save=True)

    @staticmethod
    def size(folder: Path) -> int:
        """Bytes on disk."""
        return (folder / NAME).stat().st_size

    def nearest(self, query: Vectors, count: int) -> Vectors:
        """Ids of the nearest."""
        return self.graph.nearest(query, count)


class Faiss:
    """FAISS: half-precision vectors with keys, kept in a file.

    Either its graph, at USearch's defaults (``faiss-hnsw``), or lists about centres, as its guidelines have
    it for a million (``faiss-ivf``).
    """

    graph = False
    file = "vectors.faiss"

    def __init__(self, store: Store, width: int) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.index = faiss.read_index(str(store.folder / self.file))

    @classmethod
    def arrange(cls, store: Store, width: int) -> None:
        """Arrange the vectors, and save them."""
        import faiss

        faiss.omp_set_num_threads(1)
        ids = store.ids().astype(np.int64)
        kind, inner = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        if cls.graph:
            inside = faiss.IndexHNSWSQ(width, kind, 16, inner)
            inside.hnsw.efConstruction, inside.hnsw.efSearch = 128, 100
            index = faiss.IndexIDMap(inside)
        else:
            index = faiss.index_factory(width, f"IVF{LISTS},SQfp16", inner)
            index.nprobe = PROBES
        index.train(store.vectors(ids[:: max(1, len(ids) // (50 * LISTS))]))
        for start in range(0, len(ids), BLOCK):
            index.add_with_ids(store.vectors(ids[start : start + BLOCK]), ids[start : start + BLOCK])
        faiss.write_index(index, str(store.folder / cls.file))

    @classmethod
    def size(cls, folder: Path) -> int:
        """Bytes on disk."""
        return (folder / cls.file).stat().st_size

    def nearest(self, query: Vectors, count: int) -> Vectors:
        """Ids of the nearest."""
        found = self.index.search(query[None], count)[1][0]
        return found[found >= 0]


class FaissGraph(Faiss):
    """Its graph."""

    graph = True
    file = "graph.faiss"


class Lance:
    """LanceDB: a table on disk and lists of it, as many and as many looked through as FAISS'.

    In single precision and with as small a sample to learn the lists from: with its own defaults, product-
    quantised, it had not arranged a million of half precision after 15 CPU minutes.
    """

    folder = "lance"

    def __init__(self, store: Store, width: int) -> None:
        import lancedb

        self.table = lancedb.connect(store.folder / self.folder).open_table("photos")

    @classmethod
    def arrange(cls, store: Store, width: int) -> None:
        """Write the table, and its index."""
        import lancedb
        import pyarrow as pa
        from lancedb.index import IvfFlat

        ids = store.ids().astype(np.int64)
        schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float32(), width))])

        def batches() -> Iterator[pa.RecordBatch]:
            for start in range(0, len(ids), BLOCK):
                part = ids[start : start + BLOCK]
                flat = pa.array(store.vectors(part).reshape(-1))
                yield pa.record_batch([part, pa.FixedSizeListArray.from_arrays(flat, width)], schema=schema)

        reader = pa.RecordBatchReader.from_batches(schema, batches())
        table = lancedb.connect(store.folder / cls.folder).create_table("photos", reader, mode="overwrite")
        learned = {"sample_rate": 50, "max_iterations": 10}
        lists = IvfFlat(distance_type="cosine", num_partitions=LISTS, **learned)
        table.create_index("vector", config=lists)

    @classmethod
    def size(cls, folder: Path) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in (folder / cls.folder).rglob("*") if path.is_file())

    def nearest(self, query: Vectors, count: int) -> Vectors:
        """Ids of the nearest."""
        found = self.table.search(query).nprobes(PROBES).limit(count).select(["id", "_distance"])
        return found.to_arrow()["id"].to_numpy()


LIBRARIES = {"usearch": USearch, "faiss-hnsw": FaissGraph, "faiss-ivf": Faiss, "lancedb": Lance}


def vectors(count: int, width: int, spread: str, library: str, folder: Path) -> None:
    """Recall, time and memory of the vector stage."""
    folder.mkdir(parents=True, exist_ok=True)
    if is_index(folder):
        store = Store(folder)  # of another library's run
    else:
        store = Store.create(folder, model="generated", fingerprint="none", width=width)
        fill(store, count, width, spread)
    if (there := len(store.ids())) != count or store.about("width") != width:
        raise SystemExit(f"{folder} holds {there:,} vectors of {store.about('width')}: another --folder")
    tried, cpu = LIBRARIES[library], time.process_time()
    tried.arrange(store, width)
    cpu, before = time.process_time() - cpu, resident()
    start = time.perf_counter()
    index = tried(store, width)
    opened = time.perf_counter() - start
    queries = np.concatenate(list(generated(500, width, spread, seed=2)))
    times, cpu_times, ours = [], [], []
    for query in queries:
        start, cpu_start = time.perf_counter(), time.process_time()
        ids = index.nearest(query, 100)
        order = np.argsort(-(store.vectors(ids) @ query), kind="stable")[:10]
        times.append(time.perf_counter() - start)
        cpu_times.append(time.process_time() - cpu_start)  # what a machine that is not quiet leaves as it is
        ours.append(set(ids[order].tolist()))
    held = resident() - before
    best = exact(store, queries, store.ids(), 10)
    recall = np.mean([len(found & set(row.tolist())) / 10 for found, row in zip(ours, best, strict=True)])
    single = count * width * 4
    told = {
        "what": "vectors", "library": library, "vectors": count, "width": width, "spread": spread,
        "recall@10": round(float(recall), 4),
        "median_ms": round(1e3 * float(np.median(times)), 2),
        "median_cpu_ms": round(1e3 * float(np.median(cpu_times)), 2),
        "p99_ms": round(1e3 * float(np.quantile(times, 0.99)), 2),
        "arranging_cpu_s": round(cpu), "opening_s": round(opened, 2),
        "memory_by_single_precision": round(held / single, 3),
        "memory_by_half_precision": round(2 * held / single, 3),
        "file_by_half_precision": round(2 * tried.size(folder) / single, 3),
    }  # fmt: skip
    print(json.dumps(told), flush=True)


def draw_gallery(folder: Path, twins: int, copies: int, size: int) -> list[tuple[str, str, set[str]]]:
    """Draw the scenes of twins several times; kind, caption and right photos of every query."""
    from knowclip.data.scenes.drawing import draw
    from knowclip.data.scenes.twins import draw_twins

    asked = []
    for each in draw_twins("test", twins, seed=0):
        for side, scene in enumerate(each.scenes):
            right = set()
            for copy in range(copies):
                path = folder / f"{each.number}_{side}_{copy}.png"
                # of one stream with its twin: the two differ in what the captions say alone
                draw(scene, size=size, random=Random(f"{each.number}/{copy}")).image.save(path)
                right.add(str(path))
            asked.append((each.kind, each.captions[side], right))
    return asked


def precision(hits: Iterable[Hit], right: set[str]) -> float:
    """Share of the ten best that are right."""
    return sum(hit.path in right for hit in islice(hits, 10)) / 10


def rerank(model: str, plain: str, twins: int, copies: int, size: int) -> None:
    """Precision at ten: of a plain model's vector stage, and of this model's before and after re-ranking."""
    from knowclip import Index

    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        photos.mkdir()
        asked = draw_gallery(photos, twins, copies, size)
        found: dict[str, list[float]] = {}
        with Index.build(photos, Path(folder, "plain"), model=plain) as index:
            found["plain"] = [
                precision(index.search(text, top=10, rerank=False), right) for _, text, right in asked
            ]
        with Index.build(photos, Path(folder, "index"), model=model) as index:
            for _, text, right in asked:
                hits = index.search(text, top=100).hits
                by_margin = sorted(hits, key=lambda hit: -(hit.margin or 0.0))
                for name, order in (
                    ("vectors", sorted(hits, key=lambda hit: -hit.similarity)),
                    ("margin_alone", by_margin),
                    ("reranked", hits),
                ):
                    found.setdefault(name, []).append(precision(order, right))
    kinds = [kind for kind, _, _ in asked]
    for kind in ("all", *dict.fromkeys(kinds)):
        chosen = [kind in ("all", each) for each in kinds]
        told = {name: round(float(np.mean(np.array(row)[chosen])), 4) for name, row in found.items()}
        shown = {"what": "precision@10", "model": model, "plain_model": plain, "queries": kind}
        print(json.dumps({**shown, "n": sum(chosen), "photos": 2 * twins * copies, **told}), flush=True)


def swapped(data: Path, split: str, queries: int) -> tuple[list[str], list[tuple[str, str, str]]]:
    """All photos, and photo, caption and swap of captions that have one, drawn evenly, one a photo."""
    from knowclip import negatives
    from knowclip.data.captions.read import read_captions
    from knowclip.knowledge.negatives.generate import SWAPS

    examples = read_captions(data, split=split).examples
    first = {example.image.path: example.caption for example in reversed(examples)}
    asked = []
    for path, found in zip(first, negatives(first.values(), kinds=SWAPS), strict=True):
        if found:
            asked.append((str(path), first[path], found[0].caption))
    return [str(path) for path in first], asked[:: max(1, len(asked) // queries)][:queries]


def photos(model: str, data: Path, split: str, queries: int) -> None:
    """R@1 of captions, and how often their photo stands higher for them than for their swap."""
    from knowclip import Index

    places, asked = swapped(data, split, queries)
    told: dict[str, object] = {"what": "photos", "model": model, "photos": len(places), "n": len(asked)}
    with tempfile.TemporaryDirectory() as out, Index.build(places, out, model=model) as index:
        for name, rerank in (("vectors", False), ("reranked", True)):
            first = beats = 0
            for path, *texts in asked:
                standing = []
                for text in texts:
                    hits = index.search(text, top=100, rerank=rerank).hits
                    first += text is texts[0] and path in (hits[0].path, *hits[0].copies)
                    found = (hit.relative for hit in hits if path in (hit.path, *hit.copies))
                    standing.append(next(found, -np.inf))
                beats += standing[0] > standing[1]
            told |= {f"{name}_R@1": first / len(asked), f"{name}_over_swap": beats / len(asked)}
    print(json.dumps(told), flush=True)


def loading(model: str, count: int, size: tuple[int, int], data: Path | None) -> None:
    """CPU time to encode a photo, by that to read, hash and preprocess one; and what reading less costs."""
    from evaluate import draw

    from knowclip.search.encoder import Encoder
    from knowclip.search.indexing import BATCH, Added, _Adding
    from knowclip.search.scan import list_photos

    encoder = Encoder.load(model)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
        if data is None:
            draw(Path(folder), count, size)
        files = list_photos([folder if data is None else data]).photos[:count]
        store = Store.create(Path(out), model=model, fingerprint="none", width=encoder.clip.embed_dim)
        adding = _Adding(store, encoder, Added())
        batch: list = []

        def read() -> None:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for part in adding._read_ahead(pool, files):
                    batch[:] = part

        reading = seconds(read) / len(files)
        pixels = [each.pixels for each in batch if each.pixels is not None]
        encoding = seconds(lambda: encoder.pixels(pixels)) / len(pixels)
        whole = [encoder.image(each.file.path) for each in batch if each.pixels is not None]
        alike = (encoder.pixels(pixels) * np.stack(whole)).sum(axis=1)
    told = {
        "what": "loading",
        "model": model,
        "photos": len(files),
        "size": str(data) if data is not None else "x".join(map(str, size)),
        "batch": BATCH,
        "encoding_by_reading": round(encoding / reading, 2),
        "reading_ms": round(1e3 * reading, 1),
        "least_cosine_with_encode_image": round(float(alike.min()), 5),
    }
    print(json.dumps(told), flush=True)


def pixels(text: str) -> tuple[int, int]:
    """``4000x3000``, in numbers."""
    width, height = map(int, text.split("x"))
    return width, height


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds, which other programs do not change."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("vectors", "rerank", "photos", "loading"))
    parser.add_argument("model", nargs="?", default="scenes-base")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--spread", choices=("photos", "isotropic"), default="photos")
    parser.add_argument("--library", choices=LIBRARIES, default="usearch")
    parser.add_argument("--folder", type=Path, help="vectors: where to put them, or where a run before did")
    parser.add_argument(
        "--plain", default="scenes-base", help="rerank: the model whose vector stage is compared"
    )
    parser.add_argument("--twins", type=int, default=40)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--pixels", type=pixels, default=(500, 375), help="loading: WIDTHxHEIGHT of a photo")
    parser.add_argument("--data", type=Path, help="photos: captioned photos; loading: a folder of photos")
    parser.add_argument("--split", default="val", help="photos: of the data")
    parser.add_argument("--queries", type=int, default=300)
    chosen = parser.parse_args()
    if chosen.what == "rerank":
        rerank(chosen.model, chosen.plain, chosen.twins, chosen.copies, chosen.size)
    elif chosen.what == "photos":
        photos(chosen.model, chosen.data, chosen.split, chosen.queries)
    elif chosen.what == "loading":
        loading(chosen.model, chosen.photos, chosen.pixels, chosen.data)
    else:
        with tempfile.TemporaryDirectory() as folder:
            where = chosen.folder or Path(folder, "index")
            vectors(chosen.count, chosen.width, chosen.spread, chosen.library, where)


if __name__ == "__main__":
    main()
