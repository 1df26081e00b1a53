"""How long a vocabulary takes to learn, and how much memory: ours against others', on one text in one run.

    python benchmarks/tokenizer_training.py [--peers PYTHON] [--size 100MB] [--vocab 32768]
    python benchmarks/tokenizer_training.py --sizes 100MB,400MB,1600MB,4GB

The text is this machine's own: Python, documentation and headers of the standard library and of every installed
package, and the texts under SEEDSTOCK_DATA where it is set. ``--peers`` is a Python with rustbpe and tokenizers. With
``--sizes`` only ours runs, on each size: beyond what the machine has, the text is repeated with a fiftieth of its words
changed, so that there are always new ones. Every measurement is a process of its own; memory is its peak resident set,
less what it had before the text came.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PART = 1 << 26
SUFFIXES = {".py", ".md", ".rst", ".txt", ".h", ".c", ".pyi", ".html"}


def size_of(text: str) -> int:
    from seedstock.config import _size

    return _size(text)


def texts(size: int) -> Iterator[str]:
    """Texts of this machine, ``size`` bytes of them."""
    import os

    roots = [Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib")]
    data = os.environ.get("SEEDSTOCK_DATA")
    done, turn = 0, 0
    while done < size:
        before = done
        for text in _once(roots, Path(data) if data else None):
            text = _changed(text, turn) if turn else text
            done += len(text.encode())
            yield text
            if done >= size:
                return
        if done == before:
            raise SystemExit("no texts found")
        turn += 1


def _once(roots: list[Path], data: Path | None) -> Iterator[str]:
    if data:
        import zstandard

        for path in sorted(
            [*data.glob("text/*.jsonl.zst"), *data.glob("multilingual/udhr*"), *data.glob("code/*.zst")]
        ):
            with zstandard.open(path, "rt", encoding="utf-8") as file:
                for line in file:
                    yield json.loads(line)["text"]
    seen: set[Path] = set()
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.suffix in SUFFIXES and path not in seen and path.is_file() and path.stat().st_size < 1 << 20:
                seen.add(path)
                try:
                    yield path.read_text(encoding="utf-8")
                except (UnicodeDecodeError, OSError):
                    continue


def _changed(text: str, turn: int) -> str:
    """A fiftieth of the words get letters more, other ones at each turn."""
    draw = random.Random(f"{turn} {len(text)} {text[:40]}")
    words = re.split(r"(\W+)", text)
    for number in range(0, len(words), 2):
        if draw.random() < 0.02:
            words[number] += "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=3))
    return "".join(words)


class Streamed:
    """What a tokenizer needs of a corpus, over texts that are made as they are read."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.parts = ["part-00000"]
        self.strata = [{"source": "s", "domain": "d", "language": "en", "bytes": size}]

    def content(self, part: str) -> str:
        return f"{part} {self.size}"

    def texts(self, split: str, parts: list[str]) -> Iterator[object]:
        import pyarrow as pa

        waiting: list[str] = []
        for text in texts(self.size):
            waiting.append(text)
            if len(waiting) == 256:
                yield self._batch(pa, waiting)
                waiting = []
        if waiting:
            yield self._batch(pa, waiting)

    def _batch(self, pa, waiting):  # type: ignore[no-untyped-def]
        names = {name: [self.strata[0][name]] * len(waiting) for name in ("source", "domain", "language")}
        return pa.RecordBatch.from_pydict({"text": pa.array(waiting, pa.large_string()), **names})


def measured(size: int, vocab: int) -> dict[str, object]:
    """Ours, from texts to merges, apart from making the texts."""
    from seedstock.inputs.tokenizers import vocabulary
    from seedstock.inputs.tokenizers.config import BpeConfig
    from seedstock.inputs.tokenizers.counts import corpus as counting
    from seedstock.inputs.tokenizers.counts import weigh
    from seedstock.inputs.tokenizers.native import library
    from seedstock.ledger.store import Store
    from seedstock.progress import Silent

    corpus, spent = Streamed(size), 0.0
    source = corpus.texts

    def timed(*asked, **more):  # type: ignore[no-untyped-def]
        """The time that the source itself takes does not count."""
        nonlocal spent
        stream = source(*asked, **more)
        while True:
            begin = time.process_time()
            batch = next(stream, None)
            spent += time.process_time() - begin
            if batch is None:
                return
            yield batch

    corpus.texts = timed  # type: ignore[method-assign]
    for _ in zip(texts(size), range(100), strict=False):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, Silent().bar("", None, "B") as bar:
        paths = counting.tables(corpus, Store(Path(folder)), None, 1, bar)  # type: ignore[arg-type]
        counted = time.process_time() - cpu - spent
        words = weigh.weigh(paths, {}, BpeConfig().words)
        vocabulary.bpe(BpeConfig(vocab_size=vocab), words)
        table = sum(path.stat().st_size for path in paths)
    return {
        "who": "seedstock, " + ("native" if library() else "plain"),
        "cpu": round(time.process_time() - cpu - spent, 1),
        "wall_with_source": round(time.perf_counter() - wall, 1),
        "counting_cpu": round(counted, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
        "more_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000),
        "distinct": words.seen,
        "table_mb": round(table / 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="a Python that has rustbpe and tokenizers")
    parser.add_argument("--size", default="100MB", type=size_of)
    parser.add_argument("--sizes")
    parser.add_argument("--vocab", default=32768, type=int)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measured(asked.size, asked.vocab)))
        return
    for size in [size_of(size) for size in asked.sizes.split(",")] if asked.sizes else [asked.size]:
        command = [sys.executable, __file__, "--one", "--size", str(size), "--vocab", str(asked.vocab)]
        print(size, subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)
    if asked.peers:
        from seedstock.inputs.tokenizers.pieces import PATTERN

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "texts.jsonl"
            with file.open("w", encoding="utf-8") as out:
                out.writelines(json.dumps(text) + "\n" for text in texts(asked.size))
            for who in ("rustbpe", "tokenizers"):
                script = Path(__file__).parent / "peers" / "tokenizer_training.py"
                command = [asked.peers, str(script), who, str(file), PATTERN, str(asked.vocab)]
                print(asked.size, subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    main()
