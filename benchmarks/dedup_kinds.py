"""What each kind of deduplication takes out of one corpus: the documents of the data pack, as they are.

``SEEDSTOCK_DATA=DIR python benchmarks/dedup_kinds.py`` prints a row a kind: documents and bytes removed, seconds.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import time
from pathlib import Path
from typing import Any

from datapack import data_pack, no_options

FILES = ("text/books", "text/specs", "code/thealgorithms", "multilingual/udhr")
STEPS: dict[str, list[dict[str, Any]]] = {
    "exact": [{"kind": "exact"}],
    "exact, normalised": [{"kind": "exact", "normalise": True}],
    "URL": [{"kind": "url"}],
    "MinHash 0.8": [{"kind": "minhash"}],
    "MinHash 0.8, single linkage": [{"kind": "minhash", "linkage": "single"}],
    "MinHash 0.5": [{"kind": "minhash", "threshold": 0.5}],
    "semantic 0.95": [{"kind": "semantic"}],
    "semantic 0.8": [{"kind": "semantic", "threshold": 0.8}],
    "lines": [{"kind": "lines"}],
    "lines of 10 documents and more": [{"kind": "lines", "documents": 10}],
    "paragraphs": [{"kind": "paragraphs"}],
    "substring of 200 bytes": [{"kind": "substring"}],
    "MinHash 0.8, then substring": [{"kind": "minhash"}, {"kind": "substring"}],
}


def parts(data: Path) -> list[Any]:
    import pyarrow as pa
    import zstandard

    from seedstock.corpus.dedup.parts import InMemory

    found = []
    for name in FILES:
        with zstandard.open(data / f"{name}.jsonl.zst", "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        texts = [row["text"] for row in rows]
        columns = {
            "text": pa.array(texts, pa.large_string()),
            "text_sha256": [hashlib.sha256(text.encode()).digest() for text in texts],
            "source": [name] * len(rows),
            "locator": [str(row.get("id", at)) for at, row in enumerate(rows)],
            "url": pa.array([row.get("url") for row in rows], pa.string()),
            "meta": ["{}"] * len(rows),
            "bytes": [len(text.encode()) for text in texts],
        }
        found.append(InMemory(pa.table(columns)))
    return found


def pictures(data: Path) -> None:
    import numpy as np
    import pyarrow as pa

    from seedstock.corpus.dedup import DedupConfig, find_clusters
    from seedstock.corpus.dedup.parts import InMemory
    from seedstock.progress import Silent

    for name in ("image-text/emoji.tar", "images/cifar10-test.tar"):
        with tarfile.open(data / name) as archive:
            media = [archive.extractfile(one).read() for one in archive if one.name.endswith((".png", ".jpg"))]  # type: ignore[union-attr]
        count = len(media)
        table = pa.table(
            {
                "media": pa.array(media, pa.large_binary()),
                "text_sha256": pa.array([hashlib.sha256(one).digest() for one in media]),
                **{column: [""] * count for column in ("source", "locator")},
                "bytes": [0] * count,
            }
        )
        for step in ({"hash": "phash", "distance": 0}, {"hash": "phash"}, {"hash": "dhash"}):
            began = time.perf_counter()
            config = DedupConfig.model_validate({"steps": [{"kind": "pictures", **step}]})
            found = find_clusters(config, [InMemory(table)], Silent(), media=np.ones(count, bool))
            gone = int((~found.representative).sum())
            print(f"{name}, {step}: {gone:,} of {count:,} pictures, {time.perf_counter() - began:.1f} s")


def main() -> None:
    no_options(__doc__)
    import numpy as np

    from seedstock.corpus.dedup import DedupConfig, find_clusters, find_spans
    from seedstock.corpus.dedup.parts import Chosen
    from seedstock.corpus.dedup.spill import Workspace
    from seedstock.progress import Silent

    data = data_pack()
    corpus = parts(data)
    sizes = np.concatenate([part.read(["bytes"])["bytes"].to_numpy() for part in corpus])
    print(f"{len(sizes):,} documents, {sizes.sum() / 1e6:.1f} MB")
    for name, steps in STEPS.items():
        began = time.perf_counter()
        config = DedupConfig.model_validate({"steps": steps})
        kept = np.ones(len(sizes), bool)
        if config.documents:
            kept = find_clusters(config, corpus, Silent(), workers=2).representative
        cut, spans, touched = 0, 0, 0
        if config.spans:
            bounds = np.cumsum([0, *(part.rows for part in corpus)])
            left = [
                Chosen(part, np.flatnonzero(kept[a:b]))
                for part, a, b in zip(corpus, bounds[:-1], bounds[1:], strict=True)
            ]
            with Workspace() as folder:
                found = find_spans(config, left, Silent(), folder=folder)
                for number in range(len(left)):
                    for listed in found.of(number).values():
                        cut += sum(end - start for start, end, _ in listed)
                        spans, touched = spans + len(listed), touched + 1
        gone = int(sizes[~kept].sum()) + cut
        print(
            f"| {name} | {int((~kept).sum()):,} | {touched:,} | {spans:,} | {gone / 1e6:.2f} MB "
            f"({100 * gone / sizes.sum():.1f} %) | {time.perf_counter() - began:.1f} |"
        )
    pictures(data)


if __name__ == "__main__":
    main()
