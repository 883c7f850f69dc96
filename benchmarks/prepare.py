"""``knowclip prepare``: captions a second on one core, what 100 million cost, and memory a pair.

    python benchmarks/prepare.py CAPTIONS --limit 3000

Against what ``knowclip parse`` and ``knowclip negatives`` do with the same captions, in turns in one process,
CPU seconds, best of ``--rounds``; each caption is of an image of its own. Then the arithmetic: one process
deals captions out, all cores parse, and what comes back goes through the network of the machine that asked.
Memory is that of training on shards: pairs as read, and with graphs and negatives.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

from knowclip.console.progress import duration
from knowclip.data.captions.negatives import negatives_for
from knowclip.data.captions.read import read_captions
from knowclip.data.prepared.corpus import deal
from knowclip.data.prepared.engines import in_processes
from knowclip.data.prepared.prepare import prepare
from knowclip.knowledge.negatives.captions import of_records
from knowclip.knowledge.negatives.generate import SWAPS
from knowclip.knowledge.negatives.images import Making
from knowclip.knowledge.parsing.caption_texts import Text, parse_texts, read_texts
from knowclip.knowledge.records import NegativeRecord, write_graphs, write_negatives

CORPUS, CORES = 100_000_000, 64
NODES = (1, 10, 100)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("captions", type=Path)
    arguments.add_argument("--limit", type=int, default=3000)
    arguments.add_argument("--rounds", type=int, default=2)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options.captions, Path(folder), options.limit, options.rounds)


def measure(captions: Path, folder: Path, limit: int, rounds: int) -> None:
    read = islice(read_texts(captions, skipped=Counter()), limit)
    texts = [Text(str(i), text.caption, shard_name(i)) for i, text in enumerate(read)]
    table = write_table(texts, folder / "captions.jsonl")
    separate(texts[:50], folder)  # loads the parser
    ours, theirs = [], []
    for number in range(rounds):
        out = folder / f"shards-{number}"
        ours.append(seconds(partial(whole, table, out)))
        theirs.append(seconds(partial(separate, texts, folder)))
    speed = len(texts) / min(ours)
    print(
        f"{len(texts):,} captions: prepare {speed:,.0f} captions/s on one core, parse and negatives one after"
    )
    print(f"the other {len(texts) / min(theirs):,.0f}; ratio {min(theirs) / min(ours):.2f}")
    stored = sum(shard.stat().st_size for shard in out.glob("*.parquet")) / len(texts)
    arithmetic(speed, stored, dealing(table, folder, len(texts)))
    memory(texts, out, folder)


def write_table(texts: list[Text], path: Path) -> Path:
    lines = (json.dumps({"image": text.image, "caption": text.caption}) for text in texts)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def whole(table: Path, out: Path) -> None:
    making = Making("spacy", SWAPS, False, 0)
    prepare(
        table, out, making=making, shard_size=1000, column=None, engine=partial(in_processes, processes=1)
    )


def separate(texts: list[Text], folder: Path) -> None:
    records = list(parse_texts(texts, parser="spacy", batch_size=256))
    write_graphs(folder / "graphs.jsonl", records)
    made = of_records(records, kinds=SWAPS)
    lines = (NegativeRecord(r.key, r.caption, one, r.image) for r, found in made for one in found)
    write_negatives(folder / "negatives.jsonl", lines)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def dealing(table: Path, folder: Path, captions: int) -> float:
    """CPU seconds a caption of dealing a corpus out to units."""
    (units := folder / "units").mkdir()
    return seconds(partial(deal, table, units, column=None, unit=1000)) / captions


def arithmetic(speed: float, stored: float, dealt: float) -> None:
    print(f"\n{CORPUS:,} captions at this speed, on nodes of {CORES} cores; {stored:,.0f} bytes a caption,")
    print(f"{stored * CORPUS / 1e9:,.0f} GB in all; dealing them out takes {duration(dealt * CORPUS)} before")
    for nodes in NODES:
        took = CORPUS / (speed * CORES * nodes)
        print(
            f"{nodes:>4} nodes: {duration(took)}, {took * nodes / 3600:,.1f} node hours, "
            f"{stored * CORPUS / took / 1e6:,.1f} MB/s come back"
        )


def memory(texts: list[Text], prepared: Path, folder: Path) -> None:
    """Bytes a pair that a training holds, the images being of one byte."""
    for start in range(0, len(texts), 1000):
        with tarfile.open(folder / f"{start // 1000:05d}.tar", "w") as tar:
            for number, text in enumerate(texts[start : start + 1000], start):
                stem = Path(shard_name(number)).stem
                for ending, content in ((".jpg", b"-"), (".txt", text.caption.encode()), (".json", b"{}")):
                    info = tarfile.TarInfo(stem + ending)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    tracemalloc.start()
    examples = read_captions(folder, format="webdataset").examples
    read, _ = tracemalloc.get_traced_memory()
    filled = negatives_for(examples, graphs=prepared).examples
    both, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    negatives = sum(len(example.negatives) for example in filled) / len(filled)
    print(f"\nmemory of {len(examples):,} pairs in shards: {read / len(texts):,.0f} bytes a pair,")
    print(f"{(both - read) / len(texts):,.0f} more with their graphs and {negatives:.1f} negatives each")


def shard_name(number: int) -> str:
    """An image as one of a shard is called, so that pairs in shards find what was prepared."""
    return f"{number // 1000:05d}.tar/{number:09d}.jpg"


if __name__ == "__main__":
    main()
