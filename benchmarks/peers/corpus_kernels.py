"""The same measurements of datatrove's filters, datasketch and rensa; prints a line each."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    from datasketch import MinHash
    from datatrove.data import Document
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
    from rensa import RMinHash

    def shingles(text: str) -> list[str]:
        words = text.split()
        return [" ".join(words[at : at + 5]) for at in range(len(words) - 4)]

    def rensa(text: str) -> None:
        made = RMinHash(num_perm=112, seed=1)
        made.update(shingles(text))
        made.digest()

    def datasketch(text: str) -> None:
        MinHash(num_perm=112, seed=1).update_batch([shingle.encode() for shingle in shingles(text)])

    def filtering(step):
        return lambda text: step.filter(Document(text=text, id="0"))

    jobs = (
        ("datatrove GopherRepetitionFilter, as shipped", filtering(GopherRepetitionFilter()), 1),
        ("datatrove GopherQualityFilter, as shipped", filtering(GopherQualityFilter()), 1),
        ("datasketch 112 permutations, 5-word shingles", datasketch, 5),
        ("rensa 112 permutations, 5-word shingles", rensa, 10),
    )
    for name, function, megabytes in jobs:
        documents, size = [], 0
        for line in Path(sys.argv[1], "00000.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
            documents.append(json.loads(line)["text"])
            size += len(documents[-1].encode())
            if size > megabytes * 1e6:
                break
        function(documents[0])
        began = time.process_time()
        for text in documents:
            function(text)
        print(f"{name:55} {size / 1e6 / (time.process_time() - began):8.2f} MB/s a core")


if __name__ == "__main__":
    main()
