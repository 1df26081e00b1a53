"""A million documents deduplicated on two cores, against exact Jaccard similarity on a labelled sample.

``SEEDSTOCK_DATA=DIR python benchmarks/dedup_million.py make|sign|cluster|score --folder FOLDER [--documents 1000000]``,
in this order; or ``make``, ``build``, ``score``. Six tenths of the documents are made of real sentences (books,
specifications, Wikipedia), drawn anew for each; the others are copies of these, with words replaced, runs of words cut
out and sentences added at rates that end on both sides of the threshold. ``sign`` computes the signatures (two
processes), ``cluster`` groups and verifies (two threads), ``score`` compares families drawn at random with the exact
similarity of all their pairs. ``build`` is ``seedstock corpus`` on these files, from reading to the sealed folder.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import itertools
import json
import os
import random
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from datapack import data_pack

THRESHOLD, SHINGLE = 0.8, 5
PART = 25_000
RATES = (0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.05, 0.1)  # words replaced; 2.2 % is about the threshold
FAMILIES = 30_000  # of the labelled sample


def sentences(data: Path) -> list[list[str]]:
    """Real sentences of six words and more, as words."""
    import zstandard

    texts = []
    for name in ("books", "specs"):
        with zstandard.open(data / f"text/{name}.jsonl.zst", "rt", encoding="utf-8") as file:
            texts += [json.loads(line)["text"] for line in file]
    for name in ("wikitext2.valid", "wikitext2.test"):
        with zstandard.open(data / f"text/{name}.txt.zst", "rt", encoding="utf-8") as file:
            texts.append(file.read())
    found = dict.fromkeys(piece.strip() for text in texts for piece in re.split(r"(?<=[.!?])\s+|\n\s*\n", text))
    return [words for words in map(str.split, found) if 6 <= len(words) <= 80]


def base(draw: random.Random, pool: list[list[str]]) -> list[str]:
    return list(itertools.chain.from_iterable(draw.choice(pool) for _ in range(draw.randrange(4, 14))))


def copy(draw: random.Random, words: list[str], pool: list[list[str]]) -> list[str]:
    """The words with changes: half of the copies have words replaced, a quarter lose a run, a quarter gain words."""
    kind = draw.randrange(4)
    if kind == 2:
        gone = draw.randrange(1, max(2, len(words) // 3))
        at = draw.randrange(len(words) - gone)
        return words[:at] + words[at + gone :]
    if kind == 3:
        return words + draw.choice(pool)
    rate = draw.choice(RATES)
    return [draw.choice(pool)[0] if rate and draw.random() < rate else word for word in words]


def document(number: int, pool: list[list[str]]) -> tuple[int, str]:
    """(The number of its base, its text); six of ten documents are bases, a copy's base is one of lower number."""
    family = number
    if number % 10 >= 6:
        family = random.Random(f"family {number}").randrange(number)
        family -= max(0, family % 10 - 5)
    words = base(random.Random(f"base {family}"), pool)
    return family, " ".join(copy(random.Random(f"copy {number}"), words, pool) if family != number else words)


def _make(job: tuple[Path, int, int]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, first, last = job
    pool = sentences(data_pack())
    made = [document(number, pool) for number in range(first, last)]
    texts = [text for _, text in made]
    table = pa.table(
        {
            "text": pa.array(texts, pa.large_string()),
            "text_sha256": pa.array([hashlib.sha256(text.encode()).digest() for text in texts], pa.binary(32)),
            "source": ["made"] * len(texts),
            "locator": [str(number) for number in range(first, last)],
            "bytes": pa.array([len(text.encode()) for text in texts], pa.int64()),
            "family": pa.array([family for family, _ in made], pa.int64()),
        }
    )
    pq.write_table(table, folder / f"part-{first // PART:05d}.parquet", compression="zstd")
    return sum(table["bytes"].to_pylist())


def _sign(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    signal = step_signal()
    table = pq.read_table(path, columns=["text"])
    batches = [signal.compute(batch) for batch in table.to_batches(max_chunksize=256)]
    pq.write_table(pa.Table.from_batches(batches), path.with_name(path.name.replace("part", "signature")))
    return table.num_rows


def step_signal():  # type: ignore[no-untyped-def]
    from seedstock.corpus.dedup.config import MinHash
    from seedstock.corpus.signals.minhash import signal_of

    return signal_of(MinHash(threshold=THRESHOLD, shingle=SHINGLE))


class File:
    """A Parquet file as a part."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self.path, self.rows = path, pq.read_metadata(path).num_rows

    def has(self, name: str) -> bool:
        return True

    def read(self, names):  # type: ignore[no-untyped-def]
        import pyarrow.parquet as pq

        if names and "." in names[0]:
            found = pq.read_table(self.path.with_name(self.path.name.replace("part", "signature")))
            return found.rename_columns(list(names))
        return pq.read_table(self.path, columns=list(names))


def parts(folder: Path) -> list[File]:
    return [File(path) for path in sorted(folder.glob("part-*.parquet"))]


def cluster(folder: Path) -> None:
    import numpy as np

    from seedstock.corpus.dedup import DedupConfig, find_clusters
    from seedstock.progress import Silent

    config = DedupConfig(steps=[{"kind": "minhash", "threshold": THRESHOLD, "shingle": SHINGLE}])
    found = find_clusters(config, parts(folder), Silent(), near=folder, workers=2)
    np.savez(folder / "clusters.npz", cluster=found.cluster_of, stays=found.stands_for)
    print(
        f"{len(found.cluster_of):,} documents, {len(found.sizes):,} clusters, {(~found.representative).sum():,} dropped"
    )


def build(folder: Path) -> None:
    """The corpus as a whole, and its clusters as ``cluster`` leaves them."""
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    import watch

    recipe = folder / "recipe.yaml"
    source = {"name": "made", "kind": "parquet", "path": f"{folder}/part-*.parquet", "fields": {"id": "locator"}}
    corpus = {"policy": "none", "dedup": {"kind": "minhash", "threshold": THRESHOLD, "shingle": SHINGLE}}
    recipe.write_text(json.dumps({"name": "million", "sources": [source], "corpus": corpus, "training": {"steps": 1}}))
    command = [sys.executable, "-m", "seedstock", "corpus", str(recipe), "--runs", str(folder / "runs")]
    cost = watch.run(command, env=dict(os.environ))
    if cost.status:
        sys.exit(cost.out[-2000:])
    print(f"build: {cost.wall:.1f} s, {cost.cpu:.1f} s of processors, {cost.peak / 1e9:.2f} GB at most")
    _clusters_of(next((folder / "runs/.store/corpus").glob("*/decisions")).parent, folder)


def _clusters_of(corpus: Path, folder: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=["id", "locator"]) for path in sorted(corpus.glob("documents/*"))]
    places = pa.concat_tables(tables)
    row_of = {
        one: int(locator.partition("#")[2])
        for one, locator in zip(places["id"].to_pylist(), places["locator"].to_pylist(), strict=True)
    }
    cluster, stays = np.full(len(row_of), -1), np.arange(len(row_of))
    found = pq.read_table(corpus / "clusters.parquet", columns=["id", "cluster", "stands_for"])
    for one, number, other in zip(*(found[name].to_pylist() for name in found.column_names), strict=True):
        cluster[row_of[one]], stays[row_of[one]] = number, row_of[other]
    np.savez(folder / "clusters.npz", cluster=cluster, stays=stays)
    dropped = (stays != np.arange(len(stays))).sum()
    print(f"{len(row_of):,} documents, {len(set(cluster[cluster >= 0])):,} clusters, {dropped:,} dropped")


def score(folder: Path) -> None:
    import numpy as np

    found = np.load(folder / "clusters.npz")
    cluster_of, stays = found["cluster"], found["stays"]
    family_of = np.concatenate([part.read(["family"])["family"].to_numpy() for part in parts(folder)])
    families: dict[int, list[int]] = {}
    for row, number in enumerate(family_of):
        families.setdefault(int(number), []).append(row)
    several = [members for members in families.values() if len(members) > 1]
    sample = random.Random(0).sample(several, min(FAMILIES, len(several)))
    pool = sentences(data_pack())
    count: collections.Counter[str] = collections.Counter()
    for members in sample:
        sets = []
        for row in members:
            words = document(row, pool)[1].split()
            sets.append({tuple(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)})
        alike = {
            (a, b): len(sets[a] & sets[b]) / max(1, len(sets[a] | sets[b]))
            for a, b in itertools.combinations(range(len(members)), 2)
        }
        for (a, b), similarity in alike.items():
            if similarity >= THRESHOLD:
                near = similarity < THRESHOLD + 0.05
                together = bool(cluster_of[members[a]] == cluster_of[members[b]] >= 0)
                both = bool(stays[members[a]] == members[a] and stays[members[b]] == members[b])
                count.update(
                    {"pairs": 1, "found": together, "near": near, "near found": near and together, "both": both}
                )
        for at, row in enumerate(members):
            if stays[row] != row:
                other = members.index(stays[row]) if stays[row] in members else None
                right = other is not None and alike[min(at, other), max(at, other)] >= THRESHOLD
                count.update({"dropped": 1, "right": right})
    foreign = int((family_of[stays] != family_of).sum())
    print(f"{len(sample):,} families, {count['pairs']:,} pairs of similarity {THRESHOLD} and more")
    print(f"recall: {count['found'] / count['pairs']:.4f} of the pairs in one cluster; ", end="")
    print(f"{count['near found'] / count['near']:.4f} of the {count['near']:,} below {THRESHOLD + 0.05:.2f}; ", end="")
    print(f"{count['both'] / count['pairs']:.4f} of the pairs kept, both of them")
    print(
        f"precision: {count['right'] / count['dropped']:.4f} of {count['dropped']:,} dropped documents are similar ",
        end="",
    )
    print(f"to the one that stays for them; {foreign} of all went for a document of another family")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("stage", choices=["make", "sign", "cluster", "build", "score"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=1_000_000)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    if given.stage == "make":
        jobs = [(given.folder, at, min(at + PART, given.documents)) for at in range(0, given.documents, PART)]
        with ProcessPoolExecutor(2) as pool:
            print(f"{sum(pool.map(_make, jobs)) / 1e9:.2f} GB of text")
    elif given.stage == "sign":
        with ProcessPoolExecutor(2) as pool:
            print(f"{sum(pool.map(_sign, sorted(given.folder.glob('part-*.parquet')))):,} documents")
    elif given.stage == "cluster":
        cluster(given.folder)
    elif given.stage == "build":
        build(given.folder)
    else:
        score(given.folder)
    print(f"{given.stage}: {time.perf_counter() - began:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
