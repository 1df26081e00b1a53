"""MB/s a core of the batch kernels, beside their peers', over the documents of a folder of JSON lines.

``python benchmarks/corpus_kernels.py IN [--peers PYTHON]``: IN is the input of corpus_job.py; PYTHON has datatrove,
rensa, datasketch and spacy installed. Figures are of CPU time, the best of three rounds for ours and one for the peers.
``--check N`` first compares every count of N documents with a plain reading of the paper (tests/corpus).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def texts(folder: str, limit: int) -> list[str]:
    found, size = [], 0
    for path in sorted(Path(folder).glob("*.jsonl")):
        for line in path.open(encoding="utf-8"):
            found.append(json.loads(line)["text"])
            size += len(found[-1])
            if size > limit:
                return found
    return found


def ours(documents: list[str]) -> dict[str, float]:
    import pyarrow as pa

    from seedstock import native
    from seedstock.corpus.dedup import minhash
    from seedstock.corpus.signals import gopher_kernel

    batches = [pa.array(documents[start : start + 256], pa.large_string()) for start in range(0, len(documents), 256)]
    size = sum(len(text.encode()) for text in documents) / 1e6
    jobs = {
        "Gopher quality and repetition": gopher_kernel.measure,
        "MinHash, 112 permutations": lambda batch: minhash.signatures(batch, 5, 112, 1),
    }
    speeds = {}
    for kind in ("1", "0"):
        os.environ[native.OFF] = kind
        for name, function in jobs.items():
            taken = []
            for _ in range(3):
                began = time.process_time()
                for batch in batches:
                    function(batch)
                taken.append(time.process_time() - began)
            speeds[f"{name}, {native.described()}"] = size / min(taken)
    return speeds


def check(documents: list[str]) -> None:
    """Raises AssertionError where a count is not that of the plain reading."""
    sys.path.insert(0, str(HERE.parent / "tests" / "corpus"))
    import test_signal_gopher

    for start in range(0, len(documents), 256):
        test_signal_gopher.check(documents[start : start + 256])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input")
    parser.add_argument("--peers", help="the Python of the peers' environment")
    parser.add_argument("--megabytes", type=float, default=30, help="of text for our kernels")
    parser.add_argument("--check", type=int, default=0)
    options = parser.parse_args()
    documents = texts(options.input, int(options.megabytes * 1e6))
    if options.check:
        check(documents[: options.check])
        print(f"every count of {min(options.check, len(documents)):,} documents is that of the plain reading")
    for name, speed in ours(documents).items():
        print(f"{name:55} {speed:8.1f} MB/s a core")
    if options.peers:
        command = [options.peers, str(HERE / "peers" / "corpus_kernels.py"), options.input]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
