"""Selection on the data pack: how fast each step is, what likeness finds, and how much clusters level what is rare.

``python benchmarks/selection.py``, with SEEDSTOCK_DATA set. Texts are the first 3,000 characters of novels' chapters,
technical proposals and programs; "lift" is the share of the rarer kind that a step keeps over the share of everything.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard
from datapack import data_pack, no_options

from seedstock.corpus.dedup.parts import InMemory
from seedstock.corpus.selection.config import Classifier, Clusters, Dsir, Quota
from seedstock.corpus.selection.pool import Pool
from seedstock.corpus.selection.steps import choose
from seedstock.ledger.ids import sha256
from seedstock.progress import Silent

FILES = {"books": "text/books.jsonl.zst", "specs": "text/specs.jsonl.zst", "code": "code/thealgorithms.jsonl.zst"}
CASES = (  # (kind, from, to) of what is frequent and of what is rare
    (("specs", 0, 800), ("code", 0, 40)),
    (("specs", 0, 1600), ("code", 0, 60)),
    (("specs", 700, 1500), ("code", 500, 540)),
    (("code", 0, 800), ("books", 0, 40)),
    (("code", 0, 1000), ("specs", 0, 50)),
    (("books", 0, 600), ("specs", 0, 30)),
    (("specs", 0, 2000), ("books", 0, 100)),
)


def read(kind: str, start: int, stop: int) -> list[str]:
    with zstandard.open(data_pack() / FILES[kind], "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"][:3000] for line in list(file)[start:stop]]


def pool(texts: list[str]) -> Pool:
    digests = [bytes.fromhex(sha256(text.encode())) for text in texts]
    sizes = np.array([len(text.encode()) for text in texts], np.int64)
    table = pa.table(
        {
            "text": pa.array(texts, pa.large_string()),
            "text_sha256": pa.array(digests, pa.binary(32)),
            "raw_sha256": pa.array(digests, pa.binary(32)),
            "bytes": sizes,
        }
    )
    names = {name: np.full(len(texts), "x", object) for name in ("source", "domain", "language")}
    return Pool([InMemory(table)], names, sizes, "1/0/benchmark", None, Silent())


def main() -> None:
    no_options(__doc__)
    books, code = read("books", 0, 600), read("code", 0, 1000)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "target.jsonl"
        target.write_text("".join(json.dumps({"text": text}) + "\n" for text in books[300:]))
        found = choose(Dsir(target=(str(target),), documents=300), pool([*books[:300], *code]))
        print(
            f"dsir, 300 of 300 chapters and {len(code)} programs like other chapters: {found.kept[:300].sum()} chapters"
        )
        everything = pool([*read("specs", 0, 2348), *books, *code] * 4)
        size = everything.bytes.sum() / 1e6
        for step in (
            Dsir(target=(str(target),), share=0.5),
            Clusters(share=0.5),
            Classifier(score="bytes", share=0.5),
            Quota(bytes=10**6),
        ):
            began = time.process_time()
            choose(step, everything)
            spent = time.process_time() - began
            print(f"{step.kind}: {everything.rows} documents, {size:.0f} MB, {size / spent:.0f} MB/s of CPU")
    lifts: dict[str, list[float]] = {}
    for many, few in CASES:
        texts = pool([*read(*many), *read(*few)])
        rare = np.arange(texts.rows) >= many[2] - many[1]
        for clusters in (None, 10, 40):
            for budget in ("equal", "sqrt"):
                kept = choose(Clusters(share=1 / 8, clusters=clusters, budget=budget), texts).kept
                lifts.setdefault(f"{clusters or 'fourth root'} clusters, {budget}", []).append(
                    kept[rare].mean() / kept.mean()
                )
    for name, own in lifts.items():
        mean = np.exp(np.mean(np.log(np.maximum(own, 0.01))))
        print(f"{name}: lift {', '.join(f'{one:.2f}' for one in own)}; geometric mean {mean:.2f}")


if __name__ == "__main__":
    main()
