"""Decontamination: which documents of the data pack are flagged, which planted items are found, and the speed.

    SEEDSTOCK_DATA=... python benchmarks/decontamination.py

False positives: every document of books, proposals, code, web and Wikipedia articles that is flagged against all
evaluation files is printed with the words it shares, and the rule: it is a true positive where it holds a third of the
item's runs or more, and a false one otherwise. The naive rule (any 13 words, nothing left out) stands beside it.
Recall: items of every file planted into documents of another kind, as they are and changed.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from datapack import data_pack

from seedstock.corpus import decontaminate, evaluation_runs, ngrams
from seedstock.corpus.words import pieces

FILES = (
    *("text/books.jsonl.zst", "text/specs.jsonl.zst", "code/thealgorithms.jsonl.zst"),
    *("web/article-extraction-benchmark.tar", "text/wikitext2.valid.txt.zst", "text/wikitext2.test.txt.zst"),
)


def texts(data: Path, name: str) -> list[str]:
    import zstandard

    if name.endswith(".tar"):
        with tarfile.open(data / name) as archive:
            (member,) = [found for found in archive.getnames() if found.endswith("ground-truth.json")]
            return [row["articleBody"] for row in json.load(archive.extractfile(member)).values()]  # type: ignore[arg-type]
    raw = zstandard.decompress((data / name).read_bytes(), max_output_size=1 << 28)
    if name.endswith(".txt.zst"):  # an article from each heading of the first rank on
        return [text for text in re.split(r"(?m)^(?= = [^=].* = $)", raw.decode()) if len(text) > 200]
    return [json.loads(line)["text"] for line in raw.splitlines()]


def naive(index: decontaminate.Index, documents: pa.Array) -> int:
    """Documents that share any 13 words in a row with an item."""
    hashes, row = ngrams.words(evaluation_runs.array([item.text for item in index.items]))
    known = np.unique(ngrams.grams(hashes, row, 13)[0])
    count = 0
    for piece in pieces(documents):
        hashes, row = ngrams.words(piece)
        runs, first = ngrams.grams(hashes, row, 13)
        held = known[np.minimum(np.searchsorted(known, runs), len(known) - 1)] == runs
        count += len(np.unique(row[first[held]]))
    return count


def changes(rng: random.Random) -> dict[str, Callable[[str], str]]:
    def half(text: str) -> str:
        words = text.split(" ")
        return " ".join(words[: len(words) // 2] if rng.random() < 0.5 else words[len(words) // 2 :])

    return {
        "as it is": str,
        "upper case": str.upper,
        "no punctuation": lambda text: re.sub(r"[^\w\s]", " ", text),
        "other white space": lambda text: re.sub(r"\s+", "\n\t ", text),
        "typographic quotes and dashes": lambda text: text.replace("'", "\u2019").replace(" ", " \u2014 ", 3),
        "half of it": half,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=decontaminate.WORDS)
    parser.add_argument("--shortest", type=int, default=decontaminate.SHORTEST)
    args = parser.parse_args()
    data = data_pack()
    begin = time.process_time()
    index = decontaminate.Index(decontaminate.files([str(data / "eval")]), args.words, args.shortest)
    print(f"index: {len(index.items)} items, {len(index.runs.hashes)} runs, {time.process_time() - begin:.1f} s")
    print("items that can be found:", {name: f"{some} of {all_}" for name, (some, all_) in index.coverage().items()})
    everything = []
    flagged = total = 0
    for name in FILES:
        found = texts(data, name)
        everything += found
        documents = pa.array(found, pa.large_string())
        size, best = sum(len(text.encode()) for text in found), 1e9
        for _ in range(3):
            begin = time.process_time()
            matches = index.search(documents)
            best = min(best, time.process_time() - begin)
        common = index.documents(matches)
        hits = {row: hit for row, runs in matches.items() if (hit := index.verdict(runs, common))}
        flagged, total = flagged + len(hits), total + len(found)
        print(f"{name}: {len(found)} documents, {size / best / 1e6:.0f} MB/s, {len(hits)} flagged", end="")
        print(f", {naive(index, documents)} by any 13 words")
        for row, hit in hits.items():
            kind = "true" if hit.matched * 3 >= hit.total else "false"
            print(f"   {kind}: document {row}, {hit.where}, {hit.matched} of {hit.total}: {hit.quote}")
    print(f"all: {flagged} of {total} documents flagged, {flagged / total:.3%}")

    rng = random.Random(3)
    carriers = [text for text in everything if len(text) > 1000]
    by_file: dict[str, list] = {}
    for item in index.items:
        by_file.setdefault(item.file, []).append(item)
    columns = list(changes(rng))
    print("\n| file | can be found | all strings |", " | ".join(f"longest string, {name}" for name in columns), "|")
    for name, items in by_file.items():
        sample = rng.sample(items, min(400, len(items)))
        some, all_ = index.coverage()[name]
        row = [some / all_]
        for change in (None, *changes(rng).values()):
            made = []
            for item in sample:
                carrier = rng.choice(carriers)
                at = carrier.rfind(" ", 0, rng.randrange(200, 900)) + 1
                held = change(max((text for _, text in item.strings), key=len)) if change else item.text
                made.append(f"{carrier[:at]}{held} {carrier[at : at + 3000]}")
            matches = index.search(pa.array(made, pa.large_string()))
            row.append(sum(index.verdict(runs) is not None for runs in matches.values()) / len(sample))
        print(f"| {name} |", " | ".join(f"{share:.3f}" for share in row), "|")


if __name__ == "__main__":
    main()
